"""The stream of a chat becomes the stream of the message that the whole reply would be, however it is cut."""

from __future__ import annotations

import json

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import RawMessageStreamEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from messages_dialects import DONE, call_piece, chunk, completion, joined, message, streamed, translated
from pydantic import TypeAdapter
from recorded import events, recordings

from iron_policy.exceptions import WireError

USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 3,
    "total_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 4},
}
COUNTS = {
    "input_tokens": 5,
    "cache_read_input_tokens": 4,
    "cache_creation_input_tokens": 0,
    "output_tokens": 3,
}


def stream(*deltas, reason="stop", usage=USAGE, end=DONE):
    """Return a stream as OpenAI's are: the role first, the reason last, then the usage, then the mark."""
    first = chunk({"role": "assistant", "content": "", "refusal": None}, obfuscation="x9", usage=None)
    last = chunk(finish_reason=reason) + (chunk(choices=[], usage=usage) if usage else b"")
    return first + b"".join(map(chunk, deltas)) + last + end


def kinds(found):
    return [event["type"].removeprefix("content_") for event in found]


def test_a_stream_starts_goes_on_and_stops():
    found = streamed(stream({"content": "He"}, {"content": "llo"}))

    assert kinds(found) == [
        "message_start",
        "block_start",
        "block_delta",
        "block_delta",
        "block_stop",
        "message_delta",
        "message_stop",
    ]
    assert found[0]["message"]["usage"] == {"input_tokens": 0, "output_tokens": 0}
    assert found[-2] == {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": COUNTS,
    }


def test_every_piece_is_handed_on_when_it_comes():
    events_of = translated(stream=True).stream()

    for piece in ("He", "llo"):
        assert json.dumps(piece).encode() in events_of.feed(chunk({"content": piece}))


def test_each_block_stops_before_the_next_starts():
    found = streamed(
        stream(
            {"reasoning_content": "h"},
            {"reasoning_content": "m"},
            {"content": "Wait"},
            call_piece(0, "", name="weather"),
            call_piece(0, '{"city": '),
            call_piece(0, '"Paris"}'),
            call_piece(1, "", name="time"),
            call_piece(1, "{}"),
            reason="tool_calls",
        )
    )

    assert joined(found)["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "text", "text": "Wait"},
        {"type": "tool_use", "id": "call_0", "name": "weather", "input": {"city": "Paris"}},
        {"type": "tool_use", "id": "call_1", "name": "time", "input": {}},
    ]
    assert joined(found)["stop_reason"] == "tool_use"


def test_pieces_of_calls_that_come_in_turns_become_one_block_after_the_other():
    found = streamed(
        stream(
            call_piece(0, '{"city"', name="weather"),
            call_piece(1, '{"zone"', name="time"),
            call_piece(0, ': "Paris"}'),
            {"content": "Wait"},
            call_piece(1, ': "CET"}'),
            reason="tool_calls",
        )
    )

    assert [block.get("input", block.get("text")) for block in joined(found)["content"]] == [
        {"city": "Paris"},
        "Wait",
        {"zone": "CET"},
    ]


def test_a_call_that_waits_for_another_may_have_no_arguments():
    found = streamed(
        stream(
            call_piece(0, '{"city"', name="weather"),
            call_piece(1, "", name="now"),
            call_piece(0, ': "Paris"}'),
            reason="tool_calls",
        )
    )

    assert [block["input"] for block in joined(found)["content"]] == [{"city": "Paris"}, {}]


def test_a_blank_behind_the_end_of_a_call_says_nothing():
    found = streamed(stream(call_piece(0, "{}", name="now"), {"content": "Wait"}, call_piece(0, " ")))

    assert [block["type"] for block in joined(found)["content"]] == ["tool_use", "text"]


def test_calls_that_a_server_gives_one_index_stay_apart():
    first = call_piece(0, "{}", name="a", id="call_a")
    second = call_piece(0, "{}", name="b", id="call_b")

    content = joined(streamed(stream(first, second, reason="tool_calls")))["content"]

    assert [(block["id"], block["name"]) for block in content] == [("call_a", "a"), ("call_b", "b")]


def test_a_call_without_arguments_has_an_empty_input():
    content = joined(streamed(stream(call_piece(0, "", name="now"), reason="tool_calls")))["content"]

    assert content == [{"type": "tool_use", "id": "call_0", "name": "now", "input": {}}]


def test_a_refusal_is_said_and_told():
    said = joined(streamed(stream({"refusal": "I will"}, {"refusal": " not."})))

    assert said["content"] == [{"type": "text", "text": "I will not."}]
    assert said["stop_reason"] == "refusal"


def test_an_answer_without_words_has_no_block():
    assert joined(streamed(stream()))["content"] == []


def test_thinking_that_the_caller_does_not_want_to_see_is_left_out_of_the_stream():
    hidden = translated(stream=True, thinking={"type": "adaptive", "display": "omitted"})

    said = joined(streamed(stream({"reasoning": "hm"}, {"content": "Hi"}), hidden))

    assert said["content"] == [{"type": "text", "text": "Hi"}]


def test_the_stop_sequence_is_told_where_the_server_tells_it():
    asked = translated(stream=True, stop_sequences=["END"])
    data = chunk({"content": "Hi"}) + chunk(finish_reason="stop", stop_reason="END") + DONE

    said = joined(streamed(data, asked))

    assert (said["stop_reason"], said["stop_sequence"]) == ("stop_sequence", "END")


def test_usage_in_the_last_chunk_and_an_empty_reason_before_it_are_read():
    data = chunk({"content": "Hi"}, finish_reason="") + chunk(finish_reason="length", usage=USAGE) + DONE

    said = joined(streamed(data))

    assert (said["stop_reason"], said["usage"]) == ("max_tokens", COUNTS)


def test_a_stream_whose_end_has_no_mark_ends_well_where_the_reason_was_told():
    assert joined(streamed(stream({"content": "Hi"}, end=b"")))["stop_reason"] == "end_turn"


def test_what_azure_says_before_the_first_choice_does_not_start_the_message():
    before = chunk(choices=[], id="", model="", prompt_filter_results=[])

    assert joined(streamed(before + stream({"content": "Hi"})))["id"] == "chatcmpl-1"


def test_a_comment_keeps_the_connection_alive_as_a_ping():
    out = translated(stream=True).stream().feed(b": still here\n\n")

    assert [event["type"] for event in events(out)] == ["ping"]


# -- streams that end badly ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        chunk({"content": "Hi"}),
        chunk({"content": "Hi"}) + DONE,
        chunk({"content": "Hi"}) + b'data: {"cho',
        stream(call_piece(0, '{"city', name="weather"), reason="tool_calls"),
        stream({"content": "Hi"}, reason="insufficient_system_resource"),
    ],
)
def test_a_stream_that_breaks_off_ends_in_an_error_and_not_in_a_stop(data):
    found = streamed(data)

    assert found[-1]["type"] == "error"
    assert found[-1]["error"]["type"] == "api_error"
    assert "message_stop" not in kinds(found)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "Full", "type": "server_error", "code": None}, "api_error"),
        ({"message": "Full", "type": "tokens", "code": "rate_limit_exceeded"}, "rate_limit_error"),
        ({"message": "Full", "type": "insufficient_quota", "code": "insufficient_quota"}, "billing_error"),
        ({"message": "Full", "type": "invalid_request_error", "code": None}, "invalid_request_error"),
        ({"message": "Full", "code": 429}, "rate_limit_error"),
        ({"message": "Full", "code": 503}, "overloaded_error"),
        ("Full", "api_error"),
    ],
)
def test_an_error_within_the_stream_is_said_and_ends_it(error, kind):
    data = chunk({"content": "Hi"}) + b"data: " + json.dumps({"error": error}).encode() + b"\n\n"

    found = streamed(data + chunk({"content": " there"}, finish_reason="stop") + DONE)

    assert kinds(found) == ["message_start", "block_start", "block_delta", "error"]
    assert (found[-1]["error"]["type"], found[-1]["error"]["message"]) == (kind, "Full")


def test_a_call_that_is_cut_off_ends_as_the_limit_has_it():
    found = streamed(stream(call_piece(0, '{"city": "Par', name="weather"), reason="length"))

    assert kinds(found)[-3:] == ["block_stop", "message_delta", "message_stop"]
    assert found[-2]["delta"]["stop_reason"] == "max_tokens"


@pytest.mark.parametrize(
    "data",
    [
        b"data: no json\n\n",
        b"data: []\n\n",
        chunk(index=1),
        chunk(choices=[{}, {}]),
        chunk(choices={"a": 1}),
        chunk({"content": ["Hi"]}),
        chunk({"audio": {"id": "audio_1"}}),
        chunk({"function_call": {"name": "f"}}),
        chunk({"tool_calls": {"a": 1}}),
        chunk(call_piece(0, "{}")),
        chunk(call_piece(0, "{}", name="a")) + chunk({"content": "x"}) + chunk(call_piece(0, "more")),
    ],
)
def test_a_stream_that_no_message_can_say_is_an_error(data):
    with pytest.raises(WireError):
        translated(stream=True).stream().feed(data)


# -- a stream says what a whole reply says -------------------------------------------------------------------

PIECES = st.lists(st.text(min_size=1, max_size=6), max_size=4)
ARGUMENTS = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=8), max_size=3).map(
    json.dumps
)


@st.composite
def answers(draw):
    """Return the deltas of an answer, and the whole answer that they make."""
    deltas, answer = [], {"content": None}
    for key in ("reasoning_content", "content", "refusal"):
        pieces = draw(PIECES)
        deltas += [{key: piece} for piece in pieces]
        if pieces:
            answer[key] = "".join(pieces)
    calls = draw(st.lists(ARGUMENTS, max_size=3))
    of_calls = [_pieces_of(draw, index, arguments) for index, arguments in enumerate(calls)]
    if calls:
        answer["tool_calls"] = [
            {"id": f"call_{index}", "type": "function", "function": {"name": "f", "arguments": arguments}}
            for index, arguments in enumerate(calls)
        ]
    return deltas + _in_turns(draw, of_calls), answer


def _pieces_of(draw, index, arguments):
    cuts = sorted(draw(st.lists(st.integers(0, len(arguments)), max_size=3)))
    parts = [arguments[start:end] for start, end in zip([0, *cuts], [*cuts, len(arguments)], strict=True)]
    return [call_piece(index, "", name="f"), *(call_piece(index, part) for part in parts)]


def _in_turns(draw, of_calls):
    """Mix the pieces of several calls, each call's in their order and the first of each before any later call's."""
    if draw(st.booleans()):
        return [piece for pieces in of_calls for piece in pieces]
    firsts = [pieces[0] for pieces in of_calls]
    rest, queues = [], [list(pieces[1:]) for pieces in of_calls]
    while any(queues):
        queue = draw(st.sampled_from([queue for queue in queues if queue]))
        rest.append(queue.pop(0))
    return firsts + rest


@settings(deadline=None)
@given(
    answers(),
    st.sampled_from(["stop", "length", "tool_calls", "content_filter"]),
    st.randoms(use_true_random=False),
)
def test_a_stream_says_what_the_whole_reply_says_however_it_is_cut(answer, reason, random):
    deltas, whole = answer
    data = stream(*deltas, reason=reason)
    sizes = iter(lambda: random.randint(1, 40), None)

    said = joined(streamed(data, sizes=sizes))

    assert said == message(completion(whole, finish_reason=reason, usage=USAGE))


@settings(deadline=None)
@given(answers())
def test_anthropics_sdk_puts_a_stream_together_as_the_whole_reply(answer):
    deltas, whole = answer
    found = streamed(stream(*deltas))
    read = TypeAdapter(RawMessageStreamEvent)
    said, buffers = None, {}
    for event in found:
        said = accumulate_event(event=read.validate_python(event), current_snapshot=said, json_bufs=buffers)

    expected = message(completion(whole, usage=USAGE))
    assert said.to_dict()["content"] == expected["content"]
    assert said.usage.input_tokens == COUNTS["input_tokens"]
    assert said.usage.cache_read_input_tokens == COUNTS["cache_read_input_tokens"]
    assert (said.usage.output_tokens, said.stop_reason) == (COUNTS["output_tokens"], expected["stop_reason"])


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_lines_may_end_in_any_way(line_end):
    data = stream({"content": "Hi"}).replace(b"\n", line_end)

    assert joined(streamed(data, sizes=iter(lambda: 3, None)))["content"] == [{"type": "text", "text": "Hi"}]


@pytest.mark.parametrize(
    "recording", recordings(lambda one: one.row["endpoint"] == "chat.completions" and one.sse)
)
def test_a_recorded_stream_becomes_a_message(recording):
    if "n_gt_1" in recording.row["features"].split():
        with pytest.raises(WireError):
            streamed(recording.sse)
        return
    chunks = events(recording.sse)
    found = streamed(recording.sse, sizes=iter(lambda: 17, None))
    if any("error" in one for one in chunks):
        assert found[-1]["type"] == "error"
        return

    said = joined(found)

    deltas = [choice["delta"] for one in chunks for choice in one["choices"]]
    words = "".join((delta.get("content") or "") + (delta.get("refusal") or "") for delta in deltas)
    assert "".join(block.get("text", "") for block in said["content"]) == words
    if recording.row["output_tokens"]:
        assert said["usage"]["output_tokens"] == int(recording.row["output_tokens"])


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=4)
    | st.sampled_from(["stop", "{", "{}", "[DONE]"]),
    lambda children: (
        st.lists(children, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "content",
                    "tool_calls",
                    "function",
                    "name",
                    "arguments",
                    "id",
                    "index",
                    "refusal",
                    "reasoning",
                ]
            ),
            children,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.lists(st.tuples(ODD, ODD, ODD), max_size=4), st.binary(max_size=20))
def test_any_stream_becomes_events_or_an_error(chunks, rest):
    data = b"".join(
        chunk(choices=[{"index": 0, "delta": delta, "finish_reason": reason}], usage=usage)
        for delta, reason, usage in chunks
    )
    translator = translated(stream=True).stream()
    try:
        out = translator.feed(data) + translator.feed(rest) + translator.finish()
    except WireError:
        return

    assert events(out)[-1]["type"] in {"message_stop", "error"}
