"""The stream of a message as the stream of a chat completion."""

from __future__ import annotations

import itertools
import json

import pytest
from claude_replies import (
    any_message,
    comparable,
    joined,
    message,
    sse,
    streamed,
    text,
    thinking,
    tool_use,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk
from recorded import events, recordings
from thorough import examples

from iron_adapters.wire.translation import chat_to_messages
from iron_policy.exceptions import WireError

HI = [{"role": "user", "content": "hi"}]
DONE = b"data: [DONE]\n\n"
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
ASKS = (
    {},
    {"tools": [WEATHER]},
    {"response_format": {"type": "json_object"}},
)


def translated(*, usage=True, **fields):
    options = {"stream_options": {"include_usage": True}} if usage else {}
    body = {"model": "claude-sonnet-4-5", "messages": HI, "stream": True, **options, **fields}
    return chat_to_messages(json.dumps(body).encode())


def through(stream, *, cuts=(), **fields):
    """Return what the caller gets for *stream*, which arrives cut at *cuts*."""
    translator = translated(**fields).stream()
    edges = [0, *sorted(cuts), len(stream)]
    said = b"".join(translator.feed(stream[a:b]) for a, b in itertools.pairwise(edges))
    return said + translator.finish()


def deltas(stream):
    return [chunk["choices"][0]["delta"] for chunk in events(stream) if chunk["choices"]]


def test_a_text_comes_piece_by_piece_between_a_role_and_a_finish():
    said = through(streamed(message(text("Hello!"))), usage=False)

    assert deltas(said) == [
        {"role": "assistant", "content": None, "refusal": None},
        {"content": "Hel"},
        {"content": "lo!"},
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in events(said)] == [None, None, None, "stop"]
    assert all("usage" not in chunk for chunk in events(said))
    assert said.endswith(DONE)


def test_each_chunk_is_one_of_the_same_completion():
    chunks = events(through(streamed(message(text("Hello!")))))

    assert {(chunk["id"], chunk["model"], chunk["object"], chunk["service_tier"]) for chunk in chunks} == {
        ("msg_01", "claude-sonnet-4-5-20250929", "chat.completion.chunk", "default")
    }


def test_usage_comes_last_and_alone_where_it_was_asked_for():
    *others, last = events(through(streamed(message(text("Hello!")))))

    assert all(chunk["usage"] is None for chunk in others)
    assert last["choices"] == []
    assert last["usage"]["prompt_tokens"] == 1110
    assert last["usage"]["completion_tokens"] == 7


def test_a_call_starts_with_its_name_and_goes_on_with_pieces_of_its_arguments():
    whole = message(
        text("So"), tool_use("toolu_1", "a", n=1), tool_use("toolu_2", "b"), stop_reason="tool_use"
    )

    assert [
        delta["tool_calls"][0] for delta in deltas(through(streamed(whole, size=5))) if "tool_calls" in delta
    ] == [
        {"index": 0, "id": "toolu_1", "type": "function", "function": {"name": "a", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"n":'}},
        {"index": 0, "function": {"arguments": " 1}"}},
        {"index": 1, "id": "toolu_2", "type": "function", "function": {"name": "b", "arguments": ""}},
        {"index": 1, "function": {"arguments": "{}"}},
    ]


def test_thinking_is_streamed_to_be_read_and_to_be_sent_back():
    said = deltas(through(streamed(message(thinking("Hm."), text("42")))))

    assert said[1:4] == [
        {
            "reasoning_content": "",
            "thinking_blocks": [{"index": 0, "type": "thinking", "thinking": "", "signature": ""}],
        },
        {"reasoning_content": "Hm.", "thinking_blocks": [{"index": 0, "thinking": "Hm."}]},
        {"thinking_blocks": [{"index": 0, "signature": "c2ln"}]},
    ]


def test_the_input_of_our_answer_tool_is_streamed_as_content_without_waiting():
    whole = message(tool_use("toolu_1", "json_answer", age=3), stop_reason="tool_use")
    said = through(streamed(whole), response_format={"type": "json_object"})

    contents = [delta["content"] for delta in deltas(said) if delta.get("content")]
    assert len(contents) == 4
    assert json.loads("".join(contents)) == {"age": 3}
    assert not any("tool_calls" in delta for delta in deltas(said))
    assert joined(said)["choices"][0]["finish_reason"] == "stop"


FUNCTIONS = [{"name": "a"}, {"name": "b"}]


def test_old_functions_are_called_in_the_old_way():
    whole = message(tool_use("toolu_1", "a", n=1), stop_reason="tool_use")
    said = through(streamed(whole, size=9), functions=FUNCTIONS)

    assert [delta["function_call"] for delta in deltas(said) if "function_call" in delta] == [
        {"name": "a", "arguments": ""},
        {"arguments": '{"n": 1}'},
    ]
    assert joined(said)["choices"][0]["finish_reason"] == "function_call"


def test_several_functions_at_once_cannot_be_told_in_the_old_way():
    whole = message(tool_use("toolu_1", "a"), tool_use("toolu_2", "b"), stop_reason="tool_use")

    with pytest.raises(WireError, match="several functions"):
        through(streamed(whole), functions=FUNCTIONS)
    with pytest.raises(WireError, match="several functions"):
        translated(functions=FUNCTIONS).reply(json.dumps(whole).encode())


def test_arguments_that_come_at_once_are_told_when_their_block_stops():
    block = {"type": "content_block_start", "index": 0, "content_block": tool_use("toolu_1", "a", n=1)}
    start = {"type": "message_start", "message": message()}
    said = through(sse([start, block, {"type": "content_block_stop", "index": 0}]))

    assert deltas(said)[-1] == {"tool_calls": [{"index": 0, "function": {"arguments": '{"n":1}'}}]}


def test_sealed_thinking_comes_whole():
    sealed = {"type": "redacted_thinking", "data": "c2VhbGVk"}

    assert {"thinking_blocks": [{"index": 0, **sealed}]} in deltas(through(streamed(message(sealed))))


def test_a_refusal_is_told_before_the_finish():
    said = through(streamed(message(text("We"), stop_reason="refusal", stop_details=None)), usage=False)

    assert deltas(said)[-2:] == [{"refusal": "Claude declined to answer."}, {}]
    assert joined(said)["choices"][0]["finish_reason"] == "content_filter"


def test_every_event_is_answered_at_once():
    translator = translated(usage=False).stream()
    answers = [
        translator.feed(event + b"\n\n") for event in streamed(message(text("Hello!"))).split(b"\n\n")[:-1]
    ]

    kinds = [bool(answer) for answer in answers]
    #        start ping   block  Hel   lo!   stop   delta  stop
    assert kinds == [True, False, False, True, True, False, False, True]


def test_the_sdk_puts_the_chunks_together():
    whole = message(thinking("Hm."), text("So"), tool_use("toolu_1", "a", n=1), stop_reason="tool_use")
    state = ChatCompletionStreamState()
    for chunk in events(through(streamed(whole))):
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))

    choice = state.get_final_completion().choices[0]
    assert choice.message.content == "So"
    assert choice.message.tool_calls[0].function.arguments == '{"n": 1}'
    assert choice.message.reasoning_content == "Hm."
    assert choice.message.thinking_blocks[0]["signature"] == "c2ln"


def test_what_the_sdk_put_together_can_be_sent_back():
    state = ChatCompletionStreamState()
    blocks = [thinking("Hm."), text("So"), tool_use("toolu_1", "weather", n=1)]
    for chunk in events(through(streamed(message(*blocks, stop_reason="tool_use")))):
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    answer = state.get_final_completion().choices[0].message.model_dump(exclude={"parsed"})
    for call in answer["tool_calls"]:
        call["function"].pop("parsed_arguments", None)

    again = json.loads(translated(messages=[*HI, answer], tools=[WEATHER]).body)

    assert again["messages"][1]["content"] == blocks


def test_an_error_within_the_stream_is_openais_and_ends_it():
    overloaded = {
        "type": "error",
        "error": {"details": None, "type": "overloaded_error", "message": "Overloaded"},
    }
    start = streamed(message(text("Hello!"))).partition(b"event: content_block_stop")[0]

    said = through(start + sse([overloaded, {"type": "ping"}]))

    assert events(said)[-1] == {
        "error": {"message": "Overloaded", "type": "server_error", "param": None, "code": "overloaded"}
    }
    assert said.endswith(DONE)
    assert said.count(DONE) == 1


@pytest.mark.parametrize(
    "end", [b"event: content_block_stop", b"event: message_delta", b"event: message_stop"]
)
def test_a_stream_that_breaks_off_ends_without_done(end):
    said = through(streamed(message(text("Hello!"))).partition(end)[0])

    assert DONE not in said
    assert all(not chunk["choices"] or chunk["choices"][0]["finish_reason"] is None for chunk in events(said))


def test_a_stream_cut_within_an_event_ends_without_done():
    assert DONE not in through(streamed(message(text("Hello!")))[:-20])


def test_a_last_event_without_its_blank_line_counts():
    assert through(streamed(message(text("Hello!")))[:-2]).endswith(DONE)


@pytest.mark.parametrize(
    "found",
    [
        [{"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "x"}}],
        [{"type": "message_start", "message": {}}, {"type": "content_block_delta", "index": 4, "delta": {"type": "text_delta"}}],
        [{"type": "message_start", "message": {}}, {"type": "content_block_start", "index": 0, "content_block": {"type": "server_tool_use"}}],
        [{"type": "message_start", "message": {}}, {"type": "content_block_start", "index": 0, "content_block": {"type": "text"}},
         {"type": "content_block_delta", "index": 0, "delta": {"type": "of_tomorrow"}}],
    ],
)  # fmt: skip
def test_what_no_chunk_can_say_is_an_error(found):
    with pytest.raises(WireError):
        through(sse(found))


@settings(max_examples=examples(150), deadline=None)
@given(whole=any_message, ask=st.sampled_from(ASKS), size=st.integers(1, 9), data=st.data())
def test_streamed_and_joined_a_reply_is_the_one_that_comes_whole(whole, ask, size, data):
    stream = streamed(whole, size)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=5))
    expected = json.loads(translated(**ask).reply(json.dumps(whole).encode()))

    found = joined(through(stream, cuts=cuts, **ask))

    expected["created"] = found["created"] = 0
    assert comparable(found) == comparable(expected)


@pytest.mark.parametrize("one", recordings(lambda one: one.name.startswith("anthropic-messages") and one.sse))
def test_recorded_streams_say_the_same_however_they_are_cut(one):
    if b'"server_tool_use"' in one.sse or b'"mcp_tool_use"' in one.sse:
        with pytest.raises(WireError, match="no chat completion can hold"):
            through(one.sse)
        return

    whole = through(one.sse)
    apart = through(one.sse, cuts=range(1, len(one.sse), 7))

    assert whole == apart
    assert whole.endswith(DONE)
    completion = joined(whole)
    assert completion["usage"]["completion_tokens"] == one.usage["output_tokens"]
    texts = [
        event["delta"].get("text", "") for event in events(one.sse) if event["type"] == "content_block_delta"
    ]
    assert (completion["choices"][0]["message"]["content"] or "") == "".join(texts)
