"""Telephone numbers: with a country code, in a national style, or after a word that announces one.

Owns the styles. A number with ``+`` is checked by phonenumbers; national styles are recognised as they are
written, since numbers in tests and letters are often ones that no carrier assigned.
"""

from __future__ import annotations

import re
from typing import Final

from iron_policy.detect.checks import is_phone
from iron_policy.detect.linear import re2_search
from iron_policy.detect.runs import digits_of, ends
from iron_policy.detect.shapes import is_escape, is_word
from iron_policy.verdicts import Finding

_CALL: Final = "(?i:phone|mobile|fax|tel|call|reach|answering|registered|number)"
_LINK: Final = "(?:[ .:#]{1,2}(?i:me|us|at|on|is|no|number)?)"
CALL_GATE: Final = rf"{_CALL}{_LINK}{{1,3}}\d{{2,4}}[ \-]\d{{2,4}}"
"""Words before which seven or eight digits are looked at too."""

PARTIAL: Final = rf"{_CALL}{_LINK}{{0,3}}(?:[a-zA-Z]{{1,6}}|\d{{0,4}}(?:[ \-]\d{{0,4}})?)"
"""RE2 pattern of such a word that the end of a text leaves open."""

CALL_STARTS: Final = "(?i:ph|mo|fa|te|ca|re|an|nu)"

_PLUS: Final = re.compile(r"\+\(?\d{1,3}\)?(?:[ .\-/]{0,2}\(?\d{1,5}\)?){2,6}")
_NANP: Final = re.compile(r"(?:1[ .-]?)?(?:\(\d{3}\) ?|\d{3}([ ./-]) ?)\d{3}(?:\1|[.-])\d{4}")
_PARENTHESES: Final = re.compile(r"\(\d{2,5}\)[ -]?\d{2,4}(?:[ .-]?\d{2,4}){1,3}")
_TRUNK: Final = re.compile(
    r"0[1-9]\d{0,3}(?:[ .\-/]\d{2,4}){2,4}|0[1-9]\d{0,3}[ .\-/]\d{5,8}|0[ -]\(?\d{3}\)?(?:[ .-]\d{2,4}){2,3}|0[15-9]\d{9}"
)
_PAIRED: Final = re.compile(r"[1-9]\d{2}([ -])\d{3}\1\d{2}\1\d{2}")
_LOOSE: Final = re.compile(
    r"\d{10,11}|\d{2,4}(?:[ .\-/]\d{2,4}){2,4}|\d{2,4}[ -]\d{4,6}|\d{3}[ -]\d{2}[ -]\d{3}"
)
_EXTENSION: Final = re.compile(r" ?x ?\d{1,6}")
WORDS: Final = (
    r"phone|\btel\b|telef|telepono|\bt.l\.?\b|\bcall|mobile|\bcell\b|\bfax|\bdesk\b|\breach\b|answering|whatsapp"
    r"|\bsms\b|\btext me|contact|\bdial|handy|m.vil|celular|portable|numero|number is|registered|messages to|\bring\b"
    "|电话|手机|電話|携帯|전화"
)
"""What announces a number, in the line before it."""

announced: Final = re2_search(WORDS)
"""Says whether a text holds one of :data:`WORDS`."""

_LEAST_DIGITS: Final = 7
_MOST_DIGITS: Final = 15
_TRUNK_DIGITS: Final = range(9, 13)


def at(text: str, begin: int, stop: int, *, announced: bool) -> Finding | None:
    """Return the telephone number whose first digit is at *begin*, its ``+`` or ``(`` included.

    Args:
        text: what is searched.
        begin: where a group of digits starts.
        stop: how far the number may reach.
        announced: whether a word before it says that one comes.
    """
    for start in dict.fromkeys((_start(text, begin), begin)):
        for pattern, judge in _STYLES if announced else _PLAIN_STYLES:
            match = pattern.match(text, start, stop)
            if match and _ends(text, match.end()) and judge(text, match.group(), start):
                return Finding("PHONE", start, _extended(text, match.end()), 0.8)
    return None


def _start(text: str, begin: int) -> int:
    """Return where a number whose first digit is at *begin* starts: at its ``+`` or ``(``."""
    start = begin
    for mark in "(+":
        if start and text[start - 1] == mark:
            start -= 1
    return start if start == 0 or not is_word(text[start - 1]) or is_escape(text, start - 1) else begin


def _ends(text: str, end: int) -> bool:
    return ends(text, end) or _EXTENSION.match(text, end, min(len(text), end + 12)) is not None


def _extended(text: str, end: int) -> int:
    tail = _EXTENSION.match(text, end, min(len(text), end + 12))
    return tail.end() if tail and ends(text, tail.end()) else end


def _judge_plus(_text: str, number: str, _start: int) -> bool:
    digits = digits_of(number.replace("(0)", ""))
    return _LEAST_DIGITS <= len(digits) <= _MOST_DIGITS and is_phone(digits)


def _judge_style(_text: str, number: str, _start: int) -> bool:
    return len(set(digits_of(number))) > 1


def _judge_trunk(text: str, number: str, start: int) -> bool:
    amid = start > 1 and text[start - 1] in " -" and (text[start - 2].isdigit() or text[start - 2].isupper())
    return len(digits_of(number)) in _TRUNK_DIGITS and not amid


def _judge_loose(_text: str, number: str, _start: int) -> bool:
    return _LEAST_DIGITS <= len(digits_of(number)) <= _MOST_DIGITS


_PLAIN_STYLES: Final = (
    (_PLUS, _judge_plus),
    (_NANP, _judge_style),
    (_PARENTHESES, _judge_style),
    (_TRUNK, _judge_trunk),
    (_PAIRED, _judge_trunk),
)
_STYLES: Final = (*_PLAIN_STYLES, (_LOOSE, _judge_loose))
