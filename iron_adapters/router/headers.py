"""Which headers pass, and which stay: towards the provider and back.

Owns the lists. Hop-by-hop headers are RFC 9110, section 7.6.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

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
_ANTHROPIC_VERSION: Final = "2023-06-01"
_AZURE: Final = ".azure.com"


def towards(
    upstream: Upstream, key: str | None, headers: Mapping[str, str], extra: Mapping[str, str] | None = None
) -> list[tuple[str, str]]:
    """Return the headers of a call to *upstream*, from those of the caller.

    *extra* are a translated call's: what the caller's own dialect says in headers then stays behind.
    """
    stay = _STAY
    if named := headers.get("connection"):
        stay |= {name.strip().lower() for name in named.split(",")}
    passed = [
        (name, value) for name, value in headers.items() if name not in stay and not name.startswith(_OURS)
    ]
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
    if _AZURE in upstream.base_url:
        return "api-key", key
    return "authorization", f"Bearer {key}"


def back(headers: Iterable[tuple[str, str]]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the provider's headers that the caller gets.

    A provider's word on who may read a reply from a browser does not hold for a local port.
    """
    for name, value in headers:
        name = name.lower()  # noqa: PLW2901 - HTTP/1.1 servers write them as they like
        if name not in _STAY_BACK and not name.startswith("access-control-"):
            yield name.encode("latin-1"), value.encode("latin-1", "replace")
