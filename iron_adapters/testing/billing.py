"""The double's bill: what it sent, per model and per call, in tokens.

Owns the totals that a ledger can be compared with. A token stands on the bill before it is sent, so that whoever
has seen it finds it here; a stream that broke off is billed for what was sent. Knows no prices.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from iron_policy.messages import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_LINES = 10_000
"""Lines that a bill keeps, unless it is told otherwise."""


@dataclass(slots=True)
class BillLine:
    """One billed call."""

    model: str
    """The dated name."""
    path: str
    usage: Usage
    finished: bool = False
    """False while its stream runs, and for good where it broke off."""


@dataclass(slots=True)
class _Account:
    calls: int = 0
    usage: Usage = field(default_factory=Usage)


class Bill:
    """Totals per model, and the last *most_lines* calls. Thread-safe."""

    def __init__(self, most_lines: int = MOST_LINES) -> None:
        self._accounts: dict[str, _Account] = {}
        self._lines: deque[BillLine] = deque(maxlen=most_lines)
        self._lock = threading.Lock()

    def open(self, model: str, path: str, usage: Usage) -> BillLine:
        """Bill what is known before anything is sent: a stream's input, a whole reply's everything."""
        line = BillLine(model, path, Usage())
        with self._lock:
            self._lines.append(line)
            account = self._accounts.setdefault(model, _Account())
            account.calls += 1
            self._add(line, usage)
        return line

    def add(self, line: BillLine, tokens: int, reasoning_tokens: int) -> None:
        """Bill *tokens* more of output."""
        if not tokens:
            return
        with self._lock:
            self._add(line, Usage(output_tokens=tokens, reasoning_output_tokens=reasoning_tokens))

    def _add(self, line: BillLine, usage: Usage) -> None:
        account = self._accounts.setdefault(line.model, _Account())
        line.usage = _sum(line.usage, usage)
        account.usage = _sum(account.usage, usage)

    @property
    def by_model(self) -> Mapping[str, Usage]:
        """What each model used, under its dated name."""
        with self._lock:
            return {model: account.usage for model, account in self._accounts.items()}

    @property
    def calls(self) -> int:
        """How many calls were billed."""
        with self._lock:
            return sum(account.calls for account in self._accounts.values())

    @property
    def lines(self) -> list[BillLine]:
        """The last calls, oldest first, as they stand now."""
        with self._lock:
            return [replace(line) for line in self._lines]

    @property
    def total(self) -> Usage:
        """What all models used together."""
        total = Usage()
        for usage in self.by_model.values():
            total = _sum(total, usage)
        return total


def _sum(one: Usage, other: Usage) -> Usage:
    """Return the counts of both together; a sum has no tier."""
    counts = (name for name in Usage._fields if name != "service_tier")
    return Usage(**{name: getattr(one, name) + getattr(other, name) for name in counts})
