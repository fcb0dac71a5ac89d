"""The proof that a callback can block a call in this version of LangChain, before anyone relies on it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NoReturn

from langchain_core.callbacks import CallbackManager
from langchain_core.messages import HumanMessage

if TYPE_CHECKING:
    from langchain_core.callbacks import BaseCallbackHandler

_logger = logging.getLogger("langchain_core.callbacks.manager")
_proven: set[type[Any]] = set()


class _Blocked(Exception):  # noqa: N818 - a signal, not a fault
    """What the probe raises."""


def prove_blocking(handler: type[BaseCallbackHandler]) -> None:
    """Let a probe with the flags of *handler* block a call that nobody makes.

    Raises:
        RuntimeError: it does not block, so that nothing would be governed.
    """
    if handler in _proven:
        return
    probe: Any = handler.__new__(handler)
    probe.on_chat_model_start = _block
    _logger.addFilter(_is_not_ours)
    try:
        CallbackManager(handlers=[probe]).on_chat_model_start({}, [[HumanMessage("")]])
    except _Blocked:
        _proven.add(handler)
        return
    finally:
        _logger.removeFilter(_is_not_ours)
    raise RuntimeError(
        f"{handler.__name__}: an exception in on_chat_model_start does not block a call here; it needs raise_error=True, "
        "run_inline=True and a LangChain that heeds them; use IronChatModel instead"
    )


def _block(*_: Any, **__: Any) -> NoReturn:
    raise _Blocked


def _is_not_ours(record: logging.LogRecord) -> bool:
    return _Blocked.__name__ not in record.getMessage()
