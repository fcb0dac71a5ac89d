"""Provider keys in memory: fetched once for many callers, kept for a time, never used for another provider.

Owns when a key is asked for anew. Knows no HTTP and no provider's API; whoever uses a key says when it is refused.

==========================  ============================================================================
the key is                  ``get``
==========================  ============================================================================
younger than the TTL        returns it
older                       asks for a new one; all callers wait for the one request
older, the server is down   returns it for one more TTL (at least 60 seconds): stale, and better than none
refused by the provider     asks for a new one, at most every 5 seconds
refused by the server       is forgotten at once
==========================  ============================================================================

A failure is remembered: for 5 seconds where the server said no, for 1 to 30 seconds (doubling) where it is down.
"""

from __future__ import annotations

import asyncio
import copy
import time
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Final

from iron_adapters.control_plane.errors import ControlPlaneError, ProviderMismatch
from iron_adapters.providers import OFFICIAL_URLS, provider_of_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from iron_adapters.control_plane.client import ControlPlane
    from iron_adapters.control_plane.replies import ProviderKey

LEAST_GRACE_SECONDS: Final = 60.0
_REFUSED_SECONDS: Final = 5.0
_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
_REPLACEMENT_SECONDS: Final = 5.0
"""The least time between two keys that are asked for because a provider refused the one before."""


@dataclass(slots=True, eq=False)
class _Slot:
    """What is known of one provider's key."""

    key: ProviderKey | None = field(default=None, repr=False)
    fetched_at: float = -inf
    error: ControlPlaneError | None = None
    outages: int = 0
    pause_ends: float = -inf
    replaced_at: float = -inf
    fetch: asyncio.Task[ProviderKey | ControlPlaneError] | None = None


class KeyRing:
    """The provider keys of one agent. Used from one event loop.

    Args:
        plane: where keys come from.
        ttl_seconds: how long a key is used without asking again. With 0 none is kept: each call asks, unless
            somebody is asking at that moment, and there is no grace when the server is down.
        clock: seconds that never go back.

    Raises:
        ValueError: *ttl_seconds* is negative.
    """

    def __init__(
        self,
        plane: ControlPlane,
        *,
        ttl_seconds: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not ttl_seconds >= 0:
            raise ValueError(f"the life of a cached key cannot be {ttl_seconds!r} seconds; 0 caches none")
        self._plane = plane
        self._ttl = ttl_seconds
        self._clock = clock
        self._slots: dict[str, _Slot] = {}

    async def get(self, provider: str) -> ProviderKey:
        """Return a key of *provider*.

        Raises:
            ProviderMismatch: the control plane hands out another provider's key.
            ControlPlaneError: it hands out none, and there is none left to use.
        """
        slot = self._slots.setdefault(provider, _Slot())
        now = self._clock()
        if slot.key is not None and now - slot.fetched_at < self._ttl:
            return slot.key
        if slot.fetch is None and now >= slot.pause_ends:
            slot.fetch = asyncio.create_task(self._fetch(provider, slot))
        stale = self._usable_in_outage(slot, now)
        if slot.fetch is None or (stale is not None and slot.outages):
            # A server that was down a moment ago may take its whole time limit to fail again: nobody waits for that.
            return _key_or_raise(stale or slot.error)
        # Shielded: one caller who hangs up must not take the key from all the others.
        outcome = await asyncio.shield(slot.fetch)
        if isinstance(outcome, ControlPlaneError) and outcome.outage:
            return _key_or_raise(self._usable_in_outage(slot, self._clock()) or outcome)
        return _key_or_raise(outcome)

    async def discover(self) -> ProviderKey:
        """Ask which provider this agent has a key for; the key is kept for :meth:`get`.

        Raises:
            ProviderMismatch: the key does not look like one of the provider that the control plane names.
            ControlPlaneError: the control plane does not say.
        """
        key = await self._plane.fetch_key(None)
        if (mismatch := _mismatch(key.provider, key)) is not None:
            raise mismatch
        self._keep(self._slots.setdefault(key.provider, _Slot()), key)
        return key

    def invalidate(self, provider: str, key: str) -> bool:
        """Take note that *provider* has refused *key*.

        Returns:
            Whether :meth:`get` may now bring another key. ``False`` where one was replaced only seconds ago: the
            provider's refusal is then to be handed on.
        """
        slot = self._slots.get(provider)
        if slot is None or slot.key is None or slot.key.key != key:
            return True
        now = self._clock()
        if now - slot.replaced_at < _REPLACEMENT_SECONDS:
            return False
        slot.replaced_at = now
        slot.key = None
        return True

    async def close(self) -> None:
        """Forget all keys, and stop asking for any."""
        asking = [slot.fetch for slot in self._slots.values() if slot.fetch is not None]
        self._slots.clear()
        for fetch in asking:
            fetch.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def _fetch(self, provider: str, slot: _Slot) -> ProviderKey | ControlPlaneError:
        """Ask for a key and note what came; return an error instead of raising it, since nobody may be waiting."""
        try:
            key = await self._plane.fetch_key(provider)
        except ControlPlaneError as error:
            self._note(slot, error)
            return error
        except asyncio.CancelledError:
            return _closed()  # only `close` cancels this task; who waits for it is not cancelled
        finally:
            slot.fetch = None
        if (mismatch := _mismatch(provider, key)) is not None:
            self._note(slot, mismatch)
            return mismatch
        self._keep(slot, key)
        return key

    def _keep(self, slot: _Slot, key: ProviderKey) -> None:
        slot.key = key if self._ttl else None
        slot.fetched_at = self._clock()
        slot.error, slot.outages, slot.pause_ends = None, 0, -inf

    def _note(self, slot: _Slot, error: ControlPlaneError) -> None:
        slot.error = error
        if error.outage:
            pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(slot.outages, 10))
            slot.outages += 1
        else:
            pause = _REFUSED_SECONDS
            slot.outages = 0
            slot.key = None
        slot.pause_ends = self._clock() + pause

    def _usable_in_outage(self, slot: _Slot, now: float) -> ProviderKey | None:
        grace = max(self._ttl, LEAST_GRACE_SECONDS)
        return slot.key if now - slot.fetched_at < self._ttl + grace else None


def _key_or_raise(outcome: ProviderKey | ControlPlaneError | None) -> ProviderKey:
    if isinstance(outcome, ControlPlaneError):
        # A copy, because one error is raised for many callers, and each raise adds to its traceback.
        raise copy.copy(outcome)
    if outcome is None:
        raise _closed()
    return outcome


def _closed() -> ControlPlaneError:
    return ControlPlaneError("the provider keys have been forgotten, because the router stops")


def _mismatch(wanted: str, key: ProviderKey) -> ProviderMismatch | None:
    """Return what speaks against *key* for *wanted*: whose the server says it is, or whose it looks like."""
    given = key.provider
    if given == wanted and key.base_url is None and given in OFFICIAL_URLS:
        given = provider_of_key(key.key)  # a wrong entry in the server's list must not disclose a key
    if given == wanted:
        return None
    return ProviderMismatch(
        f"the control plane hands out a key of {given!r} to this agent, and the call is for {wanted!r}; "
        f"assign it a key of {wanted!r}, or ask a model of {given!r}",
        status=200,
    )
