"""Callers who race for the last cent, hang up, and ask for absurd amounts; providers who report absurd ones."""

import threading
import time

import pytest
from raw_http import ASK, CHAT, CLAUDE, DONE, answering, ask, connected, delta, request, said, streaming

from iron_policy.cost import to_usd

SAID = said(usage={"prompt_tokens": 8, "completion_tokens": 50, "total_tokens": 58})


def account(router):
    return router._scope.account


def all_at_once(count, call):
    """Return what *call* returns in *count* threads that start together."""
    barrier, results = threading.Barrier(count), []

    def run():
        barrier.wait()
        results.append(call())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def settled(router):
    """Return what is spent once nothing is held any more, in USD."""
    deadline = time.monotonic() + 10
    while account(router).held_nanodollars and time.monotonic() < deadline:
        time.sleep(0.01)
    assert account(router).held_nanodollars == 0
    return router.total_spent()


@pytest.mark.parametrize("stream", [False, True])
def test_of_forty_callers_at_once_as_many_are_let_in_as_the_limit_has_room_for(stream, before):
    """While they are under way, what each may cost at most is held; none is let in on another's hope."""
    release = threading.Event()

    def answer(_request):
        release.wait(20)
        return streaming(delta("Hi", "stop") + DONE) if stream else answering(SAID)

    router = before(answer, budget=1)
    held = hold_of(router, {**ASK, "stream": stream})
    router.set_budget(held * 7.5)
    statuses = []

    def call():
        statuses.append(ask(router, {**ASK, "stream": stream}).status)
        if statuses.count(402) == 33:
            release.set()

    all_at_once(40, call)

    assert sorted(statuses) == [200] * 7 + [402] * 33
    assert len(router.canary.received) == 7
    assert settled(router) <= held * 7.5


def hold_of(router, body, **details):
    """Return the most that one call can cost, in USD: what the refusal of a call that has nothing says."""
    router.set_budget(0.000_000_001)
    refused = ask(router, body, **details).json["error"]
    router.set_budget(1_000_000_000)
    text = refused["message"]
    return float(text.partition("can cost up to $")[2].partition(",")[0])


@pytest.mark.parametrize("odd", [-1, 1.5, "5", True, [], {}, None, 2**31, 2**63, 10**30])
def test_an_odd_limit_of_output_is_held_as_the_largest_that_there_is(odd, before):
    """Nobody knows what a provider makes of it; it is no promise to write little."""
    router = before(answering(SAID), budget=1)
    unlimited = hold_of(router, {key: value for key, value in ASK.items() if key != "max_tokens"})
    odd_hold = hold_of(router, {**ASK, "max_tokens": odd})

    assert odd_hold >= unlimited * 0.99
    assert router.total_spent() == 0


@pytest.mark.parametrize("count", [0, -1, None])
def test_an_odd_number_of_answers_is_held_as_one(count, before):
    router = before(answering(SAID), budget=1)

    assert hold_of(router, {**ASK, "n": count}) >= hold_of(router, ASK) * 0.99


@pytest.mark.parametrize("count", [2**31, 2**62, 10**15])
def test_a_huge_number_of_answers_does_not_fit(count, before):
    router = before(answering(SAID), budget=1000)

    assert ask(router, {**ASK, "n": count}).status == 402
    assert router.canary.received == []


@pytest.mark.parametrize(
    "usage",
    [
        {},
        [],
        "much",
        {"prompt_tokens": -5, "completion_tokens": -5},
        {"prompt_tokens": -(10**30), "completion_tokens": 5},
        {"prompt_tokens": "5", "completion_tokens": "7"},
        {"prompt_tokens": 1e308, "completion_tokens": 1},
        {"prompt_tokens": 10**30, "completion_tokens": 10**30},
        {"prompt_tokens": 1.5, "completion_tokens": 2.5},
        {"prompt_tokens": True, "completion_tokens": True},
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": None, "completion_tokens": None},
        {"prompt_tokens": [5], "completion_tokens": {"a": 5}},
    ],
    ids=repr,
)
def test_a_usage_that_is_none_is_charged_as_estimated(usage, before):
    told = {**SAID, "usage": usage}
    chunk = delta("Hi", "stop")
    for answer, stream in ((answering(told), False), (streaming(chunk + DONE), True)):
        router = before(answer, budget=1)

        assert ask(router, {**ASK, "stream": stream}).status == 200
        assert 0 < settled(router) < 0.001


@pytest.mark.parametrize(
    "details",
    [
        {"cached_tokens": -100},
        {"cached_tokens": 10**12},
        {"audio_tokens": -5},
        {"cached_tokens": "x"},
        "x",
        [1],
    ],
    ids=repr,
)
def test_odd_details_of_a_usage_make_nothing_cheaper_than_the_cache(details, before):
    usage = {"prompt_tokens": 1000, "completion_tokens": 50, "prompt_tokens_details": details}
    router = before(answering(said(usage=usage)), budget=1)
    ask(router)
    dear = 0.15e-6 * 1000 + 0.6e-6 * 50

    assert dear / 2 <= settled(router) <= dear * 1.01


def test_what_is_spent_never_turns_back(before):
    """A provider cannot pay its callers."""
    router = before(answering(SAID), budget=1)
    ask(router)
    spent = router.total_spent()
    for number in (-1, -(10**9), -(10**18)):
        usage = {"prompt_tokens": number, "completion_tokens": number, "cost": number}
        router.canary.answer = answering({**SAID, "usage": usage})
        ask(router)
        assert router.total_spent() > spent
        spent = router.total_spent()


@pytest.mark.parametrize("stream", [False, True])
def test_callers_who_hang_up_are_charged_and_leave_nothing_held(stream, before):
    seen = threading.Semaphore(0)
    gone = threading.Event()

    def answer(_request):
        seen.release()
        gone.wait(10)
        return streaming(delta("Hi", "stop") + DONE) if stream else answering(SAID)

    router = before(answer, budget=1)
    connections = [connected(router) for _ in range(5)]
    for connection in connections:
        connection.sendall(request(router, {**ASK, "stream": stream}))
    for _ in connections:
        seen.acquire(timeout=10)
    assert account(router).held_nanodollars > 0
    for connection in connections:
        connection.close()
    gone.set()

    assert settled(router) > 0
    assert router._scope.summary().calls == 5


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        answering(b"nonsense"),
        answering(SAID)[:-30],
        streaming(delta("Hi")),
        streaming(delta("Hi") + b"data: nonsense\n\n"),
        streaming(delta("Hi") + b'data: {"error": {"message": "no"}}\n\n'),
        streaming(b""),
    ],
    ids=["hangs up", "nonsense", "cut", "cut stream", "odd event", "error event", "empty stream"],
)
def test_a_call_that_breaks_may_be_billed_and_leaves_nothing_held(answer, before):
    router = before(answer, budget=1)
    for stream in (False, True):
        ask(router, {**ASK, "stream": stream})

    assert settled(router) > 0


@pytest.mark.parametrize("status", [400, 429, 500, 302])
def test_an_error_costs_nothing_and_leaves_nothing_held(status, before):
    router = before(answering({"error": {"message": "no"}}, status=status), budget=1)
    ask(router)
    ask(router, CLAUDE)

    assert settled(router) == 0


def test_a_fault_of_the_router_itself_leaves_nothing_held(before, monkeypatch):
    def fail(*_args, **_more):
        raise RuntimeError

    router = before(answering(SAID), budget=1)
    monkeypatch.setattr("iron_adapters.router.calls.towards", fail)

    assert ask(router).status >= 500
    settled(router)


@pytest.mark.parametrize("budget", [-1, -0.01, float("nan"), float("inf"), "x", [], True])
def test_a_budget_that_is_none_is_refused_and_changes_nothing(budget, before):
    router = before(answering(SAID), budget=1)
    with pytest.raises((ValueError, TypeError, OverflowError)):
        router.set_budget(budget)

    assert router.budget == 1


def test_a_limit_that_is_lowered_below_what_is_spent_lets_nobody_in(before):
    router = before(answering(SAID), budget=1)
    ask(router)
    router.set_budget(0)

    assert ask(router).status == 402
    assert len(router.canary.received) == 1
    assert to_usd(account(router).limit_nanodollars) == 0
    assert router.budget_status[0] > 0


def test_every_path_that_costs_draws_on_the_same_limit(before):
    router = before(answering(SAID), budget=0.000_000_001)
    bodies = {
        CHAT: ASK,
        "/v1/completions": {"model": "gpt-3.5-turbo-instruct", "prompt": "Hello"},
        "/v1/responses": {"model": "gpt-4o-mini", "input": "Hello"},
        "/v1/embeddings": {"model": "text-embedding-3-small", "input": "Hello"},
        "/v1/messages": CLAUDE,
    }
    for path, body in bodies.items():
        for start in ("", "/openai", "/anthropic"):
            if (start == "/anthropic") != (path == "/v1/messages") and start:
                continue
            assert ask(router, body, path=f"{start}{path}").status == 402, path
    assert router.canary.received == []
