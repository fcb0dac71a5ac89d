"""A runnable that a model has built around itself, rebuilt around another model.

Owns the shapes that ``bind_tools`` and ``with_structured_output`` return: a binding, a sequence, a map, and what
lies within them. Knows no policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableBinding, RunnableParallel, RunnableSequence

from iron_adapters.wire.tool_schemas import tool_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.language_models import BaseChatModel

ANSWERS = "iron_answers"
"""The keyword that tells our own model which tools stand for the answer itself; it is never sent."""


def rebound(runnable: Any, wrapped: BaseChatModel, wrapper: BaseChatModel) -> Any:
    """Return *runnable* with *wrapper* wherever *wrapped* stands in it.

    Raises:
        TypeError: *wrapped* stands nowhere in it, so that its calls would go ungoverned.
    """
    found = _rebound(runnable, wrapped, wrapper)
    if found is runnable:
        raise TypeError(
            f"{type(wrapped).__name__} builds a {type(runnable).__name__} whose model cannot be replaced; "
            "build it first and attach IronCallbackHandler to it"
        )
    return found


def _rebound(runnable: Any, wrapped: BaseChatModel, wrapper: BaseChatModel) -> Any:
    if runnable is wrapped:
        return wrapper
    if isinstance(runnable, RunnableBinding):
        bound = _rebound(runnable.bound, wrapped, wrapper)
        if bound is runnable.bound:
            return runnable
        return runnable.model_copy(update={"bound": bound, "kwargs": _with_answers(runnable.kwargs)})
    if isinstance(runnable, RunnableSequence):
        steps = [_rebound(step, wrapped, wrapper) for step in runnable.steps]
        same = all(new is old for new, old in zip(steps, runnable.steps, strict=True))
        return runnable if same else RunnableSequence(*steps, name=runnable.name)
    if isinstance(runnable, RunnableParallel):
        branches = {key: _rebound(step, wrapped, wrapper) for key, step in runnable.steps__.items()}
        same = all(branches[key] is step for key, step in runnable.steps__.items())
        return runnable if same else RunnableParallel(branches)
    return runnable


def _with_answers(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return *kwargs*, saying so where a tool is nothing but the form of the answer."""
    described: Mapping[str, Any] = kwargs.get("ls_structured_output_format") or {}
    if described.get("kwargs", {}).get("method") != "function_calling":
        return dict(kwargs)
    return {**kwargs, ANSWERS: tool_names(kwargs.get("tools"))}
