"""Tools that a request offers: their names, descriptions, and the texts of their JSON Schemas.

Owns where a tool's definition speaks to the model. Knows no dialect beyond the keys that definitions use, and does
list names of tools and properties that are plain words: code answers to those, and they say little.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from iron_adapters.wire.known_keys import KNOWN_KEYS
from iron_adapters.wire.silent_values import is_word

if TYPE_CHECKING:
    from collections.abc import Iterable

    from iron_adapters.wire.json_texts import JsonTexts
    from iron_policy.messages import Text

_SILENT = frozenset({"type", "format", "$anchor", "contentEncoding", "contentMediaType"})
_REFERENCE = re.compile(r"#[A-Za-z0-9_$./-]{0,256}|https?://json-schema\.org/[a-z0-9#/-]{0,64}")
_LIMITS = frozenset({
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "minLength",
    "maxLength", "minProperties", "maxProperties", "minContains", "maxContains",
})  # fmt: skip
_NAMED_SCHEMAS = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})
_VALUES = frozenset({"enum", "default", "const", "examples", "example"})
_SCHEMAS = frozenset({"parameters", "input_schema", "output_schema", "schema"})
_CREDENTIALS = frozenset({"headers", "authorization"})
"""What a provider is to show to a tool's server, so that it must arrive."""
_MAY_BE_KEYS = tuple(f'"{name}"'.encode() for name in _CREDENTIALS)
_MOST_KNOWN = 64
_LONGEST_KNOWN = 50_000
"""Bytes; a longer list of tools is not remembered."""
_known: dict[tuple[str, bytes], tuple[Text, ...]] = {}


def tool_names(*offers: Any) -> tuple[str, ...]:
    """Return the names of the tools offered; a server's own tool without a name goes by its type."""
    names: tuple[str, ...] = ()
    for tools in offers:
        if type(tools) is list:
            names += tuple(_names(tools))
    return names


def _names(tools: Iterable[Any]) -> Iterable[str]:
    for tool in tools:
        if type(tool) is not dict:
            continue
        definition = _definition(tool)
        name = definition.get("name") or tool.get("type")
        if type(name) is str:
            yield name
        if type(nested := tool.get("tools")) is list:
            yield from _names(nested)


def _definition(tool: dict[str, Any]) -> dict[str, Any]:
    """Return the object that names a tool: chat nests it under ``function`` or ``custom``."""
    for key in ("function", "custom"):
        if type(definition := tool.get(key)) is dict:
            return definition
    return tool


def walk_sent_tools(texts: JsonTexts, document: dict[str, Any], key: str) -> None:
    """List what the tools of a request's *document* say, as :func:`walk_tools` does.

    Agents send the same tools with every call, and to walk a schema takes longer than all else that is done to a
    request. So what the latest lists of tools say is remembered, by the bytes that they are written as: those tell
    any two pieces of JSON apart. Lists that may hold a credential are not: they would keep it in memory.
    """
    tools = document[key]
    if type(tools) is not list:
        walk_tools(texts, document, key, key)
        return
    written = orjson.dumps(tools)
    known = _known.get((key, written))
    if known is not None:
        texts.add_known(known, partial(_walk_each, tools=tools, place=key))
        return
    first, media = len(texts.texts), len(texts.media)
    _walk_each(texts, tools, key)
    if len(texts.media) > media or len(written) > _LONGEST_KNOWN or any(map(written.count, _MAY_BE_KEYS)):
        return
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known[key, written] = tuple(texts.texts[first:])


def walk_tools(texts: JsonTexts, container: dict[str, Any], key: str, place: str) -> None:
    """List what the tools of ``container[key]`` say."""
    tools = container[key]
    if type(tools) is list:
        _walk_each(texts, tools, place)
    else:
        texts.walk(container, key, "schema", place)


def _walk_each(texts: JsonTexts, tools: list[Any], place: str) -> None:
    for index, tool in enumerate(tools):
        if type(tool) is dict:
            _walk_tool(texts, tool, f"{place}[{index}]")
        else:
            texts.walk(tools, index, "schema", f"{place}[{index}]")


def _walk_tool(texts: JsonTexts, tool: dict[str, Any], place: str, name: str | None = None) -> None:
    given = tool.get("name")
    name = given if type(given) is str else name
    for key, value in tool.items():
        if key in _SCHEMAS and type(value) is dict:
            walk_schema(texts, value, f"{place}.{key}", name)
        elif key == "tools":
            walk_tools(texts, tool, key, f"{place}.tools")
        elif key in {"function", "custom"} and type(value) is dict:
            _walk_tool(texts, value, f"{place}.{key}", name)
        elif key == "name":
            texts.walk_name(tool, key, "schema", place)
        elif key not in _CREDENTIALS:
            texts.walk_entry(tool, key, "schema", place, name)


def walk_schema(texts: JsonTexts, schema: dict[str, Any], place: str, tool_name: str | None = None) -> None:
    """List the descriptions, choices, defaults, examples and free names of a JSON Schema and of all schemas within."""
    for key, value in schema.items():
        if key not in KNOWN_KEYS:
            texts.add_name(schema, key, "schema", place, tool_name)
        kind = type(value)
        if kind is str:
            if not (key in _SILENT and is_word(value)) and not (
                key[:1] == "$" and _REFERENCE.fullmatch(value)
            ):
                texts.add(schema, key, "schema", place, tool_name)
        elif key in _VALUES or kind is int or kind is float:
            if key not in _LIMITS:
                texts.walk_values(schema, key, "schema", place, tool_name)
        elif kind is dict:
            if key in _NAMED_SCHEMAS:
                _walk_named(texts, value, place, tool_name)
            else:
                walk_schema(texts, value, place, tool_name)
        elif kind is list:
            _walk_list(texts, value, place, tool_name)


def _walk_named(texts: JsonTexts, schemas: dict[str, Any], place: str, tool_name: str | None) -> None:
    for name, value in schemas.items():
        texts.add_name(schemas, name, "schema", place, tool_name)
        if type(value) is dict:
            walk_schema(texts, value, place, tool_name)
        else:
            texts.walk(schemas, name, "schema", place, tool_name)


def _walk_list(texts: JsonTexts, values: list[Any], place: str, tool_name: str | None) -> None:
    """List what a list says besides plain words: names of required properties, schemas, descriptions of choices."""
    for index, value in enumerate(values):
        if type(value) is dict:
            walk_schema(texts, value, place, tool_name)
        elif type(value) is not str or not is_word(value):
            texts.walk(values, index, "schema", place, tool_name)
