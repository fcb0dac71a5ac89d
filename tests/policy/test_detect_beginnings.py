"""What a pattern's matches can begin with is told from the pattern, or not at all."""

import re

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from iron_policy.detect import KINDS, Scanner
from iron_policy.detect.beginnings import beginnings
from iron_policy.detect.openings import openings
from iron_policy.detect.private_keys import GATE

PATTERNS = [
    r"E-\d{6}",
    r"(?i)project [a-z]+ \d{1,3}",
    r"\bAB(?:cd|ef{2,3})+?x?\b",
    r"(?P<first>ab)*(c|(?P<second>d{0,2}e))",
    r"(?:a{2}){3}|b*c?d+|[^\]x-z]\.{2,}k$",
    GATE,
]


@given(data=st.data(), pattern=st.sampled_from(PATTERNS))
@settings(deadline=None)
def test_every_beginning_of_a_match_is_one(data, pattern):
    value = data.draw(st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True))
    begun = re2.compile(beginnings(pattern))
    assert all(begun.fullmatch(value[:end]) for end in range(1, len(value) + 1))


@pytest.mark.parametrize("text", ["F", "E1", "EE", "E-12E", "xE-", "E-1234567"])
def test_what_begins_no_match_is_no_beginning(text):
    assert re2.fullmatch(beginnings(r"\bE-\d{6}\b"), text) is None


@pytest.mark.parametrize("pattern", [r"ab(?i)cd", r"\Qa.b\E", "a)b", "((a{99}){99}b|c)" * 2000])
def test_a_pattern_that_is_not_read_has_none(pattern):
    assert beginnings(pattern) is None


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_how_its_values_begin(kind):
    assert sum(map(len, openings({kind}))) > sum(map(len, openings({"none"})))
    assert Scanner(KINDS).guard(frozenset({kind})).free_to("It was ", 0) == len("It was ")
