"""LlamaIndex under a policy: a model, a handler, tools and embeddings."""

from __future__ import annotations

from iron_adapters.llama_index.llm import IronLLM

__all__ = ["IronLLM"]
