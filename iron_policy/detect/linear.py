"""How this package calls google-re2: on bytes, without captures, with a bound on memory.

Owns the options. Given ``str``, google-re2 encodes the text anew on every call and counts characters in
Python; given bytes it does neither. Knows no pattern.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import re2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Protocol

    class Match(Protocol):
        """What a search of bytes yields."""

        def span(self, group: int = 0, /) -> tuple[int, int]:
            """Return the start and the end, in bytes."""

    class Pattern(Protocol):
        """A compiled pattern on bytes."""

        def finditer(self, text: bytes, pos: int = 0, endpos: int | None = None, /) -> Iterator[Match]:
            """Yield matches that do not overlap."""

        def search(self, text: bytes, pos: int = 0, /) -> Match | None:
            """Return the first match from *pos* on."""


CONTEXT: Final = 64
"""How many characters before a value are read for words that say what it is."""

_MAX_MEMORY_BYTES: Final = 16 << 20
"""RE2 keeps the states that it has met, up to here: a third for searching forwards, a third for backwards. With 10 MiB
the gate's own do not fit, and varied prose and code takes five times as long."""
_MAX_MEMORY_AT_END_BYTES: Final = 6 << 20
"""A third of it is used. RE2 runs no automaton at all, and takes twenty times as long, where there is no room for twenty
states of four bytes for each instruction of a pattern's program: about 8,000 here."""


def linear(
    pattern: str, *, case_sensitive: bool = True, max_memory_bytes: int = _MAX_MEMORY_BYTES
) -> Pattern:
    """Compile *pattern* for UTF-8 bytes; raises ``re2.error`` where RE2 cannot."""
    options = re2.Options()
    options.never_capture = True
    options.log_errors = False
    options.max_mem = max_memory_bytes
    options.case_sensitive = case_sensitive
    return cast("Pattern", re2.compile(pattern.encode(), options))


class AtEnd:
    """Finds, at the end of a text, where the longest match of any pattern begins.

    RE2 reads such a pattern from the end backwards, if one ``$`` ends all of it, and stops where nothing can match.

    Args:
        groups: of patterns, each group an automaton of its own: in one for all, the states of patterns that go on for
            long would multiply.

    Raises:
        re2.error: RE2 takes one of the patterns not.
    """

    def __init__(self, groups: Iterable[Iterable[str]]) -> None:
        self._searches = tuple(_ending(group).search for group in groups)

    def start(self, text: str, data: bytes) -> int:
        """Return where that match begins in *text*, which is *data* in UTF-8; without one, where *text* ends."""
        first = length = len(data)
        for search in self._searches:
            match = search(data)
            if match is not None and (found := match.span()[0]) < first:
                first = found
        return first if length == len(text) else len(data[:first].decode("utf-8", "surrogatepass"))


def _ending(patterns: Iterable[str]) -> Pattern:
    whole = "|".join(f"(?:{pattern})" for pattern in patterns)
    return linear(f"(?:{whole})$", max_memory_bytes=_MAX_MEMORY_AT_END_BYTES)


def re2_search(words: str) -> Callable[[str], bool]:
    """Return a test whether one of *words* (an alternation, in any case) stands in a text."""
    search = linear(words, case_sensitive=False).search
    return lambda text: search(encode(text)) is not None


def encode(text: str) -> bytes:
    """Return *text* as UTF-8; lone surrogates, which JSON can smuggle in, are kept."""
    return text.encode("utf-8", "surrogatepass")


def before(text: str, place: int) -> str:
    """Return the characters before *place* that may hold words on what stands there."""
    return text[max(0, place - CONTEXT) : place]
