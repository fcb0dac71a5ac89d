"""Keys, money and analytics of a router that an Iron Cage control plane manages.

Owns what is started and ended with such a router, and in which order. The protocol stands in ``control_plane``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self

from iron_adapters.control_plane import Analytics, ControlPlaneError, KeyRing, LeasedBudget
from iron_adapters.router.keys import Access
from iron_adapters.router.upstreams import with_version
from iron_policy.scope import Scope

if TYPE_CHECKING:
    from types import TracebackType

    from iron_adapters.control_plane import ControlPlane
    from iron_adapters.router.keys import Keys
    from iron_adapters.router.upstreams import Upstream
    from iron_policy.budget import Account
    from iron_policy.exceptions import BudgetExceeded

_log = logging.getLogger("iron.router")
_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0


class ManagedKeys:
    """The providers' keys from a control plane; those of other upstreams are the router's *own*."""

    def __init__(self, ring: KeyRing, own: Keys) -> None:
        self._ring = ring
        self._own = own
        self.provider: str | None = None
        """Whose key this router was given, once that is known."""

    async def access_to(self, upstream: Upstream, offered: str | None) -> Access:
        """Return access with the control plane's key, at the address that came with it.

        Raises:
            ControlPlaneError: there is none to be had, or it is another provider's.
        """
        if not upstream.is_official:
            return await self._own.access_to(upstream, offered)
        given = await self._ring.get(upstream.name)
        self.provider = self.provider or given.provider
        if given.base_url is None:
            return Access(upstream, given.key)
        base_url = with_version(upstream.name, given.base_url, upstream.dialect)
        return Access(replace(upstream, base_url=base_url, query=""), given.key)

    def rejected(self, upstream: Upstream, key: str) -> bool:
        """Forget *key*; tell whether the control plane may have another."""
        return upstream.is_official and self._ring.invalidate(upstream.name, key)

    def has(self, upstream: Upstream) -> bool:
        """Tell whether the control plane has given a key for *upstream*, or it needs none."""
        return upstream.name == self.provider if upstream.is_official else self._own.has(upstream)

    async def find_provider(self) -> str:
        """Return whose key the agent has.

        Raises:
            ControlPlaneError: the control plane does not say.
        """
        if self.provider is None:
            self.provider = (await self._ring.discover()).provider
        return self.provider


class Management:
    """What runs beside a router that *plane* manages.

    Args:
        plane: the control plane.
        own: the keys that the router has itself.
        cache_ttl_seconds: how long a key is used without asking again.
        direct: whether the router has its providers' keys itself, so that only analytics go to the plane.

    Attributes:
        keys: what the router asks for keys.
        lease: borrows the money; ``None`` in direct mode.
        analytics: tells the plane of every call.
    """

    def __init__(self, plane: ControlPlane, own: Keys, *, cache_ttl_seconds: float, direct: bool) -> None:
        self._plane = plane
        self._ring = KeyRing(plane, ttl_seconds=cache_ttl_seconds)
        self._managed = None if direct else ManagedKeys(self._ring, own)
        self._finding: asyncio.Task[None] | None = None
        self.keys: Keys = own if self._managed is None else self._managed
        self.lease = None if direct else LeasedBudget(plane)
        self.analytics = Analytics(plane)

    @property
    def provider(self) -> str:
        """Whose key the agent has, as far as is known."""
        return (self._managed.provider if self._managed else None) or "unknown"

    @property
    def account(self) -> Account | None:
        """The account of the money that was lent."""
        return None if self.lease is None else self.lease.account

    def scope_in(self, scope: Scope) -> Scope:
        """Return what the router's calls draw on: the lease, and *scope* around it. The plane is told of them."""
        scope.sinks = (
            (*scope.sinks, self.analytics)
            if self.lease is None
            else (*scope.sinks, self.analytics, self.lease)
        )
        lent = Scope(scope.engine, scope.vault, parent=scope, account=self.account, counts_loops=False)
        return Scope(scope.engine, scope.vault, parent=lent, counts_loops=False)

    async def lend(self, denied: BudgetExceeded) -> bool:
        """Borrow more for a call that was *denied*; tell whether there is more now."""
        return self.lease is not None and await self.lease.more(denied)

    async def __aenter__(self) -> Self:
        """Find out whose key there is, borrow the first slice, and begin to tell of calls.

        A control plane that is down keeps no router from starting: it is asked again in the background.
        """
        self.analytics.start()
        if self._managed is not None and self.lease is not None:
            with contextlib.suppress(ControlPlaneError):
                await self._managed.find_provider()
            if self._managed.provider is None:
                _log.warning("the control plane gives no provider key yet; it is asked again")
                self._finding = asyncio.create_task(self._keep_looking(self._managed))
            await self.lease.start(self._managed.find_provider)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give back what was not spent, and tell the rest; the calls have ended by now."""
        if self._finding is not None:
            self._finding.cancel()
        if self.lease is not None:
            await self.lease.stop()
        await self.analytics.stop()
        await self._ring.close()
        await self._plane.close()

    async def _keep_looking(self, keys: ManagedKeys) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while keys.provider is None:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            with contextlib.suppress(ControlPlaneError):
                await keys.find_provider()
