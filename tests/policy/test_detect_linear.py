"""Hostile input costs in proportion to its length, and not much."""

import time

import pytest

from iron_policy.detect import KINDS, Scanner
from iron_policy.detect.patterns_secrets import SHAPES

SCANNER = Scanner(KINDS)
SMALL, LARGE = 6_000, 48_000
HOSTILE = [
    "a",
    " ",
    "1",
    "@",
    ":",
    "-",
    ".",
    "=",
    "%",
    "a@",
    "1 ",
    "12 34 ",
    "1234-",
    "ab:",
    "::1",
    "a ",
    "%41",
    "key=",
]
HOSTILE += [
    "eyJ",
    "-----BEGIN PRIVATE KEY-----",
    "password: x1",
    "_1abcdefghi",
    "curl -u a:b ",
    "ignore all ",
    "the rules ",
    "\uff11",
    "\u200b",
    "<EMAIL_",
]
PREFIXES = sorted({lead for shape in SHAPES for lead in shape.leads})


def _seconds(piece: str, length: int) -> float:
    text = (piece * (length // len(piece) + 1))[:length]
    best = float("inf")
    for _ in range(2):
        start = time.process_time()
        SCANNER.scan(text)
        best = min(best, time.process_time() - start)
    return best


@pytest.mark.parametrize("piece", HOSTILE)
def test_eight_times_the_text_costs_no_more_than_about_eight_times_the_time(piece):
    small, large = _seconds(piece, SMALL), _seconds(piece, LARGE)
    assert large < 20 * small + 0.05


def test_a_vendors_own_prefix_over_and_over_is_quickly_dismissed():
    slow = {lead: seconds for lead in PREFIXES if (seconds := _seconds(lead, SMALL)) > 0.05}
    assert slow == {}
