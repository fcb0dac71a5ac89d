"""Reserve, then settle: the one place where money is held and spent.

Owns the lock and its law: after every reservation ``spent + held <= limit`` on each account, whatever else runs.
Knows no prices, no calls and no stores. Amounts are whole nano-dollars.

Each attempt at a call holds the most that it can cost, on every account that applies or on none; its end settles
that to what it did cost. So a burst cannot overdraw an account between a check and a charge: there is no check
without a charge.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Final, TypeAlias

from iron_policy.cost.money import to_usd
from iron_policy.exceptions import BudgetExceeded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from iron_policy.budget.accounts import Account, Crossing

Abandoned: TypeAlias = "deque[tuple[tuple[Account, ...], int]]"


class Hold:
    """Money reserved for one attempt at a call, until :meth:`settle` or :meth:`release`; only the first counts.

    A hold that is dropped without either is charged in full: nobody said that the call was not sent, so the provider
    may bill it, and money must neither stay held for ever nor come free for being forgotten.
    """

    __slots__ = ("_abandoned", "_accounts", "_lock", "_open", "nanodollars")

    def __init__(
        self, lock: threading.Lock, abandoned: Abandoned, accounts: tuple[Account, ...], nanodollars: int
    ) -> None:
        self._lock = lock
        self._abandoned = abandoned
        self._accounts = accounts
        self._open = True
        self.nanodollars = nanodollars

    def settle(self, actual_nanodollars: int) -> tuple[Crossing, ...]:
        """Spend what the call cost, also where that is more than was held, and free the hold.

        Returns:
            The alerts that this set off, each once per window; empty after an earlier settle or release.

        Raises:
            ValueError: *actual_nanodollars* is negative.
        """
        if actual_nanodollars < 0:
            raise ValueError(f"a call cannot cost {actual_nanodollars} nano-dollars")
        crossed: tuple[Crossing, ...] = ()
        with self._lock:
            if self._open:
                self._open = False
                for account in self._accounts:
                    if account.window is not None:
                        account.turn()
                    account.held_nanodollars -= self.nanodollars
                    account.spent_nanodollars += actual_nanodollars
                    if account.alert_at:
                        crossed += account.crossings()
        return crossed

    def release(self) -> None:
        """Free the hold and spend nothing: the call was never sent."""
        with self._lock:
            if self._open:
                self._open = False
                for account in self._accounts:
                    account.held_nanodollars -= self.nanodollars

    def __del__(self) -> None:
        if self._open:
            # The collector may run this while this very thread is inside the lock, so nothing is locked here: the
            # ledger charges it before it next looks at any account. Closed first: in a cycle the collector may
            # still let a suspended generator run that settles this hold.
            self._open = False
            self._abandoned.append((self._accounts, self.nanodollars))


class Ledger:
    """Reserves money on accounts. Thread-safe; an account belongs to one ledger only."""

    __slots__ = ("_abandoned", "_lock")

    def __init__(self) -> None:
        self._lock: Final = threading.Lock()
        self._abandoned: Final[Abandoned] = deque()

    def reserve(self, accounts: Sequence[Account], nanodollars: int) -> Hold:
        """Hold *nanodollars* on each of *accounts*, or on none of them.

        Raises:
            BudgetExceeded: naming the first account that is short, and what is spent and held on it.
            ValueError: *nanodollars* is negative.
        """
        if nanodollars < 0:
            raise ValueError(f"cannot hold {nanodollars} nano-dollars")
        with self._lock:
            if self._abandoned:
                _charge(self._abandoned)
            for position, account in enumerate(accounts):
                if account.window is not None:
                    account.turn()
                held = account.held_nanodollars + nanodollars
                if account.spent_nanodollars + held > account.limit_nanodollars:
                    for drawn in accounts[:position]:
                        drawn.held_nanodollars -= nanodollars
                    figures = account.limit_nanodollars, account.spent_nanodollars, account.held_nanodollars
                    break
                account.held_nanodollars = held
            else:
                return Hold(self._lock, self._abandoned, tuple(accounts), nanodollars)
        raise _refusal(
            account.scope, nanodollars, *figures
        )  # built outside the lock: a burst of refusals is cheap

    def headroom(self, accounts: Iterable[Account]) -> int | None:
        """Return the most that can be held on all of *accounts* now, ``None`` where there are none."""
        least: int | None = None
        with self._lock:
            _charge(self._abandoned)
            for account in accounts:
                account.turn()
                left = max(
                    0, account.limit_nanodollars - account.spent_nanodollars - account.held_nanodollars
                )
                least = left if least is None else min(least, left)
        return least

    def survive_forks(self) -> None:
        """See to it that a child process never inherits the lock in the hands of a thread that it does not have."""
        os.register_at_fork(
            before=self._lock.acquire, after_in_parent=self._lock.release, after_in_child=self._lock.release
        )


def _charge(abandoned: Abandoned) -> None:
    """Spend what forgotten holds held; under the lock. Their alerts come with the account's next settlement."""
    while abandoned:
        accounts, nanodollars = abandoned.popleft()
        for account in accounts:
            account.turn()
            account.held_nanodollars -= nanodollars
            account.spent_nanodollars += nanodollars


def _refusal(scope: str, wanted: int, *figures: int) -> BudgetExceeded:
    limit, spent, held = map(to_usd, figures)
    return BudgetExceeded(
        f"budget {scope!r}: this call can cost up to ${to_usd(wanted):f}, and of ${limit:f} "
        f"${spent:f} are spent and ${held:f} held by calls under way; raise the limit, lower max_tokens, or wait "
        "for those calls",
        spent_usd=float(spent),
        held_usd=float(held),
        limit_usd=float(limit),
        scope=scope,
    )


PROCESS_LEDGER: Final = Ledger()
"""The ledger of this process, shared by all engines, because a run's account may be drawn on by several of them.

A forked child goes on with a copy of it: in memory, a limit holds per process.
"""
PROCESS_LEDGER.survive_forks()
