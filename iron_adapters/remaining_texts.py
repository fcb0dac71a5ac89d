"""The texts of a reply that are left when those that a stream brings in pieces have been dealt with by themselves.

Owns the walk that passes them over. Knows no framework: which texts come in pieces, its caller says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.wire.json_texts import JsonTexts

if TYPE_CHECKING:
    from collections.abc import Collection


class RemainingTexts(JsonTexts):
    """List the texts of a document, but for some.

    Args:
        done: the container of each, by its ``id``, and the key.
        passed: keys whose texts are passed over wherever they stand.
    """

    __slots__ = ("_done", "_passed")

    def __init__(self, done: Collection[tuple[int, Any]], *, passed: Collection[Any] = ()) -> None:
        super().__init__()
        self._done = done
        self._passed = passed

    def add(self, container: Any, key: Any, *how: Any, **more: Any) -> None:
        """List the string ``container[key]``, unless it is done."""
        if (id(container), key) not in self._done and key not in self._passed:
            super().add(container, key, *how, **more)

    def walk_json(self, container: Any, key: Any, *how: Any, **more: Any) -> None:
        """List the texts within the JSON of ``container[key]``, unless it is done."""
        if (id(container), key) not in self._done:
            super().walk_json(container, key, *how, **more)

    def walk_values(self, container: Any, key: Any, *how: Any, **more: Any) -> None:
        """List every leaf of ``container[key]``, unless it is done."""
        if (id(container), key) not in self._done:
            super().walk_values(container, key, *how, **more)
