"""The gate: one pattern that tells in a single pass where a text deserves a closer look.

Owns which anchors there are and who looks closer at each. The gate never captures, so RE2 runs it as a plain
automaton; nothing in it is common in ordinary text.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from iron_policy.detect import addresses, assignments, injection, national, numbers, phones, private_keys
from iron_policy.detect.kinds import SECRETS
from iron_policy.detect.patterns_secrets import SHAPES
from iron_policy.detect.shapes import Anchor, ends_clean, literal, starts_clean
from iron_policy.verdicts import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    from iron_policy.detect.shapes import Shape

    _Look: TypeAlias = Callable[[str, int, int], Iterable[Finding]]
    _Row: TypeAlias = tuple[re.Pattern[str], str, Callable[[str], bool] | None]
    """A value's pattern, its kind, and what tells whether it is real."""

_NUMBERS: Final = frozenset({"CREDIT_CARD", "US_SSN", "PHONE", "NATIONAL_ID", "BANK_ACCOUNT"})
_TOKENS: Final = frozenset({"TELEGRAM_TOKEN", "OTHER_API_KEY"})
_PIN: Final = frozenset({"NATIONAL_ID"})
_DIGIT: Final = "[0-9]"


def _one(kind: str) -> frozenset[str]:
    return frozenset({kind})


_PEOPLE: Final = (
    # Before the digits, which would reach over its start.
    Anchor(
        r"[0-9A-Fa-f]{2}-[0-9A-Fa-f]{2}-[0-9A-Fa-f]{2}-[0-9A-Fa-f]{2}-|\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}",
        r"[0-9A-Fa-f]{2}|\.[0-9A-Fa-f]",
        addresses.look_dashed_mac,
        _one("MAC_ADDRESS"),
    ),
    Anchor(
        r"[0-9A-Za-z_+\-]@[0-9A-Za-z][0-9A-Za-z.\-]{0,62}\.[0-9A-Za-z\-]{2}",
        r"[0-9A-Za-z_+\-]@",
        addresses.look_email,
        _one("EMAIL"),
    ),
    Anchor(r"\d(?:[ .\-/:]{0,2}\d){8}", _DIGIT, numbers.look, _NUMBERS),
    Anchor(r"\(\d{2,5}\)[ -]?\d{2,4}[ .-]?\d{2}", r"\(\d", numbers.look, _NUMBERS),
    Anchor(r"\d{3}[)/] ?\d{3}[ .-]\d{4}", _DIGIT, numbers.look, _NUMBERS),
    Anchor(r"\+\d{1,3}[ .\-/]?\(\d", r"\+\d", numbers.look, _NUMBERS),
    Anchor(phones.CALL_GATE, phones.CALL_STARTS, numbers.look, _NUMBERS),
    Anchor(
        r"[A-Z]\d{2}[ -]?[A-Z0-9]{4}[ -]?[A-Z0-9]{4}[ -]?[A-Z0-9]{2}|[a-z]\d{2}(?:[a-z]{4}\d{6}|\d{10})",
        r"[A-Z]\d|[a-z]\d|SK|MT",
        addresses.look_iban,
        _one("IBAN"),
    ),
    Anchor(
        r"[A-Z]-?\d{7}-?[A-Z0-9]|[A-Z]\d{6}[A-Z0-9]|[A-Z]\d{4}[A-Z]|[A-Z]\d\d[A-Z]\d\d[A-Z]\d"
        r"|[A-Z] ?\d\d ?\d\d ?\d\d ?[A-D]|\d[A-Z][A-Z0-9]\d-?[A-Z][A-Z0-9]\d-?[A-Z]{2}\d\d",
        r"[A-Z][ \d-]|\d[A-Z]",
        addresses.look_identifier,
        _PIN,
    ),
    Anchor(national.DOCUMENT_GATE, national.DOCUMENT_STARTS, addresses.look_document, _PIN),
    Anchor(
        r"\d{8}-?[A-Za-z]|\d{6}[-+A-FU-Y]\d{3}[0-9A-Y]|(?:[0-9]{2,3}[.-]){2}[0-9]{3}[-/][0-9]",
        _DIGIT,
        numbers.look,
        _PIN,
    ),
)
_MACHINES: Final = (
    Anchor(r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d", r"\d[\d.]", numbers.look_ipv4, _one("IP_ADDRESS")),
    Anchor(
        r"[0-9A-Fa-f]:[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]|\d[0-9A-Fa-f]{0,3}::|:[0-9A-Fa-f]{1,4}::"
        r"|::(?:\d|[Ff]{4}:)",
        "[0-9A-Fa-f:][0-9A-Fa-f:]",
        addresses.look_ipv6,
        frozenset({"IP_ADDRESS", "MAC_ADDRESS"}),
    ),
    Anchor(
        addresses.BITCOIN_GATE,
        addresses.BITCOIN_STARTS,
        addresses.look_bitcoin,
        _one("CRYPTO"),
    ),
    Anchor(r"0x[0-9a-fA-F]{6}", "0x", addresses.look_ethereum, _one("CRYPTO")),
    Anchor(r"https?://|ftp://", "ht|ft", addresses.look_url, _one("URL")),
)
_CREDENTIALS: Final = (
    Anchor(r"\d{8}(?::A|\d{5}\|)[A-Za-z0-9_-]", r"\d\d", numbers.look_token, _TOKENS),
    Anchor(
        r"://[^\s/@:\"']{0,64}:[^\s/@\"']{1,64}@",
        ":/|ht|ft",
        addresses.look_login,
        _one("BASIC_AUTH_URL"),
    ),
    Anchor(private_keys.GATE, "--", private_keys.look, _one("PRIVATE_KEY")),
    Anchor(assignments.GATE, assignments.STARTS, assignments.look_assigned, _one("GENERIC_SECRET")),
    Anchor(assignments.BEARER_GATE, "(?i:be|ba|to)", assignments.look_bearer, _one("GENERIC_SECRET")),
    Anchor(assignments.CURL_GATE, "-[u-]", assignments.look_curl, _one("GENERIC_SECRET")),
    Anchor(injection.GATE, injection.STARTS, injection.look, _one("INJECTION")),
)


_NEVER: Final = r"[^\x00-\x{10FFFF}]"


def _rows_within(lead: str, by_start: Mapping[str, Mapping[int, _Row]]) -> tuple[_Row, ...]:
    """Return the rows whose literal *lead* begins with, in the order of the table."""
    found = [row for end in range(1, len(lead) + 1) for row in by_start.get(lead[:end], {}).items()]
    return tuple(row for _, row in sorted(found, key=lambda placed: placed[0]))


class _Shapes:
    """Every row of a table, found by the literal it starts with."""

    def __init__(self, shapes: tuple[Shape, ...]) -> None:
        by_start: dict[str, dict[int, _Row]] = defaultdict(dict)
        for place, shape in enumerate(shapes):
            for start in shape.leads:
                by_start[start][place] = (re.compile(re.escape(start) + shape.body), shape.kind, shape.check)
        self._lead = re.compile(literal(tuple(by_start)))
        self._rows = {lead: _rows_within(lead, by_start) for lead in by_start}

    def look(self, text: str, start: int, _end: int) -> Sequence[Finding]:
        """Return the longest value that one of the rows finds at *start*."""
        lead = self._lead.match(text, start)
        if lead is None or not starts_clean(text, start):
            return ()
        stop = min(len(text), start + _LONGEST_SHAPE)
        found = [
            Finding(kind, start, match.end())
            for pattern, kind, check in self._rows[lead.group()]
            if (match := pattern.match(text, start, stop))
            and ends_clean(text, match.end())
            and (check is None or check(match.group()))
        ]
        return (max(found, key=lambda finding: finding.end),) if found else ()


_LONGEST_SHAPE: Final = 4000
_TELLING_LENGTH: Final = 8
"""A literal of this length is rare enough in ordinary text; a shorter one needs more characters."""
_TELLING_REST: Final = 8
"""What a literal needs behind it that its own repetition could go on."""


def _by_tail(shapes: tuple[Shape, ...]) -> dict[str, dict[str, None]]:
    """Return the literals by what the gate demands behind them, so that few alternatives hold them all."""
    leads_by_tail: dict[str, dict[str, None]] = defaultdict(dict)
    for shape in shapes:
        for lead in shape.leads:
            missing = _TELLING_REST if lead[-1].isalnum() else max(0, _TELLING_LENGTH - len(lead))
            leads_by_tail[f"{shape.opening}{{{missing}}}" if missing else ""][lead] = None
    return leads_by_tail


@lru_cache(maxsize=16)  # every engine asks, most for the same kinds
def _shapes_anchor(kinds: frozenset[str]) -> Anchor:
    shapes = tuple(shape for shape in SHAPES if shape.kind in kinds)
    gates = [f"{literal(tuple(leads))}{tail}" for tail, leads in _by_tail(shapes).items()]
    starts = literal(sorted({lead[:2] for shape in shapes for lead in shape.leads}))
    return Anchor("|".join(gates), starts, _Shapes(shapes).look, kinds & frozenset(SECRETS))


class _Around:
    """A value recognised by a mark in its middle.

    Args:
        kind: of the value.
        mark: what the gate's match holds.
        pattern: of the whole value.
        back: the most characters before the match.
        public: how many characters before the mark the finding leaves out, so that a stream need not wait behind
            each word.
    """

    def __init__(self, kind: str, mark: str, pattern: str, back: int, public: int = 0) -> None:
        self._kind = kind
        self._mark = mark
        self._pattern = re.compile(pattern)
        self._back = back
        self._public = public

    def look(self, text: str, start: int, end: int) -> Iterator[Finding]:
        """Yield the value around the match ``text[start:end]``."""
        if self._mark not in text[start:end]:
            return
        stop = min(len(text), end + 80)
        for begin in range(max(0, start - self._back), start + 1):
            match = self._pattern.match(text, begin, stop)
            if match and starts_clean(text, begin) and ends_clean(text, match.end()):
                yield Finding(self._kind, begin + self._public, match.end())
                return


AZURE_MARK: Final = "[0-9]Q~"
TERRAFORM_MARK: Final = "[.]atlasv1[.]"

_MARKED: Final = (
    # learn.microsoft.com/entra: client secrets carry "Q~" behind their fourth character; the first three are their
    # "hint", which anybody may read who may list them (graph/api/resources/passwordcredential).
    Anchor(
        rf"{AZURE_MARK}[A-Za-z0-9_~.-]{{4}}",
        r"\dQ",
        _Around("AZURE_KEY", "Q~", r"[A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.-]{31,34}", 3, public=3).look,
        _one("AZURE_KEY"),
    ),
    # Any word of fourteen letters could be what stands before the mark; sixty that nobody guesses stand behind it.
    Anchor(
        TERRAFORM_MARK,
        r"\.a",
        _Around(
            "HASHICORP_TOKEN", ".atlasv1.", r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70}", 14, public=14
        ).look,
        _one("HASHICORP_TOKEN"),
    ),
    Anchor(
        r"[0-9a-f]-us[0-9]",
        "[0-9a-f]-",
        _Around("OTHER_API_KEY", "-us", r"[0-9a-f]{32}-us[0-9]{1,2}", 32).look,
        _one("OTHER_API_KEY"),
    ),
    # discord.com/developers: user id in Base64, a time stamp, a signature.
    Anchor(
        r"[MNO][DTjz][A-Za-z0-9]{2}[MNO]",
        "[MNO][DTjz]",
        _Around(
            "OTHER_API_KEY", "", r"[MNO][A-Za-z0-9_-]{22,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38}", 0
        ).look,
        _one("OTHER_API_KEY"),
    ),
)


class Gate:
    """The anchors of the wanted kinds, and how to look closer at a match of :attr:`pattern`.

    Args:
        kinds: what is wanted.
        further: alternatives that the caller looks at itself.

    Attributes:
        pattern: an RE2 alternation.
    """

    def __init__(self, kinds: frozenset[str], further: Iterable[str] = ()) -> None:
        anchors = [a for a in (*_PEOPLE, *_MACHINES, *_CREDENTIALS, *_MARKED) if a.kinds & kinds]
        if any(shape.kind in kinds for shape in SHAPES):
            anchors.append(_shapes_anchor(kinds))
        self.pattern = "|".join([*(anchor.gate for anchor in anchors), *further]) or _NEVER
        self._starts = tuple((re.compile(anchor.starts), anchor.look) for anchor in anchors)
        self._looks: dict[str, tuple[_Look, ...]] = {}

    def look(self, text: str, start: int, end: int) -> list[Finding]:
        """Return every finding that an anchor makes of the gate's match ``text[start:end]``."""
        found: list[Finding] = []
        two = text[start : start + 2]
        for look in self._looks.get(two) or self._chosen(two):
            found += look(text, start, end)
        return found

    def _chosen(self, two: str) -> tuple[_Look, ...]:
        """Return who looks at matches that start with *two*, and remember it for ASCII, which is finite."""
        looks = tuple(dict.fromkeys(look for starts, look in self._starts if starts.match(two)))
        if two.isascii():
            self._looks[two] = looks
        return looks
