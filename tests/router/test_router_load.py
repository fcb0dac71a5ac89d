"""Many callers, long prompts, bursts and mistakes: every call is answered, charged and recorded once."""

from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from clients import GPT, openai_of

from iron_policy import PolicyEngine
from iron_policy.audit import MemorySink
from iron_policy.cost import price_of, to_usd

ASK = {"model": GPT, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}


@pytest.fixture
def recorded(routed):
    """Return a router and what it records."""
    sink = MemorySink()
    return routed(policy=PolicyEngine(sinks=[sink]), budget=10.0), sink


def ends(sink):
    return [event.type for event in sink.events if event.type in {"call.settled", "call.failed"}]


def billed(double):
    return sum(price_of(line.model, "openai").cost(line.usage) for line in double.bill.lines)


@pytest.mark.parametrize(("threads", "calls"), [(5, 3), (1, 20), (20, 1)], ids=["threads", "row", "burst"])
def test_calls_in_many_threads_are_each_charged_and_recorded_once(threads, calls, recorded, double):
    router, sink = recorded
    with openai_of(router) as client, ThreadPoolExecutor(threads) as pool:
        told = list(pool.map(lambda _: client.chat.completions.create(**ASK).choices, range(threads * calls)))

    assert all(told)
    assert ends(sink) == ["call.settled"] * threads * calls
    assert router.total_spent() == float(to_usd(billed(double)))


def test_long_prompts_in_five_threads_are_charged_for_their_length(recorded, double):
    router, sink = recorded
    text = "a long report " * 21_500  # 300 kB
    with openai_of(router) as client, ThreadPoolExecutor(5) as pool:
        asked = {**ASK, "messages": [{"role": "user", "content": text}]}
        list(pool.map(lambda _: client.chat.completions.create(**asked), range(5)))

    assert ends(sink) == ["call.settled"] * 5
    assert double.bill.total.input_tokens > 5 * 20_000
    assert router.total_spent() == float(to_usd(billed(double)))


def test_a_model_that_is_none_fails_costs_nothing_and_keeps_nobody_up(routed):
    sink = MemorySink()
    router = routed(policy=PolicyEngine(sinks=[sink]))
    with openai_of(router) as client:
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(**{**ASK, "model": "gpt-4o-mini-that-never-was"})
        assert router.total_spent() == 0
        client.chat.completions.create(**{**ASK, "messages": [{"role": "user", "content": ""}]})

    assert ends(sink) == ["call.failed", "call.settled"]
