"""Requests for messages, replies of chats, and what the official SDKs say of both."""

from __future__ import annotations

import json
from copy import deepcopy
from functools import cache

from anthropic.types import Message, RawMessageStreamEvent
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)
from pydantic import TypeAdapter
from recorded import events, feed_all

from iron_adapters.wire.translation import messages_to_chat

GPT = "gpt-5.2"
HELLO = {"role": "user", "content": "Hello"}
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def translated(**fields):
    """Translate a request that has *fields* besides what every request has."""
    return messages_to_chat(
        json.dumps({"model": GPT, "max_tokens": 100, "messages": [HELLO], **fields}).encode()
    )


def chat(**fields):
    """Return the chat that a request becomes, having let OpenAI's own types check it."""
    body = json.loads(translated(**fields).body)
    assert _listed(_params(body.get("stream", False)).validate_python(body)) == body
    return body


@cache
def _params(stream):
    return TypeAdapter(CompletionCreateParamsStreaming if stream else CompletionCreateParamsNonStreaming)


def _listed(value):
    """Read the lists that pydantic checks only while they are read; fields that it does not know are gone."""
    if isinstance(value, dict):
        return {key: _listed(entry) for key, entry in value.items()}
    if isinstance(value, str | int | float | None):
        return value
    return [_listed(entry) for entry in value]


def completion(message=None, **fields):
    """Return a chat completion's body; *fields* of its choice, or of the completion itself."""
    own = {key: fields.pop(key) for key in ("id", "model", "usage", "choices") if key in fields}
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi", **(message or {})}}
    choice |= {"finish_reason": "stop", **fields}
    document = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-5.2-2025-12-11"}
    return json.dumps({**document, "choices": [choice], **own}).encode()


def message(body, asked=None):
    """Return the message that a chat completion's body becomes, having let Anthropic's own types check it."""
    said = json.loads((asked or translated()).reply(body))
    Message.model_validate(said, strict=True)
    return said


def chunk(delta=None, **fields):
    """Return one event of a chat's stream."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": None}
    choice |= {key: fields.pop(key) for key in ("finish_reason", "stop_reason", "index") if key in fields}
    document = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-5.2-2025-12-11",
    }
    return b"data: " + json.dumps({**document, "choices": [choice], **fields}).encode() + b"\n\n"


def call_piece(index=0, arguments=None, **fields):
    """Return the delta of a tool call's piece; with a ``name``, of its first."""
    function = {} if arguments is None else {"arguments": arguments}
    if "name" in fields:
        function["name"] = fields.pop("name")
        fields = {"id": f"call_{index}", "type": "function", **fields}
    return {"tool_calls": [{"index": index, "function": function, **fields}]}


DONE = b"data: [DONE]\n\n"
_EVENT = TypeAdapter(RawMessageStreamEvent)


def streamed(data, asked=None, sizes=None):
    """Return the events that a chat's stream becomes, having let Anthropic's own types check them."""
    out = feed_all((asked or translated(stream=True)).stream(), data, sizes)
    found = [event for event in events(out) if event["type"] != "ping"]
    for event in found:
        assert f"event: {event['type']}\n".encode() in out
        if event["type"] != "error":
            _EVENT.validate_python(event, strict=True)
    return found


def joined(found):
    """Put a message's events together, independently of the SDK, and insist on their order."""
    said, open_at, pieces = deepcopy(found[0]["message"]), None, []
    for event in found[1:]:
        kind = event["type"]
        if kind == "content_block_start":
            assert open_at is None
            open_at, pieces = event["index"], []
            assert open_at == len(said["content"])
            said["content"].append(dict(event["content_block"]))
        elif kind == "content_block_delta":
            assert event["index"] == open_at
            _, piece = sorted(event["delta"].items(), key=lambda entry: entry[0] == "type", reverse=True)[1]
            pieces.append(piece)
        elif kind == "content_block_stop":
            assert event["index"] == open_at
            _fill(said["content"][open_at], "".join(pieces))
            open_at = None
        elif kind == "message_delta":
            assert open_at is None
            said |= {**event["delta"], "usage": {**said["usage"], **event["usage"]}}
    assert found[-1]["type"] == "message_stop"
    return said


def _fill(block, text):
    if block["type"] == "tool_use":
        block["input"] = json.loads(text or "{}")
    else:
        block[block["type"]] += text
