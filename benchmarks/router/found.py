"""What was found: every run's figures, their medians, and what the design asks of them."""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

from row import Row
from visit import DIRECT

if TYPE_CHECKING:
    from collections.abc import Iterator

FLAGGING = "flagging_"
"""How the names of figures begin that were measured where personal data in replies is flagged and not redacted."""
_FULL = 0.9
"""From which share on a core counts as full; below it, something else held the contender back."""
IRON, LITELLM, PORTKEY, NGINX = "iron-runtime", "LiteLLM proxy", "Portkey gateway", "nginx proxy_pass"


@dataclass
class Found:
    """Runs by contender, and why one has none."""

    runs: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    not_measured: dict[str, str] = field(default_factory=dict)
    flat: dict[str, list[list[float]]] = field(default_factory=dict)
    """By kind of prompt, pairs of calls made and resident memory in MB."""

    def median(self, name: str, figure: str) -> float | None:
        """Return the median over the runs of one contender, or ``None`` where it was not measured."""
        values = [run[figure] for run in self.runs.get(name, []) if figure in run]
        return statistics.median(values) if values else None

    def spread(self, name: str, figure: str) -> tuple[float, float]:
        """Return the least and the greatest over the runs."""
        values = [run[figure] for run in self.runs[name]]
        return min(values), max(values)

    def added(self, name: str, figure: str) -> float | None:
        """Return the median over the runs of what *name* adds to the direct call of the same run."""
        pairs = zip(self.runs.get(name, []), self.runs.get(DIRECT, []), strict=False)
        values = [
            run[figure] - direct[figure.removeprefix(FLAGGING)] for run, direct in pairs if figure in run
        ]
        return statistics.median(values) if values else None


def rows(found: Found) -> list[Row]:
    """Return one row for each thing that the design asks for and that was measured."""
    return [*_throughput(found), *_added(found), *_process(found), *_flat(found)]


def _throughput(found: Found) -> Iterator[Row]:
    ours = found.median(IRON, "per_second_16")
    for other, times in ((LITELLM, 75), (PORTKEY, 5), (NGINX, 0.2)):
        theirs = found.median(other, "per_second_16")
        if ours and theirs:
            yield Row(
                what=f"requests/s on one core, 16 connections: times {other}'s",
                value=ours / theirs,
                unit="×",
                must=times,
                at_least=True,
                note=_beside(found, other, ours, theirs),
            )


def _beside(found: Found, other: str, ours: float, theirs: float) -> str:
    share = found.median(other, "core_share_16") or 0.0
    by_core = (found.median(other, "cpu_us_16") or 0.0) / (found.median(IRON, "cpu_us_16") or 1.0)
    unfilled = f", it used only {share:.0%} of its core" if share < _FULL else ""
    return (
        f"{ours:,.0f} against {theirs:,.0f}{unfilled}; by the time on a core for each request {by_core:.2g} ×"
    )


def _added(found: Found) -> Iterator[Row]:
    asked = (
        ("added to a call at one connection, p50", "p50_1_ms", 0.5),
        ("added to the first event of a paced stream, p50", "paced_event_p50_ms", 1),
        ("added to the text of the first token of a paced stream, p50", "paced_first_p50_ms", 1),
        (
            "the same, personal data in replies flagged and not redacted",
            f"{FLAGGING}paced_first_p50_ms",
            1,
        ),
        ("added to the text of the first token of an unpaced stream, p50", "unpaced_first_p50_ms", 1),
        ("added between tokens of a paced stream, mean", "paced_gap_mean_ms", 0.1),
        ("added between tokens of an unpaced stream, mean", "unpaced_gap_mean_ms", 0.1),
    )
    for what, figure, must in asked:
        value = found.added(IRON, figure)
        if value is not None:
            yield Row(what=what, value=value, unit="ms", must=must)


def _process(found: Found) -> Iterator[Row]:
    for what, figure, unit, must in (
        ("ready after", "ready_seconds", "s", 0.6),
        ("resident memory after the load", "loaded_mb", "MB", 90),
    ):
        value = found.median(IRON, figure)
        if value is not None:
            yield Row(what=what, value=value, unit=unit, must=must)


def _flat(found: Found) -> Iterator[Row]:
    for kind, samples in found.flat.items():
        first, last = samples[0], samples[-1]
        yield Row(
            what=f"resident memory grows from call {first[0]:,.0f} to call {last[0]:,.0f}, {kind}",
            value=100 * (last[1] / first[1] - 1),
            unit="%",
            must=5,
            note=f"{first[1]:.1f} MB, then {last[1]:.1f} MB",
        )
