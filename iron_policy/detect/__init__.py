"""Detection of personal data, secrets and prompt injection in texts: pure, linear in the length of the text.

Owns what is found and where. Knows no policy, no action and no wire format.

>>> scan("mail ada@example.org")
[Finding(kind='EMAIL', start=5, end=20, score=1.0, place='')]
"""

from __future__ import annotations

from functools import cache

from iron_policy.detect.kinds import DEFAULT_KINDS, KINDS
from iron_policy.detect.scanner import Scanner
from iron_policy.verdicts import Finding

__all__ = ["DEFAULT_KINDS", "KINDS", "Finding", "Scanner", "scan"]


@cache
def _default_scanner() -> Scanner:
    return Scanner()


def scan(text: str) -> list[Finding]:
    """Return what *text* holds of :data:`DEFAULT_KINDS`, in order of place, without overlaps.

    Offsets are in code points. A finding never carries the text it stands for.
    """
    return _default_scanner().scan(text)
