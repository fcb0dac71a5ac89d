"""Find every kind in a text.

Owns the order of the steps: write plainly, gate, look closer, decode what is encoded, settle overlaps. Pure; knows
no policy action.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import re2

from iron_policy.detect import private_keys
from iron_policy.detect.addresses import BACK
from iron_policy.detect.decode import BASE64_GATE, ESCAPE_GATE, SPACED_GATE, Piece, debase64, unescape, unspace
from iron_policy.detect.fold import Folded, fold
from iron_policy.detect.gate import Gate
from iron_policy.detect.holding import LONGEST_OPEN, Holding
from iron_policy.detect.kinds import DEFAULT_KINDS, INJECTION, KINDS, rank_of
from iron_policy.detect.linear import CONTEXT, encode, linear
from iron_policy.detect.overlap import settle
from iron_policy.detect.widths import widest
from iron_policy.exceptions import PolicyError
from iron_policy.verdicts import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from iron_policy.detect.linear import Pattern

LOOKBACK: Final = 256
"""How many characters before a place any decision about it reads at most."""

_RESCAN_LENGTH: Final = 8
_RESCAN_AHEAD: Final = 64
_SWALLOWING: Final = re.compile(r"[^\d][^=:?\s]*[=:?\s]")
"""How matches of the gate begin that reach over the start of a value."""
_DECODERS: Final = ((ESCAPE_GATE, unescape), (BASE64_GATE, debase64), (SPACED_GATE, unspace))


class Advance(NamedTuple):
    """What can be said of a text that goes on."""

    findings: list[Finding]
    """Decided, from the start asked for up to :attr:`frontier`."""
    frontier: int
    """What lies before it is decided whatever follows."""
    in_key: bool
    """True where a private key block goes on at the frontier."""


class Scanner:
    """Finds the wanted kinds in texts. Immutable, so that any number of threads may share it.

    Args:
        kinds: names out of :data:`~iron_policy.detect.KINDS`.
        custom: further kinds as ``(kind, pattern)``, in RE2's syntax; a pattern may match 256 characters.

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
        self._custom = tuple((kind, _compiled(kind, pattern)) for kind, pattern in self.custom)
        plain = Gate(self.kinds)
        self._look = plain.look
        self._plain = linear(plain.pattern)
        decoders = [gate for gate, _ in _DECODERS] if self.kinds else []
        self._gate = linear(Gate(self.kinds, decoders).pattern)
        self._decoders = tuple((re.compile(gate), decode) for gate, decode in _DECODERS)
        self._wanted = self.kinds | {kind for kind, _ in self.custom}
        widths = [widest(pattern) + 1 for _, pattern in self.custom]
        self._holding = Holding(injection_wanted=INJECTION in self.kinds, custom_width=max(widths, default=0))

    def scan(self, text: str) -> list[Finding]:
        """Return what *text* holds, in order of place, without overlaps; offsets are in code points."""
        return self.advance(text, 0, final=True).findings

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
        findings = [f._replace(start=s, end=e) for f in plain.findings for s, e in (folded.span(f.start, f.end),)]
        frontier = len(text) if plain.frontier == len(folded.text) and final else folded.origin(plain.frontier)
        return Advance(findings, frontier, plain.in_key)

    def _advance(self, text: str, start: int, *, final: bool, in_key: bool) -> Advance:
        frontier = len(text)
        if not final:
            frontier = self._holding.open_from(text, start)
            frontier, key_goes_on = private_keys.decided_to(text, start, frontier, in_key=in_key)
            if frontier <= start:
                return Advance([], start, in_key)
        else:
            key_goes_on = False
        found = list(private_keys.go_on(text, start)) if in_key else []
        found += self._found(text, start, frontier)
        findings = settle(text, [finding for finding in found if finding.kind in self._wanted])
        for finding in reversed(findings):
            if finding.start < frontier < finding.end:
                frontier, key_goes_on = finding.start, False
        decided = [finding for finding in findings if start <= finding.start and finding.end <= frontier]
        return Advance(decided, frontier, key_goes_on)

    def _found(self, text: str, start: int, frontier: int) -> list[Finding]:
        """Return every candidate that starts in ``text[start:frontier]``, overlaps included."""
        data = encode(text)
        places = _Places(text, data)
        found: list[Finding] = []
        seen = [0] * len(self._decoders)
        for match in self._gate.finditer(data, places.byte(start)):
            first, last = match.span()
            begin, end = places.character(first), places.character(last)
            if begin >= frontier + BACK:
                break
            hit = text[begin:end]
            if hit.isdigit() and text[begin - 1 : begin].isdigit():
                continue
            found += self._look(text, begin, end)
            if end - begin > _RESCAN_LENGTH and _SWALLOWING.match(hit):
                found += self._rescanned(text, data, first, last, begin)
            for which, (gate, decode) in enumerate(self._decoders):
                if begin >= seen[which] and gate.match(text, begin):
                    piece = decode(text, begin)
                    seen[which] = piece.end if isinstance(piece, Piece) else piece
                    found += self._decoded(text, piece) if isinstance(piece, Piece) else ()
        for kind, pattern in self._custom:
            found += _matches(kind, pattern, data, places, start)
        return found

    def _rescanned(self, text: str, data: bytes, first: int, last: int, begin: int) -> Iterator[Finding]:
        """Yield what starts inside a long match of the gate, which swallows the starts of others."""
        for match in self._plain.finditer(data, first + 1, min(len(data), last + _RESCAN_AHEAD)):
            inner_first, inner_last = match.span()
            if inner_first >= last:
                return
            inner = begin + len(data[first:inner_first].decode("utf-8", "surrogatepass"))
            yield from self._look(text, inner, inner + len(data[inner_first:inner_last].decode("utf-8", "surrogatepass")))

    def _decoded(self, text: str, piece: Piece) -> Iterator[Finding]:
        """Yield what *piece* holds that only its decoded form shows."""
        before = text[max(0, piece.start - CONTEXT) : piece.start]
        decoded = piece.decoded
        body = before + (decoded if isinstance(decoded, str) else decoded.text)
        candidates = [f for f in self._plain_found(body) if f.kind in self._wanted]
        inner = [f for f in settle(body, candidates) if f.start >= len(before)]
        if isinstance(decoded, Folded):
            yield from _mapped(piece.start, decoded, inner, len(before))
        elif inner:
            best = max(inner, key=lambda finding: rank_of(finding.kind))
            yield Finding(best.kind, piece.start, piece.end, best.score)

    def _plain_found(self, text: str) -> Iterator[Finding]:
        data = encode(text)
        places = _Places(text, data)
        for match in self._plain.finditer(data):
            first, last = match.span()
            begin, end = places.character(first), places.character(last)
            yield from self._look(text, begin, end)
            if end - begin > _RESCAN_LENGTH and _SWALLOWING.match(text, begin, end):
                yield from self._rescanned(text, data, first, last, begin)


class _Places:
    """Turns offsets in bytes into offsets in characters, in one pass, if asked in rising order."""

    __slots__ = ("_ascii", "_byte", "_character", "_data", "_text")

    def __init__(self, text: str, data: bytes) -> None:
        self._ascii = len(text) == len(data)
        self._data = data
        self._text = text
        self._byte = self._character = 0

    def byte(self, character: int) -> int:
        """Return where *character* starts, in bytes; to be asked first."""
        if self._ascii:
            return character
        self._byte, self._character = len(encode(self._text[:character])), character
        return self._byte

    def character(self, byte: int) -> int:
        """Return which character starts at *byte*."""
        if self._ascii:
            return byte
        if byte >= self._byte:
            self._character += len(self._data[self._byte : byte].decode("utf-8", "surrogatepass"))
        else:
            self._character -= len(self._data[byte : self._byte].decode("utf-8", "surrogatepass"))
        self._byte = byte
        return self._character


def _mapped(start: int, decoded: Folded, inner: list[Finding], offset: int) -> Iterator[Finding]:
    for finding in inner:
        first, last = finding.start - offset, finding.end - offset
        if decoded.changed(first, last):
            begin, end = decoded.span(first, last)
            yield finding._replace(start=start + begin, end=start + end)


def _matches(kind: str, pattern: Pattern, data: bytes, places: _Places, start: int) -> Iterator[Finding]:
    for match in pattern.finditer(data, places.byte(start)):
        first, last = match.span()
        if last > first:
            yield Finding(kind, places.character(first), places.character(last))


def _compiled(kind: str, pattern: str) -> Pattern:
    try:
        return linear(pattern)
    except re2.error as fault:
        raise PolicyError(
            f"the pattern of kind {kind!r} is not one RE2 takes ({fault}); look-around and backreferences are not: {pattern!r}"
        ) from fault
