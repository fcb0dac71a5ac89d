"""What the control plane is told of calls: each that ended, once, in the contract's words, and no text of it."""

import asyncio
import threading
import time
import uuid

import pytest
from plane import TOKEN, Fault

from iron_adapters.control_plane import Analytics, Pace
from iron_adapters.control_plane.events import analytics_event
from iron_policy import ContentBlocked, Policy, PolicyEngine
from iron_policy.audit import AuditEvent
from iron_policy.messages import ModelRequest, ModelResponse, Text, Usage

SECRET = "sk-proj-" + "a1B2c3D4" * 5
PACE = Pace(interval_seconds=3600, batch=10, first_pause_seconds=0.001, longest_pause_seconds=0.002)
USAGE = Usage(uncached_input_tokens=1_000, output_tokens=500)
BLOCKS = {"safety": {"input": {"secrets": "block"}, "output": {"secrets": "block"}}}


@pytest.fixture
async def analytics(client):
    made = Analytics(client, pace=PACE)
    made.start()
    yield made
    await made.stop(5)


def engine(*sinks, **document):
    return PolicyEngine(Policy.model_validate(document), sinks=sinks)


def admit(governing, text="hello", model="gpt-5.1", provider_name="openai"):
    texts = (Text(text, "user", "messages[0].content"),)
    return governing.admit(ModelRequest(provider_name=provider_name, model=model, texts=texts))


def settled(number=0, **attributes):
    said = {
        "gen_ai.request.model": "gpt-5.1",
        "gen_ai.provider.name": "openai",
        "gen_ai.usage.input_tokens": 1,
        "gen_ai.usage.output_tokens": 1,
    }
    return AuditEvent("call.settled", 1_700_000_000.1234, f"{number:032x}", {**said, **attributes})


async def test_a_call_that_was_answered_is_told_with_what_it_used_and_cost(analytics, plane):
    before = time.time() * 1_000
    admit(engine(analytics)).settle(USAGE, model="gpt-5.1-2025-11-13")
    await analytics.flush()

    (event,) = plane.events
    assert before - 1 <= event.pop("timestamp_ms") <= time.time() * 1_000
    assert uuid.UUID(event.pop("event_id")).version == 4
    assert event == {
        "ic_token": TOKEN,
        "event_type": "llm_request_completed",
        "model": "gpt-5.1",
        "provider": "openai",
        "input_tokens": 1_000,
        "output_tokens": 500,
        "cost_micros": 6_250,
    }


async def test_a_call_that_failed_is_told_with_its_error_and_no_message(analytics, plane):
    admit(engine(analytics), model="claude-sonnet-4-5", provider_name="anthropic").fail("429", sent=False)
    await analytics.flush()

    (event,) = plane.events
    assert set(event) == {
        "ic_token",
        "event_id",
        "timestamp_ms",
        "event_type",
        "model",
        "provider",
        "error_code",
    }
    assert (event["event_type"], event["error_code"]) == ("llm_request_failed", "429")
    assert (event["provider"], event["model"]) == ("anthropic", "claude-sonnet-4-5")


async def test_a_refused_call_is_told_as_failed(analytics, plane):
    with pytest.raises(ContentBlocked):
        admit(engine(analytics, **BLOCKS), f"my key is {SECRET}")
    await analytics.flush()

    (event,) = plane.events
    assert (event["event_type"], event["error_code"]) == ("llm_request_failed", "content_blocked")


async def test_a_reply_that_is_refused_is_told_once_as_what_was_billed(analytics, plane):
    call = admit(engine(analytics, **BLOCKS))
    with pytest.raises(ContentBlocked):
        call.review(ModelResponse(texts=(Text(SECRET, "assistant", "choices[0].message.content"),)))
    call.settle(USAGE)
    await analytics.flush()

    assert [event["event_type"] for event in plane.events] == ["llm_request_completed"]


async def test_a_refusal_that_is_only_watched_is_no_failure(analytics, plane):
    admit(engine(analytics, mode="monitor", **BLOCKS), f"my key is {SECRET}").settle(USAGE)
    await analytics.flush()

    assert [event["event_type"] for event in plane.events] == ["llm_request_completed"]


async def test_nothing_that_was_said_is_ever_told(analytics, plane):
    governing = engine(analytics, audit={"content": "redacted"})
    call = admit(governing, "a prompt to keep")
    call.review(ModelResponse(texts=(Text("a completion to keep", "assistant", "choices[0]"),)))
    call.settle(USAGE)
    with pytest.raises(ContentBlocked):
        admit(engine(analytics, **BLOCKS), f"another to keep {SECRET}")
    await analytics.flush()

    assert len(plane.seen("events")) == 2
    assert "to keep" not in str(plane.seen("events"))
    assert SECRET not in str(plane.seen("events"))


@pytest.mark.parametrize("kind", ["call.admitted", "tool.refused", "budget.alert", "chain.opened"])
async def test_what_ends_no_call_is_not_told(analytics, plane, kind):
    analytics.write(AuditEvent(kind, 1.0, "one", {}))

    assert (analytics.waiting, analytics_event(AuditEvent(kind, 1.0, "one", {}))) == (0, None)
    assert await analytics.flush() == 0
    assert plane.seen("events") == []


async def test_without_a_server_events_wait_and_nothing_is_sent():
    analytics = Analytics(None)
    analytics.start()
    analytics.write(settled(1))
    analytics.write(settled(2))

    assert await analytics.stop(0.01) == 2
    assert (analytics.waiting, analytics.sent) == (2, 0)


async def test_ten_events_are_sent_at_once(analytics, plane):
    await analytics.flush()
    for number in range(10):
        analytics.write(settled(number))

    await plane.until(lambda: len(plane.events) == 10)


async def test_an_event_that_met_an_error_of_the_server_is_sent_again(analytics, plane):
    plane.fail("events", Fault(500), Fault(503))
    analytics.write(settled())

    assert await analytics.flush() == 0
    assert (len(plane.seen("events")), len(plane.events), analytics.sent) == (3, 1, 1)
    assert len({event["event_id"] for event in plane.seen("events")}) == 1


async def test_an_event_that_the_server_refuses_is_not_sent_again(analytics, plane):
    plane.fail("events", Fault(400))
    analytics.write(settled())

    assert await analytics.flush() == 0
    assert (len(plane.seen("events")), analytics.refused, analytics.waiting) == (1, 1, 0)


async def test_an_event_is_sent_once_however_long_it_runs(analytics, plane):
    for number in range(30):
        analytics.write(settled(number))
        await analytics.flush()

    assert len(plane.seen("events")) == 30


async def test_a_stop_sends_the_rest_and_takes_no_more(client, plane):
    analytics = Analytics(client, pace=PACE)
    analytics.start()
    for number in range(3):
        analytics.write(settled(number))

    assert await analytics.stop(5) == 0
    analytics.write(settled(4))
    assert (len(plane.events), analytics.waiting) == (3, 0)
    assert await analytics.stop(5) == 0


async def test_calls_in_many_threads_are_told_while_events_are_sent(analytics, plane):
    governing = engine(analytics)
    start = threading.Barrier(4)

    def calls():
        start.wait()
        for _ in range(25):
            admit(governing).settle(USAGE)

    await asyncio.gather(*(asyncio.to_thread(calls) for _ in range(4)))
    await analytics.flush(20)

    assert (len(plane.events), len(plane.seen("events"))) == (100, 100)


async def test_two_senders_of_one_record_are_counted_once(analytics, client, plane):
    other = Analytics(client, pace=PACE)
    other.start()
    admit(engine(analytics, other)).settle(USAGE)
    await analytics.flush()
    await other.stop(5)

    assert (len(plane.seen("events")), len(plane.events)) == (2, 1)


async def test_a_full_buffer_drops_what_comes_and_counts_it(client):
    analytics = Analytics(client, capacity=5)
    for number in range(8):
        analytics.write(settled(number))

    assert (analytics.waiting, analytics.dropped) == (5, 3)


@pytest.mark.parametrize(
    ("nanodollars", "micros"), [(1_500, 2), (499, 0), (500, 1), (6_250_000, 6_250), (0, 0), (None, 0)]
)
def test_costs_are_whole_micro_dollars(nanodollars, micros):
    event = analytics_event(settled(**{"iron.cost_nanodollars": nanodollars}))

    assert event["cost_micros"] == micros


@pytest.mark.parametrize(
    ("provider", "told"),
    [("openai", "openai"), ("anthropic", "anthropic"), ("vllm", "unknown"), (None, "unknown")],
)
def test_a_provider_that_the_contract_does_not_know_is_unknown(provider, told):
    assert analytics_event(settled(**{"gen_ai.provider.name": provider}))["provider"] == told


def test_a_call_that_failed_and_may_be_billed_is_told_with_what_was_held_for_it():
    failed = AuditEvent(
        "call.failed", 1.0, "id", {"error.type": "ReadTimeout", "iron.cost_nanodollars": 7_000}
    )

    event = analytics_event(failed)

    assert (event["cost_micros"], event["error_code"], event["model"]) == (7, "ReadTimeout", "unknown")


def test_times_are_milliseconds_and_ids_are_those_of_the_calls():
    first, again, other = (analytics_event(settled(number)) for number in (1, 1, 2))

    assert first["timestamp_ms"] == 1_700_000_000_123
    assert first["event_id"] == again["event_id"] != other["event_id"]
    assert analytics_event(settled()._replace(call_id="no hex"))["event_id"]
