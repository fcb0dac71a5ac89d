"""``completion`` and servers that answer as no provider does."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType

import orjson
import pytest

pytest.importorskip("pyreqwest", reason="needs the extra iron-adapters[completion]")

from iron_adapters import completion
from iron_adapters.completions import ProviderError
from iron_adapters.marks import claimed
from iron_policy import Policy, PolicyEngine, UpstreamError, WireError

HELLO = [{"role": "user", "content": "Hello"}]
REPLY = {
    "id": "1",
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
}


@pytest.fixture
def server():
    """A server that answers ``server.says``: status, headers, body; and keeps what it was sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            httpd.received.append(self.rfile.read(int(self.headers["content-length"])))
            status, headers, body = httpd.says
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            """Say nothing."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.received = []
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield httpd
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def ask(server, says, **more):
    server.says = says
    url = f"http://127.0.0.1:{server.server_port}/v1"
    return completion(
        "openai/gpt-4o-mini", more.pop("messages", HELLO), base_url=url, api_key="test", max_tokens=50, **more
    )


def as_json(document, status=200, **headers):
    return status, {"content-type": "application/json", **headers}, orjson.dumps(document)


def as_events(*lines):
    return 200, {"content-type": "text/event-stream"}, b"".join(b"data: %s\n\n" % line for line in lines)


@pytest.mark.parametrize(
    ("said", "code", "body", "retry_after"),
    [
        (
            as_json({"error": "no such model"}, 404, **{"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}),
            "upstream_failed",
            {"message": "no such model"},
            None,
        ),
        (
            as_json({"detail": "not found"}, 404, **{"retry-after": "-1"}),
            "upstream_failed",
            {"detail": "not found"},
            None,
        ),
        (as_json(["no"], 500, **{"retry-after": "1.5"}), "upstream_failed", None, 1.5),
        ((502, {"content-type": "text/html"}, b"<h1>Bad gateway</h1>"), "upstream_failed", None, None),
        (
            as_json({"error": {"code": "what was said", "type": "bad"}}, 400),
            "bad",
            {"code": "what was said", "type": "bad"},
            None,
        ),
    ],
)
def test_an_error_in_whatever_shape_is_a_provider_error(server, said, code, body, retry_after):
    with pytest.raises(ProviderError) as error:
        ask(server, said)

    found = error.value
    assert (found.status_code, found.code, found.body, found.retry_after_seconds) == (
        said[0],
        code,
        body,
        retry_after,
    )


def test_the_providers_name_of_a_request_is_kept(server):
    with pytest.raises(ProviderError) as error:
        ask(server, as_json({}, 500, **{"x-request-id": "req_1"}))
    assert error.value.request_id == "req_1"


def test_a_whole_reply_where_a_stream_was_asked_for_is_paid_for_and_told(server):
    governing = PolicyEngine(
        Policy.model_validate({"budgets": [{"scope": "global", "limit_usd": 1}]}), sinks=[]
    )

    with pytest.raises(UpstreamError, match="in one piece though a stream was asked for"):
        ask(server, as_json(REPLY), stream=True, policy=governing)

    (account,) = governing.accounts()
    assert account.held_nanodollars == 0
    assert account.spent_nanodollars > 0


@pytest.mark.parametrize("body", [b"", b"null", b"[1]", b"<html>", b"\xff"])
def test_a_reply_that_is_no_object_cannot_be_read_governed_or_not(server, body):
    with pytest.raises(WireError):
        ask(server, (200, {"content-type": "application/json"}, body))
    with claimed(), pytest.raises(WireError):
        ask(server, (200, {"content-type": "application/json"}, body))


@pytest.mark.parametrize("line", [b"<html>", b"[1]"])
def test_a_stream_of_something_else_cannot_be_read(server, line):
    with claimed(), pytest.raises(WireError, match="no JSON object"):
        list(ask(server, as_events(line), stream=True))


def test_an_error_in_a_stream_may_be_a_mere_text(server):
    with claimed(), pytest.raises(ProviderError) as error:
        list(ask(server, as_events(b'{"error": "overloaded"}'), stream=True))
    assert error.value.body == {"message": "overloaded"}


def test_a_stream_without_its_last_blank_line_and_without_done_is_whole(server):
    status, headers, body = as_events(b'{"choices": []}', b'{"choices": []}')

    with claimed():
        assert len(list(ask(server, (status, headers, body[:-2]), stream=True))) == 2


def test_an_unknown_field_of_a_reply_is_kept(server):
    reply = ask(server, as_json({**REPLY, "x_gateway": {"node": 3}}))

    assert reply.x_gateway.node == 3
    assert reply.service_tier is None


def test_mappings_and_iterators_become_json(server):
    ask(
        server,
        as_json(REPLY),
        messages=[MappingProxyType(HELLO[0])],
        stop=(word for word in ("a", "b")),
        additional_params=MappingProxyType({"seed": 1}),
    )

    sent = orjson.loads(server.received[-1])
    assert (sent["messages"], sent["stop"], sent["seed"]) == (HELLO, ["a", "b"], 1)


def test_a_body_that_nobody_can_judge_is_sent_under_monitor_and_refused_under_enforce(server):
    with pytest.raises(WireError, match="'n' is no whole number"):
        ask(server, as_json(REPLY), n="two")
    assert server.received == []

    assert ask(server, as_json(REPLY), n="two", policy={"mode": "monitor"}).choices
