"""Numbers that identify a person or an account: cards, social security, telephones, national identifiers.

Owns the reading of a run of digits. Every decision depends on at most 64 characters before a group of digits
and 40 behind it, so that a text and its streamed pieces are judged alike.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from iron_policy.detect.checks import is_card, is_ipv4, is_phone
from iron_policy.detect.linear import CONTEXT, re2_search
from iron_policy.detect.national import NUMERIC
from iron_policy.detect.shapes import is_escape, is_word
from iron_policy.verdicts import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

REACH: Final = 40
"""The longest number looked for, in characters."""

_GROUP: Final = re.compile(r"\d+")
_CARD: Final = re.compile(
    r"\d{12,19}|\d{4}(?:[ .-]{1,2}\d{4}){3}(?:[ .-]\d{1,3})?|\d{4}[ .-]\d{6}[ .-]\d{4,5}|\d{4}[ .-]\d{4}[ .-]\d{4}[ .-]?\d{1,3}"
)
_SSN: Final = re.compile(r"\d{3}([- .])\d{2}\1\d{4}")
_BARE_SSN: Final = re.compile(r"\d{9}|\d{3}[ .-]\d{2}[ .-]\d{4}")
_SSN_WORDS: Final = re2_search(r"\bssn\b|social[ _-]?security|\bss#")
# 000, 666, 9xx areas, 00 groups and 0000 serials were never issued; the rest were used in print.
_NO_SSN: Final = re.compile(r"000|666|9|\d{3}\D?00|\d{3}\D?\d{2}\D?0000|078\D?05\D?1120|219\D?09\D?9999|123\D?45\D?6788")
_IPV4: Final = re.compile(r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?:/\d{1,2})?")
_TELEGRAM: Final = re.compile(r"\d{8,10}:A[A-Za-z0-9_-]{34}")

_PLUS_PHONE: Final = re.compile(r"\+\(?\d{1,3}\)?(?:[ .\-/]{0,2}\(?\d{1,5}\)?){2,6}")
_EXTENSION: Final = re.compile(r" ?x ?\d{1,6}")
_NANP: Final = re.compile(r"(?:1[ .-]?)?(?:\(\d{3}\) ?|\d{3}([ .-]))\d{3}(?:\1|[.-])\d{4}")
_PARENTHESISED: Final = re.compile(r"\(\d{2,5}\)[ -]?\d{2,4}(?:[ .-]?\d{2,4}){1,3}")
_TRUNK: Final = re.compile(r"0\d{1,4}[ .\-/]\d{2,4}(?:[ .\-/]?\d{2,4}){1,3}|0\d{1,3}(?:[ .-]\d{2}){4}|0[ -]\(?\d{3}\)?(?:[ .-]\d{2,4}){2,3}")
_LOOSE: Final = re.compile(r"\d{10,11}|\d{2,4}(?:[ .\-/]\d{2,4}){2,4}|\d{3,4}[ -]\d{4}")
_PHONE_WORDS: Final = re2_search(
    r"phone|\btel\b|telef|\bt.l\.?\b|\bcall|mobile|\bcell\b|\bfax|\bdesk\b|\breach\b|answering|whatsapp|\bsms\b|\btext me"
    r"|contact|\bdial|handy|m.vil|celular|portable|numero|number is|registered|messages to|电话|手机|電話|携帯|전화|\bring\b"
)
_DATE: Final = re.compile(
    r"(?:19|20)\d\d([-/.])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])\b|(?:0?[1-9]|[12]\d|3[01])([-/.])(?:0?[1-9]|[12]\d|3[01])\2(?:19|20)\d\d\b"
)
_LEAST_PHONE_DIGITS: Final = 7
_MOST_PHONE_DIGITS: Final = 15
_TRUNK_DIGITS: Final = range(9, 13)


def look(text: str, start: int, end: int) -> Iterator[Finding]:
    """Yield what starts with one of the groups of digits that the gate's match touches."""
    done = 0
    for group in _GROUP.finditer(text, start, min(len(text), end + 1)):
        begin = group.start()
        if begin < done or not _fresh(text, begin):
            continue
        for finding in _at(text, begin):
            done = max(done, finding.end)
            yield finding


def _fresh(text: str, begin: int) -> bool:
    """Say whether a number can begin at *begin*: not in the middle of a word or of a decimal fraction."""
    if begin == 0:
        return True
    before = text[begin - 1]
    if is_word(before):
        return is_escape(text, begin - 1)
    return not (before in ".," and begin > 1 and text[begin - 2].isdigit()) and before not in "_#"


def _ends(text: str, end: int) -> bool:
    """Say whether a number can end at *end*: no digit or letter goes on, also behind a point or dash."""
    if end >= len(text):
        return True
    if is_word(text[end]) or text[end] == "_":
        return False
    return not (text[end] in ".-/" and end + 1 < len(text) and text[end + 1].isdigit())


def _at(text: str, begin: int) -> Iterator[Finding]:
    stop = min(len(text), begin + REACH)
    date = _DATE.match(text, begin, stop)
    if date and not _continues(text, date.end()):
        return
    sure = _sure(text, begin, stop)
    if sure:
        yield sure
        return
    numbers = [Finding(kind, begin, end, 0.7) for end, kind in NUMERIC.find(text, begin, stop)]
    yield from numbers
    phone = _phone(text, begin, stop)
    if phone and not (numbers and phone.end <= max(found.end for found in numbers)):
        yield phone


def _continues(text: str, end: int) -> bool:
    return end < len(text) and text[end].isdigit()


def _sure(text: str, begin: int, stop: int) -> Finding | None:
    """Return a finding whose check digit or shape leaves no doubt."""
    card = _CARD.match(text, begin, stop)
    if card and _ends(text, card.end()) and is_card(_digits(card.group())):
        return Finding("CREDIT_CARD", begin, card.end())
    ssn = _SSN.match(text, begin, stop)
    if ssn and _ends(text, ssn.end()) and not _NO_SSN.match(text, begin, stop) and ssn.group(1) == "-":
        return Finding("US_SSN", begin, ssn.end(), 0.9)
    bare = _BARE_SSN.match(text, begin, stop)
    if bare and _ends(text, bare.end()) and not _NO_SSN.match(text, begin, stop) and _SSN_WORDS(_before(text, begin)):
        return Finding("US_SSN", begin, bare.end(), 0.9)
    return None


def _before(text: str, begin: int) -> str:
    return text[max(0, begin - CONTEXT) : begin]


def look_ipv4(text: str, start: int, end: int) -> Iterator[Finding]:
    """Yield the IPv4 address at *start*, with its prefix length if it has one."""
    match = _IPV4.match(text, start, min(len(text), end + REACH))
    if not match or not _fresh(text, start):
        return
    address, _, bits = match.group().partition("/")
    stop = match.end() if bits and int(bits) <= 32 else start + len(address)  # noqa: PLR2004
    if bits and _continues(text, match.end()):
        stop = start + len(address)
    if is_ipv4(address) and (_ends(text, stop) or text[stop] == "/"):
        yield Finding("IP_ADDRESS", start, stop)


def look_telegram(text: str, start: int, end: int) -> Iterator[Finding]:
    """Yield the Telegram bot token at *start*."""
    match = _TELEGRAM.match(text, start, min(len(text), end + REACH))
    if match and _fresh(text, start) and not (match.end() < len(text) and is_word(text[match.end()])):
        yield Finding("TELEGRAM_TOKEN", start, match.end())


def _phone(text: str, begin: int, stop: int) -> Finding | None:
    for start in dict.fromkeys((_phone_start(text, begin), begin)):
        for pattern, judge in _PHONES:
            match = pattern.match(text, start, stop)
            if match and _ends_phone(text, match.end()) and judge(text, match.group(), start):
                return Finding("PHONE", start, _extended(text, match.end()), 0.8)
    return None


def _extended(text: str, end: int) -> int:
    tail = _EXTENSION.match(text, end, min(len(text), end + 12))
    return tail.end() if tail and _ends(text, tail.end()) else end


def _ends_phone(text: str, end: int) -> bool:
    return _ends(text, end) or _EXTENSION.match(text, end, min(len(text), end + 12)) is not None


def _phone_start(text: str, begin: int) -> int:
    """Return where a number whose first digit is at *begin* starts: at its ``+`` or ``(``."""
    start = begin
    if start and text[start - 1] == "(":
        start -= 1
    if start and text[start - 1] == "+":
        start -= 1
    return start if start == 0 or not is_word(text[start - 1]) or is_escape(text, start - 1) else begin


def _digits(number: str) -> str:
    return re.sub(r"\D", "", number)


def _judge_plus(_text: str, number: str, _start: int) -> bool:
    digits = _digits(number.replace("(0)", ""))
    return _LEAST_PHONE_DIGITS <= len(digits) <= _MOST_PHONE_DIGITS and is_phone(f"+{digits}")


def _judge_shape(_text: str, number: str, _start: int) -> bool:
    digits = _digits(number)
    return len(set(digits)) > 1


def _judge_trunk(_text: str, number: str, _start: int) -> bool:
    return len(_digits(number)) in _TRUNK_DIGITS


def _judge_words(text: str, number: str, start: int) -> bool:
    digits = _digits(number)
    return _LEAST_PHONE_DIGITS <= len(digits) <= _MOST_PHONE_DIGITS and _PHONE_WORDS(_before(text, start))


_PHONES: Final = (
    (_PLUS_PHONE, _judge_plus),
    (_NANP, _judge_shape),
    (_PARENTHESISED, _judge_shape),
    (_TRUNK, _judge_trunk),
    (_LOOSE, _judge_words),
)

