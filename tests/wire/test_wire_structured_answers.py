"""Answers in JSON stay JSON when real values come back into them or numbers go out of them, whole and streamed."""

from __future__ import annotations

import json
import re

import pytest
from recorded import events

from iron_adapters.exchange import Exchange, Sent
from iron_policy import Policy, PolicyEngine

CLIENT = 'Acme "Big" Corp'
POLICY = {
    "safety": {
        "output": {"pii": "redact"},
        "custom": [{"kind": "CLIENT", "pattern": CLIENT, "action": {"input": "tokenize"}}],
    }
}
SAYS = [{"role": "user", "content": f"who is {CLIENT}?"}]
FORMAT = {"type": "json_schema", "name": "a", "schema": {"type": "object"}}
CALLS = {
    "chat": ("/v1/chat/completions", {"messages": SAYS, "response_format": {"type": "json_schema", "json_schema": FORMAT}}),
    "chat, any object": ("/v1/chat/completions", {"messages": SAYS, "response_format": {"type": "json_object"}}),
    "responses": ("/v1/responses", {"input": SAYS, "text": {"format": FORMAT}}),
    "messages": ("/v1/messages", {"messages": SAYS, "max_tokens": 9, "output_config": {"format": FORMAT}}),
    "messages, before": ("/v1/messages", {"messages": SAYS, "max_tokens": 9, "output_format": FORMAT}),
}  # fmt: skip


@pytest.fixture
def engine():
    return PolicyEngine(Policy.model_validate(POLICY), sinks=[])


def begun(engine, path, body, **more):
    raw = json.dumps({"model": "gpt-4o-mini", **body, **more}).encode()
    exchange = Exchange.begin(engine, engine.implicit_scope, Sent("POST", path, {}, raw))
    token = re.search(r"<CLIENT_\w+>", exchange.body.decode()).group()
    return exchange, json.dumps({"name": token, "card": 4111111111111111})


def reply(path, text):
    if "chat" in path:
        return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}
    if "responses" in path:
        return {"output": [{"type": "message", "content": [{"type": "output_text", "text": text}]}]}
    return {"content": [{"type": "text", "text": text}]}


def said(path, document):
    if "chat" in path:
        return document["choices"][0]["message"]["content"]
    if "responses" in path:
        return document["output"][0]["content"][0]["text"]
    return document["content"][0]["text"]


def streamed(path, text):
    for piece in (text[:12], text[12:25], text[25:-1], text[-1:]):
        if "chat" in path:
            yield {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
        elif "responses" in path:
            yield {
                "type": "response.output_text.delta",
                "output_index": 0,
                "content_index": 0,
                "delta": piece,
            }
        else:
            yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
    if "responses" in path:
        yield {"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": text}
        yield {"type": "response.completed", "response": reply(path, text)}


def joined(path, out):
    pieces = []
    for event in events(out):
        if "chat" in path:
            pieces.append(event["choices"][0]["delta"]["content"])
        elif isinstance(event.get("delta"), str):
            pieces.append(event["delta"])
        elif "delta" in event:
            pieces.append(event["delta"]["text"])
    return "".join(pieces)


ANSWER = {"name": CLIENT, "card": "[REDACTED_CREDIT_CARD]"}


@pytest.mark.parametrize(("path", "body"), CALLS.values(), ids=CALLS)
def test_an_answer_in_json_can_be_read_after_values_came_back_into_it(engine, path, body):
    exchange, answer = begun(engine, path, body)
    out = exchange.reply(200, json.dumps(reply(path, answer)).encode())

    assert json.loads(said(path, json.loads(out))) == ANSWER


@pytest.mark.parametrize(("path", "body"), CALLS.values(), ids=CALLS)
def test_a_streamed_answer_in_json_can_be_read_after_values_came_back_into_it(engine, path, body):
    exchange, answer = begun(engine, path, body, stream=True)
    stream = exchange.stream()
    data = [f"data: {json.dumps(event)}\n\n".encode() for event in streamed(path, answer)]
    out = b"".join([*map(stream.feed, data), stream.finish()])

    assert json.loads(joined(path, out)) == ANSWER
    for event in events(out):
        if event.get("type") == "response.output_text.done":
            assert json.loads(event["text"]) == ANSWER
        if event.get("type") == "response.completed":
            assert json.loads(said(path, event["response"])) == ANSWER


def test_prose_gets_its_values_back_as_they_are(engine):
    path, body = "/v1/chat/completions", {"messages": SAYS}
    exchange, answer = begun(engine, path, body)
    prose = "They are " + json.loads(answer)["name"]
    out = exchange.reply(200, json.dumps(reply(path, prose)).encode())

    assert said(path, json.loads(out)) == f"They are {CLIENT}"
