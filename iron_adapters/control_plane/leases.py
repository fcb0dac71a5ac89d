"""The budget of server mode: an account whose limit is what the control plane has lent.

Owns when to borrow and when to give back. Money is whole nano-dollars. Judges no call: the ledger refuses what does
not fit the account.

A crash loses the unspent rest of the open leases (as a rule less than two grants), and so does a handshake whose
answer is lost: the server counts it as spent until somebody frees it there. Reports tell how much was really used.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from math import inf
from typing import TYPE_CHECKING, Final

from iron_adapters.control_plane.errors import ControlPlaneError
from iron_adapters.control_plane.lease_book import LeaseBook
from iron_adapters.control_plane.reports import Reports
from iron_policy.budget import PROCESS_LEDGER, Account
from iron_policy.cost.money import NANO, to_nanodollars, to_usd

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from decimal import Decimal

    from iron_adapters.control_plane.client import ControlPlane
    from iron_adapters.control_plane.lease_book import OpenLease
    from iron_adapters.control_plane.outbox import Pace
    from iron_adapters.control_plane.replies import Lease
    from iron_policy.audit import AuditEvent
    from iron_policy.exceptions import BudgetExceeded

LOGGER: Final = logging.getLogger("iron.control_plane")

_DENIED_SECONDS: Final = 60.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
_BAD_REQUEST: Final = 400


class LeasedBudget:
    """Borrow from *plane*, in slices, what the calls on :attr:`account` need; report them; return the rest.

    It is a sink: give it to the engine, and :attr:`account` to the scope of the calls. More is borrowed in the
    background when less than $1 or a tenth of the latest grant is left (half of it, where it is below $2), and for
    whoever awaits :meth:`more`. After a denial nothing is asked for a minute; a server that is down is asked again
    after 1 to 30 seconds. Without a lease the limit is 0, so that nothing is sent: it fails closed.

    Args:
        plane: who lends.
        tranche_usd: how much to ask for at a time; the contract allows up to $100.
        reports: whether to report each call. Iron Cage up to 0.4 charges a reported call twice: say ``False`` there.
        pace: when reports are sent.
        clock: seconds that never go back.
        first_pause_seconds: how long to wait before a server that is down is asked again; each time doubles it.

    Attributes:
        account: its limit is the sum of what was granted.

    Raises:
        ValueError: *tranche_usd* is no amount of money.
    """

    def __init__(
        self,
        plane: ControlPlane,
        *,
        tranche_usd: Decimal | float | str = 10,
        reports: bool = True,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
        first_pause_seconds: float = 1.0,
    ) -> None:
        to_nanodollars(tranche_usd)
        self.account = Account("lease", 0)
        self._plane = plane
        self._tranche_usd = tranche_usd
        self._clock = clock
        self._first_pause = first_pause_seconds
        self._book = LeaseBook()
        self._reports = Reports(plane, self._book, pace=pace, sends=reports)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._provider: str | Callable[[], Awaitable[str]] = ""
        self._borrowing: asyncio.Task[None] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._returning: set[asyncio.Task[bool]] = set()
        self._least_left = 0
        self._not_before = -inf
        self._outages = 0
        self._stopping = False
        self._ended = asyncio.Event()

    async def start(self, provider: str | Callable[[], Awaitable[str]]) -> bool:
        """Borrow the first slice.

        Args:
            provider: whose key the agent has: a lease for another would be refused. A function is asked until it has
                told once; it may raise :class:`ControlPlaneError`.

        Returns:
            Whether there is money. Where the server was down it is asked again in the background.
        """
        self._provider = provider
        self._loop = asyncio.get_running_loop()
        self._reports.outbox.start()
        await self._borrow_more()
        return self.account.limit_nanodollars > 0

    async def more(self, denied: BudgetExceeded) -> bool:
        """Borrow more, because a call was *denied* for want of it.

        Returns:
            Whether the limit has grown since, so that the call may be tried again.
        """
        if denied.scope != self.account.scope:
            return False
        seen = to_nanodollars(denied.limit_usd)
        if self.account.limit_nanodollars <= seen:
            await self._borrow_more()
        return self.account.limit_nanodollars > seen

    def write(self, event: AuditEvent) -> None:
        """Take a record, from any thread: charge a call that ended to a lease, and borrow where money runs low."""
        self._reports.take(event)
        if self._loop is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended
            if self._stopping:
                self._loop.call_soon_threadsafe(self._ended.set)
            elif self._may_borrow() and (self._left() < self._least_left or self._refused(event)):
                self._loop.call_soon_threadsafe(self._borrow)

    def close(self) -> None:
        """Do nothing: :meth:`stop` ends it, once the calls have ended."""

    async def stop(self, timeout_seconds: float = 10.0) -> bool:
        """Admit no more, wait for the calls under way, send the reports, and give back what is not spent.

        Each of the three may take *timeout_seconds*; what is still held after the first counts as spent. Afterwards
        the limit is what was spent.

        Returns:
            Whether every lease was taken back.
        """
        if self._loop is None or self._stopping:
            return True
        self._stopping = True
        if self._retry is not None:
            self._retry.cancel()
        self.account.set_limit(0)
        await self._wait_for_calls(timeout_seconds)
        await self._reports.outbox.stop(timeout_seconds)
        spent = self.account.spent_nanodollars + self.account.held_nanodollars
        self.account.set_limit(spent)
        self._book.charge_up_to(spent)
        await asyncio.gather(*self._returning)
        return all(await asyncio.gather(*map(self._give_back, self._book.take_all())))

    # -- borrowing -----------------------------------------------------------------------------------------

    def _left(self) -> int:
        account = self.account
        return account.limit_nanodollars - account.spent_nanodollars - account.held_nanodollars

    def _refused(self, event: AuditEvent) -> bool:
        return event.type == "call.refused" and event.attributes.get("iron.scope") == self.account.scope

    def _may_borrow(self) -> bool:
        return self._borrowing is None and not self._stopping and self._clock() >= self._not_before

    def _borrow(self) -> None:
        if self._loop is not None and self._may_borrow():
            self._borrowing = self._loop.create_task(self._handshake())

    async def _borrow_more(self) -> None:
        self._borrow()
        if self._borrowing is not None:
            # Shielded: many calls wait for one request, and any of them may be given up.
            await asyncio.shield(self._borrowing)

    async def _handshake(self) -> None:
        try:
            if not isinstance(self._provider, str):
                self._provider = await self._provider()
            lease = await self._plane.handshake(self._provider, self._tranche_usd)
        except ControlPlaneError as error:
            self._not_granted(error)
        except asyncio.CancelledError:
            pass  # only `stop` cancels this task; who waits for it is not cancelled
        else:
            self._granted(lease)
        finally:
            self._borrowing = None

    def _granted(self, lease: Lease) -> None:
        granted = lease.granted_nanodollars
        self._book.add(lease)
        self._outages = 0
        self._not_before = -inf if granted else self._clock() + _DENIED_SECONDS
        self._least_left = max(granted // 10, min(NANO, granted // 2))
        if not self._stopping:
            self.account.set_limit(self.account.limit_nanodollars + granted)
        for lease_used_up in self._book.take_used_up():  # so that a long life does not gather them
            task = asyncio.create_task(self._give_back(lease_used_up))
            self._returning.add(task)
            task.add_done_callback(self._returning.discard)

    def _not_granted(self, error: ControlPlaneError) -> None:
        if not error.outage:
            self._not_before = self._clock() + _DENIED_SECONDS
            LOGGER.warning("no more is lent: %s; asked again in a minute, when a call needs it", error)
            return
        pause = min(_LONGEST_PAUSE_SECONDS, self._first_pause * 2 ** min(self._outages, 10))
        self._outages += 1
        self._not_before = self._clock() + pause
        if self._outages == 1:
            LOGGER.warning("nothing is lent for now: %s; asked again in the background", error)
        if self._loop is not None and not self._stopping:
            self._retry = self._loop.call_later(pause, self._ask_again)

    def _ask_again(self) -> None:
        self._not_before = -inf
        self._borrow()

    # -- giving back ---------------------------------------------------------------------------------------

    async def _wait_for_calls(self, timeout_seconds: float) -> None:
        """Wait for a grant under way, which is to be given back too, and until nothing is held."""
        PROCESS_LEDGER.headroom((self.account,))  # charges the holds that were dropped without an end
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                if self._borrowing is not None:
                    await asyncio.shield(self._borrowing)
                while self.account.held_nanodollars:
                    self._ended.clear()
                    await self._ended.wait()
        if self._borrowing is not None:
            self._borrowing.cancel()

    async def _give_back(self, lease: OpenLease) -> bool:
        """Return one lease; once more where the first time brought no answer."""
        failure = await self._return(lease)
        if failure is not None and failure.outage:
            failure = await self._return(lease)
            if failure is not None and failure.status == _BAD_REQUEST:
                return True  # it is not active any more: the first request did arrive
        if failure is None:
            return True
        left = f"{to_usd(max(0, lease.left_nanodollars)):f}"
        LOGGER.warning("$%s of a lease could not be given back: %s", left, failure)
        return False

    async def _return(self, lease: OpenLease) -> ControlPlaneError | None:
        try:
            await self._plane.return_lease(lease.lease, lease.charged_nanodollars)
        except ControlPlaneError as error:
            return error
        return None
