"""Calendar windows in UTC, and accounts that live by them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iron_policy.budget import Account, Ledger, next_turn
from iron_policy.exceptions import BudgetExceeded

DOLLAR = 1_000_000_000


def epoch(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("window", "moment", "turn"),
    [
        ("minute", "2026-11-21T12:34:56", "2026-11-21T12:35:00"),
        ("hour", "2026-11-21T23:59:59", "2026-11-22T00:00:00"),
        ("day", "2024-02-28T12:00:00", "2024-02-29T00:00:00"),
        ("week", "2026-11-21T12:00:00", "2026-11-23T00:00:00"),
        ("week", "2026-11-23T00:00:00", "2026-11-30T00:00:00"),
        ("month", "2026-11-21T12:00:00", "2026-12-01T00:00:00"),
        ("month", "2026-12-31T23:59:59", "2027-01-01T00:00:00"),
        ("month", "2028-02-29T00:00:00", "2028-03-01T00:00:00"),
    ],
)
def test_a_window_ends_where_the_calendar_says(window, moment, turn):
    assert next_turn(window, epoch(moment)) == epoch(turn)


@given(st.sampled_from(["minute", "hour", "day", "week", "month"]), st.floats(0, 4e9))
def test_a_window_always_ends_later_and_its_end_belongs_to_the_next(window, moment):
    turn = next_turn(window, moment)
    assert moment < turn <= moment + 32 * 86_400
    assert next_turn(window, turn) > turn


class Clock:
    def __init__(self, text: str) -> None:
        self.set(text)

    def set(self, text: str) -> None:
        self.now = epoch(text)

    def __call__(self) -> float:
        return self.now


def test_a_days_budget_is_whole_again_at_midnight_utc():
    clock = Clock("2026-11-21T23:59:59")
    account = Account("team/research", DOLLAR, window="day", clock=clock)
    ledger = Ledger()
    ledger.reserve([account], DOLLAR).settle(DOLLAR)
    with pytest.raises(BudgetExceeded):
        ledger.reserve([account], 1)

    clock.set("2026-11-22T00:00:00")
    assert ledger.headroom([account]) == DOLLAR
    ledger.reserve([account], DOLLAR).release()


def test_what_is_held_over_midnight_stays_held_and_is_spent_in_the_new_window():
    clock = Clock("2026-11-21T23:59:59")
    account = Account("global", DOLLAR, window="day", clock=clock)
    ledger = Ledger()
    ledger.reserve([account], 1_000).settle(1_000)
    hold = ledger.reserve([account], 600)

    clock.set("2026-11-22T00:00:01")
    assert ledger.headroom([account]) == DOLLAR - 600
    hold.settle(500)
    assert (account.spent_nanodollars, account.held_nanodollars) == (500, 0)


def test_a_settlement_after_midnight_is_not_lost_when_it_comes_before_any_reservation():
    clock = Clock("2026-11-21T23:59:59")
    account = Account("global", DOLLAR, window="day", clock=clock)
    ledger = Ledger()
    hold = ledger.reserve([account], 600)

    clock.set("2026-11-22T00:00:01")
    hold.settle(500)
    ledger.reserve([account], 1).release()
    assert account.spent_nanodollars == 500


def test_a_clock_that_steps_back_gives_nobody_a_second_budget():
    clock = Clock("2026-11-22T00:00:01")
    account = Account("global", DOLLAR, window="day", clock=clock)
    ledger = Ledger()
    ledger.reserve([account], DOLLAR).settle(DOLLAR)

    clock.set("2026-11-21T23:59:59")
    assert ledger.headroom([account]) == 0
    clock.set("2026-11-22T00:00:02")
    assert ledger.headroom([account]) == 0


def test_alerts_come_again_in_the_next_window():
    clock = Clock("2026-11-21T12:00:00")
    account = Account("global", 1_000, window="day", alert_at=[0.5], clock=clock)
    ledger = Ledger()
    assert [crossing.fraction for crossing in ledger.reserve([account], 500).settle(500)] == [0.5]
    assert ledger.reserve([account], 100).settle(100) == ()

    clock.set("2026-11-22T12:00:00")
    assert ledger.reserve([account], 499).settle(499) == ()
    assert ledger.reserve([account], 1).settle(1) == ((account, 0.5),)
