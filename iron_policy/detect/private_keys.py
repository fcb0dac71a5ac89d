"""Private keys in PEM armour.

Owns where such a block ends, also where it is cut off, flattened into one line or escaped into JSON. A block is
reported in pieces of at most :data:`PIECE` characters, so that a stream can be judged without holding all of it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from iron_policy.verdicts import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE: Final = 7000
"""The most characters of one finding; an armoured RSA key of 8192 bits has 6400."""

GATE: Final = r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
_DASHES: Final = "-----"
_OPENING: Final = "-----BEGIN"
_BEGIN: Final = re.compile(GATE)
_END: Final = re.compile(r"-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_BODY: Final = re.compile(r"(?:[A-Za-z0-9+/=]|\s|\\+[nr])*")
_REAL: Final = re.compile(r"[A-Za-z0-9+/=]{24}")


def look(text: str, start: int, end: int) -> Iterator[Finding]:
    """Yield the block that starts with the armour line in ``text[start:end]``, in pieces."""
    if not text.startswith(_OPENING, start):
        return
    stop = min(len(text), start + PIECE)
    closing = _END.search(text, end, stop)
    if closing:
        if _REAL.search(text, end, closing.start()):
            yield Finding("PRIVATE_KEY", start, closing.end())
        return
    body = _BODY.match(text, end, stop)
    last = body.end() if body else end
    if _REAL.search(text, end, last):
        yield Finding("PRIVATE_KEY", start, last)
        if last == start + PIECE:
            yield from go_on(text, last)


def go_on(text: str, start: int) -> Iterator[Finding]:
    """Yield the pieces of a block that has filled one piece and goes on at *start*."""
    while True:
        stop = min(len(text), start + PIECE)
        body = _BODY.match(text, start, stop)
        last = body.end() if body else start
        closing = _END.match(text, last, stop)
        last = closing.end() if closing else last
        if last > start:
            yield Finding("PRIVATE_KEY", start, last)
        if closing or last < start + PIECE:
            return
        start = last


_CLOSING_LENGTH: Final = 64


def decided_to(text: str, start: int, frontier: int, *, in_key: bool) -> tuple[int, bool]:
    """Return how far *text* is decided as far as blocks go, and whether one goes on there.

    Args:
        text: what has come so far.
        start: where the undecided rest starts.
        frontier: how far everything else is decided.
        in_key: whether a block that filled one piece goes on at *start*.
    """
    place = floor = start
    while True:
        if in_key:
            last = _decided_piece(text, place)
            if last is None:
                return place, True
            floor = last
        else:
            opening = _BEGIN.search(text, place) if text.find(_OPENING, place) >= 0 else None
            if opening is None:
                return max(frontier, floor), False
            place = opening.start()
            last = _decided_block(text, opening)
            if last is None:
                return max(min(frontier, place), floor), False
        in_key = last == place + PIECE and not text.endswith(_DASHES, place, last)
        floor = last if in_key else floor
        place = last


def _decided_block(text: str, opening: re.Match[str]) -> int | None:
    """Return where the first piece of a block ends, ``None`` while that is open."""
    stop = opening.start() + PIECE
    closing = _END.search(text, opening.end(), min(len(text), stop))
    if closing:
        return closing.end()
    if len(text) < stop:
        return None
    body = _BODY.match(text, opening.end(), stop)
    return body.end() if body else opening.end()


def _decided_piece(text: str, start: int) -> int | None:
    """Return where a further piece of a block ends, ``None`` while that is open."""
    stop = start + PIECE
    body = _BODY.match(text, start, min(len(text), stop))
    last = body.end() if body else start
    if last < stop and len(text) < min(last + _CLOSING_LENGTH, stop):
        return None
    closing = _END.match(text, last, min(len(text), stop))
    return closing.end() if closing else last
