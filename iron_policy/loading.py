"""Reads policy documents: YAML, TOML, dicts; and explains what is wrong with one.

Owns the way from a file to a :class:`Policy` and the wording of its faults: each names the place, the key and
the remedy. Knows nothing of what a policy does.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml
from pydantic import TypeAdapter, ValidationError

from iron_policy.document import Policy
from iron_policy.exceptions import PolicyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from pydantic_core import ErrorDetails

Key: TypeAlias = tuple[int | str, ...]
_MAX_BYTES = 1_000_000
_MOST_KEYS = 20_000


def load_policy(source: str | PathLike[str] | Mapping[str, Any]) -> Policy:
    """Return the policy in a YAML or TOML file, or in a mapping.

    Raises:
        PolicyError: the file cannot be read, or is no policy. The message names file, line, key and remedy.
    """
    if isinstance(source, Mapping):
        return Policy.model_validate(dict(source))
    return load_with_lines(source)[0]


def load_with_lines(source: str | PathLike[str]) -> tuple[Policy, Mapping[Key, int]]:
    """Return the policy in a file, and the line of each of its keys, as far as they are known.

    Raises:
        PolicyError: the file cannot be read, or is no policy.
    """
    path = Path(source)
    document, lines = _parse(path, _read(path))
    try:
        return TypeAdapter(Policy).validate_python(document), lines
    except ValidationError as error:
        raise PolicyError(explain(error, source=str(path), lines=lines)) from None


def policy_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the policy document, for editors and checks."""
    schema = Policy.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def explain(error: ValidationError, *, source: str = "policy", lines: Mapping[Key, int] | None = None) -> str:
    """Return one line for every fault in *error*: where it stands, what it is, what to do."""
    faults = [_fault(detail, source, lines or {}) for detail in _distinct(error.errors(include_url=False))]
    return "\n".join(faults)


def place_of(key: Key, source: str, lines: Mapping[Key, int]) -> str:
    """Return where *key* stands, or what holds it: ``policy.yaml, line 3``."""
    line = next((lines[key[:length]] for length in range(len(key), 0, -1) if key[:length] in lines), None)
    return source if line is None else f"{source}, line {line}"


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise PolicyError(f"{path}: larger than {_MAX_BYTES:,} bytes; a policy is a short document")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise PolicyError(
            f"{path}: cannot be read ({error.strerror}); give the path of a policy file"
        ) from error
    except UnicodeDecodeError as error:
        raise PolicyError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None


def _parse(path: Path, content: str) -> tuple[Any, dict[Key, int]]:
    if path.suffix.lower() == ".toml":
        return _parse_toml(path, content)
    return _parse_yaml(path, content)


def _parse_toml(path: Path, content: str) -> tuple[Any, dict[Key, int]]:
    try:
        return tomllib.loads(content), dict(_toml_lines(content))
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"{path}: no TOML: {error}") from None
    except RecursionError:
        raise PolicyError(f"{path}: nested too deeply; a policy has a few levels") from None


def _toml_lines(content: str) -> Iterator[tuple[Key, int]]:
    """Yield the line of each ``[table]`` and ``key =``: tomllib keeps none."""
    table: Key = ()
    counts: dict[Key, int] = {}
    for number, line in enumerate(content.splitlines(), 1):
        if header := re.match(r"\s*(\[\[?)\s*([^\]]+?)\s*\]", line):
            table = tuple(part.strip().strip("\"'") for part in header[2].split("."))
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            yield table, number
        elif entry := re.match(r"\s*([\w.\"'-]+)\s*=", line):
            yield (*table, *(part.strip("\"'") for part in entry[1].split("."))), number


def _parse_yaml(path: Path, content: str) -> tuple[Any, dict[Key, int]]:
    try:
        loader = yaml.SafeLoader(content)
    except yaml.YAMLError as error:
        raise PolicyError(f"{path}: no YAML: {getattr(error, 'reason', 'it cannot be read')}") from None
    try:
        node = loader.get_single_node()
        if node is None:
            return {}, {}
        lines = dict(islice(_yaml_lines(node, ()), _MOST_KEYS + 1))
        if len(lines) > _MOST_KEYS:
            raise PolicyError(
                f"{path}: more than {_MOST_KEYS:,} keys, its aliases counted; a policy is a short document"
            )
        return loader.construct_document(node), lines
    except PolicyError:
        raise
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise PolicyError(f"{path}, line {line}: no YAML: {error.problem or error.context}") from None
    except RecursionError:
        raise PolicyError(f"{path}: nested too deeply; a policy has a few levels") from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise PolicyError(f"{path}: no YAML: {type(error).__name__}") from None
    finally:
        loader.dispose()


def _yaml_lines(node: yaml.Node, key: Key, around: tuple[yaml.Node, ...] = ()) -> Iterator[tuple[Key, int]]:
    if any(node is one for one in around):
        raise yaml.MarkedYAMLError(
            problem="an anchor refers to itself; take out its alias (*) inside of it",
            problem_mark=node.start_mark,
        )
    around = (*around, node)
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for name, value in node.value:
            if name.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {name.value!r} stands twice", problem_mark=name.start_mark
                )
            seen.add(name.value)
            yield (*key, name.value), name.start_mark.line + 1
            yield from _yaml_lines(value, (*key, name.value), around)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*key, index), value.start_mark.line + 1
            yield from _yaml_lines(value, (*key, index), around)


def _distinct(details: list[ErrorDetails]) -> Iterator[ErrorDetails]:
    """Yield one fault per key: a union reports each of its members."""
    seen: set[Key] = set()
    keys = {_key(detail["loc"]) for detail in details}
    for detail in details:
        key = _key(detail["loc"])
        if detail["type"] == "string_type" and any(
            len(key) < len(one) and one[: len(key)] == key for one in keys
        ):
            continue  # a mapping was meant here, and its own faults say more
        if key not in seen:
            seen.add(key)
            yield detail


def _key(location: tuple[int | str, ...]) -> Key:
    """Return the location without the union members' names that pydantic puts into it."""
    return tuple(
        part
        for part in location
        if isinstance(part, int)
        or not re.search(r"[\[(]|^[A-Z][a-z]\w*$|^(literal|str|constrained-str)$", part)
    )


def _fault(detail: ErrorDetails, source: str, lines: Mapping[Key, int]) -> str:
    key = _key(detail["loc"])
    return f"{place_of(key, source, lines)}: {_dotted(key) or 'the document'}: {_remedy(detail, key)}"


def _dotted(key: Key) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key).lstrip(".")


def _remedy(detail: ErrorDetails, key: Key) -> str:
    match detail["type"]:
        case "extra_forbidden":
            return _unknown_key(key)
        case "missing":
            return "missing; add it"
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be a mapping of keys to values"
        case "tuple_type":
            return "must be a list"
        case "string_pattern_mismatch" if str(detail.get("ctx", {}).get("pattern", "")).startswith("^https?"):
            return "must begin with http:// or https:// and a host"
        case _:
            return detail["msg"].removeprefix("Value error, ")


def _unknown_key(key: Key) -> str:
    names = _names_at(key[:-1])
    close = difflib.get_close_matches(str(key[-1]), names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"the keys here are {', '.join(names)}"
    return f"unknown key; {hint}"


def _names_at(key: Key) -> list[str]:
    """Return the field names of the section that stands at *key*."""
    schema = policy_schema()
    node: dict[str, Any] = schema
    for part in key:
        node = _section(node, schema)
        node = (
            node.get("items", {})
            if isinstance(part, int)
            else node.get("properties", {}).get(part, node.get("additionalProperties", {}))
        )
    return list(_section(node, schema).get("properties", {}))


def _section(node: Any, schema: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(node, dict):
        return {}
    section: dict[str, Any] = next((option for option in node.get("anyOf", ()) if "$ref" in option), node)
    if reference := section.get("$ref"):
        section = schema["$defs"][reference.rsplit("/", 1)[-1]]
    return section
