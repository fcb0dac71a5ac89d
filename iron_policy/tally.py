"""Counts that several threads add to."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Tally:
    """Named counts under one lock."""

    __slots__ = ("_counts", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str | bytes, int] = {}

    def count_one(self, name: str) -> int:
        """Add one to *name*; return what it is now."""
        with self._lock:
            count = self._counts[name] = self._counts.get(name, 0) + 1
            return count

    def count(self, *names: str | bytes) -> tuple[int, ...]:
        """Add one to each of *names*; return what each is now."""
        with self._lock:
            for name in names:
                self._counts[name] = self._counts.get(name, 0) + 1
            return tuple(self._counts[name] for name in names)

    def count_all(self, names: Iterable[str]) -> None:
        """Add one for each of *names*, as often as it stands there."""
        self.add(Counter(names))

    def add(self, amounts: Mapping[str, int]) -> None:
        """Add all *amounts* at once."""
        with self._lock:
            for name, amount in amounts.items():
                self._counts[name] = self._counts.get(name, 0) + amount

    def snapshot(self) -> dict[str | bytes, int]:
        """Return all counts as they are at one moment."""
        with self._lock:
            return dict(self._counts)
