"""Whatever a caller sends, the router answers, and never with a fault of its own."""

import http.client
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from thorough import examples

from iron_adapters.router import LlmRouter
from iron_adapters.testing import ProviderDouble

KEYS = {"openai": "sk-test-router", "anthropic": "sk-ant-test-router"}
TOOL = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CHAT = {
    "model": "claude-haiku-4-5",
    "max_tokens": 50,
    "temperature": 0.5,
    "stop": ["END"],
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city":"Rome"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
        {"role": "user", "content": "And now?"},
    ],
    "tools": [{"type": "function", "function": {"name": "weather", "parameters": TOOL}}],
    "tool_choice": "auto",
    "response_format": {"type": "text"},
}
MESSAGES = {
    "model": "gpt-4o-mini",
    "max_tokens": 50,
    "system": "Be brief.",
    "stop_sequences": ["END"],
    "messages": [
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "tu_1", "name": "weather", "input": {"city": "Rome"}}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "tu_1", "content": "sunny"}]},
    ],
    "tools": [{"name": "weather", "input_schema": TOOL}],
    "tool_choice": {"type": "auto"},
}
RESPONSES = {"model": "gpt-4o-mini", "input": [{"role": "user", "content": "Hi"}], "max_output_tokens": 50}
EMBEDDINGS = {"model": "text-embedding-3-small", "input": ["one", "two"]}
PLACES = [
    ("/v1/chat/completions", CHAT),
    ("/v1/chat/completions", {**CHAT, "model": "gpt-4o-mini"}),
    ("/v1/messages", MESSAGES),
    ("/v1/messages", {**MESSAGES, "model": "claude-haiku-4-5"}),
    ("/v1/messages/count_tokens", {**MESSAGES, "model": "claude-haiku-4-5"}),
    ("/v1/responses", RESPONSES),
    ("/v1/embeddings", EMBEDDINGS),
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def paths(document, here=()):
    """Yield every place in *document*."""
    yield here
    if isinstance(document, dict):
        for key, value in document.items():
            yield from paths(value, (*here, key))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from paths(value, (*here, index))


def with_change(document, path, value):
    """Return *document* with *value* at *path*."""
    if not path:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[path[0]] = with_change(document[path[0]], path[1:], value)
    return copy


@st.composite
def requests(draw):
    """A request that is right but for one or two things."""
    path, document = draw(st.sampled_from(PLACES))
    if draw(st.booleans()) and path not in {"/v1/embeddings", "/v1/messages/count_tokens"}:
        document = {**document, "stream": True}
    for _ in range(draw(st.integers(1, 2))):
        places = list(paths(document))
        document = with_change(document, draw(st.sampled_from(places)), draw(JSON))
        if isinstance(document, dict) and draw(st.booleans()):
            document = {**document, draw(st.text(max_size=10)): draw(JSON)}
    return path, json.dumps(document).encode()


@pytest.fixture(scope="module")
def ask():
    """Return what posts a body to a router and gives back status and body."""
    with (
        ProviderDouble() as double,
        LlmRouter(
            "iron-token",
            provider_key=KEYS,
            upstreams={"openai": double.openai_url, "anthropic": double.anthropic_url},
            policy={"spending": {"unknown_price": "allow"}, "audit": {"path": "/dev/null"}},
            budget=1e6,
        ) as router,
    ):
        connection = http.client.HTTPConnection("127.0.0.1", router.port, timeout=30)

        def asking(path, body):
            headers = {"content-type": "application/json", "authorization": f"Bearer {router.api_key}"}
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            return response.status, response.headers["content-type"], response.read()

        yield asking
        connection.close()


def holds(status, content_type, body):
    assert status < 500, (status, body)
    if status >= 400:
        assert content_type == "application/json"
        assert json.loads(body)["error"]["message"]
    elif content_type.startswith("text/event-stream"):
        assert body.endswith(b"\n\n")
    else:
        json.loads(body)


@settings(
    max_examples=examples(250), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(request=requests())
def test_a_request_with_something_odd_in_it_is_answered_or_refused(request, ask):
    holds(*ask(*request))


@settings(
    max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    path=st.sampled_from([path for path, _ in PLACES]),
    body=st.binary(max_size=60) | JSON.map(lambda one: json.dumps(one).encode()),
)
def test_a_body_that_is_anything_is_refused(path, body, ask):
    status, content_type, reply = ask(path, body)

    assert status == 400
    holds(status, content_type, reply)


@pytest.mark.parametrize(("path", "document"), PLACES)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_changed_above_is_right_by_itself(path, document, stream, ask):
    if stream and path in {"/v1/embeddings", "/v1/messages/count_tokens"}:
        pytest.skip("this endpoint has no streams")
    status, content_type, body = ask(
        path, json.dumps({**document, "stream": True} if stream else document).encode()
    )

    assert status == 200, body
    assert content_type.startswith("text/event-stream") == stream
