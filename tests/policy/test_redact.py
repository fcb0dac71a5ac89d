"""Stand-ins, the vault, and what a policy's actions make of a text."""

import pickle
import re
import threading

import pytest

from iron_policy.detect import Scanner, scan
from iron_policy.exceptions import ContentBlocked
from iron_policy.redact import Vault, review_text, rewrite
from iron_policy.redact import vault as vault_module

KEY = b"0123456789abcdef"
SCANNER = Scanner()


def test_a_token_is_the_same_in_every_vault_with_the_same_key():
    one, other, foreign = Vault(KEY), Vault(KEY), Vault(b"another key")
    token = one.token_for("EMAIL", "ada@example.org")
    assert re.fullmatch(r"<EMAIL_[a-z2-7]{8}>", token)
    assert other.token_for("EMAIL", "ada@example.org") == token
    assert foreign.token_for("EMAIL", "ada@example.org") != token
    assert one.token_for("PHONE", "ada@example.org") != token.replace("EMAIL", "PHONE")


def test_own_tokens_come_back_and_foreign_ones_stay():
    vault = Vault(KEY)
    token = vault.token_for("EMAIL", "ada@example.org")
    foreign = Vault(b"another key").token_for("EMAIL", "ada@example.org")
    assert vault.restore(f"to {token}, not {foreign}.") == f"to ada@example.org, not {foreign}."
    assert len(vault) == 1


def test_restored_values_are_escaped_for_json():
    vault = Vault(KEY)
    token = vault.token_for("GENERIC_SECRET", 'a"b\\c\né')
    assert vault.restore(f'{{"k":"{token}"}}', in_json=True) == '{"k":"a\\"b\\\\c\\né"}'


def test_two_values_that_would_share_a_token_get_different_ones(monkeypatch):
    def colliding(key, kind, value, length=8):
        return f"<{kind}_{'a' * 8}{value * (length - 8)}>"

    monkeypatch.setattr(vault_module, "token", colliding)
    vault = Vault(KEY)
    one, other = vault.token_for("X", "b"), vault.token_for("X", "c")
    assert one != other
    assert vault.restore(one + other) == "bc"


def test_a_vault_shows_no_value_and_cannot_be_pickled():
    vault = Vault(KEY)
    vault.token_for("EMAIL", "ada@example.org")
    assert "ada" not in repr(vault)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(vault)


def test_threads_agree_on_tokens():
    vault = Vault(KEY)
    seen: list[str] = []

    def work() -> None:
        seen.extend(vault.token_for("EMAIL", f"user{n}@example.org") for n in range(200))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(vault) == len(set(seen)) == 200


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("allow", "mail ada@example.org!"),
        ("flag", "mail ada@example.org!"),
        ("redact", "mail [REDACTED_EMAIL]!"),
        ("mask", "mail a***@example.org!"),
    ],
)
def test_each_action_does_what_it_says(action, expected):
    text = "mail ada@example.org!"
    assert rewrite(text, scan(text), {"EMAIL": action}, Vault(KEY)) == expected


def test_tokenize_can_be_undone_and_hash_cannot():
    text = "mail ada@example.org!"
    vault = Vault(KEY)
    tokenized = rewrite(text, scan(text), {"EMAIL": "tokenize"}, vault)
    assert vault.restore(tokenized) == text
    hashed = rewrite(text, scan(text), {"EMAIL": "hash"}, vault)
    assert re.fullmatch(r"mail \[EMAIL_sha256:[0-9a-f]{12}\]!", hashed)
    assert vault.restore(hashed) == hashed
    assert len(vault) == 1


def test_a_masked_number_keeps_its_last_four_and_a_short_value_nothing():
    text = "4111 1111 1111 1111 and pin"
    masked = rewrite(text, scan(text), {"CREDIT_CARD": "mask"}, Vault(KEY))
    assert masked == "***************1111 and pin"
    short = Scanner((), [("PIN", "pin")])
    assert rewrite("pin", short.scan("pin"), {"PIN": "mask"}, Vault(KEY)) == "***"


def test_rewriting_twice_changes_nothing_more():
    text = "ada@example.org 4111 1111 1111 1111 sk-proj-q7Rz0LmX2vB9kTf4WcY8nHs1"
    vault = Vault(KEY)
    for action in ("tokenize", "redact", "hash", "mask"):
        actions = dict.fromkeys(("EMAIL", "CREDIT_CARD", "OPENAI_KEY"), action)
        once = rewrite(text, scan(text), actions, vault)
        assert rewrite(once, scan(once), actions, vault) == once


def test_a_reply_is_judged_before_the_callers_own_values_come_back():
    vault = Vault(KEY)
    token = vault.token_for("EMAIL", "ada@example.org")
    text, findings = review_text(
        f"I wrote to {token} and to eve@example.net",
        scanner=SCANNER,
        action_of={"EMAIL": "redact"},
        vault=vault,
        restore=True,
    )
    assert text == "I wrote to ada@example.org and to [REDACTED_EMAIL]"
    assert [f.kind for f in findings] == ["EMAIL"]


def test_what_a_reply_gets_tokenized_for_is_not_restored_at_once():
    vault = Vault(KEY)
    text, _ = review_text(
        "eve@example.net", scanner=SCANNER, action_of={"EMAIL": "tokenize"}, vault=vault, restore=True
    )
    assert re.fullmatch(r"<EMAIL_[a-z2-7]{8}>", text)


def test_an_escaped_value_in_json_is_remembered_as_what_it_means():
    vault = Vault(KEY)
    text, _ = review_text(
        '{"to":"ada\\u0040example.org"}',
        scanner=SCANNER,
        action_of={"EMAIL": "tokenize"},
        vault=vault,
        restore=False,
        in_json=True,
    )
    assert vault.restore(text) == '{"to":"ada@example.org"}'


def test_a_blocked_kind_refuses_the_text_and_says_which():
    with pytest.raises(ContentBlocked, match="EMAIL") as refused:
        review_text(
            "mail ada@example.org",
            scanner=SCANNER,
            action_of={"EMAIL": "block"},
            vault=Vault(KEY),
            restore=True,
        )
    assert [f.kind for f in refused.value.findings] == ["EMAIL"]
    assert "ada" not in str(refused.value)
