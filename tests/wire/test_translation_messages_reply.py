"""A chat completion becomes the message that says the same, or an error where no message can."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages_dialects import completion, message, translated
from recorded import recordings

from iron_policy.exceptions import WireError

CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
USE = {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Paris"}}


def call(arguments, **fields):
    return {**CALL, "function": {"name": "weather", "arguments": arguments}, **fields}


def calling(*calls, **fields):
    return completion({"content": None, "tool_calls": list(calls)}, finish_reason="tool_calls", **fields)


def text(words):
    return {"type": "text", "text": words}


def test_a_whole_reply_is_a_message():
    usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}

    assert message(completion(usage=usage)) == {
        "id": "chatcmpl-1",
        "type": "message",
        "role": "assistant",
        "model": "gpt-5.2-2025-12-11",
        "content": [text("Hi")],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 9,
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 0,
            "output_tokens": 3,
        },
    }


@pytest.mark.parametrize(
    ("answer", "content"),
    [
        ({"content": ""}, []),
        ({"content": None}, []),
        ({"content": "Hi", "tool_calls": [CALL]}, [text("Hi"), USE]),
        (
            {"content": "Hi", "reasoning_content": "hm"},
            [{"type": "thinking", "thinking": "hm", "signature": ""}, text("Hi")],
        ),
        (
            {"content": "Hi", "reasoning": "hm", "reasoning_content": None},
            [{"type": "thinking", "thinking": "hm", "signature": ""}, text("Hi")],
        ),
        ({"content": "Hi", "reasoning": {"steps": 3}}, [text("Hi")]),
        ({"content": None, "refusal": "I will not."}, [text("I will not.")]),
        ({"content": "Hi", "audio": None, "annotations": [], "function_call": None}, [text("Hi")]),
    ],
)
def test_what_an_answer_says_becomes_blocks(answer, content):
    assert message(completion(answer))["content"] == content


@pytest.mark.parametrize(
    ("fields", "answer", "reason"),
    [
        ({"finish_reason": "stop"}, {}, ("end_turn", None)),
        ({"finish_reason": "length"}, {}, ("max_tokens", None)),
        ({"finish_reason": "tool_calls"}, {"tool_calls": [CALL]}, ("tool_use", None)),
        ({"finish_reason": "content_filter"}, {}, ("refusal", None)),
        ({"finish_reason": "stop"}, {"refusal": "No."}, ("refusal", None)),
        ({"finish_reason": "stop"}, {"tool_calls": [CALL]}, ("tool_use", None)),
        ({"finish_reason": "stop", "stop_reason": "END"}, {}, ("stop_sequence", "END")),
        ({"finish_reason": "stop", "stop_reason": "other"}, {}, ("end_turn", None)),
        ({"finish_reason": "stop", "stop_reason": 128009}, {}, ("end_turn", None)),
    ],
)
def test_why_an_answer_ended_is_told(fields, answer, reason):
    said = message(completion(answer, **fields), translated(stop_sequences=["END"]))

    assert (said["stop_reason"], said["stop_sequence"]) == reason


def test_input_tokens_are_those_that_no_cache_held():
    given_details = {"cached_tokens": 60, "cache_write_tokens": 30}
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_tokens_details": given_details,
        "completion_tokens_details": {"reasoning_tokens": 12},
    }

    assert message(completion(usage=usage))["usage"] == {
        "input_tokens": 10,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 30,
        "output_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 12},
    }


def test_a_server_that_does_not_count_leaves_noughts():
    assert message(completion())["usage"] == {"input_tokens": 0, "output_tokens": 0}


def test_thinking_that_the_caller_does_not_want_to_see_is_left_out():
    hidden = translated(thinking={"type": "adaptive", "display": "omitted"})

    assert message(completion({"reasoning_content": "hm"}), hidden)["content"] == [text("Hi")]


@pytest.mark.parametrize(
    ("arguments", "given_input"),
    [
        ("", {}),
        ("{}", {}),
        (None, {}),
        ('{"a": [1, 2.5, "x"]}', {"a": [1, 2.5, "x"]}),
        ('{"id": 123456789012345678901234567890}', {"id": 123456789012345678901234567890}),
        ('{"euro": "\\u20ac"}', {"euro": "€"}),
    ],
)
def test_arguments_become_an_object(arguments, given_input):
    assert message(calling(call(arguments)))["content"][0]["input"] == given_input


@pytest.mark.parametrize(
    "arguments", ["{", "[1]", '"x"', "null", "NaN", '{"a": NaN}', '{"a":' * 300 + "1" + "}" * 300]
)
def test_arguments_that_are_no_object_are_an_error(arguments):
    with pytest.raises(WireError, match="arguments"):
        message(calling(call(arguments)))


@pytest.mark.parametrize(
    ("arguments", "beginning"),
    [('{"city": "Par', {}), ('{"city": "Paris", "days": [1, 2', {"city": "Paris", "days": [1, 2]})],
)
def test_a_call_in_which_the_answer_was_cut_off_has_the_beginning_of_its_input(arguments, beginning):
    said = message(completion({"tool_calls": [call(arguments)]}, finish_reason="length"))

    assert said["stop_reason"] == "max_tokens"
    assert said["content"][-1]["input"] == beginning


@pytest.mark.parametrize("arguments", ["city: Paris", "[1, 2", '{"city": }'])
def test_a_cut_off_call_that_does_not_begin_an_object_is_an_error(arguments):
    with pytest.raises(WireError, match="arguments"):
        message(completion({"tool_calls": [call(arguments)]}, finish_reason="length"))


def test_calls_without_an_id_get_one_of_their_own():
    names = [
        [
            block["id"]
            for block in message(calling(call("{}", id=""), call("{}", id=None), id=name))["content"]
        ]
        for name in ("chatcmpl-1", "chatcmpl-" + "x" * 40)
    ]

    assert names[0] == ["toolu_chatcmpl-1_0", "toolu_chatcmpl-1_1"]
    assert len({*names[0], *names[1]}) == 4
    assert max(map(len, names[1])) <= 40


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"{}",
        completion(choices=[]),
        completion(choices=json.loads(completion())["choices"] * 2),
        completion(choices=[7]),
        completion({"content": [{"type": "text", "text": "Hi"}]}),
        completion({"audio": {"id": "audio_1"}}),
        completion({"function_call": {"name": "f", "arguments": "{}"}}),
        completion({"tool_calls": {}}),
        completion({"tool_calls": [7]}),
        calling({"id": "c", "type": "custom", "custom": {"name": "f", "input": "x"}}),
        completion(finish_reason=None),
        completion(finish_reason="insufficient_system_resource"),
        b'{"error": {"message": "No.", "code": 502}}',
    ],
)
def test_what_no_message_can_say_is_an_error(body):
    with pytest.raises(WireError):
        message(body)


KINDS = "finish_function_call", "n_gt_1", "audio_output"


@pytest.mark.parametrize(
    "recording",
    recordings(
        lambda one: one.row["endpoint"] == "chat.completions" and one.reply_body and one.status == 200
    ),
)
def test_a_recorded_reply_becomes_a_message(recording):
    features = recording.row["features"].split()
    if any(kind in features for kind in KINDS):
        with pytest.raises(WireError):
            message(recording.reply_body)
        return

    said = message(recording.reply_body)

    answer = recording.response["json"]["choices"][0]["message"]
    assert "".join(block.get("text", "") for block in said["content"]) == (answer["content"] or "") + (
        answer.get("refusal") or ""
    )
    assert [block["input"] for block in said["content"] if block["type"] == "tool_use"] == [
        json.loads(one["function"]["arguments"]) for one in answer.get("tool_calls") or ()
    ]
    usage = said["usage"]
    assert usage["input_tokens"] + usage["cache_read_input_tokens"] + usage[
        "cache_creation_input_tokens"
    ] == int(recording.row["input_tokens"])
    assert usage["output_tokens"] == int(recording.row["output_tokens"])


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.sampled_from(["stop", "length", "tool_calls", "{", "{}"]),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "content",
                    "tool_calls",
                    "function",
                    "name",
                    "arguments",
                    "id",
                    "refusal",
                    "audio",
                    "reasoning",
                ]
            ),
            children,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(VALUES, VALUES, VALUES, VALUES)
def test_any_reply_becomes_a_message_or_an_error(answer, reason, usage, name):
    choice = {"index": 0, "message": answer, "finish_reason": reason}
    body = json.dumps({"id": name, "model": name, "choices": [choice], "usage": usage}).encode()
    try:
        said = translated().reply(body)
    except WireError:
        return

    assert json.loads(said)["type"] == "message"
