"""What a soak found, and whether it is what must be."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from soaking.books import Books
    from soaking.load import Counts
    from soaking.router import Weight

WARM_UP_SECONDS = 120.0
"""What is not looked at, or a fifth of a shorter soak: imports, prices and connections come with the first calls."""
GROWTH = 0.03
"""How much more may be resident in the last third than in the first."""
_LONG_SECONDS = 900.0
"""From here on memory is judged: a few minutes show how an allocator fills its arenas, and little else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Everything that a soak found."""

    seconds: float
    callers: int
    seed: int
    counts: Counts
    weights: Sequence[Weight]
    at_rest: Weight
    """When all was quiet."""
    books: Books
    leaks: int
    """Requests in which a caller's address reached the provider."""
    complaints: Sequence[str]
    """What the router printed that is no part of its report."""
    load_average: tuple[float, float]
    """Of the machine, before and after."""

    @property
    def judges_memory(self) -> bool:
        """Whether the soak was long enough to tell growth from warming up."""
        return self.seconds >= _LONG_SECONDS

    def thirds(self, what: Callable[[Weight], float]) -> tuple[float, float]:
        """Return the mean of *what* over the first and the last third, without the warm-up."""
        warm_up = min(WARM_UP_SECONDS, self.seconds / 5)
        looked = [what(weight) for weight in self.weights if weight.seconds > warm_up]
        third = max(1, len(looked) // 3)
        return fmean(looked[:third]), fmean(looked[-third:])

    @property
    def faults(self) -> list[str]:
        """Say what does not hold; nothing, where all does."""
        found = list(self.books.faults)
        if errors := self.counts.errors.total():
            found.append(f"{errors} calls came back wrong")
        if self.leaks:
            found.append(f"{self.leaks} requests brought an address to the provider")
        if self.complaints:
            found.append(f"the router complained: {self.complaints[0][:200]}")
        if self.judges_memory:
            found += self._growth()
        return found

    def _growth(self) -> list[str]:
        looks = {
            "resident memory": (lambda weight: weight.resident_mb, 0.0),
            "descriptors": (lambda weight: weight.descriptors, 4.0),
            "threads": (lambda weight: weight.threads, 0.0),
        }
        grown = []
        for name, (what, spare) in looks.items():
            first, last = self.thirds(what)
            if last > first * (1 + GROWTH) + spare:
                grown.append(f"{name} grew from {first:.1f} to {last:.1f}")
        return grown
