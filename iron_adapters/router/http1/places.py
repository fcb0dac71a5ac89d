"""Addresses as HTTP/1.1 writes them: whom to connect to, and what to ask there (RFC 9112, section 3.2)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_AS_THEY_ARE: Final = "!$%&'()*+,-./:;=?@[]_|~"


class Address(NamedTuple):
    """Whom to connect to."""

    host: str
    port: int
    tls: bool


class Target(NamedTuple):
    """What to ask, and where."""

    address: Address
    host: str
    """As the Host header has it."""
    path: str
    """With its query, in ASCII without blanks."""


class _Place(NamedTuple):
    """A target without its query."""

    address: Address
    host: str
    path: str


def target_of(url: str) -> Target:
    """Return what *url* stands for. It is one of an upstream's, which was read when the router began.

    What follows ``?`` was read as Latin-1, which has a character for each byte that a caller may send.
    """
    base, _, query = url.partition("?")
    place = _place_of(base)
    path = f"{place.path}?{quote(query, safe=_AS_THEY_ARE, encoding='latin-1')}" if query else place.path
    return Target(place.address, place.host, path)


@lru_cache(maxsize=256)  # bounded: models' names come from callers
def _place_of(base: str) -> _Place:
    parts = urlsplit(base)
    host = parts.hostname or ""
    if not host.isascii():
        host = host.encode("idna").decode()
    default = _DEFAULT_PORTS[parts.scheme]
    port = parts.port or default
    named = f"[{host}]" if ":" in host else host
    return _Place(
        Address(host, port, parts.scheme == "https"),
        named if port == default else f"{named}:{port}",
        quote(parts.path or "/", safe=_AS_THEY_ARE),
    )
