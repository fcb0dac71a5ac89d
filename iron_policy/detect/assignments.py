"""Secrets known only by where they stand: behind ``api_key =``, ``Bearer``, ``curl -u``.

Owns the words that promise a secret. Looks at most 128 characters back and 600 ahead.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from iron_policy.detect.checks import is_secret, is_uuid, looks_drawn
from iron_policy.verdicts import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

WORDS: Final = "key|token|secret|passw|passphrase|pwd|credential|auth"
"""Names that promise a secret hold one of these, in any case."""

STARTS: Final = "(?i:ke|to|se|pa|pw|cr|au|co)"
"""Their first two letters."""

_BEHIND_NAME: Final = r"\\{0,3}[\"'\]]{0,2}[ \t]{0,3}"
_OPERATOR: Final = r"(?:[:=?]=?>?|(?:is|was):?[ \t])[ \t]{0,3}\\{0,3}[\"'`]?"
BETWEEN: Final = rf"[\w.\-]{{0,24}}{_BEHIND_NAME}{_OPERATOR}"
"""What may stand between the word and its value."""

VALUE: Final = r"[A-Za-z0-9_./+=~@!$%^&*:|?#-]"
"""Characters of a value; brackets, quotes and angles end it, so that placeholders and stand-ins are none."""

GATE: Final = rf"(?i:{WORDS}){BETWEEN.replace('24', '12')}{VALUE}{{0,24}}[0-9]"
BEARER_GATE: Final = r"(?i:bearer|basic|token)[ \t]{1,3}[A-Za-z0-9._~+/=-]{12}"
CURL_GATE: Final = r"(?:-u|--user)[ =]{0,3}\\?[\"']?[!#-&(-9;-~]{1,64}:[!#-&(-~]{3}"

# Names and logins of any length: an automaton that counts has its states once for each count.
_NAMED: Final = rf"(?i:{WORDS})[\w.\-]*{_BEHIND_NAME}"
_OTHERWISE: Final = (
    rf"(?i:bearer|basic|token)[ \t]{{1,3}}{VALUE}*|(?:-u|--user)[ =]{{0,3}}\\?[\"']?[!#-&(-~]*"
)

PARTIAL: Final = rf"{_NAMED}(?:i|is:?|w|wa|was:?|{_OPERATOR}{VALUE}*)?|{_OTHERWISE}"
"""RE2 pattern of an assignment that the end of a text leaves open."""

STARTED: Final = rf"{_NAMED}{_OPERATOR}{VALUE}*|{_OTHERWISE}"
"""RE2 pattern of an assignment whose value can have begun where the text ends."""

_NAME: Final = re.compile(rf"({WORDS})([\w.\-]*)", re.IGNORECASE)
_ASSIGNED: Final = re.compile(rf"(?i:{WORDS}){BETWEEN}({VALUE}{{4,256}})")
_BEARER: Final = re.compile(r"(?i:bearer|basic|token)[ \t]{1,3}([A-Za-z0-9._~+/-]{8,512}={0,2})")
_CURL: Final = re.compile(r"(?:-u|--user)[ =]{0,3}\\?[\"']?([!#-&(-9;-~]{1,64}:[!#-&(-[\]-~]{3,128})")
_NO_SECRET: Final = re.compile(
    r"(?i)(?:[\w.\-]*[_.\-]|)(?:ids?|names?|type|ur[il]s?|path|file|dir|counts?|limit|size|len(?:gth)?|alias|version|prefix|suffix|space"
    r"|board|words?|code|point|bytes?|bits?|algorithm|format|pattern|regex|placeholder|hint|label|field|columns?|expir\w*|ttl|age|date|time|at)"
)
_OTHER_WORD: Final = re.compile(
    r"(?i)(?:authors?|authority|keyboards?|keywords?|tokeni[sz]\w*|passwordless)[_.\-\w]*"
)
_PUBLIC_BEFORE: Final = re.compile(
    r"(?i)(?:^|[^a-z])(?:public|primary|foreign|sort|cache|partition|row|object|bucket|storage|hot|short|idempotency|max|num|n|total|input|output|completion|prompt)[_.\- ]?$"
)
_PLACEHOLDERS: Final = ("<", "{", "[", "*", "$", "%")
_CURL_BACK: Final = 200
_NAME_BACK: Final = 24


def look_assigned(text: str, start: int, _end: int) -> Iterator[Finding]:
    """Yield the value assigned to the name at *start*."""
    match = _ASSIGNED.match(text, start, min(len(text), start + 340))
    name = _NAME.match(text, start, min(len(text), start + 48))
    if not match or not name or (start and text[start - 1].isdigit()) or _is_harmless(text, start, name):
        return
    begin, stop = match.span(1)
    value = match.group(1).rstrip(".,:;&")
    stop = begin + len(value)
    behind = text[match.end(1) : match.end(1) + 1]
    if behind in {"(", "[", "{"}:
        return
    word = name.group(1).lower()
    if is_secret(value, password=word.startswith(("passw", "pwd", "passphrase"))):
        if is_uuid(value) and word not in {"token", "secret", "key"}:
            return
        yield Finding("GENERIC_SECRET", begin, stop, 0.6)


def _is_harmless(text: str, start: int, name: re.Match[str]) -> bool:
    """Say whether the name around *start* promises no secret after all, as ``token_count`` does not."""
    before = text[max(0, start - _NAME_BACK) : start]
    return bool(
        _NO_SECRET.fullmatch(name.group(2))
        or _OTHER_WORD.fullmatch(name.group())
        or _PUBLIC_BEFORE.search(before)
    )


def look_bearer(text: str, start: int, _end: int) -> Iterator[Finding]:
    """Yield the credential of an Authorization header at *start*."""
    match = _BEARER.match(text, start, min(len(text), start + 540))
    if not match:
        return
    value = match.group(1).rstrip(".")
    varied = any(c.isdigit() for c in value) and looks_drawn(value)
    if varied and not re.fullmatch(r"[a-z]+(?:[-/.][a-z0-9]+)*", value):
        yield Finding("GENERIC_SECRET", match.start(1), match.start(1) + len(value), 0.7)


def look_curl(text: str, start: int, _end: int) -> Iterator[Finding]:
    """Yield the user and password handed to curl at *start*."""
    match = _CURL.match(text, start, min(len(text), start + 210))
    if match and "curl" in text[max(0, start - _CURL_BACK) : start]:
        user, _, password = match.group(1).partition(":")
        if (
            any(not c.isalpha() for c in password)
            and not (user + password).startswith(_PLACEHOLDERS)
            and password[0] not in _PLACEHOLDERS
        ):
            yield Finding("GENERIC_SECRET", match.start(1), match.end(1), 0.7)
