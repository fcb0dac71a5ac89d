"""LangChain and LangGraph under a policy: a model, a handler, a middleware and embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.langchain.chat_model import IronChatModel
from iron_adapters.langchain.embeddings import IronEmbeddings
from iron_adapters.langchain.handler import IronCallbackHandler

if TYPE_CHECKING:
    from iron_adapters.langchain.middleware import IronMiddleware

__all__ = ["IronCallbackHandler", "IronChatModel", "IronEmbeddings", "IronMiddleware"]


def __getattr__(name: str) -> Any:
    """Import the middleware when it is asked for: it needs ``langchain``, the rest only ``langchain-core``."""
    if name != "IronMiddleware":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from iron_adapters.langchain.middleware import IronMiddleware
    except ModuleNotFoundError as error:
        raise ImportError('IronMiddleware needs langchain: pip install "iron-adapters[langchain]"') from error
    return IronMiddleware


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
