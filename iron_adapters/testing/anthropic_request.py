"""Reading ``POST /v1/messages`` and ``/v1/messages/count_tokens``: blocks, tools, limits, and what is not valid.

Owns what a request of these endpoints means. Says nothing itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.testing.asked import Asked, Tool
from iron_adapters.testing.problems import Problem
from iron_adapters.testing.tokens import count_input_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from iron_adapters.testing.asked import ToolMode

_PROMPT = ("system", "messages", "tools", "output_config", "output_format")
_MODES: Mapping[str, ToolMode] = {"auto": "auto", "none": "none", "any": "required", "tool": "required"}


def read_request(body: Mapping[str, Any], body_bytes: int) -> Asked:
    """Return what *body* asks for."""
    messages = _field(body, "messages")
    model = _field(body, "model")
    _refuse_thread(body)
    _check_tool_results(messages)
    choice = body.get("tool_choice") or {"type": "auto"}
    thinking = body.get("thinking") or {}
    tools = tuple(_tool(tool) for tool in body.get("tools") or () if "input_schema" in tool)
    return Asked(
        endpoint="messages",
        model=model,
        user_text=_last_user_text(messages),
        tool_results=_closing_results(messages),
        called_tools=frozenset(block["name"] for block in _blocks(messages, "tool_use")),
        tools=tools,
        tool_mode=_MODES.get(choice.get("type", "auto"), "auto"),
        tool_name=_named_tool(choice, tools),
        parallel_tools=not choice.get("disable_parallel_tool_use"),
        schema=_schema(body),
        wants_reasoning=thinking.get("type") in {"enabled", "adaptive"},
        max_tokens=_max_tokens(body),
        stop_sequences=tuple(body.get("stop_sequences") or ()),
        stream=bool(body.get("stream")),
        input_tokens=count_prompt(body, body_bytes),
        body=body,
    )


def count_prompt(body: Mapping[str, Any], body_bytes: int) -> int:
    """Return the input tokens of *body*."""
    _field(body, "messages")
    return count_input_tokens({key: body[key] for key in _PROMPT if body.get(key)}, body_bytes)


def _refuse_thread(body: Mapping[str, Any]) -> None:
    """Raise what a server says that keeps no conversation; the API's own client then sends all of it again."""
    if body.get("thread"):
        details = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
        raise Problem(400, "thread: this request cannot be threaded", details=details)


def _field(body: Mapping[str, Any], name: str) -> Any:
    value = body.get(name)
    if value is None:
        raise Problem(400, f"{name}: Field required")
    if value in ("", []):
        raise Problem(400, f"{name}: at least one item is required")
    return value


def _max_tokens(body: Mapping[str, Any]) -> int:
    value = _field(body, "max_tokens")
    if not isinstance(value, int) or isinstance(value, bool):
        raise Problem(400, "max_tokens: Input should be a valid integer")
    if value < 1:
        raise Problem(400, "max_tokens: Input should be greater than or equal to 1")
    return value


def _tool(tool: Mapping[str, Any]) -> Tool:
    return Tool(tool.get("name", ""), tool["input_schema"] or {})


def _named_tool(choice: Mapping[str, Any], tools: tuple[Tool, ...]) -> str | None:
    if choice.get("type") != "tool":
        return None
    name = str(choice.get("name"))
    if name not in {tool.name for tool in tools}:
        raise Problem(400, f"Tool '{name}' not found in provided tools")
    return name


def _schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the schema of a structured answer, from ``output_config`` or the older ``output_format``."""
    form = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    if form.get("type") != "json_schema":
        return None
    schema: Mapping[str, Any] = form["schema"]
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        reason = "For 'object' type, 'additionalProperties' must be explicitly set to false"
        raise Problem(400, f"output_config.format.schema: {reason}")
    return schema


def _parts(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())


def _blocks(messages: list[dict[str, Any]], kind: str) -> Iterator[dict[str, Any]]:
    for message in messages:
        yield from (block for block in _parts(message) if block.get("type") == kind)


def _texts(parts: list[dict[str, Any]]) -> str:
    return "\n".join(part["text"] for part in parts if part.get("type") == "text")


def _last_user_text(messages: list[dict[str, Any]]) -> str:
    """Return the text of the last user message that has one."""
    texts = [_texts(_parts(message)) for message in messages if message.get("role") == "user"]
    return next((text for text in reversed(texts) if text), "")


def _closing_results(messages: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return the tool results of the last message, unless the user says something beside them."""
    last = _parts(messages[-1])
    if _texts(last):
        return ()
    results = [block for block in last if block.get("type") == "tool_result"]
    return tuple(_texts(_parts(block)) for block in results)


def _check_tool_results(messages: list[dict[str, Any]]) -> None:
    """Raise the API's 400 where results of tools and uses of tools do not match."""
    expected: set[str] = set()
    for place, message in enumerate(messages):
        parts = _parts(message)
        results = {block.get("tool_use_id") for block in parts if block.get("type") == "tool_result"}
        if results - expected:
            found = ", ".join(sorted(map(str, results - expected)))
            reason = (
                f"unexpected `tool_use_id` found in `tool_result` blocks: {found}. Each `tool_result` block"
            )
            raise Problem(
                400, f"messages.{place}: {reason} must have a corresponding `tool_use` block before it."
            )
        if expected - results:
            found = ", ".join(sorted(expected - results))
            reason = f"`tool_use` ids were found without `tool_result` blocks immediately after: {found}."
            raise Problem(400, f"messages.{place}: {reason}")
        expected = {block["id"] for block in parts if block.get("type") == "tool_use"}
    if expected:
        found = ", ".join(sorted(expected))
        raise Problem(400, f"messages: `tool_use` ids were found without `tool_result` blocks: {found}.")
