"""Models by name, as LlamaIndex's integrations make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.llms import LLM


def llm_by_name(model: str, kwargs: dict[str, Any]) -> LLM:
    """Return the model called *model*; ``openai/`` or ``anthropic/`` before the name says whose, else the name does.

    Raises:
        ImportError: the provider's integration is not installed.
    """
    provider, _, name = model.rpartition("/")
    if provider == "anthropic" or (not provider and name.startswith("claude")):
        try:
            from llama_index.llms.anthropic import Anthropic
        except ModuleNotFoundError as error:
            raise _missing(model, "llama-index-llms-anthropic") from error
        return Anthropic(model=name, **kwargs)
    try:
        from llama_index.llms.openai import OpenAI
    except ModuleNotFoundError as error:
        raise _missing(model, "llama-index-llms-openai") from error
    return OpenAI(model=name if provider == "openai" else model, **kwargs)


def embedding_by_name(model: str, kwargs: dict[str, Any]) -> BaseEmbedding:
    """Return OpenAI's embedding model called *model*.

    Raises:
        ImportError: the integration is not installed.
    """
    try:
        from llama_index.embeddings.openai import OpenAIEmbedding
    except ModuleNotFoundError as error:
        raise _missing(model, "llama-index-embeddings-openai") from error
    made: BaseEmbedding = OpenAIEmbedding(model=model.removeprefix("openai/"), **kwargs)
    return made


def _missing(model: str, package: str) -> ImportError:
    return ImportError(
        f"{model!r} needs {package}: pip install {package}; or wrap a model of another integration"
    )
