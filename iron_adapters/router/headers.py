"""Which headers pass, and which stay: towards the provider and back.

Owns the lists. Hop-by-hop headers are RFC 9110, section 7.6.1.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from iron_adapters.router.upstreams import Upstream

_HOP_BY_HOP: Final = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_STAY: Final = _HOP_BY_HOP | {
    # The router's own matter, or made anew.
    "host",
    "content-length",
    "content-encoding",
    "accept-encoding",
    "expect",
    # Credentials: the provider gets the router's.
    "authorization",
    "x-api-key",
    "api-key",
    "cookie",
    # A browser's and a proxy's words about the caller.
    "origin",
    "referer",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
}
_OURS: Final = "x-iron-"
_STAY_BACK: Final = _HOP_BY_HOP | {
    "content-length",
    "content-encoding",
    "date",
    "server",
    "set-cookie",
    "alt-svc",
    "strict-transport-security",
}
_OF_THE_CONNECTION: Final = frozenset((b"keep-alive", b"close"))
"""What nearly every Connection header says, and what names no header that would pass."""
_LONGEST_BACK: Final = 8 * 1024
"""Bytes of a header's value. Python's ``http.client`` refuses lines of 64 KiB, and Node whole heads of 16 KiB."""
_MOST_BACK: Final = 90
"""``http.client`` refuses more than 100 headers, and some are the router's."""
_SHORTEST_KEY: Final = 16
_KEY_WAS_HERE: Final = b"[the router's key]"
_ANTHROPIC_VERSION: Final = "2023-06-01"
_AZURE: Final = ".azure.com"


def towards(
    upstream: Upstream, key: str | None, headers: Mapping[str, str], extra: Mapping[str, str] | None = None
) -> list[tuple[str, str]]:
    """Return the headers of a call to *upstream*, from those of the caller.

    *extra* are a translated call's: what the caller's own dialect says in headers then stays behind.
    """
    passed = [(name, value) for name, value in headers.items() if _passes_on(name)]
    if named := headers.get("connection"):
        hop_by_hop = _named_by([named])
        passed = [pair for pair in passed if pair[0] not in hop_by_hop]
    if extra is not None:
        passed = [
            pair for pair in passed if not pair[0].startswith(("openai-", "anthropic-", "x-stainless-"))
        ]
        passed += extra.items()
    if upstream.dialect == "anthropic" and not any(name == "anthropic-version" for name, _ in passed):
        passed.append(("anthropic-version", _ANTHROPIC_VERSION))
    if key is not None:
        passed.append(_credential(upstream, key))
    return passed


def _credential(upstream: Upstream, key: str) -> tuple[str, str]:
    if upstream.dialect == "anthropic":
        return "x-api-key", key
    if _is_azure(upstream.base_url):
        return "api-key", key
    return "authorization", f"Bearer {key}"


@lru_cache(maxsize=64)
def _is_azure(base_url: str) -> bool:
    return (urlsplit(base_url).hostname or "").endswith(_AZURE)


def back(headers: Sequence[tuple[bytes, bytes]], key: str | None = None) -> list[tuple[bytes, bytes]]:
    """Return the provider's headers that the caller gets, without the *key* that it was called with.

    A provider's word on who may read a reply from a browser does not hold for a local port. Headers so long or so many
    that clients refuse the reply over them stay behind.
    """
    passed = [pair for pair in headers if _passes_back(pair[0]) and len(pair[1]) <= _LONGEST_BACK][
        :_MOST_BACK
    ]
    for name, value in headers:
        if name == b"connection" and value.lower() not in _OF_THE_CONNECTION:
            hop_by_hop = _named_by([value.decode("latin-1")])
            passed = [pair for pair in passed if pair[0].decode("latin-1") not in hop_by_hop]
    if key is not None and key.encode() in b"\n".join([value for _, value in passed]):
        passed = [(name, without_key(value, key)) for name, value in passed]
    return passed


def without_key(told: bytes, key: str | None) -> bytes:
    """Return what a provider *told* without the *key* that it was called with, which some repeat in their errors.

    What is shorter than any key, as local servers take, is a word that may stand anywhere.
    """
    if key is None or len(key) < _SHORTEST_KEY or (raw := key.encode()) not in told:
        return told
    return told.replace(raw, _KEY_WAS_HERE)


def _named_by(connection: Iterable[str]) -> set[str]:
    """Return the names in Connection headers: what they stand for ends with this connection."""
    return {name.strip().lower() for value in connection for name in value.split(",")}


@lru_cache(maxsize=256)  # bounded: names come from outside, and may be as long as a head
def _passes_back(raw_name: bytes) -> bool:
    name = raw_name.decode("latin-1")
    return name not in _STAY_BACK and not name.startswith("access-control-")


@lru_cache(maxsize=256)
def _passes_on(name: str) -> bool:
    return name not in _STAY and not name.startswith(_OURS)
