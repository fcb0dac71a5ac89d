"""OpenAI's chat completions: places of text, parameters, replies."""

from __future__ import annotations

import json

import pytest

from iron_adapters.wire import codec_for
from iron_policy.messages import ToolCall

CHAT = codec_for("POST", "/v1/chat/completions")


def read(headers=None, provider_name=None, **body):
    body = {"model": "gpt-4o-mini", "messages": [], **body}
    return CHAT.read_request(json.dumps(body).encode(), headers or {}, provider_name=provider_name)


def spoken(wire):
    return [(text.role, text.text, text.tool_name) for text in wire.request.texts]


def test_each_role_says_its_texts_and_a_result_belongs_to_the_tool_that_was_called():
    wire = read(
        messages=[
            {"role": "developer", "content": "be kind"},
            {"role": "user", "content": [{"type": "text", "text": "hi"}], "name": "alice"},
            {
                "role": "assistant",
                "content": None,
                "refusal": "no",
                "reasoning_content": "hm",
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "mail", "arguments": '{"to":"bob"}'},
                    },
                    {"id": "c2", "type": "custom", "custom": {"name": "sh", "input": "ls"}},
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "sent"},
            {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "file"}]},
            {"role": "assistant", "function_call": {"name": "old", "arguments": '{"q":"w"}'}},
            {"role": "function", "name": "old", "content": "answer"},
        ]
    )

    assert spoken(wire) == [
        ("system", "be kind", None),
        ("user", "hi", None),
        ("user", "alice", None),
        ("assistant", "no", None),
        ("assistant", "hm", None),
        ("assistant", "to", "mail"),
        ("assistant", "bob", "mail"),
        ("assistant", "ls", "sh"),
        ("tool", "sent", "mail"),
        ("tool", "file", "sh"),
        ("assistant", "q", "old"),
        ("assistant", "w", "old"),
        ("tool", "old", "old"),
        ("tool", "answer", "old"),
    ]


def test_media_bring_their_addresses_and_names_and_not_their_bytes():
    wire = read(
        messages=[
            {
                "role": "user",
                "content": [
                    {
                        "type": "image_url",
                        "image_url": {"url": "https://example.com/alice.png", "detail": "low"},
                    },
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "QUJD" * 16}},
                    {"type": "input_audio", "input_audio": {"data": "QUJD" * 16, "format": "wav"}},
                    {
                        "type": "file",
                        "file": {
                            "filename": "alice.pdf",
                            "file_data": "data:application/pdf;base64," + "QUJD" * 16,
                        },
                    },
                    {"type": "refusal", "refusal": "no"},
                ],
            }
        ]
    )

    assert [text for _, text, _ in spoken(wire)] == ["https://example.com/alice.png", "alice.pdf", "no"]


def test_tools_speak_through_descriptions_choices_defaults_and_examples():
    schema = {
        "type": "object",
        "title": "T",
        "description": "D",
        "properties": {
            "description": {"type": "string", "description": "inner", "enum": ["red"], "default": "blue"},
            "n": {"anyOf": [{"const": "c"}, {"examples": ["e"]}], "pattern": "^a$"},
        },
        "required": ["n"],
        "$defs": {"x": {"items": {"description": "item"}}},
    }
    tool = {"type": "function", "function": {"name": "f", "description": "does", "parameters": schema}}
    wire = read(
        tools=[tool, {"type": "custom", "custom": {"name": "g", "description": "runs"}}],
        functions=[{"name": "h", "description": "old"}],
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "r", "description": "form", "schema": schema},
        },
    )
    of_schema = ["T", "D", "inner", "red", "blue", "c", "e", "^a$", "item"]

    assert [text for _, text, _ in spoken(wire)] == [
        "does",
        *of_schema,
        "runs",
        "old",
        "r",
        "form",
        *of_schema,
    ]
    assert {role for role, _, _ in spoken(wire)} == {"schema"}
    assert wire.request.tool_names == ("f", "g", "h")


def test_other_parameters_are_texts_if_a_caller_can_write_into_them():
    wire = read(
        user="alice@example.com",
        safety_identifier="alice",
        metadata={"who": "bob", "bob@example.com": "x"},
        prediction={"type": "content", "content": "guess"},
        web_search_options={"user_location": {"type": "approximate", "approximate": {"city": "Oslo"}}},
        stop=["END"],
        brand_new={"note": "new"},
        service_tier="auto",
        tool_choice={"type": "function", "function": {"name": "f"}},
    )

    said = [text for _, text, _ in spoken(wire)]
    assert said == [
        "alice@example.com",
        "alice",
        "who",
        "bob",
        "bob@example.com",
        "x",
        "guess",
        "Oslo",
        "END",
        "new",
        "f",
    ]


def test_a_rewritten_request_differs_in_its_texts_only():
    body = {
        "messages": [{"role": "user", "content": "hi", "cache": [1, 2.5, None]}],
        "temperature": 0.1,
        "logit_bias": {"5": -100},
    }
    wire = read(**body)
    wire.rewrite(["HI"])

    expected = {"model": "gpt-4o-mini", **body}
    expected["messages"][0]["content"] = "HI"
    assert wire.body() == json.dumps(expected, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("given", "provider_name", "after"),
    [
        ({"max_tokens": 9}, "openai", {"max_tokens": 5}),
        ({"max_completion_tokens": 9}, "openai", {"max_completion_tokens": 5}),
        (
            {"max_tokens": 9, "max_completion_tokens": 7},
            "openai",
            {"max_tokens": 5, "max_completion_tokens": 5},
        ),
        ({}, "openai", {"max_completion_tokens": 5}),
        ({}, "vllm", {"max_tokens": 5}),
        ({"max_completion_tokens": None}, "vllm", {"max_completion_tokens": None, "max_tokens": 5}),
    ],
)
def test_a_limit_is_set_under_the_keys_that_the_caller_used(given, provider_name, after):
    wire = read(provider_name=provider_name, **given)
    wire.set_max_tokens(5)

    body = json.loads(wire.body())
    assert {key: value for key, value in body.items() if key.startswith("max_")} == after


def test_of_two_limits_the_larger_bounds_the_cost():
    assert read(max_tokens=10, max_completion_tokens=99).request.max_tokens == 99
    assert read(max_tokens="10").request.max_tokens is None
    assert read().request.max_tokens is None


def test_parameters_reach_the_engine():
    request = read({"x-stainless-retry-count": "2"}, "azure", n=3, stream=True, user="u").request

    assert (request.provider_name, request.model, request.operation_name) == ("azure", "gpt-4o-mini", "chat")
    assert (request.choice_count, request.stream, request.retry_count) == (3, True, 2)
    assert request.parameter_names == ("model", "messages", "n", "stream", "user")


def test_usage_is_asked_for_only_in_streams_and_only_if_the_caller_did_not():
    plain, asked, stream = (
        read(),
        read(stream=True, stream_options={"include_usage": True}),
        read(stream=True),
    )
    for wire in (plain, asked, stream):
        wire.ask_for_usage()

    assert (plain.hide_usage, asked.hide_usage, stream.hide_usage) == (False, False, True)
    assert "stream_options" not in json.loads(plain.body())
    assert json.loads(stream.body())["stream_options"] == {"include_usage": True}


def test_other_stream_options_stay_when_usage_is_asked_for():
    wire = read(stream=True, stream_options={"include_obfuscation": False, "include_usage": False})
    wire.ask_for_usage()

    assert json.loads(wire.body())["stream_options"] == {"include_obfuscation": False, "include_usage": True}


def reply(*messages, **rest):
    choices = [
        {"index": i, "message": message, "finish_reason": "stop"} for i, message in enumerate(messages)
    ]
    return {"id": "x", "model": "gpt-4o-mini-2024-07-18", "choices": choices, **rest}


def test_a_reply_gives_every_text_of_every_choice():
    document = reply(
        {
            "role": "assistant",
            "content": "one",
            "reasoning": "r",
            "annotations": [{"url_citation": {"title": "t"}}],
        },
        {
            "content": [{"type": "text", "text": "two"}],
            "audio": {"id": "a", "data": "QUJD" * 20, "transcript": "spoken"},
        },
    )
    wire = CHAT.read_response(json.dumps(document).encode())

    assert [text.text for text in wire.response.texts] == ["one", "r", "t", "two", "spoken"]
    assert wire.response.texts[0].place == "choices[0].message.content"
    assert wire.response.finish_reasons == ("stop", "stop")


def test_a_reply_gives_its_tool_calls_of_every_kind():
    document = reply(
        {
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
                {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "go"}},
            ],
            "function_call": {"name": "h", "arguments": "{}"},
        }
    )

    assert CHAT.read_response(json.dumps(document).encode()).response.tool_calls == (
        ToolCall("f", '{"a": 1}', "c1"),
        ToolCall("g", "go", "c2"),
        ToolCall("h", "{}", None),
    )


def test_log_probabilities_go_with_the_text_that_they_repeat():
    document = reply({"content": "secret"}, {"content": "fine"})
    for choice in document["choices"]:
        choice["logprobs"] = {"content": [{"token": choice["message"]["content"]}]}
    wire = CHAT.read_response(json.dumps(document).encode())
    wire.rewrite(["[gone]", "fine"])

    first, second = json.loads(wire.body())["choices"]
    assert first["logprobs"] is None
    assert second["logprobs"] == {"content": [{"token": "fine"}]}


def test_an_error_in_place_of_a_reply_is_reviewed():
    wire = CHAT.read_response(b'{"error":{"message":"bad alice","type":"t","param":null,"code":"c"}}')

    assert "bad alice" in [text.text for text in wire.response.texts]
