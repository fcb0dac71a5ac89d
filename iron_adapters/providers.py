"""Which hosts are providers, and by what name."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from iron_policy.document import Upstream

if TYPE_CHECKING:
    from iron_policy.document import Policy

_HOSTS = {
    "api.openai.com": "openai",
    "eu.api.openai.com": "openai",
    "us.api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
}
_SUFFIXES = {".openai.azure.com": "openai", ".api.cognitive.microsoft.com": "openai"}


def provider_of(policy: Policy, host: str, port: int | None) -> str | None:
    """Return the name of the provider at *host*, ``None`` where the policy and we know none there."""
    if policy.upstreams:
        for (known_host, known_port), name in _configured(_frozen(policy)).items():
            if host == known_host and known_port in (None, port):
                return name
    return _HOSTS.get(host) or next(
        (name for suffix, name in _SUFFIXES.items() if host.endswith(suffix)), None
    )


def _frozen(policy: Policy) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, upstream.base_url if isinstance(upstream, Upstream) else upstream)
        for name, upstream in policy.upstreams.items()
    )


@lru_cache(maxsize=256)
def _configured(upstreams: tuple[tuple[str, str], ...]) -> dict[tuple[str, int | None], str]:
    parts = ((name, urlsplit(base_url)) for name, base_url in upstreams)
    return {(part.hostname or "", part.port): name for name, part in parts}
