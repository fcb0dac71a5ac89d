"""The proof that a callback can block a call in this version of LlamaIndex, before anyone relies on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CallbackManager, CBEventType
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.llms import MockLLM

if TYPE_CHECKING:
    from collections.abc import Callable

_proven: list[bool] = []


class _Blocked(Exception):  # noqa: N818 - a signal, not a fault
    """What the probe raises."""


class _Probe(BaseCallbackHandler):
    """Block every call of a model."""

    def __init__(self) -> None:
        super().__init__([], [])

    def on_event_start(self, event_type: CBEventType, *_: Any, event_id: str = "", **__: Any) -> str:
        if event_type == CBEventType.LLM:
            raise _Blocked
        return event_id

    def on_event_end(self, *_: Any, **__: Any) -> None:
        """Have nothing to end."""

    def start_trace(self, trace_id: str | None = None) -> None:
        """Have nothing to trace."""

    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:
        """Have nothing to trace."""


def prove_blocking() -> None:
    """Let a probe block calls of a model that is none.

    Raises:
        RuntimeError: it does not block, so that nothing would be governed.
    """
    if _proven:
        return
    manager = CallbackManager([])
    manager.set_handlers([_Probe()])
    llm = MockLLM(callback_manager=manager)
    calls: list[Callable[[], object]] = [
        lambda: llm.complete(""),
        lambda: llm.chat([ChatMessage(content="")]),
    ]
    if not all(_is_blocked(call) for call in calls):
        raise RuntimeError(
            "an exception in on_event_start does not block a call in this version of LlamaIndex; use IronLLM instead"
        )
    _proven.append(True)


def _is_blocked(call: Callable[[], object]) -> bool:
    try:
        call()
    except _Blocked:
        return True
    return False
