"""Anthropic's replies and errors as chat completions'."""

from __future__ import annotations

import json
import time

import pytest
from claude_replies import USAGE, message, text, thinking, tool_use
from dirty_equals import IsNow, IsPartialDict
from openai.types.chat import ChatCompletion
from recorded import recordings

from iron_adapters.wire import refusals
from iron_adapters.wire.translation import chat_to_messages
from iron_policy.exceptions import BudgetExceeded, ContentBlocked, WireError

HI = [{"role": "user", "content": "hi"}]
FUNCTION = {"name": "weather", "parameters": {"type": "object"}}
BEYOND_CHAT = ("server_tool_use", "mcp_tool_use")


def translated(**fields):
    return chat_to_messages(json.dumps({"model": "claude-sonnet-4-5", "messages": HI, **fields}).encode())


def reply(whole, **fields):
    completion = json.loads(translated(**fields).reply(json.dumps(whole).encode()))
    ChatCompletion.model_validate(completion, strict=True)
    return completion


def said(*blocks, **fields):
    return reply(message(*blocks), **fields)["choices"][0]["message"]


# -- ports of the tests of the translator that this one succeeds ----------------------------------------------


def test_basic_response_translation():
    assert reply(message(text("Hello!"))) == {
        "id": "msg_01",
        "object": "chat.completion",
        "created": IsNow(delta=5, unix_number=True),
        "model": "claude-sonnet-4-5-20250929",
        "system_fingerprint": None,
        "service_tier": "default",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello!", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 1110,
            "completion_tokens": 7,
            "total_tokens": 1117,
            "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 1000},
        },
    }


def test_max_tokens_finish_reason():
    assert reply(message(text("Hel"), stop_reason="max_tokens"))["choices"][0]["finish_reason"] == "length"


def test_multiple_content_blocks():
    assert said(text("First "), text("second"))["content"] == "First second"


# -- what is said ---------------------------------------------------------------------------------------------


def test_a_tool_call_alone_has_no_content():
    completion = reply(message(tool_use("toolu_1", "weather", city="Paris"), stop_reason="tool_use"))

    choice = completion["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"] == [
        {
            "id": "toolu_1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city":"Paris"}'},
        }
    ]


def test_thinking_is_told_to_be_read_and_to_be_sent_back():
    sealed = {"type": "redacted_thinking", "data": "c2VhbGVk"}
    answer = said(thinking("Hm. "), sealed, thinking("So."), text("42"))

    assert answer["content"] == "42"
    assert answer["reasoning_content"] == "Hm. So."
    assert answer["thinking_blocks"] == [thinking("Hm. "), sealed, thinking("So.")]


def test_a_reply_can_be_sent_back_as_it_came_and_is_the_same_to_anthropic():
    blocks = [thinking("Hm."), text("Let me look."), tool_use("toolu_1", "weather", city="Paris")]
    answer = said(*blocks)
    messages = [*HI, answer, {"role": "tool", "tool_call_id": "toolu_1", "content": "sunny"}]

    again = json.loads(translated(messages=messages).body)["messages"]

    assert again[1] == {"role": "assistant", "content": blocks}


def test_the_sdk_can_send_its_own_message_back():
    answer = ChatCompletion.model_validate(reply(message(thinking("Hm."), text("Hi")))).choices[0].message
    messages = [*HI, answer.model_dump(), *HI]

    assert json.loads(translated(messages=messages).body)["messages"][1]["content"] == [
        thinking("Hm."),
        text("Hi"),
    ]


def test_a_page_that_was_cited_is_an_annotation_and_any_other_source_stays_as_it_is():
    page = {
        "type": "web_search_result_location",
        "cited_text": "x",
        "url": "https://a.example/",
        "title": None,
    }
    passage = {"type": "char_location", "cited_text": "x", "document_index": 0}
    answer = said(text("One. "), text("Two.", citations=[page, passage]))

    place = {"start_index": 5, "end_index": 9}
    assert answer["annotations"] == [
        {"type": "url_citation", "url_citation": {**place, "title": "", "url": "https://a.example/"}}
    ]
    assert answer["citations"] == [{**passage, **place}]


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "length"),
        ("refusal", "content_filter"),
        ("of_tomorrow", "stop"),
        (None, "stop"),
    ],
)
def test_why_it_ended_is_said_in_openais_words(stop_reason, finish_reason):
    completion = reply(message(text("x"), stop_reason=stop_reason))

    assert completion["choices"][0]["finish_reason"] == finish_reason


@pytest.mark.parametrize(
    ("details", "refusal"),
    [
        (None, "Claude declined to answer."),
        ({"type": "refusal", "category": "bio", "explanation": "It would harm."}, "It would harm."),
    ],
)
def test_a_refusal_is_said_beside_what_was_said_before(details, refusal):
    completion = reply(message(text("Well"), stop_reason="refusal", stop_details=details))

    assert completion["choices"][0]["message"] == IsPartialDict(content="Well", refusal=refusal)


def test_tokens_of_thinking_are_told():
    whole = message(text("x"), usage={**USAGE, "output_tokens_details": {"thinking_tokens": 3}})

    assert reply(whole)["usage"]["completion_tokens_details"] == {"reasoning_tokens": 3}


def test_old_functions_are_called_in_the_old_way():
    completion = reply(
        message(tool_use("toolu_1", "weather", city="Rome"), stop_reason="tool_use"), functions=[FUNCTION]
    )

    choice = completion["choices"][0]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "weather", "arguments": '{"city":"Rome"}'}
    assert "tool_calls" not in choice["message"]


def test_the_input_of_our_answer_tool_is_the_content():
    whole = message(tool_use("toolu_1", "json_answer", age=3), stop_reason="tool_use")
    choice = reply(whole, response_format={"type": "json_object"})["choices"][0]

    assert choice["message"] == {"role": "assistant", "content": '{"age":3}', "refusal": None}
    assert choice["finish_reason"] == "stop"


def test_beside_the_answer_tool_other_calls_stay_calls():
    whole = message(tool_use("toolu_1", "weather", city="Rome"), stop_reason="tool_use")
    tools = [{"type": "function", "function": FUNCTION}]
    choice = reply(whole, response_format={"type": "json_object"}, tools=tools)["choices"][0]

    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "weather"


def test_large_integers_stay_exact():
    whole = message(tool_use("toolu_1", "weather", n=2**70), stop_reason="tool_use")

    assert (
        reply(whole)["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == f'{{"n":{2**70}}}'
    )


@pytest.mark.parametrize("kind", ["server_tool_use", "mcp_tool_use", "of_tomorrow"])
def test_a_block_that_no_completion_can_hold_is_named_and_not_left_out(kind):
    with pytest.raises(WireError, match=f"type '{kind}'"):
        said(text("x"), {"type": kind, "id": "srvtoolu_1"})


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"type":"error"}', b'{"type":"message","content":"x"}']
)
def test_what_is_no_message_cannot_be_read(body):
    with pytest.raises(WireError):
        translated().reply(body)


def test_created_is_when_it_was_asked():
    before = int(time.time())
    one = translated()

    assert before <= json.loads(one.reply(json.dumps(message(text("x"))).encode()))["created"] <= time.time()


@pytest.mark.parametrize(
    "one",
    recordings(lambda one: not one.sse and one.response["json"].get("type") == "message"),
)
def test_recorded_replies_are_completions_with_all_their_texts(one):
    whole = json.loads(one.reply_body)
    kinds = {block["type"] for block in whole["content"]}
    if kinds & set(BEYOND_CHAT):
        with pytest.raises(WireError, match="no chat completion can hold"):
            reply(whole)
        return

    completion = reply(whole)

    answer = completion["choices"][0]["message"]
    assert (answer["content"] or "") == "".join(block.get("text", "") for block in whole["content"])
    calls = [block for block in whole["content"] if block["type"] == "tool_use"]
    assert [json.loads(call["function"]["arguments"]) for call in answer.get("tool_calls", ())] == [
        block["input"] for block in calls
    ]
    assert completion["usage"]["completion_tokens"] == whole["usage"]["output_tokens"]


# -- errors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "message", "expected"),
    [
        (400, "invalid_request_error", "no", (400, "invalid_request_error", None)),
        (400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum", (400, "invalid_request_error", "context_length_exceeded")),
        (401, "authentication_error", "invalid x-api-key", (401, "invalid_request_error", "invalid_api_key")),
        (402, "billing_error", "pay", (402, "insufficient_quota", "insufficient_quota")),
        (403, "permission_error", "no", (403, "invalid_request_error", "insufficient_permissions")),
        (404, "not_found_error", "model: claude-9", (404, "invalid_request_error", "model_not_found")),
        (404, "not_found_error", "Not found", (404, "invalid_request_error", None)),
        (413, "request_too_large", "big", (413, "invalid_request_error", "request_too_large")),
        (429, "rate_limit_error", "slow", (429, "rate_limit_error", "rate_limit_exceeded")),
        (500, "api_error", "oh", (500, "server_error", None)),
        (504, "timeout_error", "late", (504, "server_error", "timeout")),
        (529, "overloaded_error", "Overloaded", (503, "server_error", "overloaded")),
        (418, "of_tomorrow", "tea", (418, "invalid_request_error", None)),
        (599, "of_tomorrow", "tea", (599, "server_error", None)),
    ],
)  # fmt: skip
def test_an_error_keeps_its_message_and_gets_openais_words(status, kind, message, expected):
    body = json.dumps(
        {"type": "error", "error": {"type": kind, "message": message, "details": None}, "request_id": "r"}
    )

    given, said = translated().error(status, body.encode())

    error = json.loads(said)["error"]
    assert (given, error["type"], error["code"]) == expected
    assert (error["message"], error["param"]) == (message, None)


@pytest.mark.parametrize(
    "body", [b"", b"<html>secret gateway</html>", b"[]", b"3", b'{"error":"x"}', b'{"error":{"message":{}}}']
)
def test_an_error_that_cannot_be_read_becomes_one_that_can_without_its_page(body):
    status, said = translated().error(502, body)

    error = json.loads(said)["error"]
    assert status == 502
    assert error == {
        "message": "Anthropic answered with status 502, and with no error that can be read",
        "type": "server_error",
        "param": None,
        "code": None,
    }


@pytest.mark.parametrize(
    "denied",
    [
        ContentBlocked("no"),
        BudgetExceeded("no", spent_usd=1.0, limit_usd=1.0),
        BudgetExceeded("no", limit_usd=1.0),
    ],
)
def test_a_refusal_of_the_policy_reads_as_it_does_to_callers_of_openai(denied):
    _, said = translated().error(denied.status_code, refusals.anthropic_body(denied))

    ours, theirs = json.loads(said)["error"], json.loads(refusals.openai_body(denied))["error"]
    assert {key: ours[key] for key in theirs if key != "message"} == {
        key: theirs[key] for key in theirs if key != "message"
    }
