"""What holds, charges and limits make of an account's figures, to the last unit."""

import pytest

from iron_policy import BudgetExceeded
from iron_policy.budget import Account, Ledger

MICRODOLLAR = 1_000


def account(limit=1_000_000):
    return Account(scope="run", limit_nanodollars=limit)


def figures(of):
    return of.spent_nanodollars, of.held_nanodollars, of.limit_nanodollars


def spend(of, amount, ledger=None):
    (ledger or Ledger()).reserve([of], amount).settle(amount)


@pytest.mark.parametrize("limit", [0, 1, 10**15])
def test_a_new_account_has_spent_and_holds_nothing(limit):
    assert figures(account(limit)) == (0, 0, limit)


def test_a_hold_takes_from_what_is_left_and_a_release_gives_it_back():
    ours, ledger = account(), Ledger()
    hold = ledger.reserve([ours], 600_000)
    assert figures(ours) == (0, 600_000, 1_000_000)
    assert ledger.headroom([ours]) == 400_000

    hold.release()

    assert figures(ours) == (0, 0, 1_000_000)
    ledger.reserve([ours], 1_000_000).release()


@pytest.mark.parametrize("actual", [0, 250_000, 600_000])
def test_a_charge_ends_its_hold_and_stays(actual):
    ours, ledger = account(), Ledger()
    ledger.reserve([ours], 600_000).settle(actual)

    assert figures(ours) == (actual, 0, 1_000_000)
    assert ledger.headroom([ours]) == 1_000_000 - actual


def test_what_is_left_can_be_held_to_the_last_unit_and_not_one_more():
    ours, ledger = account(), Ledger()
    spend(ours, 300_000, ledger)
    with pytest.raises(BudgetExceeded):
        ledger.reserve([ours], 700_001)

    exact = ledger.reserve([ours], 700_000)

    assert ledger.headroom([ours]) == 0
    with pytest.raises(BudgetExceeded):
        ledger.reserve([ours], 1)
    exact.release()


def test_several_holds_add_up_and_end_one_by_one():
    ours, ledger = account(), Ledger()
    first, second = ledger.reserve([ours], 400_000), ledger.reserve([ours], 500_000)
    with pytest.raises(BudgetExceeded):
        ledger.reserve([ours], 100_001)

    first.settle(150_000)

    assert figures(ours) == (150_000, 500_000, 1_000_000)
    second.release()
    assert figures(ours) == (150_000, 0, 1_000_000)


@pytest.mark.parametrize("amount", [1, MICRODOLLAR, 10**15])
def test_charges_add_up_exactly_however_small_or_large(amount):
    ours, ledger = account(10**18), Ledger()
    for _ in range(100):
        spend(ours, amount, ledger)

    assert ours.spent_nanodollars == 100 * amount


def test_a_hold_of_nothing_is_one():
    ours, ledger = account(), Ledger()
    ledger.reserve([ours], 0).settle(0)

    assert figures(ours) == (0, 0, 1_000_000)
