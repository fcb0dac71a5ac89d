"""LlamaIndex's values as plain JSON, and back: pydantic objects, dicts and lists, in any mixture.

Owns the two directions: what of a value can hold text, as dicts and lists of its own; and a copy of the value with
altered texts, which shares everything else with it. Knows no policy, and not which string is a text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.bridge.pydantic import BaseModel
from llama_index.core.tools import BaseTool

from iron_policy.exceptions import ContentBlocked

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_SILENT = frozenset({
    "block_type", "image", "audio", "video", "data", "path", "image_mimetype", "video_mimetype", "document_mimetype",
    "format", "detail", "num_tokens", "cache_control",
})  # fmt: skip
"""Fields of LlamaIndex's blocks that hold bytes, places of files, or choices of a closed set."""
_SCALARS = frozenset({str, int, float, bool, type(None)})


def plain(value: Any, without: Collection[str] = ()) -> Any:
    """Return what of *value* may hold text, as new dicts and lists; ``None`` stands for everything else."""
    if type(value) in _SCALARS:  # most are, and each token of a stream comes by here
        return value
    if isinstance(value, BaseModel):
        return {name: plain(item) for name, item in value if name not in _SILENT and name not in without}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if type(key) is str and key not in without}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, BaseTool) or (isinstance(value, type) and issubclass(value, BaseModel)):
        return _described(value)
    return None


def anew(value: Any, old: Any, new: Any) -> Any:
    """Return a copy of *value* in which *new*, altered from the :func:`plain` form *old*, has taken its place.

    Raises:
        ContentBlocked: a text that must change belongs to a class or a tool, which cannot be rewritten.
    """
    if new == old:
        return value
    if isinstance(value, BaseModel):
        changed = {name: anew(getattr(value, name), old[name], new[name]) for name in old}
        return value.model_copy(
            update={name: item for name, item in changed.items() if new[name] != old[name]}
        )
    if isinstance(value, dict) and len(new) == len(old):
        return dict(_entries(value, old, new))
    if isinstance(value, list | tuple):
        return [anew(*items) for items in zip(value, old, new, strict=True)]
    if isinstance(value, BaseTool | type):
        raise ContentBlocked("a tool or a class describes itself with what the policy rewrites")
    return new


def _entries(value: dict[Any, Any], old: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield the entries of *value*, altered. A key that was renamed has kept its place."""
    names = dict(zip(old, new, strict=True))
    for key, item in value.items():
        if key in names:
            yield names[key], anew(item, old[key], new[names[key]])
        else:
            yield key, item


def replacements(old: Any, new: Any) -> dict[str, str]:
    """Return what has become of each string of *old*, those that stay as they are among them."""
    found: dict[str, str] = {}
    _compare(old, new, found)
    return found


def _compare(old: Any, new: Any, found: dict[str, str]) -> None:
    if type(old) is str:
        found[old] = new
    elif type(old) is dict:
        for one, other in zip(old.values(), new.values(), strict=True):
            _compare(one, other, found)
    elif type(old) is list:
        for one, other in zip(old, new, strict=True):
            _compare(one, other, found)


def _described(value: BaseTool | type[BaseModel]) -> dict[str, Any]:
    if isinstance(value, BaseTool):
        told = value.metadata
        function = {
            "name": told.name,
            "description": told.description,
            "parameters": told.get_parameters_dict(),
        }
        return {"type": "function", "function": function}
    return {"type": "json_schema", "schema": value.model_json_schema()}
