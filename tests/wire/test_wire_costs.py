"""From the bytes of a reply to nano-dollars: our reading and our prices against a second opinion on both."""

from __future__ import annotations

import csv
from decimal import Decimal

import pytest
from recorded import FOLDER, UNREADABLE, Unchanged, feed_all, recording

from iron_policy.cost import price_of, to_nanodollars

DIFFERENT = {
    # The second opinion prices 2,056 tokens that were written for an hour as if for five minutes; the list price of
    # an hour is twice that of input: 17 x $3 + 2,056 x $6 + 100 x $15, each for a million.
    "anthropic-messages-110f7bfd2b.json": 13_887_000,
}


def priced():
    if not FOLDER.is_dir():
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"no recordings at {FOLDER}"))]
    with (FOLDER / "costs.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["total_usd"] and row["file"] not in UNREADABLE]
    return [pytest.param(row, id=row["file"]) for row in rows]


def usage_of(exchange):
    if exchange.sse is None:
        return exchange.codec.read_response(exchange.reply_body).response.usage
    rewriter = exchange.rewriter(Unchanged())
    feed_all(rewriter, exchange.sse)
    return rewriter.usage


@pytest.mark.parametrize("row", priced())
def test_a_recorded_reply_costs_what_the_second_opinion_says_to_the_nanodollar(row):
    price = price_of(row["response_model"], row["provider"])
    expected = DIFFERENT.get(row["file"], to_nanodollars(Decimal(row["total_usd"])))

    assert price.cost(usage_of(recording(row["file"]))) == expected
