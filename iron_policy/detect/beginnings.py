r"""What the beginnings of a pattern's matches look like.

Owns the reading of RE2's syntax that this needs. What stands around a match, such as ``\b``, is left out, so that
more may pass for a beginning than is one, never less.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from iron_policy.detect.widths import COUNT, TOKEN, ZERO_WIDTH

_UNREAD: Final = frozenset({r"\Q", r"\E", r"\C"})
_LONGEST: Final = 20_000


class _Part(NamedTuple):
    """A piece of a pattern, and what the beginnings of its matches look like."""

    whole: str
    begun: str


def beginnings(pattern: str) -> str | None:
    """Return a pattern of all that a match of *pattern* can begin with, from its first character to all of it.

    ``None`` stands for a pattern that this does not read: one with flags in its middle, or a very long one.
    """
    flags, lexemes = "", [_nameless(lexeme) for lexeme in TOKEN.findall(pattern)]
    if lexemes and _sets_flags(lexemes[0]):
        flags = lexemes.pop(0)
    if any(lexeme in _UNREAD or _sets_flags(lexeme) for lexeme in lexemes):
        return None
    begun, end = _branches(lexemes, 0)
    return f"(?:{flags}{begun})" if end == len(lexemes) and len(begun) < _LONGEST else None


def _nameless(lexeme: str) -> str:
    """Return *lexeme* without the name of a group: the result repeats groups, and names may not repeat."""
    return "(?:" if lexeme == "(" or lexeme.startswith(("(?P<", "(?<")) else lexeme


def _sets_flags(lexeme: str) -> bool:
    return lexeme.startswith("(?") and lexeme.endswith(")")


def _branches(lexemes: list[str], at: int) -> tuple[str, int]:
    """Return the beginnings of the group whose inside starts at *at*, and where it ends."""
    branches: list[list[_Part]] = [[]]
    while at < len(lexemes) and lexemes[at] != ")":
        if lexemes[at] == "|":
            branches.append([])
            at += 1
        else:
            part, at = _part(lexemes, at)
            branches[-1].append(part)
    return "|".join(_sequence(parts) for parts in branches), at


def _sequence(parts: list[_Part]) -> str:
    """Return the beginnings of *parts* one behind the other: of the first, or the first and one of the rest."""
    begun = ""
    for part in reversed(parts):
        rest = f"(?:{begun})?" if begun else ""
        begun = f"{part.whole}{rest}" if part.begun == part.whole else f"{part.begun}|{part.whole}{rest}"
    return begun


def _part(lexemes: list[str], at: int) -> tuple[_Part, int]:
    start, lexeme = at, lexemes[at]
    if lexeme.startswith("("):
        inside, at = _branches(lexemes, at + 1)
        atom = _Part("".join(lexemes[start : at + 1]), f"{lexeme}{inside})")
    else:
        atom = _Part("", "") if lexeme in ZERO_WIDTH else _Part(lexeme, lexeme)
    return _repeated(atom, lexemes, at + 1)


def _repeated(atom: _Part, lexemes: list[str], at: int) -> tuple[_Part, int]:
    """Return *atom* as often as what stands at *at* says, and what comes behind that."""
    if at >= len(lexemes):
        return atom, at
    end, before = at + 1, "*"
    if lexemes[at] == "{" and (count := COUNT.match("".join(lexemes[at : at + 12]))):
        end = at + len(count.group())
        least, comma, most = count.groups()
        times = int(most or least)
        before = "*" if comma and not most else f"{{0,{max(times - 1, 0)}}}"
    elif lexemes[at] == "?":
        before = "{0,0}"
    elif lexemes[at] not in {"*", "+"}:
        return atom, at
    sign = "".join(lexemes[at:end])
    end += end < len(lexemes) and lexemes[end] == "?"
    if not atom.whole:
        return atom, end
    repeated = f"(?:{atom.whole}){before}(?:{atom.begun})" if before != "{0,0}" else f"(?:{atom.begun})"
    return _repeated(_Part(f"(?:{atom.whole}){sign}", repeated), lexemes, end)
