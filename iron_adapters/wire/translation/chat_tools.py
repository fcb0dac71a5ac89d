"""A chat's tools and tool choice as Anthropic's, the deprecated functions among them.

Owns definitions and choices; what is called, and what comes back, stands in the messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.wire.translation.chat_fields import check_keys, expect, quoted, refuse, refuse_shape
from iron_adapters.wire.translation.chat_parts import marked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from iron_adapters.wire.translation.chat_models import Claude

FIELDS = ("tools", "tool_choice", "parallel_tool_calls", "functions", "function_call")
_FUNCTION_KEYS = ("name", "description", "parameters", "strict")
_CHOICES = {"none": "none", "auto": "auto", "required": "any"}
_ANY_OBJECT = {"type": "object"}


def tools_of(document: dict[str, Any], claude: Claude) -> list[dict[str, Any]]:
    """Return the definitions of the tools, ``allowed_tools`` being the ones that may be called at all.

    Raises:
        Untranslatable: a tool is no function, or is held to its schema on a model that cannot be.
    """
    functions, tools = document.get("functions") or [], document.get("tools") or []
    if functions and tools:
        raise refuse("functions", "'tools' are given too; say all of them there")
    expect(functions, list, "functions", "a list")
    expect(tools, list, "tools", "a list")
    found = [_definition(one, f"functions[{n}]", claude) for n, one in enumerate(functions)]
    found += [_tool(one, f"tools[{n}]", claude) for n, one in enumerate(tools)]
    allowed = _allowed(document.get("tool_choice"))
    return found if allowed is None else [tool for tool in found if tool["name"] in allowed]


def called_before(names: Iterable[str]) -> list[dict[str, Any]]:
    """Return definitions for tools that were called before and cannot be any more: Anthropic asks for some."""
    return [{"name": name, "input_schema": _ANY_OBJECT} for name in names]


def choice_of(document: dict[str, Any]) -> dict[str, Any] | None:
    """Return the choice among the tools; ``None`` where it is left to the model, several calls at once allowed.

    Raises:
        Untranslatable: the choice has no equal.
    """
    given, function = document.get("tool_choice"), document.get("function_call")
    choice = None if given is None else _choice(given, "tool_choice")
    if function is not None:
        choice = _function_choice(function)
    one_by_one = document.get("parallel_tool_calls") is False or bool(document.get("functions"))
    if not one_by_one:
        return choice
    choice = choice or {"type": "auto"}
    return choice if choice["type"] == "none" else {**choice, "disable_parallel_tool_use": True}


def _tool(tool: Any, place: str, claude: Claude) -> dict[str, Any]:
    expect(tool, dict, place, "an object")
    if tool.get("type") != "function":
        raise refuse(f"{place}.type", f"Claude has no {quoted(tool.get('type'))} tools; use functions")
    check_keys(tool, ("type", "function", "cache_control"), place)
    return marked(_definition(tool.get("function"), f"{place}.function", claude), tool, place)


def _definition(function: Any, place: str, claude: Claude) -> dict[str, Any]:
    expect(function, dict, place, "an object")
    check_keys(function, (*_FUNCTION_KEYS, "cache_control"), place)
    found: dict[str, Any] = {"name": expect(function.get("name"), str, f"{place}.name", "a string")}
    if function.get("description") is not None:
        found["description"] = expect(function["description"], str, f"{place}.description", "a string")
    found["input_schema"] = _schema(function.get("parameters"), f"{place}.parameters")
    if function.get("strict"):
        if not claude.structured:
            raise refuse(f"{place}.strict", "this model cannot be held to a schema; leave it out")
        found["strict"] = True
    return marked(found, function, place)


def _schema(parameters: Any, place: str) -> dict[str, Any]:
    """Return a schema that says of itself that it is an object's, which only Anthropic insists on."""
    if parameters is None:
        return {"type": "object", "properties": {}}
    schema: dict[str, Any] = expect(parameters, dict, place, "a JSON Schema")
    return schema if "type" in schema else {"type": "object", **schema}


def _choice(given: Any, place: str) -> dict[str, Any]:
    if type(given) is str:
        if given not in _CHOICES:
            raise refuse_shape(place, "'none', 'auto', 'required' or an object")
        return {"type": _CHOICES[given]}
    expect(given, dict, place, "'none', 'auto', 'required' or an object")
    kind = given.get("type")
    if kind == "allowed_tools":
        check_keys(given, ("type", "allowed_tools"), place)
        allowed = expect(given.get("allowed_tools"), dict, f"{place}.allowed_tools", "an object")
        check_keys(allowed, ("mode", "tools"), f"{place}.allowed_tools")
        return _choice(allowed.get("mode", "auto"), f"{place}.allowed_tools.mode")
    if kind != "function":
        raise refuse(f"{place}.type", f"Claude has no {quoted(kind)} tools; name a function")
    check_keys(given, ("type", "function"), place)
    return {"type": "tool", "name": _name(given.get("function"), f"{place}.function")}


def _function_choice(given: Any) -> dict[str, Any]:
    if type(given) is str and given != "required":
        return _choice(given, "function_call")
    return {"type": "tool", "name": _name(given, "function_call")}


def _name(function: Any, place: str) -> str:
    check_keys(expect(function, dict, place, "an object"), ("name",), place)
    return str(expect(function.get("name"), str, f"{place}.name", "a string"))


def _allowed(choice: Any) -> set[str] | None:
    """Return the names that ``allowed_tools`` lists; ``None`` where it is not given."""
    if type(choice) is not dict or choice.get("type") != "allowed_tools":
        return None
    place = "tool_choice.allowed_tools"
    allowed = expect(choice.get("allowed_tools"), dict, place, "an object")
    listed = expect(allowed.get("tools"), list, f"{place}.tools", "a list")
    names = set()
    for index, tool in enumerate(listed):
        where = f"{place}.tools[{index}]"
        if expect(tool, dict, where, "an object").get("type") != "function":
            raise refuse(f"{where}.type", f"Claude has no {quoted(tool.get('type'))} tools; name a function")
        names.add(_name(tool.get("function"), f"{where}.function"))
    return names
