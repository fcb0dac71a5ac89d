"""A tool of an agent that is about to run: what it is told, and what the agent is told where it is refused.

Owns how real values come into a tool's arguments. Knows no framework: each has calls and results of its own shape.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iron_policy.engine import PolicyEngine
    from iron_policy.exceptions import IronError
    from iron_policy.messages import ToolCall
    from iron_policy.scope import Scope


def revealed_arguments(
    engine: PolicyEngine, asked: ToolCall, *, scope: Scope | None = None
) -> dict[str, Any] | None:
    """Judge a tool call; return its arguments with real values in them, ``None`` where they stay as they are.

    Raises:
        ToolNotAllowed: the tool must not run.
    """
    written = engine.admit_tool(asked, scope=scope).arguments
    if written == asked.arguments:
        return None
    arguments: dict[str, Any] = json.loads(written)
    return arguments


def told(denied: IronError) -> str:
    """Return a refusal as an agent reads it in place of a result."""
    return f"Refused by policy: {denied}"
