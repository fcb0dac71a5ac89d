"""Money in and out of nano-dollars."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iron_policy.cost import NANO, to_nanodollars, to_usd


@pytest.mark.parametrize(
    ("usd", "nanodollars"),
    [
        (1, NANO),
        (0, 0),
        (0.1, 100_000_000),
        (0.29, 290_000_000),
        ("0.05", 50_000_000),
        (Decimal("0.0000000005"), 1),
        (Decimal("0.00000000049"), 0),
        (1e-9, 1),
        ("1000000000000", 10**12 * NANO),
    ],
)
def test_an_amount_means_what_its_author_wrote(usd, nanodollars):
    assert to_nanodollars(usd) == nanodollars


@pytest.mark.parametrize(
    "usd",
    [
        -0.01,
        "-1",
        float("nan"),
        float("inf"),
        "NaN",
        "sNaN",
        "Infinity",
        "1e999999999",
        1e30,
        "ten",
        "",
        True,
    ],
)
def test_what_is_no_amount_is_refused(usd):
    with pytest.raises(ValueError, match="amount of money"):
        to_nanodollars(usd)


@given(st.integers(min_value=0, max_value=10**21))
def test_no_amount_changes_on_its_way_out_and_in(nanodollars):
    assert to_nanodollars(to_usd(nanodollars)) == nanodollars
