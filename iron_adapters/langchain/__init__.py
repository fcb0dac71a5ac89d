"""LangChain and LangGraph under a policy: a model, a handler, a middleware and embeddings."""

from __future__ import annotations

from iron_adapters.langchain.chat_model import IronChatModel
from iron_adapters.langchain.handler import IronCallbackHandler

__all__ = ["IronCallbackHandler", "IronChatModel"]
