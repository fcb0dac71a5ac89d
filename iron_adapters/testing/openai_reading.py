"""Reading what OpenAI's endpoints have in common: contents, tools, limits, and what is not valid.

Owns the checks that the API itself makes and that a client's tests should see fail. Knows no reply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.testing.asked import Tool
from iron_adapters.testing.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iron_adapters.testing.asked import ToolMode

_TEXT_TYPES = frozenset({"text", "input_text", "output_text"})


def required(body: Mapping[str, Any], name: str) -> Any:
    """Return parameter *name*, or raise the 400 of a missing one."""
    value = body.get(name)
    if value is None or value in ("", []):
        raise Problem(
            400, f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter"
        )
    return value


def positive(body: Mapping[str, Any], *names: str) -> int | None:
    """Return the first of *names* that is set; raise a 400 where it is no positive integer."""
    name = next((name for name in names if body.get(name) is not None), None)
    if name is None:
        return None
    value = body[name]
    if not isinstance(value, int) or isinstance(value, bool):
        raise Problem(
            400, f"Invalid type for '{name}': expected an integer.", param=name, code="invalid_type"
        )
    if value < 1:
        message = (
            f"Invalid '{name}': integer below minimum value. Expected a value >= 1, but got {value} instead."
        )
        raise Problem(400, message, param=name, code="integer_below_min_value")
    return value


def text_of(content: Any) -> str:
    """Return the text of a content: a string, or the texts among its parts, one per line."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(part.get("text", "") for part in content if part.get("type") in _TEXT_TYPES)


def stop_sequences(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return ``stop`` as a tuple, be it one string or several."""
    stop = body.get("stop")
    return (stop,) if isinstance(stop, str) else tuple(stop or ())


def function_tool(described: Mapping[str, Any]) -> Tool:
    """Return a tool from the object that holds its name and parameters."""
    name = described.get("name")
    if not name:
        raise Problem(400, "Missing required parameter: 'tools[0].name'.", code="missing_required_parameter")
    return Tool(name, described.get("parameters") or {})


def tool_choice(choice: Any, tools: tuple[Tool, ...]) -> tuple[ToolMode, str | None]:
    """Return the mode of ``tool_choice`` and the tool it names; raise a 400 for a tool that is not offered."""
    if choice == "none":
        return "none", None
    if choice == "required":
        return "required", None
    if not isinstance(choice, dict) or choice.get("type") == "allowed_tools":
        return "auto", None
    name = choice.get("name") or (choice.get("function") or {}).get("name")
    if not tools:
        raise Problem(400, "'tool_choice' is only allowed when 'tools' are specified.", param="tool_choice")
    if name not in {tool.name for tool in tools}:
        raise Problem(400, f"Tool choice {name!r} not found in 'tools' parameter.", param="tool_choice")
    return "required", name


def check_stream_options(body: Mapping[str, Any]) -> None:
    """Raise the 400 of ``stream_options`` on a request that does not stream."""
    if body.get("stream_options") is not None and not body.get("stream"):
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise Problem(400, message, param="stream_options")
