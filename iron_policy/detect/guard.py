"""How much of a growing text no finding of some kinds can touch any more, whatever follows.

Owns the quick answer for ordinary text: where anything stands that deserves a closer look, it gives none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import re2

from iron_policy.detect.beginnings import beginnings
from iron_policy.detect.fold import fold
from iron_policy.detect.linear import AtEnd, encode
from iron_policy.detect.openings import openings
from iron_policy.detect.widths import widest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from iron_policy.detect.sweep import Sweep


_LONE: Final = re.compile("[\ud800-\udfff]")
"""Halves of characters, which JSON can smuggle in; to RE2 they are no characters, so that no class matches them."""


class Guard:
    """Tells what of a text may go out before it is decided what the text holds.

    Args:
        kinds: of which no character may go out; built-in ones that are looked for.
        custom: patterns of further such kinds.
        sweep: what looks for all kinds.

    Attributes:
        idle: whether there is no such kind.
    """

    def __init__(self, kinds: Collection[str], custom: Iterable[str], sweep: Sweep) -> None:
        groups = openings(kinds)
        self._open = AtEnd(groups)
        self._custom = tuple((_begun(pattern), widest(pattern) + 1) for pattern in custom)
        self._sweep = sweep
        self.idle = not groups and not self._custom

    def free_to(self, text: str, start: int) -> int | None:
        """Return up to where *text* is free of the kinds, ``None`` where that takes a closer look.

        Args:
            text: what has come so far.
            start: up to where it is decided what *text* holds.
        """
        tail = text[start:]
        data = encode(tail)
        if len(data) != len(tail) and (fold(tail) is not None or _LONE.search(tail)):
            return None
        if self._sweep.suspects(data):
            return None
        free = self._open.start(tail, data)
        if tail.startswith((" ", "\n"), free):  # what stands before a value is no part of it
            free += 1
        for begun, width in self._custom:
            free = min(free, _before_custom(begun, width, tail, data))
        return start + free


def _begun(pattern: str) -> AtEnd | None:
    """Return what finds a match of *pattern* that the end of a text leaves open, if that can be told."""
    begun = beginnings(pattern)
    try:
        return None if begun is None else AtEnd([[begun]])
    except re2.error:
        return None


def _before_custom(begun: AtEnd | None, width: int, tail: str, data: bytes) -> int:
    """Return where in *tail* a match of at most *width* characters can have begun; a word stays whole."""
    bound = max(0, len(tail) - width)
    if begun is None:
        return tail.rfind(" ", 0, bound) + 1 or bound
    return max(bound, begun.start(tail, data))
