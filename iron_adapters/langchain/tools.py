"""A tool call of an agent, held to a policy: what the tool is told, and what the model is told of it.

Owns the translation between LangGraph's tool calls and the engine's. Knows no policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.messages import BaseMessage, ToolMessage

from iron_adapters.langchain.messages import arguments_of, fields_of, walk_fields
from iron_adapters.tool_arguments import revealed_arguments, told
from iron_adapters.wire.json_texts import JsonTexts
from iron_policy.exceptions import PolicyDenied
from iron_policy.messages import ToolCall

if TYPE_CHECKING:
    from langchain.agents.middleware.types import ToolCallRequest
    from langgraph.types import Command

    from iron_policy.engine import PolicyEngine


def admitted_call(engine: PolicyEngine, request: ToolCallRequest) -> ToolCallRequest | ToolMessage:
    """Return the tool call as it may be made, or what the model is told instead."""
    call = request.tool_call
    asked = ToolCall(call["name"], arguments_of(call), call["id"])
    try:
        revealed = revealed_arguments(engine, asked)
    except PolicyDenied as denied:
        return _told(request, denied)
    return request if revealed is None else request.override(tool_call={**call, "args": revealed})


def judged_result(
    engine: PolicyEngine, request: ToolCallRequest, result: ToolMessage | Command[Any]
) -> ToolMessage | Command[Any]:
    """Return a tool's result, or what the model is told instead. What is rewritten, is so on its way to the model."""
    texts = JsonTexts()
    for message in [result] if isinstance(result, ToolMessage) else _messages_of(result):
        walk_fields(texts, fields_of(message), "tool", "tool_result", request.tool_call["name"])
    try:
        engine.judge_tool_result(request.tool_call["name"], texts.texts)
    except PolicyDenied as denied:
        return _told(request, denied)
    return result


def _messages_of(command: Command[Any]) -> list[BaseMessage]:
    update = command.update
    listed = update.get("messages", ()) if isinstance(update, dict) else ()
    return [message for message in listed if isinstance(message, BaseMessage)]


def _told(request: ToolCallRequest, denied: PolicyDenied) -> ToolMessage:
    call = request.tool_call
    return ToolMessage(told(denied), tool_call_id=call["id"], name=call["name"], status="error")
