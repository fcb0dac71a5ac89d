"""One budget of one scope: its limit, what is spent, what is held.

Owns the counters, the alerts and the turn of the window. Decides nothing and locks nothing: the ledger does, and
everything here but reading happens under its lock.
"""

from __future__ import annotations

import time
from decimal import Decimal
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from iron_policy.budget.windows import Window, next_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Crossing(NamedTuple):
    """A budget has been spent to a fraction at which its policy wants to hear of it."""

    account: Account
    fraction: float


class Account:
    """A limit in nano-dollars and what has been drawn on it. Read it at any time; only a ledger writes.

    Attributes:
        scope: what the limit is for, such as ``run``, ``global`` or ``team/research``.
        limit_nanodollars: the most that may be spent and held together.
        spent_nanodollars: settled in this window. It exceeds the limit only where a provider billed more than the
            bound of a call, and then tells it.
        held_nanodollars: the sum of all live holds.
        window: how long until ``spent_nanodollars`` starts anew; ``None`` for never. What is held stays held.
        alert_at: fractions of the limit to tell of, once per window each.
    """

    __slots__ = (
        "_clock",
        "_lines",
        "_told",
        "_turns_at",
        "alert_at",
        "held_nanodollars",
        "limit_nanodollars",
        "scope",
        "spent_nanodollars",
        "window",
    )

    def __init__(
        self,
        scope: str,
        limit_nanodollars: int,
        *,
        window: Window | None = None,
        alert_at: Iterable[float] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.scope = scope
        self.spent_nanodollars = 0
        self.held_nanodollars = 0
        self.window = window
        self.alert_at = tuple(sorted(alert_at))
        if not all(0 < fraction <= 1 for fraction in self.alert_at):
            raise ValueError(
                f"alert_at of budget {scope!r}: fractions lie above 0 and up to 1, not {self.alert_at!r}"
            )
        self._clock = clock
        self._turns_at = inf if window is None else next_turn(window, clock())
        self._told = 0
        self.set_limit(limit_nanodollars)

    def __repr__(self) -> str:
        return (
            f"Account({self.scope!r}, limit_nanodollars={self.limit_nanodollars}, "
            f"spent_nanodollars={self.spent_nanodollars}, held_nanodollars={self.held_nanodollars})"
        )

    def set_limit(self, nanodollars: int) -> None:
        """Change the limit from now on. Calls under way keep what they hold, also where it no longer fits.

        Raises:
            ValueError: *nanodollars* is negative.
        """
        if nanodollars < 0:
            raise ValueError(f"the limit of budget {self.scope!r} cannot be negative: {nanodollars}")
        self.limit_nanodollars = nanodollars
        # At least 1, so that a budget of nothing does not tell of itself before anything is spent. Replaced as a
        # whole, because a settlement in another thread may be reading it.
        self._lines = tuple(max(1, _share(nanodollars, fraction)) for fraction in self.alert_at)

    def turn(self) -> None:
        """Start anew if the window has ended. A clock that steps back ends nothing twice."""
        if self.window is not None and (now := self._clock()) >= self._turns_at:
            self.spent_nanodollars = 0
            self._told = 0
            self._turns_at = next_turn(self.window, now)

    def crossings(self) -> tuple[Crossing, ...]:
        """Return the fractions that have been reached and not yet been told in this window."""
        first, spent = self._told, self.spent_nanodollars
        if first == len(self._lines) or spent < self._lines[first]:
            return ()
        while self._told < len(self._lines) and spent >= self._lines[self._told]:
            self._told += 1
        return tuple(Crossing(self, fraction) for fraction in self.alert_at[first : self._told])


def _share(nanodollars: int, fraction: float) -> int:
    # Through `str`, so that 0.8 of a dollar is 80 cents and not a hair more.
    return int(nanodollars * Decimal(str(fraction)))
