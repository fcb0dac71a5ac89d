"""Anthropic's messages: places of text, signed thinking, parameters, replies."""

from __future__ import annotations

import json

import pytest

from iron_adapters.wire import codec_for
from iron_policy.messages import ToolCall

MESSAGES = codec_for("POST", "/v1/messages")


def read(*messages, **body):
    document = {"model": "claude-sonnet-5", "max_tokens": 100, "messages": list(messages), **body}
    return MESSAGES.read_request(json.dumps(document).encode(), {})


def said(wire):
    return [text.text for text in wire.request.texts]


def altered(wire, old, new):
    wire.rewrite([text.text.replace(old, new) for text in wire.request.texts])
    return json.loads(wire.body())


def test_every_kind_of_block_is_walked():
    wire = read(
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD" * 20}},
                {"type": "image", "source": {"type": "url", "url": "https://example.com/alice"}},
                {
                    "type": "document",
                    "title": "title",
                    "context": "context",
                    "source": {"type": "text", "media_type": "text/plain", "data": "document"},
                },
                {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "chunk"}]}},
                {"type": "search_result", "source": "src", "title": "found", "content": [{"type": "text", "text": "hit"}]},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "redacted_thinking", "data": "c2VhbGVk" * 9},
                {"type": "tool_use", "id": "t1", "name": "mail", "input": {"to": "bob", "card": 4111111111111111}},
                {"type": "server_tool_use", "id": "t2", "name": "web_search", "input": {"query": "q"}},
                {
                    "type": "web_search_tool_result",
                    "tool_use_id": "t2",
                    "content": [{"type": "web_search_result", "url": "u", "title": "t", "encrypted_content": "e"}],
                },
                {"type": "mcp_tool_use", "id": "t3", "name": "roll", "server_name": "d", "input": {"n": "x"}},
                {"type": "mcp_tool_result", "tool_use_id": "t3", "content": [{"type": "text", "text": "4"}]},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "sent"},
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "more"}]},
                {"type": "brand_new", "note": "new"},
            ],
        },
        system=[{"type": "text", "text": "be kind"}],
    )  # fmt: skip

    assert said(wire) == [
        "hi", "https://example.com/alice", "title", "context", "document", "chunk", "src", "found", "hit",
        "to", "bob", "card", "4111111111111111", "query", "q", "u", "t", "n", "x", "4", "sent", "more", "new", "be kind",
    ]  # fmt: skip
    of = {text.text: (text.role, text.tool_name) for text in wire.request.texts}
    assert of["document"] == ("document", None)
    assert of["bob"] == ("assistant", "mail")
    assert of["sent"] == ("tool", "mail")
    assert of["be kind"] == ("system", None)


def test_the_rest_of_a_request_is_walked():
    wire = read(
        system="be kind",
        tools=[
            {
                "name": "f",
                "description": "does",
                "input_schema": {"properties": {"a": {"description": "arg"}}},
            },
            {"type": "bash_20250124", "name": "bash"},
        ],
        metadata={"user_id": "alice@example.com"},
        stop_sequences=["END"],
        output_config={"format": {"type": "json_schema", "schema": {"description": "form"}}},
        mcp_servers=[
            {"type": "url", "url": "https://mcp.example.com", "name": "m", "authorization_token": "key"}
        ],
    )

    assert said(wire) == [
        *["be kind", "does", "arg", "alice@example.com", "END", "form", "https://mcp.example.com", "m"]
    ]
    assert wire.request.tool_names == ("f", "bash", "mcp")


THINKING = {"type": "thinking", "thinking": "about bob", "signature": "c2ln" * 16}


def test_signed_thinking_of_an_earlier_turn_is_left_out_rather_than_altered():
    body = altered(
        read(
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [THINKING, {"type": "text", "text": "yo"}]},
            {"role": "user", "content": "more"},
        ),
        "bob",
        "<NAME>",
    )

    assert body["messages"][1]["content"] == [{"type": "text", "text": "yo"}]


def test_a_message_of_nothing_but_thinking_does_not_become_empty():
    body = altered(
        read({"role": "assistant", "content": [THINKING]}, {"role": "user", "content": "more"}),
        "bob",
        "<NAME>",
    )

    assert body["messages"][0]["content"] == [{"type": "text", "text": "about <NAME>"}]


def test_thinking_of_the_turn_that_still_runs_its_tools_stays_and_gets_the_new_text():
    body = altered(
        read(
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "content": [THINKING, {"type": "tool_use", "id": "t", "name": "f", "input": {}}],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]},
        ),
        "bob",
        "<NAME>",
    )

    assert body["messages"][1]["content"][0] == {**THINKING, "thinking": "about <NAME>"}


def test_thinking_that_nobody_alters_stays():
    wire = read({"role": "assistant", "content": [THINKING]}, {"role": "user", "content": "bill"})

    assert altered(wire, "bill", "x")["messages"][0]["content"] == [THINKING]


def test_a_thinking_budget_gives_way_to_a_smaller_limit():
    wire = read(max_tokens=8000, thinking={"type": "enabled", "budget_tokens": 6000})
    wire.set_max_tokens(2000)

    body = json.loads(wire.body())
    assert (body["max_tokens"], body["thinking"]["budget_tokens"]) == (2000, 1999)


@pytest.mark.parametrize(
    "added",
    [
        {"container": "c_1"},
        {"mcp_servers": [{"type": "url", "url": "u", "name": "n"}]},
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]},
        {"context_management": {"edits": []}},
    ],
)
def test_input_that_anthropic_adds_has_no_bound_of_ours(added):
    assert read({"role": "user", "content": "hi"}, **added).request.input_tokens_bound is None


def test_tools_and_citations_add_their_prompts_to_the_bound():
    message = {"role": "user", "content": "hi"}
    document = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}}
    cited = {**document, "citations": {"enabled": True}}

    def bound(*messages, **body):
        return read(*messages, **body).request.input_tokens_bound

    assert bound(message, tools=[{"name": "f", "input_schema": {}}]) > bound(message) + 1000
    assert bound({"role": "user", "content": [cited]}) > bound({"role": "user", "content": [document]}) + 1500


def test_a_reply_gives_its_texts_its_calls_and_its_end():
    document = {
        "model": "claude-sonnet-5",
        "stop_reason": "tool_use",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "c2ln" * 16},
            {
                "type": "text",
                "text": "hi",
                "citations": [{"type": "c", "cited_text": "quote", "document_title": "t"}],
            },
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": "b"}},
            {"type": "server_tool_use", "id": "t2", "name": "g", "input": {"q": "w"}},
        ],
        "usage": {"input_tokens": 3, "output_tokens": 4},
    }
    wire = MESSAGES.read_response(json.dumps(document).encode())

    assert [text.text for text in wire.response.texts] == ["hm", "hi", "quote", "t", "a", "b", "q", "w"]
    assert wire.response.tool_calls == (ToolCall("f", '{"a":"b"}', "t1"),)
    assert wire.response.finish_reasons == ("tool_use",)
    wire.rewrite(["HM", *[text.text for text in wire.response.texts][1:]])
    assert json.loads(wire.body())["content"][0]["thinking"] == "HM"
