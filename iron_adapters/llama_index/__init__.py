"""LlamaIndex under a policy: models, a handler, tools and embeddings."""

from __future__ import annotations

try:
    import llama_index.core  # noqa: F401 - to say what is missing, where it is
except ModuleNotFoundError as error:
    raise ImportError(
        'iron_adapters.llama_index needs llama-index-core: pip install "iron-adapters[llama-index]"'
    ) from error

from iron_adapters.llama_index.embedding import IronEmbedding
from iron_adapters.llama_index.handler import IronCallbackHandler, attach
from iron_adapters.llama_index.llm import IronLLM
from iron_adapters.llama_index.tool import IronTool

__all__ = ["IronCallbackHandler", "IronEmbedding", "IronLLM", "IronTool", "attach"]
