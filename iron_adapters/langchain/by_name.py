"""Models by name, as LangChain makes them; this is all that needs ``langchain`` besides ``langchain-core``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings


def chat_model_by_name(model: str | None, kwargs: dict[str, Any]) -> BaseChatModel:
    """Return the chat model that LangChain makes of a name.

    Raises:
        ImportError: ``langchain`` or the provider's integration is not installed; its message says what to install.
        TypeError: *kwargs* make a model that is configured at each call, which cannot be held.
    """
    try:
        from langchain.chat_models import init_chat_model
    except ModuleNotFoundError as error:
        raise ImportError(
            'a model by name needs langchain: pip install "iron-adapters[langchain]", or use IronChatModel.wrap(model)'
        ) from error
    made: Any = init_chat_model(model, **kwargs)
    if not isinstance(made, BaseChatModel):
        raise TypeError("a model that is configured at each call cannot be held; make it, then wrap it")
    return made


def embeddings_by_name(model: str | None, kwargs: dict[str, Any]) -> Embeddings:
    """Return the embeddings that LangChain makes of a name.

    Raises:
        ImportError: ``langchain`` or the provider's integration is not installed.
    """
    try:
        from langchain.embeddings import init_embeddings
    except ModuleNotFoundError as error:
        raise ImportError(
            'embeddings by name need langchain: pip install "iron-adapters[langchain]", or use IronEmbeddings.wrap()'
        ) from error
    if model is None:
        raise TypeError("IronEmbeddings takes a model's name, or wrapped=")
    made: Embeddings = init_embeddings(model, **kwargs)
    return made
