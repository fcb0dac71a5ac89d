"""A tool call of a crew, held to a policy: what the tool is told, and what the agent is told of it.

Owns the translation between CrewAI's tool calls and the engine's. Knows no policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from iron_adapters.tool_arguments import revealed_arguments, told
from iron_policy.exceptions import PolicyDenied
from iron_policy.messages import ModelRequest, Text, ToolCall

if TYPE_CHECKING:
    from iron_policy.call import Call
    from iron_policy.engine import PolicyEngine
    from iron_policy.scope import Scope


def admit_arguments(engine: PolicyEngine, scope: Scope, name: str, arguments: dict[str, Any]) -> None:
    """Judge a tool call; put real values into *arguments*, in place, where the policy reveals them.

    Raises:
        ToolNotAllowed: the tool must not run.
    """
    asked = ToolCall(name, orjson.dumps(arguments, default=str, option=orjson.OPT_NON_STR_KEYS).decode())
    arguments.update(revealed_arguments(engine, asked, scope=scope) or {})


def judge_result(engine: PolicyEngine, scope: Scope, name: str, result: str) -> str | None:
    """Return what an agent is told in place of a tool's *result*, ``None`` where it may keep that."""
    try:
        engine.judge_tool_result(name, [Text(result, "tool", "tool_result", name)], scope=scope)
    except PolicyDenied as denied:
        return told(denied)
    return None


def admitted_result(call: Call, name: str, result: Any) -> Any:
    """Return what a function *name* has returned within *call*, as the model may read it.

    Raises:
        ContentBlocked: the model must not read it.
    """
    if not isinstance(result, str):
        result = orjson.dumps(result, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    read = ModelRequest(
        provider_name=call.request.provider_name,
        model=call.request.model,
        texts=(Text(result, "tool", "tool_result", name),),
    )
    texts = call.engine.judge(read, scope=call.scope).texts
    return result if texts is None else texts[0]
