"""Where in a growing text a finding could still begin or change.

Owns one pattern, matched at the end of what has come so far: its leftmost match starts at the earliest place that
more text could turn into a finding. What lies before it is decided.
"""

from __future__ import annotations

import re
from typing import Final

from iron_policy.detect import assignments, injection, national, phones
from iron_policy.detect.decode import ATOM, ATOMS, LONGEST, SPACED_OPEN
from iron_policy.detect.linear import AtEnd, encode

LONGEST_OPEN: Final = 4096
"""A stretch without an end is decided behind this many characters: no finding in it is longer."""

_IN_GROUPS: Final = "0123456789+()./:- "
_BETWEEN_GROUPS: Final = ")./:- "
_BEFORE_EXTENSION: Final = re.compile(r"[0-9] ?x ?$")
_LONGEST_GROUPS: Final = 80

_STANDIN_START: Final = r"[<\[](?:[A-Z][A-Z0-9_a-z:]{0,100})?"
_ATOM_OPEN: Final = f"[{ATOM}]+"
# Numbers and identifiers written in groups; capitals and dashes also open a PEM block.
_GROUPS_OPEN: Final = r"[A-Z0-9+()./:x \-]{1,80}"
_OPEN: Final = (
    _ATOM_OPEN,
    _GROUPS_OPEN,
    rf"(?:^|[^!-~]){SPACED_OPEN}",
    _STANDIN_START,
)
_WORDED_OPEN: Final = (phones.PARTIAL, national.DOCUMENT_PARTIAL)


class Holding:
    """Tells which end of a text is still open.

    Args:
        injection_wanted: whether phrases of several words must be waited for.
        custom_width: the most characters a custom pattern can match, 0 without one.
    """

    def __init__(self, *, injection_wanted: bool, custom_width: int) -> None:
        phrases = [[injection.PARTIAL]] if injection_wanted else []
        self._open = AtEnd([_OPEN, [assignments.PARTIAL], _WORDED_OPEN, *phrases])
        self._width = custom_width

    def open_from(self, text: str, start: int) -> int:
        """Return the earliest place at or behind *start* that more text could change, or the length of *text*."""
        tail = text[max(start, len(text) - LONGEST_OPEN) :]
        held = len(tail) - self._open.start(tail, encode(tail))
        place = _start_of_groups(text, len(text) - held, start) if held else len(text)
        bound = len(text) - self._width
        return max(start, place if place <= bound else _start_of_piece(text, bound, start))


def _start_of_piece(text: str, place: int, start: int) -> int:
    """Return where the piece begins that *place* would cut: what ends it can say how to decode its beginning."""
    before = text[max(start, place - LONGEST) : max(start, place)]
    return place - len(before) + len(before.rstrip(ATOMS))


def _start_of_groups(text: str, place: int, start: int) -> int:
    """Return where the groups of digits begin that reach to *place*: a number is decided as a whole, or not yet."""
    before = text[max(start, place - _LONGEST_GROUPS) : place]
    extension = _BEFORE_EXTENSION.search(before)
    number = before[: extension.start() + 1] if extension else before
    groups = number[len(number.rstrip(_IN_GROUPS)) :].lstrip(_BETWEEN_GROUPS)
    return place - len(before) + len(number) - len(groups) if groups else place
