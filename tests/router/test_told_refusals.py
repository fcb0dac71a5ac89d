"""A refusal that is told over the wire, in any of the three shapes, is raised as what it was."""

from __future__ import annotations

import pytest

from iron_adapters.runtime_link import Listening
from iron_adapters.told_refusals import refusal_in
from iron_adapters.wire import refusals
from iron_policy import exceptions
from iron_policy.exceptions import BudgetExceeded, ContentBlocked, PolicyDenied, RateLimited, WireError
from iron_policy.verdicts import Finding

FOUND = (Finding("EMAIL", 3, 9, 0.9, "messages[0].content"),)
DENIALS = [
    cls for cls in vars(exceptions).values() if isinstance(cls, type) and issubclass(cls, PolicyDenied)
]
MORE = {
    BudgetExceeded: {"spent_usd": 0.1, "held_usd": 0.02, "limit_usd": 0.3, "scope": "team/research"},
    RateLimited: {"retry_after_seconds": 12.34},
}


def same(told, denied):
    assert type(told) is type(denied)
    assert str(told) == str(denied)
    assert vars(told) == vars(denied)


@pytest.mark.parametrize("write", [refusals.openai_body, refusals.anthropic_body])
@pytest.mark.parametrize("cls", DENIALS, ids=lambda cls: cls.__name__)
def test_every_refusal_comes_back_with_all_that_it_says(cls, write):
    denied = cls("no: «why»", findings=FOUND, call_id="call-1", **MORE.get(cls, {}))

    same(refusal_in(write(denied)), denied)
    denied.of_reply = True
    same(refusal_in(write(denied)), denied)


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_a_body_that_cannot_be_read_comes_back_too(dialect):
    told = refusal_in(refusals.problem(WireError("no JSON"), dialect))

    assert (type(told), str(told)) == (WireError, "no JSON")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b'{"iron":1}',
        b'{"error":{"iron":1}}',
        b'{"error":{"iron":{}}}',
        b'{"error":{"message":"m","iron":{"code":"new_thing"}}}',
        b'{"error":"iron"}',
        b'["iron"]',
    ],
)
def test_what_tells_of_no_refusal_is_none(body):
    assert refusal_in(body) is None


@pytest.mark.parametrize("event", [refusals.openai_event, refusals.responses_event, refusals.anthropic_event])
@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
def test_a_stream_passes_as_it_comes_until_its_refusal(event, size):
    denied = ContentBlocked("no", findings=FOUND, call_id="call-1")
    before = b'data: {"choices":[{"delta":{"content":"\\"iron\\" is a metal"}}]}\n\n' * 5
    stream = before + event(denied)
    ends = []
    listening = Listening(lambda: ends.append(1))
    passed = b""
    for start in range(0, len(stream), size):
        passed += listening.feed(stream[start : start + size])
        if listening.over:
            break

    assert passed.startswith(before)
    assert event(denied).startswith(passed.removeprefix(before))
    with pytest.raises(ContentBlocked) as refused:
        listening.finish()
    same(refused.value, denied)
    listening.close()
    listening.close()
    assert ends == [1]


def test_a_stream_without_a_refusal_is_left_alone_and_kept_by_nobody():
    listening = Listening(lambda: None)
    crlf = b'data: {"iron": 1}\r\n\r\n'
    endless = b"x" * 3_000_000

    assert listening.feed(crlf) == crlf
    assert listening.feed(endless) == endless
    assert len(listening._open) == 0
    assert listening.finish() == b""
