"""The ledger: no account is overdrawn, no hold leaks, nothing counts twice."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from iron_policy.budget import PROCESS_LEDGER, Account, Ledger
from iron_policy.cost import to_nanodollars
from iron_policy.exceptions import BudgetExceeded

amounts = st.integers(min_value=0, max_value=1_000)


class Bookkeeping(RuleBasedStateMachine):
    """Any order of reservations, settlements, releases, losses and new limits, beside a plain sum of what is live."""

    holds = Bundle("holds")

    def __init__(self):
        super().__init__()
        self.ledger = Ledger()
        self.accounts = [Account(name, 2_000) for name in ("run", "user", "global")]
        self.live = {}
        self.spent = [0, 0, 0]
        self.serial = 0

    @rule(target=holds, where=st.lists(st.integers(0, 2), max_size=4), amount=amounts)
    def reserve(self, where, amount):
        before = [(account.spent_nanodollars, account.held_nanodollars) for account in self.accounts]
        try:
            hold = self.ledger.reserve([self.accounts[index] for index in where], amount)
        except BudgetExceeded:
            assert before == [
                (account.spent_nanodollars, account.held_nanodollars) for account in self.accounts
            ]
            return None
        for index in where:
            account = self.accounts[index]
            assert account.spent_nanodollars + account.held_nanodollars <= account.limit_nanodollars
        self.serial += 1
        self.live[self.serial] = (hold, tuple(where), amount)
        return self.serial

    @rule(serial=holds, actual=amounts)
    def settle(self, serial, actual):
        if serial in self.live:
            hold, where, _ = self.live.pop(serial)
            hold.settle(actual)
            for index in where:
                self.spent[index] += actual
            hold.settle(actual)
            hold.release()

    @rule(serial=holds)
    def release(self, serial):
        if serial in self.live:
            hold, _, _ = self.live.pop(serial)
            hold.release()
            hold.settle(999)

    @rule(serial=holds)
    def lose(self, serial):
        if serial in self.live:
            where, amount = self.live.pop(serial)[1:]
            for index in where:
                self.spent[index] += amount
            self.ledger.headroom([])

    @rule(which=st.integers(0, 2), limit=st.integers(0, 4_000))
    def change_the_limit(self, which, limit):
        self.accounts[which].set_limit(limit)

    @invariant()
    def held_is_the_sum_of_live_holds(self):
        for index, account in enumerate(self.accounts):
            live = sum(amount * where.count(index) for _, where, amount in self.live.values())
            assert account.held_nanodollars == live

    @invariant()
    def spent_is_what_was_settled_or_lost(self):
        assert [account.spent_nanodollars for account in self.accounts] == self.spent


TestBookkeeping = Bookkeeping.TestCase


def test_a_reservation_holds_on_all_accounts_or_on_none():
    ledger = Ledger()
    run, team = Account("run", 1_000), Account("team/research", 500)
    with pytest.raises(BudgetExceeded) as refused:
        ledger.reserve([run, team], 501)
    assert (run.held_nanodollars, team.held_nanodollars) == (0, 0)
    assert refused.value.scope == "team/research"


def test_a_refusal_tells_spent_held_and_limit_apart():
    ledger = Ledger()
    account = Account("run", to_nanodollars("0.05"))
    ledger.reserve([account], to_nanodollars("0.02")).settle(to_nanodollars("0.0123"))
    hold = ledger.reserve([account], to_nanodollars("0.03"))
    with pytest.raises(
        BudgetExceeded, match=r"up to \$0\.01, and of \$0\.05 \$0\.0123 are spent and \$0\.03 held"
    ) as no:
        ledger.reserve([account], to_nanodollars("0.01"))
    assert (no.value.spent_usd, no.value.held_usd, no.value.limit_usd, no.value.scope) == (
        0.0123,
        0.03,
        0.05,
        "run",
    )
    hold.release()


def test_a_cost_above_its_hold_is_told_as_it_is_and_stops_the_next_call():
    ledger = Ledger()
    account = Account("run", 1_000)
    ledger.reserve([account], 900).settle(1_500)
    assert account.spent_nanodollars == 1_500
    assert ledger.headroom([account]) == 0
    with pytest.raises(BudgetExceeded):
        ledger.reserve([account], 0)


def test_a_budget_of_nothing_stops_all_that_costs_and_lets_pass_what_is_free():
    ledger = Ledger()
    account = Account("run", 0)
    ledger.reserve([account], 0).settle(0)
    with pytest.raises(BudgetExceeded):
        ledger.reserve([account], 1)


def test_headroom_is_that_of_the_shortest_account():
    ledger = Ledger()
    assert ledger.headroom([]) is None
    hold = ledger.reserve([(run := Account("run", 1_000))], 400)
    assert ledger.headroom([run, Account("global", 700)]) == 600
    hold.release()


@pytest.mark.parametrize("amount", [-1, -(10**20)])
def test_negative_amounts_refund_nothing(amount):
    ledger = Ledger()
    account = Account("run", 1_000)
    with pytest.raises(ValueError, match="cannot hold"):
        ledger.reserve([account], amount)
    hold = ledger.reserve([account], 10)
    with pytest.raises(ValueError, match="cannot cost"):
        hold.settle(amount)
    assert (account.spent_nanodollars, account.held_nanodollars) == (0, 10)
    with pytest.raises(ValueError, match="cannot be negative"):
        account.set_limit(amount)
    hold.release()


def test_a_lowered_limit_stops_new_calls_and_a_raised_one_lets_them_pass():
    ledger = Ledger()
    account = Account("run", 1_000)
    hold = ledger.reserve([account], 800)
    account.set_limit(500)
    with pytest.raises(BudgetExceeded):
        ledger.reserve([account], 1)
    account.set_limit(2_000)
    ledger.reserve([account], 1_200).release()
    hold.settle(800)


def test_a_forgotten_hold_is_charged_and_never_leaks():
    ledger = Ledger()
    account = Account("run", 1_000)
    ledger.reserve([account], 300)  # dropped here and now
    assert ledger.headroom([account]) == 700
    assert (account.spent_nanodollars, account.held_nanodollars) == (300, 0)


def test_a_forgotten_hold_in_a_cycle_is_charged_once_the_collector_finds_it():
    ledger = Ledger()
    account = Account("run", 1_000)
    cycle = {"hold": ledger.reserve([account], 300)}
    cycle["self"] = cycle
    del cycle
    gc.collect()
    ledger.reserve([account], 700).release()
    assert (account.spent_nanodollars, account.held_nanodollars) == (300, 0)


def test_the_collector_may_run_at_any_point_of_a_reservation():
    """It may finalize a forgotten hold while this thread is inside the ledger's lock, which must not stop it."""
    ledger = Ledger()
    account = Account("run", 10**9)
    thresholds = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(200):
            cycle = [ledger.reserve([account], 1)]
            cycle.append(cycle)
    finally:
        gc.set_threshold(*thresholds)
    del cycle
    gc.collect()
    ledger.headroom([account])
    assert (account.spent_nanodollars, account.held_nanodollars) == (200, 0)


def test_alerts_come_once_each_and_in_order():
    ledger = Ledger()
    account = Account("run", 1_000, alert_at=[0.95, 0.5, 0.8])
    told = [[crossing.fraction for crossing in ledger.reserve([account], 100).settle(100)] for _ in range(10)]
    assert told == [[], [], [], [], [0.5], [], [], [0.8], [], [0.95]]


def test_one_call_can_set_off_several_alerts_on_several_accounts():
    ledger = Ledger()
    run, team = Account("run", 1_000, alert_at=[0.5, 0.8]), Account("team/research", 1_200, alert_at=[0.75])
    hold = ledger.reserve([run, team], 900)
    assert hold.settle(900) == ((run, 0.5), (run, 0.8), (team, 0.75))
    assert hold.settle(900) == ()


def test_an_alert_follows_a_limit_that_changes():
    ledger = Ledger()
    account = Account("run", 1_000, alert_at=[0.5])
    ledger.reserve([account], 400).settle(400)
    account.set_limit(700)
    assert ledger.reserve([account], 0).settle(0) == ((account, 0.5),)
    account.set_limit(10_000)
    assert ledger.reserve([account], 9_000).settle(9_000) == ()


def test_a_budget_of_nothing_tells_of_itself_only_once_something_is_spent():
    ledger = Ledger()
    account = Account("run", 0, alert_at=[0.5])
    assert ledger.reserve([account], 0).settle(0) == ()
    assert ledger.reserve([account], 0).settle(5) == ((account, 0.5),)


@pytest.mark.parametrize("fraction", [0, -0.1, 1.01, float("nan")])
def test_an_alert_at_an_impossible_fraction_is_refused(fraction):
    with pytest.raises(ValueError, match="alert_at of budget 'run'"):
        Account("run", 1_000, alert_at=[fraction])


CENTS = to_nanodollars("0.05")
CALL = to_nanodollars("0.0007")


def outcome_of_one_call(ledger: Ledger, account: Account, index: int) -> bool:
    try:
        hold = ledger.reserve([account], CALL)
    except BudgetExceeded:
        return False
    assert account.spent_nanodollars + account.held_nanodollars <= CENTS
    if index % 7 == 0:
        hold.release()
    else:
        hold.settle(CALL - index)
    return True


def test_a_thousand_threads_at_once_never_overdraw_five_cents():
    ledger, account, outcomes = Ledger(), Account("run", CENTS), []
    start = threading.Event()

    def call(index):
        start.wait()
        outcomes.append(outcome_of_one_call(ledger, account, index))

    usual = threading.stack_size(256 * 1024)
    try:
        threads = [threading.Thread(target=call, args=(index,), daemon=True) for index in range(1_000)]
        for thread in threads:
            thread.start()
    finally:
        threading.stack_size(usual)
        start.set()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 1_000
    assert account.held_nanodollars == 0
    assert CENTS - CALL - 1_000 < account.spent_nanodollars <= CENTS


async def test_a_thousand_tasks_at_once_never_overdraw_five_cents_cancelled_or_not():
    ledger, account, go = Ledger(), Account("run", CENTS), asyncio.Event()

    async def call(index):
        hold = ledger.reserve([account], CALL)
        try:
            await go.wait()
        finally:
            hold.settle(CALL)
        return index

    tasks = [asyncio.create_task(call(index)) for index in range(1_000)]
    await asyncio.sleep(0)
    assert account.held_nanodollars == CENTS // CALL * CALL
    for task in tasks[::3]:
        task.cancel()
    go.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, BudgetExceeded)]
    assert len(refused) == 1_000 - CENTS // CALL
    assert (account.spent_nanodollars, account.held_nanodollars) == (CENTS // CALL * CALL, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_forked_while_another_thread_reserves_can_still_reserve():
    account = Account("global", 10**15)
    stop = threading.Event()

    def spend():
        while not stop.is_set():
            PROCESS_LEDGER.reserve([account], 1).release()

    spender = threading.Thread(target=spend)
    spender.start()
    try:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                signal.alarm(20)  # a child that waits for ever must not outlive the test
                PROCESS_LEDGER.reserve([account], 1).release()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        spender.join()


def test_a_hold_in_a_cycle_with_what_settles_it_is_counted_once():
    """The collector finalizes the hold, then lets the suspended generator run that settles it."""
    account, ledger = Account("run", 10**9), Ledger()

    def call():
        hold = ledger.reserve((account,), 1000)
        try:
            yield
        finally:
            hold.settle(900)

    for _ in range(20):
        suspended = call()
        next(suspended)
        cycle = [suspended]
        cycle.append(cycle)
        del suspended, cycle
    gc.collect()
    ledger.reserve((account,), 0).release()

    assert account.held_nanodollars == 0
    assert 20 * 900 <= account.spent_nanodollars <= 20 * 1000
