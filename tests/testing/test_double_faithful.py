"""The double's bodies and events have the keys that the real ones have, no more and no fewer."""

import json
from functools import cache
from pathlib import Path

import httpx
import pytest

RECORDINGS = Path(__file__).parent.parent.parent.parent / "shared" / "recordings"
FREE = {
    "tools",
    "input",
    "arguments",
    "parameters",
    "schema",
    "metadata",
    "embedding",
    "annotations",
    "logprobs",
}
"""What stands below these is the caller's or the model's."""
KEY = {"authorization": "Bearer test", "x-api-key": "test", "anthropic-version": "2023-06-01"}
TOOL_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

pytestmark = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason="the recordings are not beside this repository"
)


def key_paths(value, path=""):
    """Return the path of every key in *value*; items of lists share theirs."""
    if isinstance(value, list):
        return set().union(*(key_paths(item, f"{path}[]") for item in value)) if value else set()
    if not isinstance(value, dict):
        return set()
    paths = set()
    for key, item in value.items():
        paths.add(f"{path}.{key}")
        if key not in FREE:
            paths |= key_paths(item, f"{path}.{key}")
    return paths


def events_of(sse):
    """Return the payloads of a stream, with their ``event:`` names."""
    events = []
    for block in sse.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        if lines.get("data", "[DONE]") != "[DONE]":
            events.append((lines.get("event"), json.loads(lines["data"])))
    return events


@cache
def recorded(prefix):
    """Return the recorded exchanges of an endpoint that succeeded."""
    exchanges = [json.loads(path.read_bytes()) for path in sorted(RECORDINGS.glob(f"{prefix}-*.json"))]
    return [exchange for exchange in exchanges if exchange["response"]["status"] == 200]


def recorded_keys(prefix, pick):
    """Return the keys that every picked value has, and those that at least one has."""
    found = [key_paths(value) for exchange in recorded(prefix) for value in pick(exchange["response"])]
    assert found
    return set.intersection(*found), set.union(*found)


def whole(response):
    return [response["json"]] if response.get("json") else []


def of_type(name):
    def pick(response):
        events = events_of(response["sse"]) if response.get("sse") else []
        return [payload for _, payload in events if payload.get("type", payload.get("object")) == name]

    return pick


def assert_faithful(values, keys):
    always, ever = keys
    for value in values:
        mine = key_paths(value)
        assert mine <= ever, f"keys that no provider sends: {sorted(mine - ever)}"
        assert always <= mine, f"keys that every provider sends: {sorted(always - mine)}"


@pytest.fixture
def post(double):
    def send(path, body):
        response = httpx.post(double.anthropic_url + path, json=body, headers=KEY)
        assert response.status_code == 200, response.text
        return response

    return send


def chat(**more):
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": TOOL_SCHEMA}}
    messages = [{"role": "user", "content": "call tool get_weather twice: call tool get_weather"}]
    return {"model": "gpt-4o-mini", "messages": messages, "tools": [tool], **more}


def message(**more):
    tool = {"name": "get_weather", "input_schema": TOOL_SCHEMA}
    messages = [{"role": "user", "content": "call tool get_weather twice: call tool get_weather"}]
    return {"model": "claude-sonnet-4-6", "max_tokens": 500, "messages": messages, "tools": [tool], **more}


@pytest.mark.parametrize("tools", [None, chat()["tools"]])
def test_chat_completions_have_the_keys_of_recorded_ones(post, tools):
    body = post("/v1/chat/completions", chat(tools=tools)).json()

    assert_faithful([body], recorded_keys("openai-chat_completions", whole))


@pytest.mark.parametrize("tools", [None, chat()["tools"]])
def test_chat_chunks_have_the_keys_of_recorded_ones(post, tools):
    sse = post(
        "/v1/chat/completions", chat(tools=tools, stream=True, stream_options={"include_usage": True})
    ).text

    keys = recorded_keys("openai-chat_completions", of_type("chat.completion.chunk"))
    assert_faithful([payload for _, payload in events_of(sse)], keys)
    assert sse.endswith("data: [DONE]\n\n")


def test_text_completion_chunks_have_the_keys_of_recorded_ones(post):
    sse = post("/v1/completions", {"model": "gpt-3.5-turbo-instruct", "prompt": "Hello", "stream": True}).text

    keys = recorded_keys("openai-completions", of_type("text_completion"))
    assert_faithful([payload for _, payload in events_of(sse)], keys)


def response_body(**more):
    tool = {"type": "function", "name": "get_weather", "parameters": TOOL_SCHEMA}
    return {"model": "gpt-4.1", "input": "call tool get_weather", "tools": [tool], **more}


@pytest.mark.parametrize("tools", [[], response_body()["tools"]])
def test_responses_have_the_keys_of_recorded_ones(post, tools):
    body = post("/v1/responses", response_body(tools=tools)).json()

    always, ever = recorded_keys("openai-responses", whole)
    assert_faithful([body], (always, ever))


@pytest.mark.parametrize("more", [{"tools": []}, {}, {"reasoning": {"summary": "auto"}}])
def test_response_events_have_the_keys_of_recorded_ones(post, more):
    events = events_of(post("/v1/responses", response_body(**more, stream=True)).text)

    assert all(name == payload["type"] for name, payload in events)
    assert [payload["sequence_number"] for _, payload in events] == list(range(len(events)))
    for name, payload in events:
        assert_faithful([payload], recorded_keys("openai-responses", of_type(name)))


@pytest.mark.parametrize("tools", [[], message()["tools"]])
def test_messages_have_the_keys_of_recorded_ones(post, tools):
    body = post("/v1/messages", message(tools=tools)).json()

    assert_faithful([body], recorded_keys("anthropic-messages", whole))


@pytest.mark.parametrize("more", [{"tools": []}, {}, {"thinking": {"type": "adaptive"}}])
def test_message_events_have_the_keys_of_recorded_ones(post, more):
    events = events_of(post("/v1/messages", message(**more, stream=True)).text)

    assert all(name == payload["type"] for name, payload in events)
    for name, payload in events:
        assert_faithful([payload], recorded_keys("anthropic-messages", of_type(name)))


def test_message_events_come_in_the_recorded_order(post):
    def order(events):
        names = [name for name, _ in events if name != "ping"]
        return [name for place, name in enumerate(names) if place == 0 or names[place - 1] != name]

    seen = {
        tuple(order(events_of(item["response"]["sse"])))
        for item in recorded("anthropic-messages")
        if item["response"].get("sse")
    }
    mine = events_of(post("/v1/messages", message(tools=[], stream=True)).text)

    assert tuple(order(mine)) in seen
    assert [name for name, _ in mine][:3] == ["message_start", "content_block_start", "ping"]


def test_embeddings_have_the_keys_of_recorded_ones(post):
    body = post(
        "/v1/embeddings", {"model": "text-embedding-3-small", "input": ["a", "b"], "dimensions": 4}
    ).json()

    assert_faithful([body], recorded_keys("openai-embeddings", whole))


def test_moderations_have_the_keys_of_recorded_ones(post):
    body = post("/v1/moderations", {"input": "hello"}).json()

    assert_faithful([body], recorded_keys("openai-moderations", whole))


@pytest.mark.parametrize("prefix", ["openai-chat_completions", "openai-responses", "anthropic-messages"])
def test_errors_have_the_keys_of_recorded_ones(double, prefix):
    path = {"openai-chat_completions": "/v1/chat/completions", "openai-responses": "/v1/responses"}.get(
        prefix, "/v1/messages"
    )
    errors = [
        json.loads(file.read_bytes())["response"] for file in sorted(RECORDINGS.glob(f"{prefix}-*.json"))
    ]
    ever = set().union(*(key_paths(error["json"]) for error in errors if error["status"] >= 400))
    body = {"model": "no-such-model", "max_tokens": 5, "messages": chat()["messages"], "input": "hello"}
    answer = httpx.post(double.anthropic_url + path, json=body, headers=KEY)

    assert key_paths(answer.json()) == ever
    assert answer.status_code == (400 if prefix == "openai-responses" else 404)
