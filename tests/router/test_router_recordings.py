"""Every recorded exchange passes the router: the provider gets what was sent, the caller gets what was said."""

import http.client
import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "wire"))
from recorded import FOLDER, UNREADABLE, recordings
from replaying import Replay, events

from iron_adapters.router import LlmRouter

NOTHING = {"pii": "allow", "secrets": "allow", "injection": "allow"}
POLICY = {
    "safety": {"input": NOTHING, "output": NOTHING},
    "spending": {"unknown_price": "allow"},
    "audit": {"path": "/dev/null"},
}
KEYS = {"openai": "sk-test-router", "anthropic": "sk-ant-test-router"}


@pytest.fixture(scope="module")
def replay():
    if not FOLDER.is_dir():
        pytest.skip(f"no recordings at {FOLDER}")
    provider = Replay(parameter.values[0] for parameter in recordings())
    yield provider
    provider.close()


@pytest.fixture(scope="module")
def router(replay):
    upstreams = {"openai": replay.url, "anthropic": replay.url}
    with LlmRouter(
        "iron-token", provider_key=KEYS, upstreams=upstreams, policy=POLICY, budget=1e6
    ) as running:
        yield running


def ask(router, recording):
    """Send the recorded request to *router*; return status, headers and body of what comes back."""
    document = json.loads((FOLDER / recording.name).read_text())["request"]
    url = urlsplit(document["url"])
    provider = "anthropic" if "anthropic" in url.netloc else "openai"
    path = url.path if document["method"] == "POST" else f"/{provider}{url.path}"
    headers = {
        "x-recording": recording.name,
        "x-api-key": router.api_key,
        "content-type": "application/json",
        **{name: value for name, value in document["headers"].items() if name.startswith("anthropic-")},
    }
    connection = http.client.HTTPConnection("127.0.0.1", router.port, timeout=30)
    try:
        body = recording.request_body if document["method"] == "POST" else None
        connection.request(document["method"], f"{path}?{url.query}" if url.query else path, body, headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("recording", recordings())
def test_an_exchange_passes_the_router_unchanged(recording, router, replay):
    if recording.name in UNREADABLE:
        status, _, body = ask(router, recording)
        assert (status, recording.name in replay.received) == (400, False)
        assert json.loads(body)["error"]["type"] == "invalid_request_error"
        return

    status, headers, body = ask(router, recording)

    assert (status, headers["x-request-id"]) == (recording.status, f"req_{recording.name}")
    if recording.sse is None:
        assert json.loads(body) == json.loads(recording.reply_body)
    else:
        assert events(body) == events(recording.sse)


@pytest.mark.parametrize("recording", recordings(lambda one: one.has_text and one.name not in UNREADABLE))
def test_the_provider_gets_what_the_caller_sent(recording, router, replay):
    ask(router, recording)
    received = replay.received[recording.name]

    sent = json.loads(recording.request_body)
    got = json.loads(received["body"])
    if sent.get("stream") and "stream_options" in got:
        asked = got.pop("stream_options")
        assert asked["include_usage"] is True
        assert {**asked, "include_usage": None} == {**sent.pop("stream_options", {}), "include_usage": None}
    assert got == sent


@pytest.mark.parametrize("recording", recordings())
def test_the_provider_gets_the_routers_key_and_never_the_callers(recording, router, replay):
    if recording.name in UNREADABLE:
        pytest.skip("refused: nobody can judge token ids")
    ask(router, recording)
    headers = replay.received[recording.name]["headers"]

    key = headers.get("x-api-key") or headers["authorization"].removeprefix("Bearer ")
    assert key in KEYS.values()
    assert router.api_key not in str(headers)
