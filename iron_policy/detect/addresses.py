"""Addresses of people, machines and wallets: mail, IP, MAC, IBAN, cryptocurrency, URLs, logins in URLs.

Owns how each is read around the place where the gate matched. Looks at most :data:`BACK` characters back and
:data:`AHEAD` ahead.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from iron_policy.detect.checks import is_iban, is_ipv6, is_wallet
from iron_policy.detect.linear import before
from iron_policy.detect.national import LETTERED
from iron_policy.detect.shapes import ends_clean, is_escape, is_word, starts_clean
from iron_policy.verdicts import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

BACK: Final = 72
AHEAD: Final = 320

_ALNUM: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_CAPITALS: Final = _ALNUM[26:52]
_LOCAL: Final = _ALNUM + "._%+-"
_LOCAL_START: Final = frozenset(_ALNUM + "_+")
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL}){{0,8}}\.(?:xn--[A-Za-z0-9-]{{2,30}}|[A-Za-z]{{2,24}})")
_IPV6: Final = re.compile(
    r"(?:(?:[0-9A-Fa-f]{0,4}:){2,7}(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f:]{2,39})(?:%[A-Za-z0-9]{1,15})?(?:/\d{1,3})?"
)
_MAC: Final = re.compile(
    r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}"
)
_HEX_OR_COLON: Final = "0123456789abcdefABCDEF:"
_IPV6_LENGTH: Final = 45
_MOST_PREFIX_BITS: Final = 128
_IBAN: Final = re.compile(
    r"[A-Z]{2}\d{2}(?:([ -]?)[A-Z0-9]{4})(?:\1[A-Z0-9]{4}){1,6}(?:\1[A-Z0-9]{1,3})?|[a-z]{2}\d{2}[a-z0-9]{11,30}"
)
_BITCOIN: Final = re.compile(r"[13][a-km-zA-HJ-NP-Z1-9]{25,34}|(?:bc1|BC1)[a-zA-Z0-9]{11,71}")
_BASE58: Final = "[13][a-km-zA-HJ-NP-Z1-9]{9}"
# With what stands before an address: an automaton that could begin one at each 1 and 3 of a random word would have a
# state for every set of places.
BITCOIN_GATE: Final = rf"\b{_BASE58}|(?:_|\\[nrtbf]){_BASE58}|(?:bc1|BC1)[a-zA-Z0-9]{{5}}"
BITCOIN_STARTS: Final = r"[13][a-zA-Z1-9]|_[13]|\\[nrtbf]|bc|BC"
_BEFORE_BITCOIN: Final = {"_": 1, "\\": 2}
_ETHEREUM: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_LOGIN: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9+]{1,24}://([A-Za-z0-9!#$%&*+.;=?^_~-]{0,64}):([A-Za-z0-9!#$%&*+.;=?^_~:-]{3,256})@[A-Za-z0-9_.-]{1,253}(?::\d{1,5})?"
    r"(?:/[A-Za-z0-9_.~%/?=&#;+:-]{0,512})?"
)
_URL: Final = re.compile(r"(?:https?|ftp)://[A-Za-z0-9_.~%/?=&#;+:@!$*-]{3,1024}")
SCHEMES: Final = (
    "amqp|amqps|bolt|cassandra|clickhouse|cockroachdb|couchdb|db2|elasticsearch|ftp|ftps|git|hive|http|https|imap|imaps"
    "|influxdb|kafka|ldap|ldaps|mariadb|memcached|mongodb|mqtt|mqtts|mssql|mysql|nats|neo4j|oracle|pgsql|pop3|postgres"
    "|postgresql|presto|rabbitmq|redis|rediss|redshift|rtmp|rtsp|sftp|smb|smtp|smtps|snowflake|socks4|socks5|socks5h"
    "|sqlserver|ssh|stomp|svn|telnet|trino|vertica|vnc|ws|wss"
)
"""How URLs with logins start. One of another scheme is reported from its ``://`` on: any word might be a scheme,
and a stream must not wait behind each."""
_SCHEMES: Final = frozenset(SCHEMES.split("|"))
_PASSWORD_STANDINS: Final = re.compile(
    r"(?i)(?:pass(?:word|wd)?|pwd|secret|token|x+|.*\*{3}.*|\*+|\.+|\$.*|%s|user)"
)
_LAST_NUMBER: Final = re.compile(r"[A-Z]{0,3}[0-9][A-Z0-9]{4}$")
_TRAILING: Final = ".,;:!?'&#"


def look_email(text: str, start: int, end: int) -> Iterator[Finding]:
    """Yield the mail address around the ``@`` in the match."""
    at = text.find("@", start, end)
    if at < 0:
        return
    domain = _DOMAIN.match(text, at + 1, min(len(text), at + 1 + 254))
    if not domain or _goes_on(text, domain.end()):
        return
    begin = _local_start(text, at)
    if begin < at:
        yield Finding("EMAIL", begin, domain.end())


def _goes_on(text: str, end: int) -> bool:
    return end < len(text) and (is_word(text[end]) or text[end] in "_@")


def _local_start(text: str, at: int) -> int:
    window = text[max(0, at - BACK + 8) : at]
    begin = at - len(window) + len(window.rstrip(_LOCAL))
    if begin < at and is_escape(text, begin):
        begin += 1
    while begin < at and text[begin] not in _LOCAL_START:
        begin += 1
    return begin if text[at - 1] != "." else at


def look_ipv6(text: str, start: int, end: int) -> Iterator[Finding]:
    """Yield the MAC or IPv6 address around the match."""
    if ":" not in text[start:end]:
        return
    window = text[max(0, start - _IPV6_LENGTH) : start]
    begin = start - len(window) + len(window.rstrip(_HEX_OR_COLON))
    if start - begin == _IPV6_LENGTH:
        return
    if begin < start and is_escape(text, begin) and text[begin] != ":":
        begin += 1
    if not starts_clean(text, begin) or (begin and text[begin - 1] in ".-_"):
        return
    yield from look_mac(text, begin, begin)
    match = _IPV6.match(text, begin, min(len(text), begin + 64))
    if not match:
        return
    address, _, bits = match.group().partition("/")
    address = address if address.endswith("::") else address.removesuffix(":")
    stop = begin + len(address)
    if not ends_clean(text, stop) or not is_ipv6(address):
        return
    prefixed = bits and int(bits) <= _MOST_PREFIX_BITS and ends_clean(text, match.end())
    yield Finding("IP_ADDRESS", begin, match.end() if prefixed else stop)


def look_mac(text: str, start: int, _end: int) -> Iterator[Finding]:
    """Yield the MAC address at *start*."""
    match = _MAC.match(text, start, min(len(text), start + 20))
    if not match or not starts_clean(text, start) or not ends_clean(text, match.end()):
        return
    ahead, behind = text[max(0, start - 1) : start], text[match.end() : match.end() + 1]
    one_digit = len(set(match.group()) - {":", "-", "."}) == 1
    if ahead not in {":", "-", "."} and behind not in {":", "-"} and not one_digit:
        yield Finding("MAC_ADDRESS", start, match.end(), 0.95)


def look_dashed_mac(text: str, start: int, end: int) -> Iterator[Finding]:
    """Yield the MAC address at *start*, or, where a point is there, four characters before."""
    begin = start - (4 if text[start] == "." else 0)
    if begin >= 0:
        yield from look_mac(text, begin, end)


def look_iban(text: str, start: int, _end: int) -> Iterator[Finding]:
    """Yield the IBAN whose second letter is at *start*: the longest reading that the check digits bear out.

    Slovakia's and Malta's start like keys of vendors, so a match may also begin with the first letter.
    """
    start = start if text.startswith(("SK", "MT"), start) else max(0, start - 1)
    if not starts_clean(text, start):
        return
    match = _IBAN.match(text, start, min(len(text), start + 44))
    stop = match.end() if match else start
    while stop - start > 14:  # noqa: PLR2004 - the shortest IBAN, Norway's, has 15 characters
        if ends_clean(text, stop) and is_iban(text[start:stop]):
            yield Finding("IBAN", start, stop)
            return
        stop = max(text.rfind(" ", start, stop), text.rfind("-", start, stop))


def look_bitcoin(text: str, start: int, _end: int) -> Iterator[Finding]:
    """Yield the Bitcoin address at *start*, or behind the underscore or the escape there."""
    start += _BEFORE_BITCOIN.get(text[start], 0)
    match = _BITCOIN.match(text, start, min(len(text), start + 80))
    if match and starts_clean(text, start) and ends_clean(text, match.end()) and is_wallet(match.group()):
        yield Finding("CRYPTO", start, match.end())


def look_ethereum(text: str, start: int, _end: int) -> Iterator[Finding]:
    """Yield the Ethereum address at *start*."""
    match = _ETHEREUM.match(text, start, min(len(text), start + 44))
    if match and starts_clean(text, start) and ends_clean(text, match.end()):
        yield Finding("CRYPTO", start, match.end(), 0.9)


def look_identifier(text: str, start: int, _end: int) -> Iterator[Finding]:
    """Yield the national identifier of letters and digits whose last letters or first digits are at *start*."""
    window = text[max(0, start - 6) : start]
    start -= len(window) - len(window.rstrip(_CAPITALS))
    if starts_clean(text, start) and not (start and text[start - 1] in "_-."):
        for stop, kind in LETTERED.find(text, start, min(len(text), start + 40), before(text, start)):
            yield Finding(kind, start, stop, 0.7)


def look_document(text: str, start: int, end: int) -> Iterator[Finding]:
    """Yield the number of the document that the match names."""
    number = _LAST_NUMBER.search(text, start, end)
    if number and number.end() == end:
        yield from look_identifier(text, number.start(), end)


def look_login(text: str, start: int, _end: int) -> Iterator[Finding]:
    """Yield the URL around the ``://`` in the match, if it carries a password."""
    start = text.find("://", start, start + 8)
    if start < 0:
        return
    begin = start
    while begin > 0 and start - begin < 25 and (is_word(text[begin - 1]) or text[begin - 1] == "+"):  # noqa: PLR2004
        begin -= 1
    if begin < start and is_escape(text, begin):
        begin += 1
    match = _LOGIN.match(text, begin, min(len(text), begin + 1024))
    if match and not _PASSWORD_STANDINS.fullmatch(match.group(2)):
        known = starts_clean(text, begin) and text[begin:start].partition("+")[0].lower() in _SCHEMES
        end = begin + len(match.group().rstrip(_TRAILING))
        yield Finding("BASIC_AUTH_URL", begin if known else start, end)


def look_url(text: str, start: int, _end: int) -> Iterator[Finding]:
    """Yield the URL at *start*."""
    match = _URL.match(text, start, min(len(text), start + 1032))
    if match and starts_clean(text, start):
        yield Finding("URL", start, start + len(match.group().rstrip(_TRAILING)))
