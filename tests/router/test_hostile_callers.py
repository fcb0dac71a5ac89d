"""Callers of one router and each other: values, runs, names and claims stay whose they are."""

import base64
import json
import re

import pytest
from raw_http import ASK, CHAT, CLAUDE, answering, ask, said

MAIL = "someone.private@example.org"
STAND_IN = re.compile(rb"<EMAIL_[a-z0-9]+>")


def echoing(received):
    """Return a reply that says what the last message said, in the dialect that was asked in."""
    asked = received.json
    text = asked["input"] if "input" in asked else asked["messages"][-1]["content"]
    if received.target.endswith("/messages"):
        usage = {"input_tokens": 5, "output_tokens": 5}
        content = [{"type": "text", "text": text}]
        head = {"id": "m", "type": "message", "role": "assistant", "model": asked["model"]}
        return answering(
            {**head, "content": content, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}
        )
    if received.target.endswith("/responses"):
        content = [{"type": "output_text", "text": text, "annotations": []}]
        item = {"type": "message", "id": "i", "status": "completed", "role": "assistant", "content": content}
        usage = {"input_tokens": 5, "output_tokens": 5, "total_tokens": 10}
        head = {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "status": "completed",
            "model": asked["model"],
        }
        return answering({**head, "output": [item], "usage": usage})
    return answering(said(text))


@pytest.fixture
def router(before):
    return before(echoing)


def saying(path, text):
    if path == "/v1/responses":
        return {"model": "gpt-4o-mini", "input": text}
    model = CLAUDE["model"] if path == "/v1/messages" else ASK["model"]
    return {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 50}


def run_header(run_id, **more):
    part = {"id": run_id, **more}
    return f"x-iron-run: {base64.urlsafe_b64encode(json.dumps([part]).encode()).decode()}"


@pytest.mark.parametrize("path", [CHAT, "/v1/messages"])
def test_a_callers_stand_ins_are_nobody_elses(path, router):
    mine = ask(router, saying(path, f"Write to {MAIL}"), path=path)
    (stand_in,) = STAND_IN.findall(router.canary.received[-1].body)
    assert MAIL.encode() in mine.body

    for other in (CHAT, "/v1/messages"):
        for headers in ([], ["x-iron-agent: a"], ["x-iron-user: b"], [run_header("0" * 32)]):
            theirs = ask(router, saying(other, f"Say {stand_in.decode()}"), path=other, headers=headers)
            assert theirs.status == 200
            assert MAIL.encode() not in theirs.body
            assert stand_in in theirs.body


def test_where_the_provider_keeps_the_conversation_a_users_stand_ins_are_not_anothers(router):
    """A reply may hold what an earlier request of the same user was given; who names no user shares with all such."""
    path, alice, bob = "/v1/responses", ["x-iron-user: alice"], ["x-iron-user: bob"]
    ask(router, saying(path, f"Write to {MAIL}"), path=path, headers=alice)
    (stand_in,) = STAND_IN.findall(router.canary.received[-1].body)
    asked = saying(path, f"Say {stand_in.decode()}")

    assert MAIL.encode() in ask(router, asked, path=path, headers=alice).body
    assert MAIL.encode() not in ask(router, asked, path=path, headers=bob).body
    assert MAIL.encode() not in ask(router, asked, path=path).body
    assert MAIL.encode() not in ask(router, saying(CHAT, stand_in.decode())).body


def test_a_word_of_a_kept_conversation_opens_no_other_users(router):
    ask(router, saying(CHAT, f"Write to {MAIL}"), headers=["x-iron-user: alice"])
    (stand_in,) = STAND_IN.findall(router.canary.received[-1].body)
    asked = {**saying("/v1/messages", f"Say {stand_in.decode()}"), "thread": {"id": "t"}}

    for headers in ([], ["x-iron-user: bob"], ["x-iron-user: alice"]):
        assert MAIL.encode() not in ask(router, asked, path="/v1/messages", headers=headers).body


def test_one_runs_stand_ins_are_not_anothers(router):
    ask(router, saying(CHAT, f"Write to {MAIL}"), headers=[run_header("1" * 32)])
    (stand_in,) = STAND_IN.findall(router.canary.received[-1].body)
    asked = saying(CHAT, f"Say {stand_in.decode()}")

    assert MAIL.encode() in ask(router, asked, headers=[run_header("1" * 32)]).body
    assert MAIL.encode() not in ask(router, asked, headers=[run_header("2" * 32)]).body
    assert MAIL.encode() not in ask(router, asked).body


@pytest.mark.parametrize(
    "value",
    ["a" * 201, "\x85", "\xa0\xad", "a\tb", "\x7f"],
)
@pytest.mark.parametrize("name", ["x-iron-agent", "X-Iron-User", "X-IRON-PATH"])
def test_a_name_that_is_none_is_refused(name, value, router):
    assert ask(router, headers=[f"{name}: {value}"]).status == 400
    assert router.canary.received == []


@pytest.mark.parametrize("name", ["x-iron-agent", "x-iron-user", "x-iron-path"])
def test_an_odd_name_is_only_a_name(name, router):
    for value in ("", "/", "..", "//", "a//b", "global", "run", "*", "\xe9", "a, b", "{{7*7}}", "'--"):
        assert ask(router, headers=[f"{name}: {value}"]).status == 200


def test_no_name_leaves_the_limit_of_all(before):
    router = before(echoing, budget=0.000_000_001)
    for headers in (
        ["x-iron-agent: x"],
        ["x-iron-path: /"],
        [run_header("3" * 32, budget_nanodollars=10**15)],
    ):
        assert ask(router, headers=headers).status == 402
    assert router.canary.received == []


def test_a_run_takes_a_caller_out_of_no_policy(before):
    router = before(
        echoing, policy={"access": {"models": {"deny": ["gpt-*"]}}, "audit": {"path": "/dev/null"}}
    )
    for headers in (
        [run_header("4" * 32)],
        ["x-iron-claim: " + "0" * 32],
        ["x-iron-claim: ", "x-iron-claim: x"],
    ):
        assert ask(router, headers=headers).status == 403
    assert router.canary.received == []


@pytest.mark.parametrize(
    "told",
    [
        "",
        "x",
        "\xff",
        "bnVsbA==",
        base64.urlsafe_b64encode(b"[]").decode(),
        base64.urlsafe_b64encode(b"[1]").decode(),
        base64.urlsafe_b64encode(b"[" * 5000).decode(),
        base64.urlsafe_b64encode(json.dumps([{"id": "0" * 32}] * 33).encode()).decode(),
        base64.urlsafe_b64encode(b'[{"id":"x"}]').decode(),
        base64.urlsafe_b64encode(json.dumps([{"id": "0" * 32, "engine": None}]).encode()).decode(),
        base64.urlsafe_b64encode(json.dumps([{"id": "0" * 32, "budget_nanodollars": -1}]).encode()).decode(),
        base64.urlsafe_b64encode(json.dumps([{"id": "0" * 32, "budget_nanodollars": 1e9}]).encode()).decode(),
        base64.urlsafe_b64encode(
            json.dumps([{"id": "0" * 32, "budget_nanodollars": True}]).encode()
        ).decode(),
        base64.urlsafe_b64encode(json.dumps([{"id": "0" * 32, "agent": ["x"]}]).encode()).decode(),
        base64.urlsafe_b64encode(json.dumps([{"id": "0" * 32}, {"id": "0" * 32}]).encode()).decode(),
        base64.urlsafe_b64encode(b'[{"id":NaN}]').decode(),
    ],
)
def test_a_run_that_cannot_be_read_is_refused(told, router):
    """Nobody would know what its calls may spend."""
    assert ask(router, headers=[f"x-iron-run: {told}"]).status == 400
    assert router.canary.received == []


def test_two_runs_in_one_request_are_refused(router):
    assert ask(router, headers=[run_header("5" * 32), run_header("6" * 32)]).status == 400


@pytest.mark.parametrize("run_id", ["0" * 32, "x", "", "../" * 10, "%00", "a" * 10_000])
def test_a_run_that_nobody_keeps_is_not_found(run_id, router):
    for query in ("", "?ended=x", "?ended=-1", "?ended=1e9", "?ended=" + "9" * 5000, "?ended=0&ended=5"):
        path = f"/iron/v1/runs/{run_id}{query}"

        assert ask(router, b"", path=path, method="GET").status in {400, 404}


def test_the_sums_of_a_run_are_told_with_any_question(router):
    ask(router, headers=[run_header("7" * 32)])
    for query in ("", "?ended=x", "?ended=-1", "?ended=1", "?ended=1.5", "?ended="):
        answer = ask(router, b"", path=f"/iron/v1/runs/{'7' * 32}{query}", method="GET")
        assert answer.status in {200, 400}, query
