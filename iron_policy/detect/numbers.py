"""Numbers that identify a person or an account: cards, social security, national identifiers, IPv4, Telegram.

Owns the reading of a run of digits; telephones are read in :mod:`iron_policy.detect.phones`. Every decision
depends on at most 64 characters before a group of digits and 40 behind it, so that a text and its streamed
pieces are judged alike.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from iron_policy.detect import phones
from iron_policy.detect.addresses import look_mac
from iron_policy.detect.checks import is_card, is_ipv4
from iron_policy.detect.linear import before, re2_search
from iron_policy.detect.national import NUMERIC
from iron_policy.detect.runs import REACH, begins, digits_of, ends
from iron_policy.verdicts import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

_GROUP: Final = re.compile(r"\d+")
_RUN: Final = re.compile(r"\d(?:[ .\-/:()]{0,3}\d)*")
_CARD: Final = re.compile(
    r"\d{12,19}|\d{4}(?:[ .-]{1,2}\d{4}){3}(?:[ .-]\d{1,3})?|\d{4}[ .-]\d{6}[ .-]\d{4,5}"
    r"|\d{4}[ .-]\d{4}[ .-]\d{4}[ .-]?\d{1,3}"
)
_SSN: Final = re.compile(r"\d{3}([-.])\d{2}\1\d{4}")
_BARE_SSN: Final = re.compile(r"\d{9}|\d{3} \d{2} \d{4}")
_SSN_PATTERN: Final = r"\bssn\b|social[ _-]?security|\bss#"
_SSN_WORDS: Final = re2_search(_SSN_PATTERN)
_ANY_WORDS: Final = re2_search(f"{_SSN_PATTERN}|{phones.WORDS}|{NUMERIC.words}")
# ssa.gov/employer/randomization: 000, 666 and 9xx areas, 00 groups and 0000 serials are never issued; the
# last three were printed in advertisements.
_NO_SSN: Final = re.compile(
    r"000|666|9|\d{3}\D?00|\d{3}\D?\d{2}\D?0000|078\D?05\D?1120|219\D?09\D?9999|457\D?55\D?5462"
)
_IPV4: Final = re.compile(r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?:/\d{1,2})?")
_NUMBERED_TOKENS: Final = (
    ("TELEGRAM_TOKEN", re.compile(r"\d{8,10}:A[A-Za-z0-9_-]{34}")),
    ("OTHER_API_KEY", re.compile(r"\d{15,16}\|[A-Za-z0-9_-]{27,40}")),
)
_DATE: Final = re.compile(
    r"(?:19|20)\d\d([-/.])(?:0?[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01]|[1-9])"
    r"|(?:0?[1-9]|[12]\d|3[01])([-/.])(?:0?[1-9]|[12]\d|3[01])\2(?:19|20)\d\d"
)
_LEAST_DIGITS: Final = 6
_CARD_DIGITS: Final = 12
_MOST_PREFIX_BITS: Final = 32


def look(text: str, start: int, end: int) -> list[Finding]:
    """Return what starts with one of the groups of digits that the gate's match touches."""
    found: list[Finding] = []
    done = start
    for group in _GROUP.finditer(text, start, min(len(text), end + 1)):
        begin = group.start()
        if begin < done or not begins(text, begin) or (group.end() == begin + 1 and _amid(text, begin)):
            continue
        stop = min(len(text), begin + REACH)
        date = _DATE.match(text, begin, stop)
        if date and not text[date.end() : date.end() + 1].isdigit():
            done = date.end()
            continue
        found += _at(text, begin, stop)
        done = max([done, *(finding.end for finding in found)])
    return found


def _amid(text: str, begin: int) -> bool:
    """Say whether a digit and one mark stand before *begin*: single digits amid a run start nothing."""
    return begin > 1 and text[begin - 1] in " .-/" and text[begin - 2].isdigit()


def _at(text: str, begin: int, stop: int) -> list[Finding]:
    """Return what the number at *begin* is; the longest reading comes last."""
    run = _RUN.match(text, begin, stop)
    size = len(digits_of(run.group())) if run else 0
    if size < _LEAST_DIGITS:
        return []
    address = [*look_ipv4(text, begin, begin), *look_mac(text, begin, begin)]
    if address:
        return address
    sure = _card(text, begin, stop) if size >= _CARD_DIGITS else None
    words = before(text, begin)
    telling = _ANY_WORDS(words)
    sure = sure or _ssn(text, begin, stop, words if telling else "")
    if sure:
        return [sure]
    numbers = [
        Finding(kind, begin, end, 0.7)
        for end, kind in NUMERIC.find(text, begin, stop, words if telling else "")
    ]
    phone = phones.at(text, begin, stop, announced=telling and phones.announced(words))
    if phone and all(phone.end > number.end for number in numbers):
        return [*numbers, phone]
    return numbers


def _card(text: str, begin: int, stop: int) -> Finding | None:
    card = _CARD.match(text, begin, stop)
    if card and ends(text, card.end()) and is_card(digits_of(card.group())):
        return Finding("CREDIT_CARD", begin, card.end())
    return None


def _ssn(text: str, begin: int, stop: int, words: str) -> Finding | None:
    match = _SSN.match(text, begin, stop)
    if match is None:
        match = _BARE_SSN.match(text, begin, stop)
        if not match or not words or not _SSN_WORDS(words):
            return None
    if match and ends(text, match.end()) and not _NO_SSN.match(text, begin, stop):
        return Finding("US_SSN", begin, match.end(), 0.9)
    return None


def look_ipv4(text: str, start: int, end: int) -> Iterator[Finding]:
    """Yield the IPv4 address at *start*, with its prefix length if it has one."""
    match = _IPV4.match(text, start, min(len(text), end + REACH))
    if not match or not begins(text, start):
        return
    address, _, bits = match.group().partition("/")
    stop = match.end()
    if bits and (int(bits) > _MOST_PREFIX_BITS or not ends(text, stop)):
        stop = start + len(address)
    if is_ipv4(address) and (ends(text, stop) or text[stop] == "/"):
        yield Finding("IP_ADDRESS", start, stop)


def look_token(text: str, start: int, end: int) -> Iterator[Finding]:
    """Yield the token at *start* that begins with the number of an account: Telegram's bot, Facebook's app."""
    for kind, pattern in _NUMBERED_TOKENS:
        match = pattern.match(text, start, min(len(text), end + 60))
        if match and begins(text, start) and ends(text, match.end()):
            yield Finding(kind, start, match.end())
