"""What a provider's failure becomes, and what it costs."""

import json
import socket
import threading

import openai
import pytest

from iron_adapters.router import LlmRouter
from iron_policy import PolicyEngine
from iron_policy.audit import MemorySink

ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}


class Provider:
    """Takes one request after the other and answers each with *answer*, or hangs up where that is nothing."""

    def __init__(self, answer=b""):
        self.answer = answer
        self.seen = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/v1"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                if connection.recv(65536):
                    self.seen += 1
                    connection.sendall(self.answer)

    def close(self):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()


@pytest.fixture
def provider():
    running = []

    def start(answer=b""):
        running.append(Provider(answer))
        return running[-1]

    yield start
    for each in running:
        each.close()


@pytest.fixture
def ask():
    """Return what asks a router whose OpenAI is at *url*: the error, the record, and what was spent."""

    def asking(url, **more):
        sink = MemorySink()
        engine = PolicyEngine(sinks=[sink])
        with (
            LlmRouter(provider_key="sk-x", upstreams={"openai": url}, policy=engine, budget=1.0) as router,
            openai.OpenAI(base_url=router.base_url, api_key=router.api_key, max_retries=0) as client,
        ):
            with pytest.raises(openai.APIError) as failed:
                list(client.chat.completions.create(**ASK, **more))
            return failed.value, sink.events[-1], router.total_spent()

    return asking


def unused():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"http://127.0.0.1:{listening.getsockname()[1]}/v1"


def test_a_provider_that_is_not_there_is_a_502_and_costs_nothing(ask):
    error, end, spent = ask(unused())

    assert (error.status_code, error.code) == (502, "upstream_failed")
    assert (end.type, spent) == ("call.failed", 0)


def test_a_provider_that_hangs_up_after_the_request_may_bill_it(ask, provider):
    silent = provider()
    error, end, spent = ask(silent.url)

    assert (error.status_code, silent.seen) == (502, 1)
    assert end.type == "call.failed"
    assert spent > 0


def test_a_redirect_is_not_followed(ask, provider):
    canary = provider()
    moved = provider(f"HTTP/1.1 307 Moved\r\nlocation: {canary.url}\r\ncontent-length: 0\r\n\r\n".encode())
    error, _, spent = ask(moved.url)

    assert (error.status_code, canary.seen, spent) == (502, 0, 0)
    assert "redirects" in str(error)


def test_a_reply_that_nobody_can_read_is_the_providers_fault_and_not_handed_on(ask, provider):
    body = b"<html>secret</html>"
    odd = provider(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
        % (len(body), body)
    )
    error, end, spent = ask(odd.url)

    assert (error.status_code, error.code) == (502, "upstream_failed")
    assert "secret" not in str(error)
    assert end.type == "call.failed"
    assert spent > 0


def test_a_stream_that_nobody_can_read_ends_in_the_providers_fault(ask, provider):
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    error, _, spent = ask(provider(head + b'data: {"secret\n\n').url, stream=True)

    assert (error.type, error.code) == ("server_error", "upstream_failed")
    assert "secret" not in str(error)
    assert spent > 0


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 529])
def test_a_providers_error_comes_back_as_it_is(status, ask, provider):
    body = json.dumps({"error": {"message": "no", "type": "t", "param": None, "code": "c"}}).encode()
    head = f"HTTP/1.1 {status} No\r\ncontent-type: application/json\r\nretry-after: 7\r\ncontent-length: {len(body)}\r\n\r\n"
    error, end, spent = ask(provider(head.encode() + body).url)

    assert (error.status_code, error.code, error.response.headers["retry-after"]) == (status, "c", "7")
    assert (end.type, spent) == ("call.failed", 0)


def test_a_stream_that_breaks_ends_in_an_error_and_never_looks_whole(ask, provider):
    chunk = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "delta": {"content": "Par"}, "finish_reason": None}],
    }
    event = f"data: {json.dumps(chunk)}\n\n".encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    broken = provider(head + b"%x\r\n%s\r\n" % (len(event), event))
    error, end, spent = ask(broken.url, stream=True)

    assert "connection broke" in str(error)
    assert end.type == "call.settled"
    assert spent > 0
