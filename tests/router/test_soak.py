"""A minute of the soak that ``make soak`` runs for half an hour: the same callers, the same checks."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "router"))
from soak import soak
from soaking.asks import KINDS
from soaking.books import EXACT
from soaking.connection import MOMENTS, WAYS

SECONDS = 60.0


@pytest.mark.slow
def test_nothing_goes_wrong_that_a_caller_did_not_cause_and_every_nano_dollar_is_accounted_for():
    found = soak(SECONDS)

    assert found.faults == []
    assert found.counts.errors == {}
    exact = found.books.accounts[EXACT]
    assert exact.charged_nanodollars == exact.billed_nanodollars > 0
    assert len(found.counts.made) > len(KINDS)
    assert {(moment, way) for moment in MOMENTS for way in WAYS} == {
        tuple(left.split(", ")) for left in found.counts.ways
    }
