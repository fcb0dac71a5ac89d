"""Several small automata tell of the end of a text what one for all patterns would, and each has room to run."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thorough import examples

from iron_policy.detect import KINDS, Scanner, assignments, holding, injection
from iron_policy.detect.holding import Holding
from iron_policy.detect.kinds import SECRETS
from iron_policy.detect.linear import _MAX_MEMORY_AT_END_BYTES, AtEnd, encode
from iron_policy.detect.openings import openings

COUNTED = {r"[\w.\-]*\\": r"[\w.\-]{0,24}\\", "[!#-&(-~]*": "[!#-&(-~]{0,200}", "[!-~]*)?": "[!-~]{0,24})?"}
"""What the patterns say of names and logins, and what they would say if they counted."""
GROUPED = [openings(SECRETS), openings(KINDS), openings({"EMAIL"})]
GROUPED += [[holding._OPEN, [assignments.PARTIAL], holding._WORDED_OPEN, [injection.PARTIAL]]]
PAIRS = [(AtEnd(groups), AtEnd([[p for group in groups for p in group]])) for groups in GROUPED]
ADDRESS = "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"

WORDS = (
    "the is key token secret_id password: x= sk- sk-proj- ghp_a1 AKIA passport call ignore all the -u --user a:b eyJ"
    " &amp; %41 \\u0040 c2st postgres:// 12 3.4 A1 ada@ex zoe%40 f : :/ - ----- -----BEGIN <EMAIL_k7f2q9 é 中"
)
words = st.sampled_from(WORDS.split())
texts = st.lists(st.one_of(words, st.text(st.characters(max_codepoint=127), max_size=3)), max_size=8)
tails = st.builds(lambda parts, glue: glue.join(parts), texts, st.sampled_from(["", " ", "_", "\n", "="]))


@given(tail=tails)
@settings(max_examples=examples(600), deadline=None)
def test_groups_tell_what_all_patterns_in_one_tell(tail):
    for grouped, whole in PAIRS:
        assert grouped.start(tail, encode(tail)) == whole.start(tail, encode(tail))


@given(tail=tails, more=st.sampled_from(["", "x" * 30, "y" * 250]))
@settings(max_examples=examples(300), deadline=None)
def test_what_counts_no_characters_holds_back_no_less(tail, more):
    for pattern in (assignments.STARTED, assignments.PARTIAL, injection.PARTIAL):
        counted = pattern
        for endless, bounded in COUNTED.items():
            counted = counted.replace(endless, bounded)
        assert counted != pattern
        text = tail + more
        assert AtEnd([[pattern]]).start(text, encode(text)) <= AtEnd([[counted]]).start(text, encode(text))


@pytest.mark.parametrize("kinds", [SECRETS, KINDS], ids=["secrets", "all"])
def test_each_automaton_has_room_for_twenty_of_its_largest_states(kinds):
    holding_back = Holding(injection_wanted=True, custom_width=0)._open
    for at_end in (AtEnd(openings(kinds)), holding_back):
        for search in at_end._searches:
            assert 20 * 4 * search.__self__.reverseprogramsize < _MAX_MEMORY_AT_END_BYTES // 3


@given(
    before=st.sampled_from(["", " ", "(", "_", "BTC_", "a_", "\\n", "\\b", "=", "é", "é_"]),
    after=st.sampled_from(["", " ", "."]),
)
def test_a_wallet_is_found_behind_whatever_begins_no_word(before, after):
    found = Scanner().scan(before + ADDRESS + after)
    assert [(f.kind, f.start) for f in found] == [("CRYPTO", len(before))]


@given(before=st.sampled_from(["x", "1", "0", "\\m", "_a", "n"]))
def test_no_wallet_is_found_in_the_middle_of_a_word(before):
    assert Scanner().scan(before + ADDRESS) == []
