"""Replies that say something where nobody would look: every such place is reviewed, whole and in pieces."""

from __future__ import annotations

import json

import pytest
from recorded import Replacing

from iron_adapters.wire import codec_for

SECRET = "SEKRET-0123"
CHAT, COMPLETIONS, RESPONSES, MESSAGES = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
)


def message(**fields):
    return {"choices": [{"index": 0, "message": {"role": "assistant", **fields}}]}


WHOLE = {
    "sources": (CHAT, {"choices": [], "citations": [f"https://x/{SECRET}"]}),
    "an unknown key": (CHAT, {"choices": [], SECRET: {"x": 1}}),
    "a text beside the message": (CHAT, {"choices": [{"text": SECRET, "message": {"content": "x"}}]}),
    "a delta in a whole reply": (CHAT, {"choices": [{"delta": {"content": SECRET}}]}),
    "choices by number": (CHAT, {"choices": {"0": {"message": {"content": SECRET}}}}),
    "a choice that is a text": (CHAT, {"choices": [SECRET]}),
    "a message that is a text": (CHAT, {"choices": [{"message": SECRET}]}),
    "a reason": (CHAT, {"choices": [{"finish_reason": SECRET}]}),
    "a tool's name": (CHAT, message(tool_calls=[{"id": "1", "function": {"name": SECRET, "arguments": "{}"}}])),
    "arguments that are an object": (CHAT, message(tool_calls=[{"function": {"arguments": {"a": SECRET}}}])),
    "more of a call": (CHAT, message(tool_calls=[{"function": {"name": "f"}, "extra_content": SECRET}])),
    "a message in a completion": (COMPLETIONS, {"choices": [{"text": "x", "message": {"content": SECRET}}]}),
    "a text beside the output": (RESPONSES, {"output": [], "output_text": SECRET}),
    "an output that is a text": (RESPONSES, {"output": SECRET}),
    "an item's result": (RESPONSES, {"output": [{"type": "x_call", "id": "1", "result": SECRET}]}),
    "an item's name": (RESPONSES, {"output": [{"type": "function_call", "name": SECRET, "arguments": "{}"}]}),
    "an item's environment": (RESPONSES, {"output": [{"type": "shell_call", "environment": {"x": SECRET}}]}),
    "content that is a text": (MESSAGES, {"content": SECRET}),
    "details of the stop": (MESSAGES, {"content": [], "stop_details": {"explanation": SECRET}}),
    "the stop sequence": (MESSAGES, {"content": [], "stop_sequence": SECRET}),
    "the context": (MESSAGES, {"content": [], "context_management": {"x": SECRET}}),
    "a used tool": (MESSAGES, {"content": [{"type": "tool_use", "id": "1", "name": SECRET, "input": {}}]}),
}  # fmt: skip


@pytest.mark.parametrize(("path", "document"), WHOLE.values(), ids=WHOLE)
def test_what_a_reply_says_in_an_odd_place_is_reviewed(path, document):
    wire = codec_for("POST", path).read_response(json.dumps(document).encode())
    wire.rewrite([text.text.replace(SECRET, "<GONE>") for text in wire.response.texts])

    assert SECRET not in wire.body().decode()
    assert "<GONE>" in wire.body().decode()
    assert not any(SECRET in text.place for text in wire.response.texts)


def chunk(delta=None, **choice):
    return {"choices": [{"index": 0, "delta": delta or {}, "finish_reason": None, **choice}]}


def pieces(of):
    return [of(SECRET[:5]), of(SECRET[5:])]


def call(**fields):
    return chunk({"tool_calls": [{"index": 0, "id": "call_1", **fields}]})


START = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
STREAMED = {
    "sources": (CHAT, [{"choices": [], "citations": [f"https://x/{SECRET}"]}]),
    "a message beside the delta": (CHAT, [chunk(message={"content": SECRET}, finish_reason="stop")]),
    "a message that grows": (CHAT, [chunk(message={"content": SECRET[:end]}) for end in range(1, 12)]),
    "a text beside the delta": (CHAT, pieces(lambda text: chunk(text=text))),
    "parts that are texts": (CHAT, pieces(lambda text: chunk({"content": [text]}))),
    "parts of an unknown shape": (CHAT, pieces(lambda text: chunk({"content": [{"type": "output", "content": text}]}))),
    "parts with a value": (CHAT, pieces(lambda text: chunk({"content": [{"type": "text", "text": {"value": text}}]}))),
    "a name": (CHAT, [chunk({"name": SECRET})]),
    "a tool's name": (CHAT, [call(function={"name": SECRET, "arguments": "{}"})]),
    "arguments that are an object": (CHAT, [call(function={"name": "f", "arguments": {"a": SECRET}})]),
    "more of a call": (CHAT, [call(function={"name": "f"}, extra_content={"t": SECRET})]),
    "more of a function": (CHAT, [call(function={"name": "f", "output": SECRET})]),
    "a call that is a text": (CHAT, [chunk({"tool_calls": [SECRET]})]),
    "a delta in a completion": (COMPLETIONS, [chunk({"content": SECRET})]),
    "sound that is none": (RESPONSES, [{"type": "response.audio.delta", "delta": SECRET}]),
    "more of an end": (RESPONSES, [{"type": "response.function_call_arguments.done", "arguments": "{}", "note": SECRET}]),
    "more of a delta": (RESPONSES, [{"type": "response.output_text.delta", "delta": "x", "note": SECRET}]),
    "the stop sequence": (MESSAGES, [{"type": "message_delta", "delta": {"stop_sequence": SECRET}}]),
    "details of the stop": (MESSAGES, [{"type": "message_delta", "delta": {"stop_details": {"explanation": SECRET}}}]),
    "more of a start": (MESSAGES, [{"type": "message_start", "message": {"content": [], "stop_sequence": SECRET}}]),
    "content that is a text": (MESSAGES, [{"type": "message_start", "message": {"content": SECRET}}]),
    "a new kind of delta": (MESSAGES, [START, *pieces(lambda text: {"type": "content_block_delta", "index": 0, "delta": {"type": "new_delta", "words": text}}), {"type": "content_block_stop", "index": 0}]),
    "more of a delta of a message": (MESSAGES, [START, {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}, "note": SECRET}]),
    "a signature": (MESSAGES, [START, {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": SECRET}}]),
    "a block that is said again": (MESSAGES, [START, {"type": "content_block_stop", "index": 0, "content_block": {"text": SECRET}}]),
}  # fmt: skip


@pytest.mark.parametrize(("path", "documents"), STREAMED.values(), ids=STREAMED)
def test_what_a_stream_says_in_an_odd_place_is_reviewed(path, documents):
    codec = codec_for("POST", path)
    request = b'{"model":"m","messages":[],"prompt":"p","input":"i","max_tokens":5,"stream":true}'
    stream = codec.stream(Replacing(SECRET, "<GONE>"), codec.read_request(request, {}))
    data = [f"data: {json.dumps(document)}\n\n".encode() for document in documents]
    out = b"".join([*map(stream.feed, data), stream.finish()]).decode()

    assert SECRET not in out
    assert SECRET[:5] not in out
    assert SECRET[5:] not in out


def test_arguments_that_are_an_object_are_judged_as_what_they_are():
    body = json.dumps(
        message(tool_calls=[{"id": "1", "function": {"name": "f", "arguments": {"a": 1}}}])
    ).encode()
    (called,) = codec_for("POST", CHAT).read_response(body).response.tool_calls
    assert json.loads(called.arguments) == {"a": 1}

    review = Replacing("no", "such")
    codec = codec_for("POST", CHAT)
    stream = codec.stream(review, codec.read_request(b'{"model":"m","messages":[]}', {}))
    document = call(function={"name": "f", "arguments": {"a": 1}})
    stream.feed(f"data: {json.dumps(document)}\n\n".encode())
    stream.finish()
    assert json.loads(review.calls[0].arguments) == {"a": 1}
