"""Structured output: ``response_format`` as Anthropic's structured outputs, or as a tool that must be called.

Owns the choice between the two. Models from Claude 4.5 on can be held to a schema; that is what ``strict`` asks for.
Anything else, JSON mode included, becomes a tool of ours whose input is the answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from iron_adapters.wire.translation.chat_fields import check_keys, expect, quoted, refuse

if TYPE_CHECKING:
    from iron_adapters.wire.translation.chat_models import Claude

ANSWER_TOOL = "json_answer"
"""The tool that carries an answer, where a request has no name for it."""
_FORCED = frozenset({"any", "tool"})


@dataclass(slots=True, kw_only=True)
class Format:
    """How an answer is brought into its format.

    Attributes:
        output: ``output_config.format``, where the model can be held to a schema.
        tool: the tool whose input is the answer, where it cannot.
    """

    output: dict[str, Any] | None = None
    tool: dict[str, Any] | None = field(default=None)


def format_of(
    document: dict[str, Any], claude: Claude, tools: list[dict[str, Any]], choice: dict[str, Any] | None
) -> Format:
    """Return how the answer of *document* is brought into its ``response_format``.

    Raises:
        Untranslatable: the format has no equal, or not beside what else is asked for.
    """
    given = document.get("response_format")
    if given is None:
        return Format()
    kind = expect(given, dict, "response_format", "an object").get("type")
    check_keys(given, ("type", "json_schema"), "response_format")
    if kind == "text" or (choice is not None and choice["type"] in _FORCED):
        return Format()  # an answer that must call a tool has no text to bring into a format
    if kind == "json_object":
        return Format(tool=_answer_tool({}, {"type": "object"}, document, claude, tools))
    if kind != "json_schema":
        raise refuse("response_format.type", f"Claude knows no {quoted(kind)}; use 'json_schema'")
    return _by_schema(given.get("json_schema"), document, claude, tools)


def _by_schema(wanted: Any, document: dict[str, Any], claude: Claude, tools: list[dict[str, Any]]) -> Format:
    place = "response_format.json_schema"
    expect(wanted, dict, place, "an object")
    check_keys(wanted, ("name", "description", "schema", "strict"), place)
    schema = wanted.get("schema")
    if schema is None:
        schema = {"type": "object"}
    expect(schema, dict, f"{place}.schema", "a JSON Schema")
    if claude.structured and (wanted.get("strict") or tools or not _can_be_forced(document, claude)):
        return Format(output={"type": "json_schema", "schema": schema})
    if schema.get("type", "object") != "object":
        raise refuse(f"{place}.schema", "this model answers in objects only; wrap it into one")
    return Format(tool=_answer_tool(wanted, {"type": "object", **schema}, document, claude, tools))


def _answer_tool(
    wanted: dict[str, Any],
    schema: dict[str, Any],
    document: dict[str, Any],
    claude: Claude,
    tools: list[dict[str, Any]],
) -> dict[str, Any]:
    if not _can_be_forced(document, claude):
        raise refuse(
            "response_format", "a model that thinks cannot be made to answer so; use a strict 'json_schema'"
        )
    name = wanted.get("name") or ANSWER_TOOL
    expect(name, str, "response_format.json_schema.name", "a string")
    if any(tool["name"] == name for tool in tools):
        raise refuse("response_format.json_schema.name", "a tool has this name; choose another")
    description = wanted.get("description") or "Give the whole answer to the user as this tool's input."
    expect(description, str, "response_format.json_schema.description", "a string")
    return {"name": name, "description": description, "input_schema": schema}


def _can_be_forced(document: dict[str, Any], claude: Claude) -> bool:
    """Tell whether the model can be made to call a tool, which it cannot while it is asked to think."""
    thinking = document.get("thinking")
    if type(thinking) is dict and thinking.get("type") != "disabled":
        return False
    return claude.forced and document.get("reasoning_effort") in (None, "none")


def with_answer_tool(
    tool: dict[str, Any], tools: list[dict[str, Any]], choice: dict[str, Any] | None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return tools and choice such that the answer comes as *tool*'s input, and other tools can be called before."""
    alone = not tools or (choice is not None and choice["type"] == "none")
    if alone:
        forced = {"type": "tool", "name": tool["name"], "disable_parallel_tool_use": True}
        return [*tools, tool], forced
    return [*tools, tool], {**(choice or {}), "type": "any"}
