"""What may be handed on before a refusal is handed on, however much of the stream comes at once."""

from __future__ import annotations

import asyncio
import json
import socketserver
import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import OpenAI

from iron_adapters import acompletion, completion, govern
from iron_adapters.exchange import Exchange, Sent
from iron_policy import Policy, PolicyEngine
from iron_policy.exceptions import ContentBlocked, IronError, WireError

BLOCK_CARDS = Policy.model_validate({"safety": {"output": {"pii": "block"}}})
ASKED = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
OPENAI = {**ASKED, "model": "openai/gpt-4o-mini", "api_key": "sk-x"}
BEFORE = "It is a long way to tell, so here"
WORDS = [*BEFORE.split(), "it", "is:", "4111", "1111", "1111", "1111.", "That", "is", "all."]
EVENTS = [
    b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": f"{word} "}}]}).encode() + b"\n\n"
    for word in WORDS
]
UNREADABLE = [*EVENTS[:7], b"data: {no JSON}\n\n", *EVENTS[7:]]


def handed_on(stream, pieces):
    """Return what a caller gets of *pieces* before the stream is refused, and the refusal."""
    seen = b""
    try:
        for piece in pieces:
            seen += stream.feed(piece)
            if stream.over:
                break
        seen += stream.finish()
    except IronError as error:
        return seen, error
    raise AssertionError("nothing was refused")


@given(st.sampled_from([EVENTS, UNREADABLE]), st.lists(st.integers(0, sum(map(len, EVENTS))), max_size=9))
def test_the_caller_gets_the_same_before_a_refusal_wherever_the_stream_is_cut(events, cuts):
    whole = b"".join(events)
    edges = [0, *sorted(cuts), len(whole)]
    pieces = [whole[start:end] for start, end in pairwise(edges)]
    seen, refusal = handed_on(begun().stream(), pieces)
    seen_by_events, refusal_by_events = handed_on(begun().stream(), events)

    assert seen == seen_by_events
    assert type(refusal) is type(refusal_by_events) is (ContentBlocked if events is EVENTS else WireError)
    assert b"long" in seen
    assert b"1111" not in seen


def begun():
    engine = PolicyEngine(BLOCK_CARDS, sinks=[])
    sent = Sent("POST", "/v1/chat/completions", {}, json.dumps(ASKED).encode())
    return Exchange.begin(engine, engine.implicit_scope, sent)


class _AllAtOnce(socketserver.StreamRequestHandler):
    """Answer one request with all events in one piece."""

    def handle(self):
        length = 0
        while (line := self.rfile.readline().lower()) != b"\r\n":
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        self.rfile.read(length)
        body = b"".join(EVENTS)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n"
        self.wfile.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)


@pytest.fixture
def provider():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _AllAtOnce) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()
        serving.join()


def asked_of_completion(url, said):
    with completion(**OPENAI, base_url=url, policy=BLOCK_CARDS) as chunks:
        said += (chunk.choices[0].delta.content for chunk in chunks)


def asked_of_acompletion(url, said):
    async def ask():
        async for chunk in await acompletion(**OPENAI, base_url=url, policy=BLOCK_CARDS):
            said.append(chunk.choices[0].delta.content)

    asyncio.run(ask())


def asked_of_a_governed_client(url, said):
    with govern(OpenAI(api_key="sk-x", base_url=url), BLOCK_CARDS) as client:
        said += (chunk.choices[0].delta.content for chunk in client.chat.completions.create(**ASKED))


@pytest.mark.parametrize("ask", [asked_of_completion, asked_of_acompletion, asked_of_a_governed_client])
def test_a_stream_that_comes_at_once_says_what_it_may_before_it_is_refused(ask, provider):
    said = []
    with pytest.raises(ContentBlocked):
        ask(provider, said)

    assert "".join(said).startswith(BEFORE)
    assert "1111" not in "".join(said)
