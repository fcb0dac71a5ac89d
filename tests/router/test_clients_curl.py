"""curl as a caller of the router: what HTTP alone shows, and what no SDK does."""

import gzip
import json
import shutil
import subprocess

import pytest

CURL = shutil.which("curl")
pytestmark = pytest.mark.skipif(CURL is None, reason="curl is not installed")

_QUIETLY = ("-q", "-sS", "-i", "--noproxy", "*", "--max-time", "30")
HELLO = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}
GPT = {"model": "gpt-4o-mini", **HELLO}
CLAUDE = {"model": "claude-haiku-4-5", **HELLO}


@pytest.fixture
def curl(double, standing_router):
    """Return what sends *body* with curl: status, headers with lower-case names, and the reply's bytes."""

    def send(
        body, *options, path="/chat/completions", token=standing_router.api_key, kind="application/json"
    ):
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = ("-H", f"authorization: Bearer {token}", "-H", f"content-type: {kind}")
        done = subprocess.run(  # noqa: S603 - curl itself
            [CURL, *_QUIETLY, *headers, *options, "--data-binary", "@-", standing_router.base_url + path],
            input=sent,
            capture_output=True,
            check=True,
        )
        return _read(done.stdout)

    return send


def _read(reply):
    head, _, body = reply.partition(b"\r\n\r\n")
    while b" 100 " in head.partition(b"\r\n")[0]:
        head, _, body = body.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(first.split()[1]), {name.lower(): value for name, value in headers.items()}, body


def text_of(body):
    return json.loads(body)["choices"][0]["message"]["content"]


@pytest.mark.parametrize("asked", [GPT, CLAUDE], ids=["gpt", "claude"])
def test_a_call(asked, curl):
    status, headers, body = curl(asked)

    assert (status, headers["content-type"], text_of(body)) == (200, "application/json", "You said: Hello")
    assert int(headers["content-length"]) == len(body)


@pytest.mark.parametrize("asked", [GPT, CLAUDE], ids=["gpt", "claude"])
def test_a_stream(asked, curl):
    status, headers, body = curl({**asked, "stream": True}, "-N")

    assert (status, headers["transfer-encoding"]) == (200, "chunked")
    assert headers["content-type"].startswith("text/event-stream")
    *events, done, rest = body.split(b"\n\n")
    deltas = [json.loads(event.removeprefix(b"data: "))["choices"][0]["delta"] for event in events]
    assert (done, rest) == (b"data: [DONE]", b"")
    assert "".join(delta.get("content") or "" for delta in deltas) == "You said: Hello"


def test_a_stream_of_messages(curl):
    status, _, body = curl({**CLAUDE, "stream": True}, "-N", path="/messages")

    assert status == 200
    *events, rest = [event.partition(b"\n")[0] for event in body.split(b"\n\n")]
    assert (events[0], events[-1], rest) == (b"event: message_start", b"event: message_stop", b"")


def test_a_body_in_gzip(curl):
    status, _, body = curl(gzip.compress(json.dumps(GPT).encode()), "-H", "content-encoding: gzip")

    assert (status, text_of(body)) == (200, "You said: Hello")


def test_a_body_that_is_no_gzip(curl, double):
    status, _, body = curl(GPT, "-H", "content-encoding: gzip")

    assert (status, json.loads(body)["error"]["code"]) == (400, "bad_encoding")
    assert len(double.requests) == 0


def test_a_reply_in_gzip(curl, double):
    double.reply("word " * 10_000)
    asked = {**GPT, "max_tokens": 20_000}

    status, headers, body = curl(asked, "-H", "accept-encoding: gzip")

    assert (status, headers["content-encoding"]) == (200, "gzip")
    assert text_of(gzip.decompress(body)) == "word " * 10_000


def test_a_wrong_token(curl, double):
    status, headers, body = curl(GPT, token="wrong")

    assert (status, headers["x-should-retry"]) == (401, "false")
    assert json.loads(body)["error"]["code"] == "invalid_api_key"
    assert len(double.requests) == 0


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_wrong_content_type(kind, curl, double):
    status, _, body = curl(GPT, kind=kind)

    assert (status, json.loads(body)["error"]["code"]) == (415, "unsupported_media_type")
    assert len(double.requests) == 0


def test_http_1_0(curl):
    status, headers, body = curl(GPT, "--http1.0")

    assert (status, text_of(body)) == (200, "You said: Hello")
    assert "transfer-encoding" not in headers


def test_a_stream_over_http_1_0_ends_with_its_connection(curl):
    status, headers, body = curl({**GPT, "stream": True}, "--http1.0", "-N")

    assert (status, headers["connection"]) == (200, "close")
    assert body.endswith(b"data: [DONE]\n\n")


def test_a_large_body_that_waits_to_be_asked_for(curl, double):
    padding = "word " * 400_000

    status, _, _ = curl({**GPT, "metadata": {"padding": padding}}, "-H", "expect: 100-continue")

    assert status == 200
    assert double.requests.last.json["metadata"]["padding"] == padding
    assert "expect" not in double.requests.last.headers


def test_a_large_body_with_a_wrong_token_is_refused_before_it_is_sent(curl, double):
    status, _, _ = curl({"padding": "word " * 400_000}, "-H", "expect: 100-continue", token="wrong")

    assert (status, len(double.requests)) == (401, 0)


def test_a_body_without_a_length(curl):
    status, _, body = curl(GPT, "-H", "transfer-encoding: chunked")

    assert (status, text_of(body)) == (200, "You said: Hello")
