"""What a router did while it ran, in one process or several.

Owns the sums and the line by which a worker tells its own. Money passes as text: no float comes near it.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iron_policy.scope import RunSummary


@dataclass(slots=True, kw_only=True)
class Totals:
    """Sums of calls, refusals, tokens and USD."""

    calls: int = 0
    refusals: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    findings: Counter[str] = field(default_factory=Counter)
    """How often each kind was found, on the way in or out."""
    lost_workers: int = 0
    """Workers that ended without telling what they had done; the record still has it, if one is kept."""

    def add(self, summary: RunSummary | Totals) -> None:
        """Add what a run, or a worker, has done."""
        for name in ("calls", "refusals", "input_tokens", "output_tokens", "cost_usd"):
            setattr(self, name, getattr(self, name) + getattr(summary, name))
        self.findings.update(summary.findings)

    def numbers(self) -> dict[str, Any]:
        """Return the sums for people and machines, money in USD."""
        return {
            "calls": self.calls,
            "refusals": self.refusals,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost_usd": float(self.cost_usd),
            "findings": dict(self.findings),
            "lost_workers": self.lost_workers,
        }

    def line(self) -> bytes:
        """Return the sums as a line for :func:`read`."""
        return json.dumps({**self.numbers(), "cost_usd": str(self.cost_usd)}).encode() + b"\n"


def read(line: bytes) -> Totals:
    """Return the sums that *line* tells."""
    told = json.loads(line)
    findings = Counter(told.pop("findings"))
    return Totals(**{**told, "cost_usd": Decimal(told["cost_usd"]), "findings": findings})
