r"""What one recognisable shape of text is: how it starts, how it goes on, what proves it.

Owns the row type of the pattern tables and the tests on what surrounds a match. Knows no concrete shape.
The tables use what RE2 and Python's ``re`` both understand, without look-around: what stands before and
behind is looked at here, in two comparisons, where ``\b`` would slow the gate down.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from iron_policy.verdicts import Finding

_ESCAPES = frozenset("nrtbf")


class Anchor(NamedTuple):
    """One alternative of the gate, and who looks closer where it matched."""

    gate: str
    """RE2 pattern, rare in ordinary text, each repetition bounded."""
    starts: str
    """Pattern of the first two characters of whatever :attr:`gate` matches."""
    look: Callable[[str, int, int], Iterable[Finding]]
    """Takes the text and a match's start and end; returns what it found near by. Given the match of another
    anchor that starts alike, it returns nothing."""
    kinds: frozenset[str]
    """The kinds that :attr:`look` can return: the anchor is left out where none is wanted."""


class Shape(NamedTuple):
    """A contiguous value that starts with a literal, such as a vendor's token."""

    kind: str
    leads: tuple[str, ...]
    """The literals it can start with."""
    body: str
    """Pattern of the rest."""
    opening: str
    """Pattern of the first character of the rest."""
    check: Callable[[str], bool] | None = None
    """Says of the whole value whether it is real."""


def is_word(character: str) -> bool:
    """Say whether *character* is an ASCII letter or digit (a CJK neighbour ends a value)."""
    return character.isascii() and character.isalnum()


def starts_clean(text: str, start: int) -> bool:
    r"""Say whether a value can start at *start*: no letter or digit before it, ``\n`` of raw JSON aside."""
    if start == 0 or not is_word(text[start - 1]):
        return True
    return is_escape(text, start - 1)


def is_escape(text: str, position: int) -> bool:
    r"""Say whether the letter at *position* is the second half of an escape such as ``\n``."""
    return position > 0 and text[position] in _ESCAPES and text[position - 1] == "\\"


def ends_clean(text: str, end: int) -> bool:
    """Say whether a value can end at *end*: no letter, digit or underscore goes on."""
    return end == len(text) or not (is_word(text[end]) or text[end] == "_")


def alternation(patterns: Sequence[str]) -> str:
    """Join *patterns* into one group that captures nothing."""
    return f"(?:{'|'.join(patterns)})"


def literal(leads: Sequence[str]) -> str:
    """Return a pattern of exactly these literals, longest first."""
    return alternation([re.escape(lead) for lead in sorted(leads, key=len, reverse=True)])
