"""What a body says of service tiers and of models to go on to."""

from __future__ import annotations

import json

import pytest

from iron_adapters.wire import codec_for

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
COMPLETIONS, MESSAGES = "/v1/completions", "/v1/messages"
SAID = {
    CHAT: {"messages": [{"role": "user", "content": "hi"}]},
    RESPONSES: {"input": "hi"},
    COMPLETIONS: {"prompt": "hi"},
    MESSAGES: {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 100},
}


class Unreviewed:
    """Lets everything pass."""

    def push(self, _channel, text):
        return text

    def finish(self, _channel):
        return ""

    def whole(self, text):
        return text.text

    def tool_call(self, call):
        """Take no notice."""


def read(path, **fields):
    return codec_for("POST", path).read_request(
        json.dumps({"model": "m", **SAID[path], **fields}).encode(), {}
    )


def replied(path, **fields):
    return codec_for("POST", path).read_response(json.dumps({"model": "m", **fields}).encode()).response.usage


@pytest.mark.parametrize("path", [CHAT, RESPONSES, COMPLETIONS, MESSAGES])
def test_the_tier_asked_for_is_read(path):
    assert read(path).request.service_tier is None
    assert read(path, service_tier="priority").request.service_tier == "priority"
    assert read(path, service_tier=5).request.service_tier is None


def test_speed_is_a_tier_also_where_only_a_further_attempt_asks_for_it():
    assert read(MESSAGES, speed="fast", service_tier="auto").request.service_tier == "fast"
    assert read(MESSAGES, speed="standard", service_tier="auto").request.service_tier == "auto"
    assert read(MESSAGES, fallbacks=[{"model": "n", "speed": "fast"}]).request.service_tier == "fast"


@pytest.mark.parametrize("path", [CHAT, RESPONSES, COMPLETIONS])
@pytest.mark.parametrize("details", [{}, {"prompt_tokens_details": {"cached_tokens": 1}}])
def test_openai_says_beside_the_usage_at_which_tier_it_served(path, details):
    usage = {"prompt_tokens": 3, "completion_tokens": 2, **details}

    assert replied(path, usage=usage, service_tier="flex").service_tier == "flex"
    assert replied(path, usage=usage).service_tier is None


def test_anthropic_says_within_the_usage_at_which_tier_it_served():
    assert (
        replied(
            MESSAGES, usage={"input_tokens": 3, "output_tokens": 1, "service_tier": "standard"}
        ).service_tier
        == "standard"
    )
    fast = {"input_tokens": 3, "output_tokens": 1, "service_tier": "standard", "speed": "fast"}
    assert replied(MESSAGES, usage=fast).service_tier == "fast"


def test_a_stream_says_at_which_tier_it_was_served():
    chunk = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}, "service_tier": "priority"}
    stream = codec_for("POST", CHAT).stream(Unreviewed(), read(CHAT, stream=True))
    stream.feed(f"data: {json.dumps(chunk)}\n\n".encode())
    assert stream.usage.service_tier == "priority"

    response = {
        "model": "m",
        "usage": {"input_tokens": 3, "output_tokens": 1},
        "service_tier": "flex",
        "output": [],
    }
    stream = codec_for("POST", RESPONSES).stream(Unreviewed(), read(RESPONSES, stream=True))
    stream.feed(f"data: {json.dumps({'type': 'response.completed', 'response': response})}\n\n".encode())
    assert stream.usage.service_tier == "flex"

    message = {"model": "m", "usage": {"input_tokens": 3, "output_tokens": 1, "speed": "fast"}, "content": []}
    stream = codec_for("POST", MESSAGES).stream(Unreviewed(), read(MESSAGES, stream=True))
    stream.feed(f"data: {json.dumps({'type': 'message_start', 'message': message})}\n\n".encode())
    assert stream.input_usage.service_tier == "fast"


@pytest.mark.parametrize("path", [CHAT, RESPONSES, COMPLETIONS, MESSAGES])
@pytest.mark.parametrize(
    ("fields", "models"),
    [
        ({}, ()),
        ({"models": ["a", "b"]}, ("a", "b")),
        ({"fallbacks": [{"model": "a"}, {"model": "b"}]}, ("a", "b")),
        ({"fallback_models": ["a"], "models": ["b"]}, ("b", "a")),
        ({"fallbacks": "default"}, ("default",)),
        ({"models": [1, None, {"model": 2}]}, ()),
    ],
)
def test_further_models_are_read_wherever_they_are_named(path, fields, models):
    assert read(path, **fields).request.other_models == models


def test_a_further_attempt_neither_escapes_the_bound_nor_a_clamp():
    wire = read(MESSAGES, fallbacks=[{"model": "a", "max_tokens": 5000}, {"model": "b"}])
    assert wire.request.max_tokens == 5000

    wire.set_max_tokens(50)

    sent = json.loads(wire.body())
    assert sent["max_tokens"] == 50
    assert sent["fallbacks"] == [{"model": "a", "max_tokens": 50}, {"model": "b"}]


def test_what_a_further_attempt_tells_the_model_is_text():
    schema = {"type": "object", "description": "call bob@example.com"}
    wire = read(MESSAGES, fallbacks=[{"model": "a", "output_config": {"format": {"schema": schema}}}])

    assert "call bob@example.com" in [text.text for text in wire.request.texts]
