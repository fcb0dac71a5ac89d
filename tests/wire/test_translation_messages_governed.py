"""What a policy holds back of a stream stays in its block, so that a governed stream too says what a whole reply says."""

from __future__ import annotations

import json
import random

import pytest
from messages_dialects import DONE, call_piece, chunk, completion, joined, translated
from recorded import events

from iron_adapters.exchange import Exchange, Sent
from iron_policy import Policy, PolicyEngine

POLICY = Policy.model_validate({"safety": {"input": {"pii": "tokenize"}, "output": {"pii": "redact"}}})
USAGE = {"prompt_tokens": 9, "completion_tokens": 30, "total_tokens": 39}
ASKED = {"messages": [{"role": "user", "content": "Write to ann@example.com"}], "stream": True}


@pytest.fixture
def begin():
    """Return what translates a request and has it judged."""
    engine = PolicyEngine(POLICY)
    scope = engine.scope()

    def start():
        asked = translated(model="gpt-4o-mini", **ASKED)
        return asked, Exchange.begin(engine, scope, Sent("POST", asked.path, {}, asked.body))

    return start


def stand_in(exchange):
    return json.loads(exchange.body)["messages"][0]["content"].removeprefix("Write to ")


def cut(text, pieces):
    marks = sorted(pieces.randrange(len(text)) for _ in range(5))
    return [text[start:end] for start, end in zip([0, *marks], [*marks, len(text)], strict=True)]


@pytest.mark.parametrize("seed", range(20))
def test_a_governed_stream_says_what_the_governed_reply_says(begin, seed):
    pieces = random.Random(seed)
    asked, exchange = begin()
    token = stand_in(exchange)
    assert token != "ann@example.com"
    thinking, words = f"Is {token} or eve@example.com", f"I write to {token} and eve@example.com"
    arguments = [json.dumps({"to": token, "cc": "eve@example.com"}), json.dumps({"note": f"{token} is told"})]
    deltas = [{"reasoning_content": piece} for piece in cut(thinking, pieces)]
    deltas += [{"content": piece} for piece in cut(words, pieces)]
    for index, said in enumerate(arguments):
        deltas += [
            call_piece(index, "", name="send"),
            *(call_piece(index, piece) for piece in cut(said, pieces)),
        ]
    data = (
        b"".join(map(chunk, deltas))
        + chunk(finish_reason="tool_calls")
        + chunk(choices=[], usage=USAGE)
        + DONE
    )

    stream, back = exchange.stream(in_blocks=True), asked.stream()
    out = b"".join(back.feed(stream.feed(data[start : start + 31])) for start in range(0, len(data), 31))
    said = joined(events(out + back.feed(stream.finish()) + back.finish()))

    calls = [
        {"id": f"call_{index}", "type": "function", "function": {"name": "send", "arguments": text}}
        for index, text in enumerate(arguments)
    ]
    answer = {"reasoning_content": thinking, "content": words, "tool_calls": calls}
    asked, exchange = begin()
    whole = completion(answer, finish_reason="tool_calls", usage=USAGE)
    assert said == json.loads(asked.reply(exchange.reply(200, whole)))
    assert "ann@example.com" in said["content"][1]["text"]
    assert "eve@example.com" not in json.dumps(said)


def test_a_piece_is_not_held_back_longer_than_its_block(begin):
    asked, exchange = begin()
    stream, back = exchange.stream(in_blocks=True), asked.stream()

    out = back.feed(stream.feed(chunk({"content": "Write to bob"}) + chunk(call_piece(0, "", name="send"))))

    assert [event["type"] for event in events(out)][-2:] == ["content_block_stop", "content_block_start"]
    assert "".join(event["delta"]["text"] for event in events(out) if "delta" in event) == "Write to bob"


@pytest.mark.parametrize(
    "deltas",
    [[], [{"content": "Hi"}], [call_piece(0, '{"to": "Ann", "no', name="send")]],
    ids=["nothing", "text", "call"],
)
def test_a_stream_that_a_budget_cuts_ends_as_at_the_limit(begin, deltas):
    asked, exchange = begin()
    rewriter, back = exchange.codec.stream(exchange.call, exchange._wire), asked.stream()

    out = back.feed(rewriter.feed(b"".join(map(chunk, deltas))) + rewriter.cut()) + back.finish()

    found = events(out)
    assert found[-2]["delta"]["stop_reason"] == "max_tokens"
    assert found[-1]["type"] == "message_stop"
