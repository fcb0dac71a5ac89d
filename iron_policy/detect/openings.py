r"""How values begin, kind by kind: what a text can end in while a value of that kind is still coming.

Owns RE2 patterns for each kind. At the end of a text that stops inside of a value, one of them matches from the
value's first character on, or from before it. They are drawn from what finds the values, and say more where that
is shorter, never less. Knows nothing of streams.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from iron_policy.detect import assignments, injection, private_keys
from iron_policy.detect.addresses import SCHEMES
from iron_policy.detect.beginnings import beginnings
from iron_policy.detect.decode import ATOM, ESCAPED, PRINTABLE_BASE64, SPACED_OPEN
from iron_policy.detect.gate import AZURE_MARK, TERRAFORM_MARK
from iron_policy.detect.kinds import INJECTION
from iron_policy.detect.patterns_secrets import SHAPES
from iron_policy.detect.shapes import literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_CLEAN: Final = r"(?:\b|_|\\[nrtbf])"
"""What ``starts_clean`` lets stand before a value."""

_HIDDEN: Final = (
    rf"[{ATOM}]*(?:{beginnings(ESCAPED)})",
    rf"(?:^|[^A-Za-z0-9+/_\-]){PRINTABLE_BASE64}",
)
"""How encodings begin that may hide a value of any kind."""

_DIGITS: Final = r"[0-9][0-9 .\-/:()]*"
_HEXES: Final = rf"(?:{_CLEAN}|[^A-Za-z0-9])[0-9A-Fa-f:]"
_BEHIND_SCHEME: Final = rf"://[!#-&*+\-.;=?A-Z^_a-z0-9~]*(?::[{ATOM}]*)?|:/?"

_OPENINGS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "EMAIL": (r"[A-Za-z0-9._%+\-]+(?:@[A-Za-z0-9.\-]*)?",),
        "PHONE": (r"[0-9+(][0-9+()./:x \-]*",),
        "CREDIT_CARD": (_DIGITS,),
        "US_SSN": (_DIGITS,),
        "BANK_ACCOUNT": (_DIGITS,),
        "NATIONAL_ID": (r"[A-Z0-9][A-Z0-9+()./:x \-]*[A-Za-z]?",),
        "IBAN": (rf"{_CLEAN}(?:[A-Z]{{1,2}}(?:[0-9][A-Z0-9 \-]*)?|[a-z]{{1,2}}(?:[0-9][a-z0-9]*)?)",),
        "IP_ADDRESS": (r"[0-9][0-9./]*", rf"{_HEXES}[0-9A-Fa-f:.]*(?:%[A-Za-z0-9]*)?(?:/[0-9]*)?"),
        "MAC_ADDRESS": (rf"{_HEXES}[0-9A-Fa-f:.\-]*",),
        "CRYPTO": (rf"{_CLEAN}(?:[13][A-Za-z0-9]*|b|B|bc|BC|(?:bc1|BC1)[A-Za-z0-9]*|0|0x[0-9A-Fa-f]*)",),
        "URL": (rf"{_CLEAN}(?:{beginnings('https?://|ftp://')}|(?:https?|ftp)://[!-~]*)",),
        "AZURE_KEY": (f"{beginnings(AZURE_MARK)}",),
        "HASHICORP_TOKEN": (rf"{_CLEAN}[A-Za-z0-9]{{14}}{beginnings(TERRAFORM_MARK)}",),
        "TELEGRAM_TOKEN": (r"[0-9]{1,10}(?::[A-Za-z0-9_\-]*)?",),
        "OTHER_API_KEY": (
            r"[0-9]{1,16}(?:\|[A-Za-z0-9_\-]*)?",
            rf"{_CLEAN}[0-9a-f]{{1,32}}(?:{beginnings('-us[0-9]{2}')})?",
            rf"{_CLEAN}[MNO](?:[DTjz][A-Za-z0-9_.\-]*)?",
        ),
        "PRIVATE_KEY": (f"{beginnings(private_keys.GATE)}",),
        "BASIC_AUTH_URL": (
            rf"{_CLEAN}(?i:{beginnings(SCHEMES)})",
            rf"{_CLEAN}(?i:{SCHEMES})(?:[+][A-Za-z0-9+]{{0,24}})?(?:{_BEHIND_SCHEME})?",
            _BEHIND_SCHEME,
        ),
        "GENERIC_SECRET": (assignments.STARTED,),
        "INJECTION": (
            injection.PARTIAL,
            *(rf"{_CLEAN}(?i:{beginnings(phrase.opening)})" for phrase in injection.PHRASES),
        ),
    }
)

_HEADS: Final[Mapping[str, str]] = MappingProxyType(
    {"AZURE_KEY": AZURE_MARK, "HASHICORP_TOKEN": rf"{_CLEAN}[A-Za-z0-9]{{14}}{TERRAFORM_MARK}"}
)
"""Beginnings behind which any character of a piece may stand."""
_ESCAPED_PIECE: Final = f"[{ATOM}]*(?:{ESCAPED})"


_FAR: Final = ("GENERIC_SECRET",)
_PHRASES: Final = (INJECTION,)


def openings(kinds: Collection[str]) -> list[list[str]]:
    """Return the patterns of *kinds*, built-in ones, in groups that each make a small automaton; none for none.

    Apart stands what is told by what begins a word, by what its characters are however far back, and by several words:
    in one automaton the states of the one would multiply those of the other.
    """
    if not kinds:
        return []
    phrases = _of(_PHRASES, kinds)
    return [_near(kinds), _far(kinds), *([phrases] if phrases else [])]


def _of(some: Iterable[str], kinds: Collection[str]) -> list[str]:
    return [pattern for kind in some if kind in kinds for pattern in _OPENINGS[kind]]


def _near(kinds: Collection[str]) -> list[str]:
    """Return the patterns that are decided within a word or a number."""
    patterns = _of((kind for kind in _OPENINGS if kind not in {*_FAR, *_PHRASES}), kinds)
    shapes = [shape for shape in SHAPES if shape.kind in kinds]
    if shapes:
        patterns.append(_CLEAN + f"(?:{beginnings('|'.join(literal(shape.leads) for shape in shapes))})")
    return [*patterns, rf"(?:^|[^!-~]){SPACED_OPEN}"]


def _far(kinds: Collection[str]) -> list[str]:
    """Return the patterns that read a piece of any length to its beginning, and what stands before it."""
    heads = [rf"{_CLEAN}(?:{literal(shape.leads)}){shape.opening}" for shape in SHAPES if shape.kind in kinds]
    heads += [head for kind, head in _HEADS.items() if kind in kinds]
    # One repetition for all: each by itself would multiply the states of the automaton.
    return [*_HIDDEN, *_of(_FAR, kinds), rf"(?:{'|'.join([_ESCAPED_PIECE, *heads])})[{ATOM}]*"]
