"""The proof that a hook can block in this version of CrewAI, before anyone relies on it."""

from __future__ import annotations

from typing import Any, NoReturn

from crewai.hooks.dispatch import HookAborted, InterceptionPoint, get_hooks, run_hooks
from crewai.hooks.llm_hooks import before_llm_call_reducer
from crewai.hooks.tool_hooks import before_tool_call_reducer

from iron_adapters.crewai.refusals import fail_closed

_REDUCERS: dict[InterceptionPoint, Any] = {
    InterceptionPoint.PRE_MODEL_CALL: before_llm_call_reducer,
    InterceptionPoint.PRE_TOOL_CALL: before_tool_call_reducer,
}


class _Blocked(Exception):  # noqa: N818 - a signal, not a fault
    """What the probe raises: any exception must block."""


def prove_blocking() -> None:
    """Let a hook that fails block a call that nobody makes, at each point that must block.

    Raises:
        RuntimeError: it does not block, so that nothing would be governed.
    """
    for point, reducer in _REDUCERS.items():
        try:
            run_hooks(point, None, [_block], reducer=reducer, verbose=False)
        except HookAborted:
            continue
        raise RuntimeError(
            f"this version of CrewAI does not let a hook block at {point.value}; use IronLLM instead"
        )


def prove_registered(hooks: dict[InterceptionPoint, Any]) -> None:
    """See that CrewAI would call *hooks*.

    Raises:
        RuntimeError: it would not.
    """
    for point, hook in hooks.items():
        if hook not in get_hooks(point):
            raise RuntimeError(f"this version of CrewAI does not call hooks registered at {point.value}")


def _block(_context: Any) -> NoReturn:
    with fail_closed():
        raise _Blocked
