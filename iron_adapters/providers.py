"""Which hosts, keys and models belong to which provider.

Owns the providers' names and addresses, and the rule that a key never goes to another provider. Sends nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from iron_policy.document import Upstream
from iron_policy.exceptions import IronError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iron_policy.document import Policy

Dialect: TypeAlias = Literal["openai", "anthropic"]

OFFICIAL_URLS: Final[Mapping[Dialect, str]] = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com/v1",
}
_HOSTS = {
    "api.openai.com": "openai",
    "eu.api.openai.com": "openai",
    "us.api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
}
_SUFFIXES = {".openai.azure.com": "openai", ".api.cognitive.microsoft.com": "openai"}
_ANTHROPIC_KEY = "sk-ant-"
_ANY_KEY = "sk-"
_OPENAI_MODELS = re.compile(
    r"gpt|chatgpt|o\d|codex|ft:|text-embedding-|davinci|babbage|omni-moderation|text-moderation|computer-use"
)


class ProviderMismatch(IronError):  # noqa: N818 - what it tells
    """A call and the key at hand belong to different providers, so nothing was sent."""

    code = "provider_mismatch"


def provider_of_key(key: str) -> Dialect:
    """Return whose key *key* is: Anthropic's begin with ``sk-ant-``; all others are taken for OpenAI's."""
    return "anthropic" if key.startswith(_ANTHROPIC_KEY) else "openai"


def provider_of_model(model: str) -> Dialect | None:
    """Return whose model *model* is by its name, ``None`` where the name does not tell."""
    if model.startswith("claude"):
        return "anthropic"
    return "openai" if _OPENAI_MODELS.match(model) else None


def refuse_foreign_key(upstream_name: str, key: str) -> None:
    """Raise where *key* has the form of another provider's than *upstream_name*. One of neither form may be a gateway's.

    Raises:
        ProviderMismatch: naming both, and never the key.
    """
    owner = provider_of_key(key)
    if upstream_name in OFFICIAL_URLS and owner != upstream_name and key.startswith(_ANY_KEY):
        raise ProviderMismatch(
            f"the key at hand is one of {owner!r} and the call is for {upstream_name!r}; "
            "a key is never sent to another provider"
        )


def provider_of(policy: Policy, host: str, port: int | None, path: str = "") -> str | None:
    """Return the name of the provider at *host*, ``None`` where the policy and we know none there.

    Where several share an address, as behind one gateway, *path* tells: by whose API it is, then by what it begins with.
    """
    if policy.upstreams:
        known = _configured(_frozen(policy))
        at_hand = known.get((host, port)) or known.get((host, None))
        if at_hand:
            return at_hand[0].name if len(at_hand) == 1 else _meant(at_hand, path).name
    return _HOSTS.get(host) or next(
        (name for suffix, name in _SUFFIXES.items() if host.endswith(suffix)), None
    )


class _Known(NamedTuple):
    """An upstream of a policy, as its address tells it."""

    name: str
    dialect: str
    path: str


def _meant(at_hand: tuple[_Known, ...], path: str) -> _Known:
    dialect = "anthropic" if "/messages" in path else "openai"

    def fits(known: _Known) -> tuple[bool, int]:
        return known.dialect == dialect, len(known.path) if path.startswith(known.path) else -1

    return max(at_hand, key=fits)


def _frozen(policy: Policy) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (name, upstream.base_url, upstream.dialect)
        if isinstance(upstream, Upstream)
        else (name, upstream, "anthropic" if name == "anthropic" else "openai")
        for name, upstream in policy.upstreams.items()
    )


@lru_cache(maxsize=256)
def _configured(
    upstreams: tuple[tuple[str, str, str], ...],
) -> dict[tuple[str, int | None], tuple[_Known, ...]]:
    found: dict[tuple[str, int | None], tuple[_Known, ...]] = {}
    for name, base_url, dialect in upstreams:
        parts = urlsplit(base_url)
        place = parts.hostname or "", parts.port
        found[place] = (*found.get(place, ()), _Known(name, dialect, parts.path.rstrip("/")))
    return found
