"""Counts that several threads add to."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Tally:
    """Named counts under one lock."""

    __slots__ = ("_counts", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: defaultdict[str | bytes, int] = defaultdict(int)

    def count_one(self, name: str) -> int:
        """Add one to *name*; return what it is now."""
        with self._lock:
            self._counts[name] += 1
            return self._counts[name]

    def count(self, *names: str | bytes) -> tuple[int, ...]:
        """Add one to each of *names*; return what each is now."""
        with self._lock:
            for name in names:
                self._counts[name] += 1
            return tuple(self._counts[name] for name in names)

    def count_all(self, names: Iterable[str]) -> None:
        """Add one for each of *names*, as often as it stands there."""
        self.add(Counter(names))

    def add(self, amounts: Mapping[str, int]) -> None:
        """Add all *amounts* at once."""
        with self._lock:
            counts = self._counts
            for name, amount in amounts.items():
                counts[name] += amount

    def snapshot(self) -> dict[str | bytes, int]:
        """Return all counts as they are at one moment."""
        with self._lock:
            return dict(self._counts)
