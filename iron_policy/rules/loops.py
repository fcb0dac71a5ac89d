"""When a run calls too often: pure judgements on its counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iron_policy.exceptions import LoopDetected

if TYPE_CHECKING:
    from iron_policy.document import Loops


def judge_model_calls(loops: Loops, count: int) -> LoopDetected | None:
    """Judge a run's *count*-th model call."""
    return _over(count, loops.model_calls, "model calls", "model_calls")


def judge_tool_calls(loops: Loops, count: int, identical: int, name: str) -> LoopDetected | None:
    """Judge a run's *count*-th tool call, the *identical*-th with this name and these arguments."""
    return _over(count, loops.tool_calls, "tool calls", "tool_calls") or _over(
        identical, loops.identical_tool_calls, f"identical calls of tool {name!r}", "identical_tool_calls"
    )


def _over(count: int, most: int | None, what: str, key: str) -> LoopDetected | None:
    if most is None or count <= most:
        return None
    return LoopDetected(f"this run would make {count} {what}; loops.{key} allows {most}")
