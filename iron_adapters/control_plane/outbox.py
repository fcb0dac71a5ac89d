"""Sends things in the background, each once: as they gather, again after an outage, the rest at the end.

Owns the buffer and the pace. Knows neither what it sends nor how: that is one awaitable function.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from iron_adapters.control_plane.errors import ControlPlaneError, worth_repeating

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LOGGER: Final = logging.getLogger("iron.control_plane")

_AT_A_TIME: Final = 16
_MOST_TRIES: Final = 10
"""How often something is sent that the server answers with 401, 408 or 429. Where it is down there is no limit."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """When an outbox sends."""

    interval_seconds: float = 5.0
    """The longest that something waits for company."""
    batch: int = 10
    """So many waiting are sent at once."""
    first_pause_seconds: float = 0.5
    """How long to wait after a failure; each further one doubles it."""
    longest_pause_seconds: float = 30.0


@dataclass(slots=True, eq=False)
class _Entry(Generic[Item]):
    item: Item
    tries: int = 0


class Outbox(Generic[Item]):
    """Send what is put in, up to 16 at a time, the oldest first.

    Attributes:
        sent: how many the server took.
        refused: how many it will never take (a 4xx), or did not take after ten tries.
        dropped: how many found no room.
    """

    def __init__(
        self,
        name: str,
        send: Callable[[Item], Awaitable[object]],
        *,
        pace: Pace | None = None,
        capacity: int = 10_000,
    ) -> None:
        self.sent = self.refused = self.dropped = 0
        self._name = name
        self._send = send
        self._pace = pace or Pace()
        self._capacity = capacity
        self._entries: deque[_Entry[Item]] = deque()
        self._under_way = 0
        self._failures = 0
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._roused = False
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._drained = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many are not yet delivered."""
        return len(self._entries) + self._under_way

    def put(self, item: Item) -> bool:
        """Take *item*, from any thread and without waiting; ``False`` where there is no room."""
        if self.waiting >= self._capacity:
            with self._lock:
                self.dropped += 1
                first = self.dropped == 1
            if first:
                LOGGER.warning("%s are being dropped: %d wait already", self._name, self._capacity)
            return False
        self._entries.append(_Entry(item))
        if len(self._entries) >= self._pace.batch and not self._roused and self._loop is not None:
            self._roused = True
            with contextlib.suppress(RuntimeError):  # the loop has ended; nothing is sent any more
                self._loop.call_soon_threadsafe(self._wake.set)
        return True

    def start(self) -> None:
        """Begin to send, on the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._run())
        self._wake.set()

    async def flush(self, timeout_seconds: float) -> int:
        """Send what is waiting now; return how many could not be sent in time."""
        if self._task is None:
            return self.waiting
        self._failures = 0
        self._hurry.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while self.waiting:
                    self._drained.clear()
                    self._wake.set()
                    await self._drained.wait()
        return self.waiting

    async def stop(self, timeout_seconds: float) -> int:
        """Flush, then send no more; return how many were never sent."""
        left = await self.flush(timeout_seconds)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = self._loop = None
        if left:
            LOGGER.warning(
                "%d %s were not sent: the control plane did not take them in time", left, self._name
            )
        return left

    async def _run(self) -> None:
        while True:
            await _rest(self._wake, self._pace.interval_seconds)
            self._roused = False
            while self._entries:
                if await self._send_some():
                    self._failures = 0
                else:
                    await self._pause()
            self._drained.set()

    async def _send_some(self) -> bool:
        """Send as many as go at a time; put back what is to be sent again, and tell whether there was none."""
        entries = [self._entries.popleft() for _ in range(min(_AT_A_TIME, len(self._entries)))]
        self._under_way = len(entries)
        try:
            failed = await asyncio.gather(*map(self._fails, entries))
        finally:
            self._under_way = 0
        again = [entry for entry, failure in zip(entries, failed, strict=True) if failure]
        self._entries.extendleft(reversed(again))
        return not again

    async def _fails(self, entry: _Entry[Item]) -> bool:
        """Send one; return whether it is to be sent again."""
        try:
            await self._send(entry.item)
        except ControlPlaneError as error:
            entry.tries += 1
            answered = error.status is not None and error.status < 500  # noqa: PLR2004 - RFC 9110 section 15.5
            if worth_repeating(error) and not (answered and entry.tries >= _MOST_TRIES):
                return True
            self.refused += 1
            if self.refused == 1:
                LOGGER.warning("some %s are refused and not sent again; the first: %s", self._name, error)
        else:
            self.sent += 1
        return False

    async def _pause(self) -> None:
        pace = self._pace
        if not self._failures:
            LOGGER.warning("%s wait until the control plane takes them", self._name)
        pause = min(pace.longest_pause_seconds, pace.first_pause_seconds * 2 ** min(self._failures, 20))
        self._failures += 1
        await _rest(self._hurry, pause)


async def _rest(event: asyncio.Event, seconds: float) -> None:
    """Wait until *event*, which is then cleared, or for *seconds*."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    event.clear()
