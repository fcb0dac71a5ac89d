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
"""RE2 keeps the states that it has met, up to here. With 8 MiB the gate's own do not fit, and every text costs 40 % more;
with 48 they were no faster, and a process still grew after 50,000 different ones."""
_MAX_MEMORY_AT_END_BYTES: Final = 16 << 20
"""Every other stream brings states that no other has, so that this fills up slowly. With 8 MiB, and every kind kept
back, a piece of five letters took 0.5 ms instead of 0.02."""


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


def at_end(patterns: Iterable[str]) -> Pattern:
    """Compile what finds, at the end of a text, where the longest match of one of *patterns* begins.

    RE2 reads such a pattern from the end backwards, if one ``$`` ends all of it, and stops where nothing can match.
    """
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
