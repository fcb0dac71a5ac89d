"""Faults on demand reach the official clients as the provider's own would."""

import time

import anthropic
import httpx
import httpx2
import openai
import pytest

from iron_adapters.testing import (
    Fault,
    cut_off,
    dropped,
    error_event,
    malformed,
    out_of_quota,
    overloaded,
    rate_limited,
    slow_start,
    stalled,
    without_usage,
)

# Before openai 3, what breaks in mid-stream comes as the HTTP library's own error.
BROKEN_OFF = (openai.APIConnectionError, httpx.RemoteProtocolError, httpx2.RemoteProtocolError)
TIMED_OUT = (openai.APITimeoutError, httpx.ReadTimeout, httpx2.ReadTimeout)
PROMPT = [{"role": "user", "content": "Hello there"}]


@pytest.fixture
def gpt(double):
    with openai.OpenAI(base_url=double.openai_url, max_retries=0) as client:

        def ask(**more):
            return client.chat.completions.create(**{"model": "gpt-4o-mini", "messages": PROMPT, **more})

        ask.client = client
        yield ask


@pytest.fixture
def claude(double):
    with anthropic.Anthropic(base_url=double.anthropic_url, max_retries=0) as client:

        def ask(**more):
            body = {"model": "claude-haiku-4-5", "max_tokens": 50, "messages": PROMPT, **more}
            return client.messages.create(**body)

        yield ask


@pytest.mark.parametrize("stream", [False, True])
def test_a_rate_limit_says_when_to_come_back(double, gpt, claude, stream):
    double.fail_next(rate_limited(retry_after_seconds=7), times=2)

    with pytest.raises(openai.RateLimitError) as theirs:
        gpt(stream=stream)
    with pytest.raises(anthropic.RateLimitError) as ours:
        claude(stream=stream)

    assert (theirs.value.code, theirs.value.type) == ("rate_limit_exceeded", "tokens")
    assert ours.value.body["error"]["type"] == "rate_limit_error"
    assert ours.value.response.headers["x-should-retry"] == "true"
    assert {theirs.value.response.headers["retry-after"], ours.value.response.headers["retry-after"]} == {"7"}
    assert gpt().choices


def test_a_spent_quota_is_a_429_of_another_kind(double, gpt):
    double.fail_next(out_of_quota())

    with pytest.raises(openai.RateLimitError) as caught:
        gpt()
    assert (caught.value.code, caught.value.type) == ("insufficient_quota", "insufficient_quota")


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_error_comes_in_both_dialects(double, gpt, claude, status):
    double.fail_next(status, times=2)

    with pytest.raises(openai.InternalServerError) as theirs:
        gpt()
    with pytest.raises(anthropic.APIStatusError) as ours:
        claude()
    assert (theirs.value.status_code, theirs.value.type) == (status, "server_error")
    assert (ours.value.status_code, ours.value.body["error"]["type"]) == (status, "api_error")


def test_an_overloaded_provider_answers_529(double, claude):
    double.fail_next(overloaded())

    with pytest.raises(anthropic.APIStatusError, match="Overloaded") as caught:
        claude()
    assert caught.value.status_code == 529


def test_a_fault_can_be_bound_to_a_model(double, gpt):
    double.fail_next(500, model="gpt-4o")

    assert gpt(model="gpt-4o-mini").choices
    with pytest.raises(openai.InternalServerError):
        gpt(model="gpt-4o")
    assert gpt(model="gpt-4o").choices


def test_a_client_that_retries_gets_through_and_uses_up_no_reply(double):
    double.fail_next(Fault(kind="status", status=503, retry_after_seconds=0.01), times=2)
    double.reply("through")
    with openai.OpenAI(base_url=double.openai_url, max_retries=2) as client:
        reply = client.chat.completions.create(model="gpt-4o-mini", messages=PROMPT)

    assert reply.choices[0].message.content == "through"
    assert [request.headers["x-stainless-retry-count"] for request in double.requests] == ["0", "1", "2"]
    assert double.bill.calls == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_dropped_connection_leaves_no_reply(double, gpt, claude, stream):
    double.fail_next(dropped(), times=2)

    with pytest.raises(openai.APIConnectionError):
        gpt(stream=stream)
    with pytest.raises(anthropic.APIConnectionError):
        claude(stream=stream)
    assert double.bill.calls == 0


def test_a_stream_that_is_cut_off_has_delivered_its_first_events(double, gpt):
    double.fail_next(cut_off(after_events=3))
    texts = []
    with pytest.raises(BROKEN_OFF):
        texts.extend(chunk.choices[0].delta.content for chunk in gpt(stream=True))

    assert texts == ["", "You", " said"]
    assert double.bill.by_model["gpt-4o-mini-2024-07-18"].output_tokens == 2
    assert not double.bill.lines[0].finished


def test_a_whole_body_that_is_cut_off_is_a_connection_error(double, claude):
    double.fail_next(cut_off())

    with pytest.raises(anthropic.APIConnectionError):
        claude()


@pytest.mark.parametrize("stream", [False, True])
def test_a_stall_outlasts_the_clients_patience(double, gpt, stream):
    double.fail_next(stalled(after_events=1))

    with pytest.raises(TIMED_OUT):
        list(gpt(stream=stream, timeout=0.2))


def test_an_error_in_mid_stream_is_an_api_error(double, gpt, claude):
    double.fail_next(error_event(after_events=3, status=500))
    with pytest.raises(openai.APIError, match="had an error"):
        list(gpt(stream=True))

    double.fail_next(error_event(after_events=3))
    with pytest.raises(anthropic.APIStatusError, match="overloaded_error"):
        list(claude(stream=True))


def test_an_error_in_mid_stream_ends_a_response_too(double, gpt):
    double.fail_next(error_event(after_events=3, status=500))

    events = list(gpt.client.responses.create(model="gpt-4o-mini", input="Hello", stream=True))
    assert [event.sequence_number for event in events] == [0, 1, 2, 3]
    assert (events[-1].type, events[-1].code) == ("error", "server_error")


def test_a_slow_start_delays_the_first_token_only(double, gpt):
    double.fail_next(slow_start(0.15))
    begun = time.monotonic()
    stream = gpt(stream=True)
    times = [time.monotonic() - begun for _ in stream]

    assert times[1] >= 0.15
    assert times[-1] - times[1] < 0.15


@pytest.mark.parametrize("stream", [False, True])
def test_json_that_ends_too_early_cannot_be_read(double, gpt, claude, stream):
    double.fail_next(malformed(), times=2)

    with pytest.raises((openai.APIError, ValueError)):
        list(gpt(stream=stream))
    with pytest.raises((anthropic.APIError, ValueError)):
        list(claude(stream=stream))


def test_usage_that_is_withheld_is_billed(double, gpt, claude):
    double.fail_next(without_usage(), times=3)
    options = {"include_usage": True}
    events = list(claude(stream=True))

    assert gpt().usage is None
    assert all(chunk.usage is None for chunk in gpt(stream=True, stream_options=options))
    assert not any("usage" in event.model_fields_set for event in events)
    assert double.bill.total.output_tokens == 3 * 5


def test_a_fault_may_stand_in_a_script(double, gpt):
    double.script(["one", Fault(kind="status", status=500), "two"])

    assert gpt().choices[0].message.content == "one"
    with pytest.raises(openai.InternalServerError):
        gpt()
    assert gpt().choices[0].message.content == "two"
    assert double.unused_lines == 0


def test_embeddings_meet_faults_too(double, gpt):
    double.fail_next(429)

    with pytest.raises(openai.RateLimitError):
        gpt.client.embeddings.create(model="text-embedding-3-small", input="x")


def test_a_whole_reply_cannot_fail_in_the_middle_and_has_the_status_instead(double, claude):
    double.fail_next(error_event())

    with pytest.raises(anthropic.APIStatusError) as caught:
        claude()
    assert caught.value.status_code == 529
