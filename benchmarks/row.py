"""One row of the report: what was measured, against what it is held."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A measured value, its unit and what it must reach."""

    what: str
    value: float
    unit: str
    must: float
    at_least: bool = False
    """Whether the value must be at least ``must``; else at most."""
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether the value reaches what it must."""
        return self.value >= self.must if self.at_least else self.value <= self.must

    @property
    def bound(self) -> str:
        """What must be reached, as people write it."""
        return f"{'≥' if self.at_least else '≤'} {self.must:g} {self.unit}"
