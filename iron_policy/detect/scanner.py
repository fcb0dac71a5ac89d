"""Find every kind in a text, at once or as the text grows.

Owns the order of the steps: write plainly, sweep, settle overlaps, and what of a growing text is decided. Pure;
knows no policy action.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import re2

from iron_policy.detect import private_keys
from iron_policy.detect.fold import fold
from iron_policy.detect.guard import Guard
from iron_policy.detect.holding import LONGEST_OPEN, Holding
from iron_policy.detect.kinds import DEFAULT_KINDS, INJECTION, KINDS
from iron_policy.detect.linear import linear
from iron_policy.detect.overlap import settle, standins_across
from iron_policy.detect.sweep import Sweep
from iron_policy.detect.widths import widest
from iron_policy.exceptions import PolicyError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from iron_policy.detect.fold import Folded
    from iron_policy.detect.linear import Pattern
    from iron_policy.verdicts import Finding

LOOKBACK: Final = 256
"""How many characters before a place any decision about it reads at most."""


class Advance(NamedTuple):
    """What can be said of a text that goes on."""

    findings: list[Finding]
    """Decided, from the start asked for up to :attr:`frontier`."""
    frontier: int
    """What lies before it is decided whatever follows."""
    in_key: bool
    """True where a private key block goes on at the frontier."""


class Scanner:
    """Finds the wanted kinds in texts. Any number of threads may share one.

    Args:
        kinds: names out of :data:`~iron_policy.detect.KINDS`.
        custom: further kinds as ``(kind, pattern)`` in RE2's syntax. In streams, a match of a pattern without a
            bound of its own is only found whole up to 256 characters.

    Attributes:
        longest: the most characters that one finding spans.

    Raises:
        PolicyError: a kind is unknown, or RE2 refuses a pattern.
    """

    longest = max(private_keys.PIECE, LONGEST_OPEN)

    def __init__(self, kinds: Iterable[str] = DEFAULT_KINDS, custom: Iterable[tuple[str, str]] = ()) -> None:
        self.kinds = frozenset(kinds)
        unknown = sorted(self.kinds - set(KINDS))
        if unknown:
            raise PolicyError(f"unknown kind {unknown[0]!r}; the kinds are {', '.join(KINDS)}")
        self.custom = tuple(custom)
        patterns = tuple((kind, _compiled(kind, pattern)) for kind, pattern in self.custom)
        self._sweep = Sweep(self.kinds, patterns)
        self._guards: dict[frozenset[str], Guard] = {}
        widths = [widest(pattern) + 1 for _, pattern in self.custom]
        self._holding = Holding(injection_wanted=INJECTION in self.kinds, custom_width=max(widths, default=0))

    def guard(self, kinds: frozenset[str]) -> Guard:
        """Return what tells how much of a growing text no finding of *kinds* can touch."""
        guard = self._guards.get(kinds)
        if guard is None:
            custom = [pattern for kind, pattern in self.custom if kind in kinds]
            guard = self._guards[kinds] = Guard(kinds & self.kinds, custom, self._sweep)
        return guard

    def scan(self, text: str) -> list[Finding]:
        """Return what *text* holds, in order of place, without overlaps; offsets are in code points."""
        folded = None if text.isascii() else fold(text)
        plain = text if folded is None else folded.text
        found, _ = self._sweep.candidates(plain, 0, len(plain))
        if not found:
            return []
        findings = settle(plain, found)
        return findings if folded is None else _placed(findings, folded)

    def advance(self, text: str, start: int, *, final: bool, in_key: bool = False) -> Advance:
        """Return what is decided of *text* from *start* on, if more may follow.

        Args:
            text: with at least :data:`LOOKBACK` characters before *start*, or its very beginning.
            start: an earlier frontier.
            final: True where nothing follows.
            in_key: as the advance to *start* returned it.
        """
        folded = fold(text)
        if folded is None:
            return self._advance(text, start, final=final, in_key=in_key)
        plain = self._advance(folded.text, folded.offset(start), final=final, in_key=in_key)
        findings = _placed(plain.findings, folded)
        frontier = len(text) if final else folded.origin(plain.frontier)
        return Advance(findings, max(frontier, start), plain.in_key)

    def _advance(self, text: str, start: int, *, final: bool, in_key: bool) -> Advance:
        frontier, goes_on = len(text), False
        if not final:
            frontier = self._holding.open_from(text, start)
            frontier, goes_on = private_keys.decided_to(text, start, frontier, in_key=in_key)
            if frontier <= start:
                return Advance([], start, in_key)
        found, whole = self._sweep.candidates(text, start, frontier)
        if in_key and "PRIVATE_KEY" in self.kinds:
            found += private_keys.go_on(text, start)
        findings = settle(text, found) if found else found
        if not goes_on:
            whole += [(finding.start, finding.end) for finding in found]
            frontier = max(start, _uncut(frontier, [*whole, *standins_across(text, frontier)]))
        decided = [finding for finding in findings if start <= finding.start and finding.end <= frontier]
        return Advance(decided, frontier, goes_on)


def _placed(findings: list[Finding], folded: Folded) -> list[Finding]:
    """Return *findings* with offsets into the original of *folded*."""
    spans = [folded.span(finding.start, finding.end) for finding in findings]
    return [f._replace(start=start, end=end) for f, (start, end) in zip(findings, spans, strict=True)]


def _uncut(frontier: int, stretches: list[tuple[int, int]]) -> int:
    """Return the last place up to *frontier* that lies inside none of *stretches*."""
    for low, high in sorted(stretches, reverse=True):
        if low < frontier < high:
            return _uncut(low, stretches)
    return frontier


def _compiled(kind: str, pattern: str) -> Pattern:
    try:
        return linear(pattern)
    except re2.error as fault:
        told = fault.args[0] if fault.args else ""
        why = told.decode("utf-8", "replace") if isinstance(told, bytes) else told
        raise PolicyError(
            f"the pattern of kind {kind!r} is not one RE2 takes ({why}); it has no look-around and no"
            f" backreferences: {pattern!r}"
        ) from fault
