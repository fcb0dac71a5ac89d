"""Requests that say something where nobody would look: every such place is listed, and none is named by what it says."""

from __future__ import annotations

import base64
import json

import pytest

from iron_adapters.wire import codec_for

MAIL = "ana.silva@example.com"
CARD = 4111111111111111
SECRET = "AKIAIOSFODNN7EXAMPLQ"
CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"


def read(path, document):
    body = {"model": "m", "input": "x", "messages": [], "max_tokens": 5, **document}
    return codec_for("POST", path).read_request(json.dumps(body).encode(), {})


def part(document):
    return {"messages": [{"role": "user", "content": [{"type": "x", **document}]}]}


def tool(parameters):
    return {"tools": [{"type": "function", "function": {"name": "f", "parameters": parameters}}]}


def call(**fields):
    function = {"name": "f", "arguments": "{}"}
    return {"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": function, **fields}]}]}  # fmt: skip


def items(**fields):
    return {"input": [fields]}


def block(**fields):
    return {"messages": [{"role": "user", "content": [fields]}]}


HIDDEN = {
    "a number at the top": (CHAT, {"card": CARD}),
    "a key at the top": (CHAT, {MAIL: 1}),
    "a key that looks like a name": (CHAT, {"foo": {SECRET: 1}}),
    "a text that is a number": (CHAT, part({"type": "text", "text": CARD})),
    "content that is a number": (CHAT, {"messages": [{"role": "user", "content": CARD}]}),
    "an id": (CHAT, part({"id": MAIL})),
    "a status": (CHAT, part({"status": MAIL})),
    "a session": (CHAT, part({"session_id": SECRET})),
    "a caller": (CHAT, part({"caller": {"mail": MAIL}})),
    "a role": (CHAT, {"messages": [{"role": MAIL, "content": "x"}]}),
    "a seal": (CHAT, part({"signature": SECRET})),
    "media that is none": (CHAT, part({"type": "base64", "data": MAIL})),
    "media of a text format": (CHAT, part({"format": "text", "data": MAIL})),
    "a long name of no media": (CHAT, part({"result": SECRET * 4})),
    "a data URL of text": (CHAT, part({"url": "data:text/plain;base64," + SECRET})),
    "a text in base64": (CHAT, part({"media_type": "text/plain", "data": base64.b64encode(MAIL.encode()).decode()})),
    "a default that is a number": (CHAT, tool({"properties": {"a": {"default": CARD}}})),
    "a constant of an answer": (CHAT, {"response_format": {"json_schema": {"schema": {"const": CARD}}}}),
    "descriptions of choices": (CHAT, tool({"properties": {"a": {"enumDescriptions": [MAIL]}}})),
    "a pattern": (CHAT, tool({"properties": {"a": {"pattern": MAIL}}})),
    "a property's name": (CHAT, tool({"properties": {MAIL: {"type": "string"}}})),
    "a required property": (CHAT, tool({"required": [MAIL]})),
    "a schema's id": (CHAT, tool({"$id": f"https://{MAIL}/x"})),
    "a reference": (CHAT, tool({"$ref": f"#/{MAIL}"})),
    "a schema's type": (CHAT, tool({"type": MAIL})),
    "a tool's name": (CHAT, {"tools": [{"type": "function", "function": {"name": MAIL}}]}),
    "a call's id": (CHAT, call(id=MAIL)),
    "a called tool": (CHAT, call(function={"name": MAIL, "arguments": "{}"})),
    "options of a stream": (CHAT, {"stream_options": {"x": MAIL}}),
    "a voice": (CHAT, {"audio": {"voice": MAIL}}),
    "a bias": (CHAT, {"logit_bias": {MAIL: 1}}),
    "a choice of tool": (CHAT, {"tool_choice": {"x": MAIL}}),
    "an effort": (CHAT, {"reasoning_effort": MAIL}),
    "an item's result": (RESPONSES, items(type="function_call_output", call_id="1", result=MAIL)),
    "an item's name": (RESPONSES, items(type="message", role="user", name=MAIL, content="x")),
    "an item's environment": (RESPONSES, items(type="shell_call", environment={"env": {"K": MAIL}})),
    "an item's caller": (RESPONSES, items(type="message", caller={"n": MAIL})),
    "an action's number": (RESPONSES, items(type="computer_call", action={"n": CARD})),
    "a result's attributes": (RESPONSES, items(type="file_search_call", results=[{"attributes": {"n": CARD}}])),
    "a prompt's variable": (RESPONSES, {"prompt": {"id": "pmpt_1", "variables": {"a": CARD}}}),
    "a prompt's version": (RESPONSES, {"prompt": {"id": "pmpt_1", "version": MAIL}}),
    "a conversation": (RESPONSES, {"conversation": {"id": "conv_1", "metadata": {"a": MAIL}}}),
    "reasoning": (RESPONSES, {"reasoning": {"summary": MAIL}}),
    "context of a response": (RESPONSES, {"context_management": [{"instructions": MAIL}]}),
    "a filter": (RESPONSES, {"tools": [{"type": "file_search", "filters": {"value": CARD}}]}),
    "a grammar": (RESPONSES, {"tools": [{"type": "custom", "name": "f", "format": {"definition": MAIL}}]}),
    "what is included": (RESPONSES, {"include": [MAIL]}),
    "context of a message": (MESSAGES, {"context_management": {"edits": [{"instructions": MAIL}]}}),
    "compaction": (MESSAGES, {"compaction": {"instructions": MAIL}}),
    "thinking": (MESSAGES, {"thinking": {"x": MAIL}}),
    "a container": (MESSAGES, {"container": {"skills": [{"skill_id": MAIL}]}}),
    "a used tool": (MESSAGES, block(type="tool_use", id="1", name=MAIL, input={})),
    "an error mark": (MESSAGES, block(type="tool_result", tool_use_id="1", is_error=MAIL)),
    "sealed thinking": (MESSAGES, block(type="redacted_thinking", data=MAIL)),
    "a server's address": (MESSAGES, {"mcp_servers": [{"url": f"https://x/{MAIL}", "authorization_token": "k"}]}),
    "an embedding's user": ("/v1/embeddings", {"encoding_format": MAIL}),
    "a completion's bias": ("/v1/completions", {"prompt": "p", "logit_bias": {MAIL: 1}}),
    "a moderation's rest": ("/v1/moderations", {MAIL: {SECRET: "x"}}),
}  # fmt: skip


@pytest.mark.parametrize(("path", "document"), HIDDEN.values(), ids=HIDDEN)
def test_what_is_said_in_an_odd_place_is_listed_and_can_be_replaced(path, document):
    wire = read(path, document)
    hidden = [text.text for text in wire.request.texts if is_hidden(text.text)]
    assert hidden

    wire.rewrite(["<GONE>" if is_hidden(text.text) else text.text for text in wire.request.texts])
    assert not is_hidden(wire.body().decode())
    assert base64.b64encode(MAIL.encode()) not in wire.body()
    assert not any(is_hidden(text.place) for text in wire.request.texts)


def is_hidden(text):
    return any(needle in text for needle in (MAIL, str(CARD), SECRET))


@pytest.mark.parametrize(
    "document",
    [
        call(id="call_aBcD1234efGH5678"),
        {"messages": [{"role": "tool", "tool_call_id": "call_aBcD1234efGH5678", "content": ""}]},
        block(type="tool_result", tool_use_id="toolu_01A09q90qw90lq917835lq9", content=""),
        items(type="reasoning", id="rs_68af4030baa48193b0b43b4c2a176a1a0e6967589f080e78", encrypted_content="gAAA" * 30),
        items(type="function_call_output", call_id="call_unDEadBEEF0123456789", output=""),
        {"tools": [{"type": "web_search_20250305", "name": "web_search", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
        tool({"type": "object", "properties": {"a_b": {"type": "string", "$ref": "#/$defs/Foo"}}, "required": ["a_b"]}),
        {"service_tier": "auto", "reasoning_effort": "high", "modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "mp3"}},
        {"include": ["reasoning.encrypted_content"], "truncation": "auto", "tool_choice": "auto", "store": False, "seed": CARD},
        part({"type": "image_url", "image_url": {"url": "data:image/png;base64," + "QUJD" * 20, "detail": "high"}}),
        part({"type": "input_audio", "input_audio": {"data": "QUJD" * 20, "format": "wav"}}),
        part({"type": "file", "file": {"file_data": "data:application/pdf;base64," + "QUJD" * 20}}),
        part({"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "QUJD" * 20}}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES])
def test_ids_choices_seals_and_media_are_no_texts(path, document):
    assert [
        text.text for text in read(path, document).request.texts if text.text not in {"x", "f", "{}"}
    ] == []


def test_credentials_that_a_tool_s_server_is_to_be_shown_arrive():
    tools = [{"type": "mcp", "server_label": "s", "headers": {"x-key": SECRET}, "authorization": SECRET}]
    servers = [{"type": "url", "url": "https://example.com", "authorization_token": SECRET}]

    assert [text.text for text in read(RESPONSES, {"tools": tools}).request.texts] == ["x"]
    assert SECRET not in [text.text for text in read(MESSAGES, {"mcp_servers": servers}).request.texts]


def test_the_name_of_a_customer_stands_in_no_place():
    wire = read(CHAT, {"Ana": {"Silva": ["text"]}, "metadata": {"Ana": "x"}})

    assert [text.place for text in wire.request.texts if text.text == "text"] == ["*.*[0]"]
    assert not any("Ana" in text.place or "Silva" in text.place for text in wire.request.texts)
