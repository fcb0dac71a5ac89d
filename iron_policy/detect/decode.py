r"""Undo encodings that hide a value: ``%40``, ``\u0040``, ``&#64;``, Base64, ``s p a c e d`` letters.

Owns which piece of a text an encoding belongs to, and its decoded form with places in the original. Only pieces
of at most :data:`LONGEST` characters are decoded: hidden values are short, images are long.
"""

from __future__ import annotations

import binascii
import html
import re
from base64 import b64decode
from typing import Final, NamedTuple

from iron_policy.detect.fold import Folded, substituted

LONGEST: Final = 1536

ATOM: Final = r"!#$%&*+\-./0-9:;=?@A-Z\\^_a-z|~"
"""Characters of a piece, for a class: what ends it can stand in no value without spaces."""

ESCAPE_GATE: Final = (
    r"(?:%[2-7][0-9A-Fa-f]){1,32}|(?:\\u00[2-7][0-9A-Fa-f]|\\x[2-7][0-9A-Fa-f]){1,32}"
    r"|(?:&#(?:x[2-7][0-9A-Fa-f]|[0-9]{2,3});){1,32}"
)
# The last letters that padding can follow, where it ends a word, and how the best-known keys begin when encoded; other runs are hashes and paths.
BASE64_GATE: Final = r"[AEIMQUYcgkosw048]=(?:[\s.,;:)]|$)|[AQgw]==(?:[\s.,;:)\"']|$)|(?:c2st|Z2hw|Z2hv|Z2hzX|Z2l0aHViX3Bhd|QUtJQ|QVNJQ|eG94|QUl6Y|LS0tLS1CRUdJTi|Z2xwYXQt|aHR0cHM6Ly9ob29rc)[A-Za-z0-9+/]{10}"
SPACED_GATE: Final = r"(?: [0-9A-Za-z@+_.\-]){3} "
SPACED_OPEN: Final = r"[!-~](?: {1,3}[!-~])* {0,3}"
"""RE2 pattern of single letters that the end of a text leaves open."""
_LEAST_ENCODED: Final = 12

_DIGITS64: Final = (*"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "+-", "/_")
"""What stands for each six bits."""
_BASE64: Final = "".join(_DIGITS64)
ATOMS: Final = _BASE64 + "!#$%&*.:;=?@\\^|~"
_PIECE: Final = re.compile(f"[{ATOM}]+")
ESCAPED: Final = r"%([2-7][0-9A-Fa-f])|\\u00([2-7][0-9A-Fa-f])|\\x([2-7][0-9A-Fa-f])|(&#(?:[xX][0-9A-Fa-f]{2}|[0-9]{2,3});|&(?:amp|lt|gt|quot|commat|period|lowbar);)"
_ESCAPED: Final = re.compile(ESCAPED)
_RUN: Final = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_WORD: Final = re.compile(r"[!-~]")
_SPACED: Final = re.compile(r"(?:[!-~] {1,3})+[!-~]?")
# A letter, or the middle of the three blanks that one blank becomes.
_KEPT: Final = re.compile(r"[!-~]|(?:  )+ ?")
_PRINTABLE: Final = re.compile(r"[\t\n\r -~]{6,}")
_LEAST_SPACED: Final = 8


def _digits64(*bits: str) -> str:
    """Return a class of what stands for six bits, of which *bits* says how they can begin and end."""
    fitting = [c for at, c in enumerate(_DIGITS64) if any(re.fullmatch(b, f"{at:06b}") for b in bits)]
    return f"[{''.join(fitting)}]".replace("-", r"\-")


def _printable_base64() -> str:
    """Return an RE2 pattern of Base64 that stands for printable ASCII as far as it goes: most words end soon."""
    # The first byte is at least a tab; the second starts in the second digit, the third in the third.
    one, two, three, four = (
        _digits64("0[01]1...", "01....", "00001[01]"),
        _digits64("..0000", "..001.", "..01.."),
        _digits64("....0."),
        _digits64("......"),
    )
    return f"(?:{one}{two}{three}{four})*{one}(?:{two}(?:{three}(?:{four})?)?)?={{0,2}}"


PRINTABLE_BASE64: Final = _printable_base64()


class Piece(NamedTuple):
    """A stretch of a text and what it reads when decoded."""

    start: int
    end: int
    decoded: Folded | str
    """A ``str`` where single places have no origin, as in Base64: then a finding covers the whole stretch."""


def _around(alphabet: str, pattern: re.Pattern[str], text: str, position: int) -> tuple[int, int] | int:
    """Return the stretch of *alphabet* around *position*, or, where it is too long, how far it was seen."""
    window = text[max(0, position - LONGEST) : position]
    start = position - len(window) + len(window.rstrip(alphabet))
    match = pattern.match(text, position, min(len(text), position + LONGEST))
    end = match.end() if match else position + 1
    return end if end - start > LONGEST else (start, end)


def unescape(text: str, position: int) -> Piece | int:
    """Return the decoded piece around the escape at *position*, or where to go on."""
    around = _around(ATOMS, _PIECE, text, position)
    if isinstance(around, int):
        return around
    start, end = around
    changes = [
        (m.start() - start, m.end() - start, _character(m)) for m in _ESCAPED.finditer(text, start, end)
    ]
    return Piece(start, end, substituted(text[start:end], changes))


def _character(match: re.Match[str]) -> str:
    digits = match.group(1) or match.group(2) or match.group(3)
    return chr(int(digits, 16)) if digits else html.unescape(match.group())[:1]


def debase64(text: str, position: int) -> Piece | int:
    """Return the decoded Base64 around *position*, or where to go on."""
    around = _around(_BASE64, _RUN, text, position)
    if isinstance(around, int):
        return around
    start, end = around
    if end - start < _LEAST_ENCODED:
        return end
    value = text[start:end].rstrip("=").replace("-", "+").replace("_", "/")
    try:
        decoded = b64decode(value + "=" * (-len(value) % 4)).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return end
    return Piece(start, end, decoded) if _PRINTABLE.fullmatch(decoded) else end


def unspace(text: str, position: int) -> Piece | int:
    """Return the run of single letters around *position*, closed up, or where to go on."""
    alone = (
        position > 0 and (position == 1 or text[position - 2].isspace()) and _WORD.match(text, position - 1)
    )
    start = position - 1 if alone else position + 1
    match = _SPACED.match(text, start, min(len(text), start + LONGEST))
    end = match.end() if match else start
    if end < len(text) and _WORD.match(text, end):
        end -= 1
    run = text[start:end].rstrip(" ")
    end = start + len(run)
    kept = [m.start() for m in _KEPT.finditer(run)] if "  " in run else list(range(0, len(run), 2))
    if len(kept) < _LEAST_SPACED:
        return max(end, position + 1)
    letters = "".join([run[at] for at in kept])
    return Piece(start, end, Folded(letters, range(len(kept)), kept, [1] * len(kept)))
