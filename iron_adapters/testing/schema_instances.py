"""Instances of JSON Schemas, made from the words and numbers of a text: what a model would fill in.

Owns which value stands for which schema. Pure: the same schema and text make the same instance. ``pattern`` is
not honoured; everything else that OpenAI's and Anthropic's strict modes accept is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_QUOTED = re.compile(
    r"(?<!\w)'([^'\n]+)'(?!\w)|\"([^\"\n]+)\"|`([^`\n]+)`"
    r"|(<[A-Z_]+_[a-z0-9]+>)"  # a stand-in for something that was not sent
    r"|([^\s@<>,;'\"]+@[^\s@<>,;'\"]+\.\w+)"
)
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.]*\w)")
_FORMATS = {
    "date": "2025-01-31",
    "time": "12:00:00Z",
    "date-time": "2025-01-31T12:00:00Z",
    "duration": "PT1H",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_DEEPEST_OPTIONAL = 4
"""Below this depth what may be left out or be null is, so that a schema that holds itself comes to an end."""


def instance_of(schema: Mapping[str, Any], text: str = "") -> Any:
    """Return an instance of *schema* whose strings and numbers are those found in *text*, in order.

    Strings are what stands in quotes or backticks, mail addresses and stand-ins such as ``<EMAIL_k7f2q9ab>``; where
    they run out, ``some <property>`` and 1.
    """
    return _Filler(schema, text).fill(schema, "value", 0)


def quoted_words(text: str) -> list[str]:
    """Return what stands in quotes in *text*, and its addresses and stand-ins, in order."""
    return [next(filter(None, found)) for found in _QUOTED.findall(text)]


class _Filler:
    """Fills one schema, using each word and number of the text once."""

    def __init__(self, root: Mapping[str, Any], text: str) -> None:
        self._root = root
        self._words = quoted_words(text)
        self._numbers = [float(found) for found in _NUMBER.findall(text)]

    def fill(self, schema: Any, name: str, depth: int) -> Any:
        schema = self._resolved(schema, depth)
        for key in ("const", "default"):
            if key in schema and (key == "const" or schema[key] is not None):
                return schema[key]
        if schema.get("enum"):
            return schema["enum"][0]
        fillers = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": self._integer,
            "number": self._number,
        }
        kind = _kind(schema)
        if kind in fillers:
            return fillers[kind](schema, name, depth)
        return True if kind == "boolean" else None

    def _resolved(self, schema: Any, depth: int) -> dict[str, Any]:
        """Follow references and choose branches until *schema* stands on its own."""
        if not isinstance(schema, dict):
            return {}
        if "$ref" in schema:
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            return self._resolved(self._referenced(schema["$ref"]) | rest, depth)
        for key in ("anyOf", "oneOf"):
            if key in schema:
                rest = {
                    name: value for name, value in schema.items() if name not in {"anyOf", "oneOf", "default"}
                }
                return rest | self._resolved(_branch(schema[key], depth), depth)
        if "allOf" in schema:
            return self._merged(schema, depth)
        return schema

    def _merged(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        merged = {key: value for key, value in schema.items() if key != "allOf"}
        for part in (self._resolved(each, depth) for each in schema["allOf"]):
            properties = {**merged.get("properties", {}), **part.get("properties", {})}
            required = [*merged.get("required", []), *part.get("required", [])]
            merged = {**part, **merged}
            merged |= {
                key: value for key, value in (("properties", properties), ("required", required)) if value
            }
        return merged

    def _referenced(self, reference: str) -> dict[str, Any]:
        found: Any = self._root
        for step in reference.removeprefix("#").split("/"):
            if step:
                found = found.get(step.replace("~1", "/").replace("~0", "~"), {})
        return dict(found)

    def _object(self, schema: dict[str, Any], name: str, depth: int) -> dict[str, Any]:
        required = schema.get("required", ())
        wanted = [
            (key, part)
            for key, part in schema.get("properties", {}).items()
            if key in required or depth < _DEEPEST_OPTIONAL
        ]
        made = {key: self.fill(part, key, depth + 1) for key, part in wanted}
        extra = schema.get("additionalProperties")
        if not made and isinstance(extra, dict) and depth < _DEEPEST_OPTIONAL:
            made["key"] = self.fill(extra, name, depth + 1)
        return made

    def _array(self, schema: dict[str, Any], name: str, depth: int) -> list[Any]:
        made = [self.fill(part, name, depth + 1) for part in schema.get("prefixItems", ())]
        most = schema.get("maxItems", len(made) + 1)
        least = max(schema.get("minItems", 0), 0 if made or depth > _DEEPEST_OPTIONAL else 1)
        while len(made) < min(least, most):
            made.append(self.fill(schema.get("items", {"type": "string"}), name, depth + 1))
        return made

    def _string(self, schema: dict[str, Any], name: str, _depth: int) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        made = self._words.pop(0) if self._words else f"some {name.replace('_', ' ')}"
        return made[: schema.get("maxLength", len(made))].ljust(schema.get("minLength", 0), "x")

    def _integer(self, schema: dict[str, Any], _name: str, _depth: int) -> int:
        return int(self._number(schema | {"multipleOf": schema.get("multipleOf", 1)}, "", 0))

    def _number(self, schema: dict[str, Any], _name: str, _depth: int) -> float:
        for place, number in enumerate(self._numbers):
            if _suits(number, schema):
                return self._numbers.pop(place)
        return _smallest_suiting(schema)


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "null")
    if kind is None:
        kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
    return str(kind)


def _branch(branches: list[dict[str, Any]], depth: int) -> dict[str, Any]:
    """Return the first branch that is not null; deep down, null where that is allowed."""
    nulls = [branch for branch in branches if branch.get("type") == "null"]
    others = [branch for branch in branches if branch.get("type") != "null"]
    return (nulls or others)[0] if depth > _DEEPEST_OPTIONAL else (others or nulls)[0]


def _suits(number: float, schema: Mapping[str, Any]) -> bool:
    return (
        number >= schema.get("minimum", number)
        and number <= schema.get("maximum", number)
        and number > schema.get("exclusiveMinimum", number - 1)
        and number < schema.get("exclusiveMaximum", number + 1)
        and ("multipleOf" not in schema or number % schema["multipleOf"] == 0)
    )


def _smallest_suiting(schema: Mapping[str, Any]) -> float:
    """Return a number within the bounds of *schema*: 1 where it suits, else the first above or below a bound."""
    step = schema.get("multipleOf", 1)
    bounds = [
        schema[key] for key in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum") if key in schema
    ]
    near = [1.0] + [(bound // step + way) * step for bound in bounds for way in (0, 1, -1)]
    middle = [sum(bounds) / len(bounds)] if bounds else []
    return next((number for number in (*near, *bounds, *middle) if _suits(number, schema)), 1.0)
