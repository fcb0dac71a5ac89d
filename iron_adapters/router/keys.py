"""The keys that a router calls providers with.

Owns the rule whose key a call goes with: the router's own, or, where it has none and asks callers for no token, the
caller's. A key is never sent to another provider, and stands in no repr.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, NoReturn, Protocol

from iron_adapters.providers import ProviderMismatch, provider_of_key, refuse_foreign_key
from iron_adapters.router.doors import Unauthorized

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iron_adapters.router.upstreams import Upstream


class Access(NamedTuple):
    """How a call reaches its provider."""

    upstream: Upstream
    """With the address that belongs to the key, where the key came with one."""
    key: str | None
    """``None`` where none is needed."""

    def __repr__(self) -> str:
        return f"Access({self.upstream.name!r})"


class Keys(Protocol):
    """What the router asks for keys."""

    async def access_to(self, upstream: Upstream, offered: str | None) -> Access:
        """Return how a call reaches *upstream*.

        Args:
            upstream: where the call goes.
            offered: the credential that the caller sent, where it is not the router's own token.

        Raises:
            ProviderMismatch: there is no key for this provider.
            IronError: keys come from elsewhere, and none could be had.
        """

    def rejected(self, upstream: Upstream, key: str) -> bool:
        """Take note that *upstream* refused *key*; tell whether asking again may bring another."""

    def has(self, upstream: Upstream) -> bool:
        """Tell whether calls to *upstream* can be served."""


class OwnKeys:
    """Keys that were given to the router when it started.

    Args:
        keys: by the upstream's name.
        takes_callers: whether a caller's own key may be used where the router has none.

    Raises:
        ProviderMismatch: a key is another provider's than the one it was given for.
    """

    def __init__(self, keys: Mapping[str, str], *, takes_callers: bool = False) -> None:
        for name, key in keys.items():
            refuse_foreign_key(name, key)
        self._keys = dict(keys)
        self._takes_callers = takes_callers

    def __repr__(self) -> str:
        return f"OwnKeys(for {sorted(self._keys)})"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: the keys stay in this process."""
        raise TypeError("OwnKeys holds keys and cannot be pickled")

    async def access_to(self, upstream: Upstream, offered: str | None) -> Access:
        """Return access with the router's key for *upstream*, else with the one that the caller offered if it fits."""
        key = self._keys.get(upstream.name)
        if key is None and upstream.is_official:
            if not self._takes_callers:
                raise ProviderMismatch(
                    f"this call is for {upstream.name!r}, and this router {self._in_hand()}"
                )
            if not offered:
                raise Unauthorized(
                    f"no API key: send your key for {upstream.name!r} as the client's API key, or start the router with it"
                )
            refuse_foreign_key(upstream.name, offered)
            key = offered
        return Access(upstream, key)

    def rejected(self, upstream: Upstream, key: str) -> bool:
        """Return False: there is no other."""
        del upstream, key
        return False

    def has(self, upstream: Upstream) -> bool:
        """Tell whether there is a key, or none is needed, or callers bring theirs."""
        return upstream.name in self._keys or not upstream.is_official or self._takes_callers

    def _in_hand(self) -> str:
        if not self._keys:
            return "has no key; start it with one"
        return f"has a key for {' and '.join(sorted(self._keys))} only; give it the other provider's key too"


def by_provider(provider_key: str | Mapping[str, str]) -> dict[str, str]:
    """Return keys by provider, from one key, whose shape tells, or a mapping."""
    if isinstance(provider_key, str):
        return {provider_of_key(provider_key): provider_key}
    return dict(provider_key)
