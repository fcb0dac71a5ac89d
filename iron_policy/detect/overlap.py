"""Choose among findings that overlap, and drop those inside our own stand-ins.

Owns the order of precedence. Knows no pattern but that of what this project itself writes into texts.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from iron_policy.detect.kinds import rank_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from iron_policy.verdicts import Finding

LONGEST_STANDIN: Final = 100
_STANDIN: Final = re.compile(
    r"<[A-Z][A-Z0-9_]{0,63}_[a-z2-7]{8,32}>|\[REDACTED_[A-Z][A-Z0-9_]{0,63}\]|\[[A-Z][A-Z0-9_]{0,63}_sha256:[0-9a-f]{12}\]"
)


def settle(text: str, findings: Iterable[Finding]) -> list[Finding]:
    """Return *findings* in order of place, without overlaps and stand-ins: the most specific, then longest, stays."""
    ordered = sorted({f for f in findings if not _in_standin(text, f)}, key=lambda f: (f.start, f.end))
    if all(left.end <= right.start for left, right in pairwise(ordered)):
        return ordered
    return [survivor for cluster in _clusters(ordered) for survivor in _survivors(cluster)]


def _clusters(ordered: list[Finding]) -> list[list[Finding]]:
    clusters: list[list[Finding]] = []
    reach = -1
    for finding in ordered:
        if finding.start < reach:
            clusters[-1].append(finding)
        else:
            clusters.append([finding])
        reach = max(reach, finding.end)
    return clusters


def _survivors(cluster: list[Finding]) -> list[Finding]:
    kept: list[Finding] = []
    for finding in sorted(cluster, key=lambda f: (-rank_of(f.kind), f.start - f.end, f.start, f.kind)):
        if all(finding.end <= other.start or finding.start >= other.end for other in kept):
            kept.append(finding)
    return sorted(kept, key=lambda f: f.start)


def _in_standin(text: str, finding: Finding) -> bool:
    lowest = max(0, finding.start - LONGEST_STANDIN)
    opening = max(text.rfind("<", lowest, finding.start + 1), text.rfind("[", lowest, finding.start + 1))
    if opening < 0:
        return False
    standin = _STANDIN.match(text, opening)
    return standin is not None and finding.end <= standin.end()


def standins_across(text: str, place: int) -> list[tuple[int, int]]:
    """Return where a stand-in lies that *place* would cut in two."""
    opening = text.rfind("<", max(0, place - LONGEST_STANDIN), place)
    standin = _STANDIN.match(text, opening) if opening >= 0 else None
    return [standin.span()] if standin else []
