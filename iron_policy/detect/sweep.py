"""One pass over a text in plain characters: the gate, the closer look, the decoding.

Owns how candidates come about, overlaps included. Knows nothing of folding, precedence or streams.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from iron_policy.detect.addresses import BACK, look_bitcoin, look_email
from iron_policy.detect.decode import (
    BASE64_GATE,
    ESCAPE_GATE,
    SPACED_GATE,
    Piece,
    debase64,
    unescape,
    unspace,
)
from iron_policy.detect.fold import Folded
from iron_policy.detect.gate import Gate
from iron_policy.detect.kinds import SECRETS, rank_of
from iron_policy.detect.linear import before, encode, linear
from iron_policy.detect.overlap import settle
from iron_policy.detect.places import Places
from iron_policy.verdicts import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from iron_policy.detect.linear import Pattern

_DECODERS: Final = (
    (ESCAPE_GATE, r"[%\\&]", unescape),
    (BASE64_GATE, ".=|c2|Z2|QU|QV|eG|LS|aH", debase64),
    (SPACED_GATE, " ", unspace),
)
"""What the gate looks for, what that starts with, and what undoes it."""
_CERTAIN: Final = frozenset(SECRETS) - {"GENERIC_SECRET", "BASIC_AUTH_URL"}
"""Kinds inside whose values nothing else is looked for."""
_ENCODED: Final = re.compile("|".join(start for _, start, _ in _DECODERS))
_SWALLOWING: Final = re.compile(r"(?:[a-z:-]|[A-Z][^\d])[^=:?\s]*[=:?\s]")
"""How matches of the gate begin that reach over the start of a value."""
_AHEAD: Final = 64
_SHORT: Final = 6
"""A match of this length swallows nothing."""
_MOST_SWALLOWED: Final = 6


class Sweep:
    """Finds candidates. Immutable but for caches that any thread may fill.

    Args:
        kinds: what is wanted of the built-in kinds.
        custom: compiled patterns of further kinds.
    """

    def __init__(self, kinds: frozenset[str], custom: tuple[tuple[str, Pattern], ...]) -> None:
        plain = Gate(kinds)
        self._look = plain.look
        self._plain = linear(plain.pattern)
        self._gate = linear(Gate(kinds, [gate for gate, _, _ in _DECODERS] if kinds else []).pattern)
        self._decoders = tuple((re.compile(gate), decode) for gate, _, decode in _DECODERS)
        self._custom = custom
        self._wanted = kinds | {kind for kind, _ in custom}

    def suspects(self, data: bytes) -> bool:
        """Say whether anything in *data*, a text in UTF-8 and plain characters, deserves a closer look."""
        if self._gate.search(data) is not None:
            return True
        return bool(self._custom) and any(pattern.search(data) is not None for _, pattern in self._custom)

    def candidates(self, text: str, start: int, frontier: int) -> tuple[list[Finding], list[tuple[int, int]]]:
        """Return what starts in ``text[start:frontier]``, and the stretches that only make sense whole."""
        data = encode(text)
        begin = start if not start or len(data) == len(text) else len(encode(text[:start]))
        # Most texts hold nothing, so what they cost is what governance costs: one search, and nothing prepared.
        hit = self._gate.search(data, begin)
        found, whole = ([], []) if hit is None else self._gated(text, data, hit.span()[0], frontier)
        if self._custom:
            found += self._customs(text, data, begin)
        return [finding for finding in found if finding.kind in self._wanted] if found else found, whole

    def _gated(
        self, text: str, data: bytes, first_hit: int, frontier: int
    ) -> tuple[list[Finding], list[tuple[int, int]]]:
        """Look closer at every match of the gate, the first of which is at byte *first_hit*."""
        places = Places(text, data)
        found: list[Finding] = []
        whole: list[tuple[int, int]] = []
        seen = [0] * len(self._decoders)
        certain = 0
        for match in self._gate.finditer(data, first_hit):
            first, last = match.span()
            begin, end = places.character(first), places.character(last)
            if begin >= frontier + BACK:
                break
            if end <= certain:
                continue
            near = self._near(text, data, (first, last), (begin, end))
            if _ENCODED.match(text, begin):
                near += self._decoded(text, begin, seen)
            if near:
                found += near
                begin, end = min([begin, *(f.start for f in near)]), max([end, *(f.end for f in near)])
                certain = max(
                    [certain, *(f.end for f in near if f.kind in _CERTAIN and f.kind in self._wanted)]
                )
            whole.append((begin, end))
        return found, whole

    def _near(self, text: str, data: bytes, span: tuple[int, int], place: tuple[int, int]) -> list[Finding]:
        """Return what the gate's match at *span* (in bytes) and *place* (in characters) leads to."""
        begin, end = place
        found: list[Finding] = []
        # The match took the character by which the gate knows what comes behind.
        if text.startswith("@", end):
            found += look_email(text, end - 1, end + 1)
        elif text[end - 1] in "13":
            found += look_bitcoin(text, end - 1, end)
        if text[begin:end].isdigit():
            return found if text[begin - 1 : begin].isdigit() else found + self._look(text, begin, end)
        found += self._look(text, begin, end)
        if end - begin > _SHORT and _SWALLOWING.match(text, begin, end):
            found += self._swallowed(text, data, span, begin)
        return found

    def _swallowed(self, text: str, data: bytes, span: tuple[int, int], begin: int) -> Iterator[Finding]:
        """Yield what the first few matches inside a match lead to that reaches over the starts of values."""
        first, last = span
        for _ in range(_MOST_SWALLOWED):
            match = next(self._plain.finditer(data, first + 1, min(len(data), last + _AHEAD)), None)
            if match is None or match.span()[0] >= last:
                return
            inner_first, inner_last = match.span()
            begin += _length(data, first, inner_first)
            yield from self._look(text, begin, begin + _length(data, inner_first, inner_last))
            first = inner_first

    def _decoded(self, text: str, begin: int, seen: list[int]) -> list[Finding]:
        """Return what an encoding at *begin* hides; *seen* says how far each has been undone."""
        found: list[Finding] = []
        for which, (gate, decode) in enumerate(self._decoders):
            if begin >= seen[which] and gate.match(text, begin):
                piece = decode(text, begin)
                seen[which] = piece.end if isinstance(piece, Piece) else piece
                found += self._in_piece(text, piece) if isinstance(piece, Piece) else ()
        return found

    def _in_piece(self, text: str, piece: Piece) -> Iterator[Finding]:
        """Yield what only the decoded form of *piece* shows."""
        words = before(text, piece.start)
        decoded = piece.decoded
        body = words + (decoded if isinstance(decoded, str) else decoded.text)
        inner = [f for f in settle(body, self._plainly(body)) if f.start >= len(words)]
        if isinstance(decoded, Folded):
            yield from _placed(piece.start, decoded, inner, len(words))
        elif inner:
            best = max(inner, key=lambda finding: rank_of(finding.kind))
            yield Finding(best.kind, piece.start, piece.end, best.score)

    def _plainly(self, text: str) -> list[Finding]:
        data = encode(text)
        places = Places(text, data)
        found: list[Finding] = []
        for match in self._plain.finditer(data):
            first, last = match.span()
            begin, end = places.character(first), places.character(last)
            found += self._near(text, data, (first, last), (begin, end))
        return [finding for finding in found if finding.kind in self._wanted]

    def _customs(self, text: str, data: bytes, begin: int) -> list[Finding]:
        """Return what the custom patterns find from byte *begin* on."""
        found: list[Finding] = []
        for kind, pattern in self._custom:
            places: Places | None = None
            for match in pattern.finditer(data, begin):
                first, last = match.span()
                if last > first:
                    places = places or Places(text, data)
                    found.append(Finding(kind, places.character(first), places.character(last)))
        return found


def _length(data: bytes, first: int, last: int) -> int:
    return len(data[first:last].decode("utf-8", "surrogatepass"))


def _placed(start: int, decoded: Folded, inner: list[Finding], offset: int) -> Iterator[Finding]:
    for finding in inner:
        first, last = finding.start - offset, finding.end - offset
        if decoded.changed(first, last):
            begin, end = decoded.span(first, last)
            yield finding._replace(start=start + begin, end=start + end)
