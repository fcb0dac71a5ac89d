"""Raw JSON that is altered while it streams stays JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iron_policy.detect import Scanner
from iron_policy.redact import StreamWindow, Vault, review_text

CARD = 4111111111111111
SCANNER = Scanner()
ACTIONS = ["redact", "mask", "hash", "tokenize"]


def reviewed(text, action):
    how = {
        "scanner": SCANNER,
        "action_of": {"CREDIT_CARD": action},
        "vault": Vault(b"k" * 32),
        "restore": False,
    }
    return review_text(text, **how, in_json=True)[0]


@pytest.mark.parametrize("action", ACTIONS)
def test_a_bare_number_becomes_a_string_and_one_in_a_string_stays_in_it(action):
    out = json.loads(
        reviewed(json.dumps({"a": CARD, "b": [CARD, f"card: {CARD}, {CARD}"], "c": '\\"'}), action)
    )

    assert isinstance(out["a"], str)
    assert str(CARD) not in json.dumps(out)
    assert out["b"][1].startswith("card: ")


leaves = st.sampled_from([CARD, f'my "card" is {CARD}, {CARD}', "\\", '\\"', str(CARD), 7, None, '"'])
documents = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", '"b"', "\\"]), inner),
    max_leaves=8,
)


@given(documents, st.sampled_from(ACTIONS), st.integers(1, 9))
def test_any_document_stays_one_and_comes_out_of_a_stream_as_it_does_whole(document, action, size):
    text = json.dumps([document])
    whole = reviewed(text, action)
    assert str(CARD) not in json.dumps(json.loads(whole))

    window = StreamWindow(
        scanner=SCANNER,
        action_of={"CREDIT_CARD": action},
        vault=Vault(b"k" * 32),
        restore=False,
        in_json=True,
    )
    pieces = [window.push(text[at : at + size]) for at in range(0, len(text), size)]
    assert "".join([*pieces, window.finish()]) == whole
