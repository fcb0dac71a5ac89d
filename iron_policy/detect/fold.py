"""Write a text in plain characters before it is searched, and find places in the original again.

Owns the characters that look like, or vanish between, those that values are made of: full-width and styled
letters, digits of other scripts, no-break and zero-width spaces, exotic dashes. Every other character stays,
so that ordinary text in any script is searched as it is.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Final

from iron_policy.detect.linear import encode, linear

if TYPE_CHECKING:
    from collections.abc import Sequence

    from iron_policy.detect.linear import Pattern

_VANISHING: Final = "\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
_SPACES: Final = "\u00a0\u2000-\u200a\u202f\u205f"
# Not the en dash, the ideographic space, or the full-width marks that ordinary prose is full of.
_DASHES: Final = "\u2010-\u2012\u2212\ufe58\ufe63"
_FULL_WIDTH: Final = "\uff03-\uff06\uff0b\uff0d-\uff19\uff1d\uff20-\uff3a\uff3c\uff3f\uff41-\uff5a"
_ASTRAL: Final = "\U00010000"
_STYLED: Final = "\U0001d400-\U0001d7ff"


@cache
def _digits() -> str:
    """Return every decimal digit that is not ASCII and not styled or full-width."""
    return "".join(
        c
        for c in map(chr, chain(range(0x660, 0xFF10), range(0x104A0, 0x1D400)))
        if unicodedata.decimal(c, None) is not None
    )


@cache
def _foldable() -> tuple[re.Pattern[str], Pattern]:
    digits = _digits()
    characters = f"{_VANISHING}{_SPACES}{_DASHES}{_FULL_WIDTH}{''.join(c for c in digits if c < _ASTRAL)}"
    astral = f"{_STYLED}{''.join(c for c in digits if c >= _ASTRAL)}"
    # Python looks a character up in a class of the basic plane at once, in any other class one by one.
    return re.compile(f"[{characters}]|[\U00010000-\U0010ffff]"), linear(f"[{characters}{astral}]")


_CLASSES: Final = (
    (re.compile(f"[{_VANISHING}]"), ""),
    (re.compile(f"[{_SPACES}]"), " "),
    (re.compile(f"[{_DASHES}]"), "-"),
)


@cache
def _plain(character: str) -> str:
    for members, plain in _CLASSES:
        if members.match(character):
            return plain
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    compatible = unicodedata.normalize("NFKC", character)
    return compatible if len(compatible) == 1 and compatible.isascii() else character


class Folded:
    """A text in plain characters that knows where each stood.

    Attributes:
        text: the plain characters.
    """

    __slots__ = ("_origins", "_starts", "_widths", "text")

    def __init__(
        self, text: str, starts: Sequence[int], origins: Sequence[int], widths: Sequence[int]
    ) -> None:
        self.text = text
        self._starts = starts
        self._origins = origins
        self._widths = widths

    def origin(self, offset: int) -> int:
        """Return where in the original the character at *offset* stood."""
        at = bisect_right(self._starts, offset) - 1
        return self._origins[at] + offset - self._starts[at]

    def offset(self, origin: int) -> int:
        """Return where the original's character at *origin* stands here."""
        at = bisect_right(self._origins, origin) - 1
        return self._starts[at] + min(origin - self._origins[at], self._room(at))

    def _room(self, at: int) -> int:
        ends = self._starts[at + 1] if at + 1 < len(self._starts) else len(self.text)
        return ends - self._starts[at]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the original's range of ``text[start:end]``, what vanished in its middle included."""
        last = bisect_right(self._starts, end - 1) - 1
        return self.origin(start), self._origins[last] + end - 1 - self._starts[last] + self._widths[last]

    def changed(self, start: int, end: int) -> bool:
        """Say whether ``text[start:end]`` reads otherwise in the original."""
        first, last = self.span(start, end)
        return last - first != end - start


def fold(text: str) -> Folded | None:
    """Return *text* in plain characters, or ``None`` where it already is."""
    if text.isascii():
        return None
    foldable, quick = _foldable()
    if quick.search(encode(text)) is None:
        return None
    changes = [(m.start(), m.end(), _plain(m.group())) for m in foldable.finditer(text)]
    return substituted(text, [change for change in changes if change[2] != text[change[0]]])


def substituted(text: str, changes: Sequence[tuple[int, int, str]]) -> Folded:
    """Return *text* with each ``(start, end, replacement)`` carried out; replacements have at most one character."""
    pieces, starts, origins, widths = [], [0], [0], [1]
    position = length = 0
    for start, end, replacement in changes:
        pieces.append(text[position:start])
        length += start - position
        if replacement and end - start == 1:
            pieces.append(replacement)
            length += 1
            position = end
            continue
        if replacement:
            pieces.append(replacement)
            starts.append(length)
            origins.append(start)
            widths.append(end - start)
            length += 1
        starts.append(length)
        origins.append(end)
        widths.append(1)
        position = end
    pieces.append(text[position:])
    return Folded("".join(pieces), starts, origins, widths)
