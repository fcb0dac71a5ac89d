"""Streams, event by event: what is held back comes out in time, ends are well formed, and the SDKs read them.

Recordings have no broken streams, no errors within Anthropic's, and no compatible servers: those are made here.
"""

from __future__ import annotations

import json

import anthropic
import httpx2
import openai
import pytest
from recorded import Replacing, Unchanged, events, said

from iron_adapters.wire import codec_for
from iron_policy.exceptions import BudgetExceeded, ContentBlocked, PolicyDenied, RateLimited, WireError
from iron_policy.messages import ToolCall
from iron_policy.verdicts import Finding

CHAT = codec_for("POST", "/v1/chat/completions")
COMPLETIONS = codec_for("POST", "/v1/completions")
RESPONSES = codec_for("POST", "/v1/responses")
MESSAGES = codec_for("POST", "/v1/messages")
DONE = b"data: [DONE]\n\n"


class HoldBack(Replacing):
    """Hold everything back to its end."""

    def __init__(self):
        super().__init__("bob", "<NAME>", held=10**9)


class Blocking(Unchanged):
    """Refuse a text that says *word*."""

    def __init__(self, word):
        super().__init__()
        self.word = word

    def push(self, channel, text):
        if self.word in text:
            raise ContentBlocked("no")
        return text


def data(*documents, named=False):
    def one(document):
        head = f"event: {document['type']}\n" if named else ""
        return f"{head}data: {json.dumps(document)}\n\n".encode()

    return b"".join(map(one, documents))


def request_of(codec, *, ask=False, **body):
    body = {
        "model": "m",
        "messages": [],
        "prompt": "p",
        "input": "i",
        "max_tokens": 9,
        "stream": True,
        **body,
    }
    wire = codec.read_request(json.dumps(body).encode(), {})
    if ask:
        wire.ask_for_usage()
    return wire


def rewriter_of(codec, review=None, **options):
    return codec.stream(review or Unchanged(), request_of(codec, **options))


def chunk(delta=None, finish=None, index=0, **rest):
    choice = {"index": index, "delta": delta or {}, "logprobs": None, "finish_reason": finish}
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m-1",
        "choices": [choice],
        **rest,
    }


# -- chat completions --------------------------------------------------------------------------------------


def test_held_text_comes_before_the_end_of_its_choice():
    rewriter = rewriter_of(CHAT, HoldBack())
    out = rewriter.feed(
        data(
            chunk({"role": "assistant", "content": ""}), chunk({"content": "hi b"}), chunk({"content": "ob"})
        )
    )
    assert said(out) == {}

    end = rewriter.feed(data(chunk(finish="stop")) + DONE)
    put_in, last = events(end)
    assert put_in == {**chunk({"content": "hi <NAME>"})}
    assert last == chunk(finish="stop")
    assert end.endswith(DONE)


def test_held_text_follows_the_text_of_a_chunk_that_also_ends_its_choice():
    out = rewriter_of(CHAT, Replacing("bob", "<NAME>")).feed(
        data(chunk({"content": "to bob, bo"}, finish="stop"))
    )

    assert said(out) == {(0, "content"): "to <NAME>, bo"}
    assert [event["choices"][0]["finish_reason"] for event in events(out)] == [None, None, "stop"]


def test_choices_fields_and_parallel_calls_are_texts_of_their_own():
    review = HoldBack()
    call = [{"index": 1, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}]
    out = rewriter_of(CHAT, review).feed(
        data(
            chunk({"content": "bob 0"}),
            chunk({"content": "bob 1"}, index=1),
            chunk({"reasoning_content": "bob r"}),
            chunk({"tool_calls": [{"index": 0, "id": "b", "function": {"name": "e", "arguments": '{"a":'}}]}),
            chunk({"tool_calls": call}),
            chunk({"tool_calls": [{"index": 1, "function": {"arguments": '{"to":"bob"}'}}]}),
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": '"bob"}'}}]}),
            chunk(finish="tool_calls"),
            chunk(finish="stop", index=1),
        )
    )

    assert said(out) == {
        (0, "content"): "<NAME> 0",
        (1, "content"): "<NAME> 1",
        (0, "reasoning_content"): "<NAME> r",
        (0, "tool", 0): '{"a":"<NAME>"}',
        (0, "tool", 1): '{"to":"<NAME>"}',
    }
    assert review.calls == [ToolCall("e", '{"a":"bob"}', "b"), ToolCall("f", '{"to":"bob"}', "c")]
    assert {channel.tool_name for channel in review.pushed if channel.in_json} == {"e", "f"}


def test_a_deprecated_function_call_is_judged():
    review = Unchanged()
    rewriter_of(CHAT, review).feed(
        data(
            chunk({"function_call": {"name": "f", "arguments": ""}}),
            chunk({"function_call": {"arguments": '{"a":1}'}}),
            chunk(finish="function_call"),
        )
    )

    assert review.calls == [ToolCall("f", '{"a":1}', None)]


def test_a_refused_tool_call_never_ends_its_choice():
    class NoTools(Unchanged):
        def tool_call(self, call):
            raise PolicyDenied("no tools")

    rewriter = rewriter_of(CHAT, NoTools())
    call = {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]}
    with pytest.raises(PolicyDenied):
        rewriter.feed(data(chunk(call), chunk(finish="tool_calls")))

    assert events(rewriter.unsent) == [chunk(call)]
    assert rewriter.feed(DONE) == b""


@pytest.mark.parametrize(
    ("deltas", "held"),
    [
        # Mistral: a list of parts, thinking within thinking
        (
            [
                {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": part}]}]}
                for part in ("b", "ob")
            ],
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "<NAME>"}]}]},
        ),
        # OpenRouter: reasoning in details
        (
            [
                {"reasoning_details": [{"type": "reasoning.text", "text": part, "index": 0}]}
                for part in ("b", "ob")
            ],
            {"reasoning_details": [{"type": "reasoning.text", "text": "<NAME>", "index": 0}]},
        ),
        # gpt-audio: what is spoken
        (
            [{"audio": {"id": "a", "transcript": part}} for part in ("b", "ob")],
            {"audio": {"transcript": "<NAME>"}},
        ),
        # a field that nobody has heard of
        ([{"brand_new": part} for part in ("b", "ob")], {"brand_new": "<NAME>"}),
    ],
)
def test_texts_of_compatible_servers_are_held_together_over_chunks(deltas, held):
    out = rewriter_of(CHAT, HoldBack()).feed(data(*map(chunk, deltas), chunk(finish="stop")))

    assert "bob" not in out.decode()
    assert events(out)[-2]["choices"][0]["delta"] == held


def test_whole_parts_of_a_delta_are_reviewed_as_wholes():
    note = {"annotations": [{"type": "url_citation", "url_citation": {"title": "bob", "url": "u"}}]}
    (event,) = events(rewriter_of(CHAT, HoldBack()).feed(data(chunk(note))))

    assert event["choices"][0]["delta"]["annotations"][0]["url_citation"]["title"] == "<NAME>"


def test_log_probabilities_do_not_tell_what_was_held_back():
    document = chunk({"content": "bob"})
    document["choices"][0]["logprobs"] = {"content": [{"token": "bob"}]}
    (event,) = events(rewriter_of(CHAT, HoldBack()).feed(data(document)))

    assert event["choices"][0] == {
        "index": 0,
        "delta": {"content": ""},
        "logprobs": None,
        "finish_reason": None,
    }


USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}


def test_usage_that_we_asked_for_is_hidden_from_a_caller_who_did_not():
    rewriter = rewriter_of(CHAT, ask=True)
    out = rewriter.feed(
        data(
            chunk({"content": "hi"}, usage=None),
            chunk(finish="stop", usage=None),
            {**chunk(), "choices": [], "usage": USAGE},
        )
        + DONE
    )

    assert events(out) == [chunk({"content": "hi"}), chunk(finish="stop")]
    assert (rewriter.usage.uncached_input_tokens, rewriter.usage.output_tokens) == (3, 5)


def test_usage_that_the_caller_asked_for_passes():
    stream = data(chunk({"content": "hi"}, usage=None), {**chunk(), "choices": [], "usage": USAGE}) + DONE
    rewriter = rewriter_of(CHAT, ask=True, stream_options={"include_usage": True})

    assert rewriter.feed(stream) == stream
    assert rewriter.usage.output_tokens == 5


def test_usage_in_the_last_chunk_of_a_compatible_server_counts():
    rewriter = rewriter_of(CHAT)
    rewriter.feed(data(chunk(finish="stop", usage=USAGE)))

    assert rewriter.usage.output_tokens == 5


def test_chunks_without_choices_comments_and_unknown_keys_pass():
    stream = (
        b": OPENROUTER PROCESSING\n\n" + data({"id": "", "choices": [], "prompt_filter_results": []}) + DONE
    )

    assert rewriter_of(CHAT).feed(stream) == stream


def test_an_error_within_a_stream_passes_and_is_told():
    stream = (
        data(chunk({"content": "hi"}), {"error": {"message": "overloaded", "type": "server_error"}}) + DONE
    )
    rewriter = rewriter_of(CHAT)

    assert rewriter.feed(stream) == stream
    assert rewriter.error


@pytest.mark.parametrize(
    "broken", [b"data: {not json}\n\n", b"data: []\n\n", b'data: "x"\n\n', b"data: \xff\n\n"]
)
def test_an_event_that_cannot_be_read_is_not_handed_on(broken):
    with pytest.raises(WireError):
        rewriter_of(CHAT).feed(broken)


# -- streams that break off --------------------------------------------------------------------------------

PIECES = {
    "chat": (CHAT, data(chunk({"content": "hi bo"}), chunk({"content": "b"})), (0, "content")),
    "completions": (
        COMPLETIONS,
        data(
            {"id": "c", "object": "text_completion", "model": "m-1", "choices": [{"index": 0, "text": "hi bo"}]},
            {"id": "c", "object": "text_completion", "model": "m-1", "choices": [{"index": 0, "text": "b"}]},
        ),
        (0, "text"),
    ),
    "messages": (
        MESSAGES,
        data(
            {
                "type": "message_start",
                "message": {
                    "id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "m-1",
                    "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 1},
                },
            },
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi bo"}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "b"}},
            named=True,
        ),
        (0, "text"),
    ),
    "responses": (
        RESPONSES,
        data(
            {
                "type": "response.created",
                "sequence_number": 0,
                "response": {
                    "id": "resp_1", "object": "response", "created_at": 1, "status": "in_progress", "model": "m-1",
                    "output": [], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
                },
            },
            {
                "type": "response.output_item.added", "sequence_number": 1, "output_index": 0,
                "item": {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []},
            },
            {
                "type": "response.content_part.added", "sequence_number": 2, "output_index": 0, "content_index": 0,
                "item_id": "msg_1", "part": {"type": "output_text", "text": "", "annotations": []},
            },
            {
                "type": "response.output_text.delta", "sequence_number": 3, "output_index": 0, "content_index": 0,
                "item_id": "msg_1", "delta": "hi bo", "logprobs": [],
            },
            {
                "type": "response.output_text.delta", "sequence_number": 4, "output_index": 0, "content_index": 0,
                "item_id": "msg_1", "delta": "b", "logprobs": [],
            },
            named=True,
        ),
        ("response.output_text.delta", 0, 0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PIECES)
def test_a_stream_that_breaks_off_still_gives_what_was_held_back(name):
    codec, stream, key = PIECES[name]
    rewriter = rewriter_of(codec, HoldBack())

    assert said(rewriter.feed(stream)) == {}
    assert said(rewriter.finish()) == {key: "hi <NAME>"}
    assert rewriter.finish() == b""


@pytest.mark.parametrize("name", PIECES)
def test_half_an_event_at_the_end_is_dropped_because_nobody_can_judge_it(name):
    codec, stream, _ = PIECES[name]
    rewriter = rewriter_of(codec)
    out = rewriter.feed(stream + b'data: {"choices":[{"delta":{"content":"sec') + rewriter.finish()

    assert out == stream


@pytest.mark.parametrize("name", PIECES)
def test_a_last_event_without_its_blank_line_is_handed_on_apart_from_what_follows(name):
    codec, stream, key = PIECES[name]
    rewriter = rewriter_of(codec, Replacing("bob", "<NAME>", held=4))
    out = rewriter.feed(stream[:-2]) + rewriter.finish()

    assert said(out) == {key: "hi <NAME>"}


def reader(name, stream):
    """Read *stream* as the official SDK does; return its last event or message."""

    def answer(request):
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    if name == "messages":
        client = anthropic.Anthropic(api_key="k", max_retries=0, http_client=http)
        with client.messages.stream(
            model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}]
        ) as events_:
            return events_.get_final_message()
    client = openai.OpenAI(api_key="k", max_retries=0, http_client=http)
    if name == "responses":
        with client.responses.stream(model="m", input="x") as events_:
            return list(events_)[-1].response
    create = client.chat.completions.create if name == "chat" else client.completions.create
    asked = {"messages": [{"role": "user", "content": "x"}]} if name == "chat" else {"prompt": "x"}
    return list(create(model="m", stream=True, **asked))[-1]


ENDS = {
    "chat": lambda last: (last.id, last.model, last.choices[0].finish_reason) == ("c1", "m-1", "length"),
    "completions": lambda last: (last.id, last.choices[0].finish_reason) == ("c", "length"),
    "messages": lambda last: (
        (last.id, last.content[0].text, last.stop_reason) == ("msg_1", "hi <NAME>", "max_tokens")
    ),
    "responses": lambda last: (
        (last.id, last.status, last.output_text, last.incomplete_details.reason)
        == ("resp_1", "incomplete", "hi <NAME>", "max_output_tokens")
    ),
}


@pytest.mark.parametrize("name", PIECES)
def test_a_cut_stream_ends_as_if_the_model_had_come_to_its_limit(name):
    codec, stream, key = PIECES[name]
    rewriter = rewriter_of(codec, HoldBack())
    out = rewriter.feed(stream) + rewriter.cut()

    assert said(out) == {key: "hi <NAME>"}
    assert ENDS[name](reader(name, out))
    assert rewriter.finish_reasons == (
        ("max_output_tokens" if name == "responses" else "max_tokens" if name == "messages" else "length"),
    )
    assert rewriter.feed(stream) == rewriter.cut() == rewriter.finish() == b""


@pytest.mark.parametrize("name", PIECES)
def test_a_stream_that_is_cut_before_it_began_is_well_formed(name):
    codec, *_ = PIECES[name]
    out = rewriter_of(codec).cut()

    assert events(out)
    if name == "messages":
        assert reader(name, out).stop_reason == "max_tokens"


@pytest.mark.parametrize("name", PIECES)
def test_a_refusal_within_a_stream_is_an_error_of_the_sdk(name):
    codec, stream, _ = PIECES[name]
    rewriter = rewriter_of(codec, Blocking("bo"))
    with pytest.raises(ContentBlocked) as denied:
        rewriter.feed(stream)

    errors = (openai.APIError, anthropic.APIError)
    with pytest.raises(errors, match="no"):
        reader(name, rewriter.unsent + codec.stream_refusal(denied.value))


@pytest.mark.parametrize(
    ("codec", "error"),
    [(CHAT, openai.PermissionDeniedError), (MESSAGES, anthropic.PermissionDeniedError)],
)
def test_a_refusal_is_the_error_that_the_sdk_has_for_it_and_is_not_tried_again(codec, error):
    asked = []
    status, headers, body = codec.refusal(ContentBlocked("'EMAIL' may not be sent", call_id="call-1"))

    def answer(request):
        asked.append(request)
        return httpx2.Response(status, headers=headers, content=body)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    sdk = anthropic.Anthropic if codec is MESSAGES else openai.OpenAI
    client = sdk(api_key="k", max_retries=2, http_client=http)
    message = {"role": "user", "content": "x"}
    create = client.messages.create if codec is MESSAGES else client.chat.completions.create
    with pytest.raises(error, match="'EMAIL' may not be sent"):
        create(model="m", max_tokens=9, messages=[message])
    assert len(asked) == 1


# -- responses ---------------------------------------------------------------------------------------------


def test_tool_calls_of_a_response_are_judged_once_with_what_the_model_wrote():
    review = HoldBack()
    item = {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "f", "arguments": ""}
    said_ = '{"to": "bob"}'
    done = {**item, "arguments": said_, "status": "completed"}
    rewriter = rewriter_of(RESPONSES, review)
    out = rewriter.feed(
        data(
            {"type": "response.output_item.added", "sequence_number": 0, "output_index": 0, "item": item},
            {
                "type": "response.function_call_arguments.delta",
                "sequence_number": 1,
                "output_index": 0,
                "item_id": "fc_1",
                "delta": said_,
            },
            {
                "type": "response.function_call_arguments.done",
                "sequence_number": 2,
                "output_index": 0,
                "item_id": "fc_1",
                "arguments": said_,
            },
            {"type": "response.output_item.done", "sequence_number": 3, "output_index": 0, "item": done},
            {
                "type": "response.completed",
                "sequence_number": 4,
                "response": {"status": "completed", "output": [done], "usage": None},
            },
        )
    )

    assert review.calls == [ToolCall("f", said_, "c1")]
    found = [event.get("arguments") or event.get("item", {}).get("arguments") for event in events(out)]
    assert found == ["", None, None, '{"to": "<NAME>"}', '{"to": "<NAME>"}', None]
    assert [event["sequence_number"] for event in events(out)] == [0, 1, 2, 3, 4, 5]
    assert rewriter.finish_reasons == ("completed",)


def test_shell_output_and_unknown_texts_of_a_response_are_held_together():
    out = rewriter_of(RESPONSES, HoldBack()).feed(
        data(
            *(
                {
                    "type": "response.shell_call_output_content.delta",
                    "output_index": 0,
                    "command_index": 0,
                    "item_id": "i",
                    "delta": {"stdout": part},
                }
                for part in ("b", "ob")
            ),
            {
                "type": "response.shell_call_output_content.done",
                "output_index": 0,
                "command_index": 0,
                "output": [{"stdout": "bob"}],
            },
            *({"type": "response.brand_new.delta", "output_index": 1, "delta": part} for part in ("b", "ob")),
            {"type": "response.brand_new.done", "output_index": 1, "text": "bob"},
        )
    )

    assert "bob" not in out.decode()
    assert [event["delta"] for event in events(out) if event["type"].endswith("delta")] == [
        {"stdout": ""}, {"stdout": ""}, {"stdout": "<NAME>"}, "", "", "<NAME>",
    ]  # fmt: skip


def test_sound_and_partial_pictures_of_a_response_pass():
    stream = data(
        {"type": "response.audio.delta", "delta": "Ym9i", "sequence_number": 0},
        {
            "type": "response.image_generation_call.partial_image",
            "partial_image_b64": "QUJD" * 40,
            "sequence_number": 1,
        },
        named=True,
    )

    assert rewriter_of(RESPONSES, HoldBack()).feed(stream) == stream


def test_an_error_event_of_a_response_is_told():
    rewriter = rewriter_of(RESPONSES)
    stream = data({"type": "error", "code": "server_error", "message": "x", "sequence_number": 1}, named=True)

    assert rewriter.feed(stream) == stream
    assert rewriter.error


# -- messages ----------------------------------------------------------------------------------------------


def block(kind, *deltas, index=0):
    return [
        {"type": "content_block_start", "index": index, "content_block": kind},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def test_thinking_that_was_held_back_comes_before_its_signature():
    out = rewriter_of(MESSAGES, HoldBack()).feed(
        data(
            *block(
                {"type": "thinking", "thinking": "", "signature": ""},
                {"type": "thinking_delta", "thinking": "bob"},
                {"type": "signature_delta", "signature": "c2ln"},
            ),
            named=True,
        )
    )

    assert [event.get("delta", {}).get("type", event["type"]) for event in events(out)] == [
        "content_block_start", "thinking_delta", "thinking_delta", "signature_delta", "content_block_stop",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pieces", "given", "arguments"),
    [
        (["", '{"to": ', '"bob"}'], {}, '{"to": "bob"}'),
        ([""], {}, "{}"),
        ([], {"to": "bob"}, '{"to":"bob"}'),
    ],
)
def test_a_tool_is_judged_when_its_block_stops(pieces, given, arguments):
    review = HoldBack()
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    start = {"type": "tool_use", "id": "t1", "name": "f", "input": given}
    out = rewriter_of(MESSAGES, review).feed(data(*block(start, *deltas), named=True))

    assert review.calls == [ToolCall("f", arguments, "t1")]
    assert "bob" not in out.decode()


def test_tools_that_run_at_the_provider_are_reviewed_and_not_asked_of_the_caller():
    review = HoldBack()
    call = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
    result = {
        "type": "web_search_tool_result",
        "tool_use_id": "s1",
        "content": [{"title": "bob", "url": "u", "type": "web_search_result"}],
    }
    cited = {
        "type": "citations_delta",
        "citation": {"type": "web_search_result_location", "cited_text": "bob said", "title": "t"},
    }
    out = rewriter_of(MESSAGES, review).feed(
        data(
            *block(call, {"type": "input_json_delta", "partial_json": '{"query": "bob"}'}),
            *block(result, index=1),
            *block({"type": "text", "text": "", "citations": []}, cited, index=2),
            named=True,
        )
    )

    assert review.calls == []
    assert out.decode().count("<NAME>") == 3
    assert "bob" not in out.decode()


def test_a_block_that_starts_with_text_is_reviewed():
    out = rewriter_of(MESSAGES, HoldBack()).feed(
        data(*block({"type": "text", "text": "b"}, {"type": "text_delta", "text": "ob"}), named=True)
    )

    assert events(out)[0]["content_block"]["text"] == ""
    assert said(out) == {(0, "text"): "<NAME>"}


def test_usage_of_a_message_is_the_last_that_was_said():
    rewriter = rewriter_of(MESSAGES)
    start = {"input_tokens": 10, "cache_read_input_tokens": 4, "output_tokens": 1}
    rewriter.feed(
        data(
            {"type": "message_start", "message": {"model": "m-1", "usage": start}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}},
            {"type": "message_delta", "delta": {}, "usage": {"input_tokens": 12, "output_tokens": 9}},
            named=True,
        )
    )

    assert (rewriter.usage.uncached_input_tokens, rewriter.usage.cache_read_input_tokens) == (12, 4)
    assert (rewriter.usage.output_tokens, rewriter.finish_reasons) == (9, ("end_turn",))


def test_an_error_within_a_message_passes_and_is_told():
    stream = data(
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, named=True
    )
    rewriter = rewriter_of(MESSAGES)

    assert rewriter.feed(stream) == stream
    assert rewriter.error


def test_a_cut_while_a_tool_call_is_written_leaves_the_call_incomplete_and_unjudged():
    review = HoldBack()
    item = {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "f", "arguments": ""}
    delta = {
        "type": "response.function_call_arguments.delta",
        "output_index": 0,
        "item_id": "fc_1",
        "delta": '{"to": "bo',
    }
    rewriter = rewriter_of(RESPONSES, review)
    rewriter.feed(data({"type": "response.output_item.added", "output_index": 0, "item": item}, delta))
    *_, done, last = events(rewriter.cut())

    assert done["item"] == {**item, "arguments": '{"to": "bo', "status": "incomplete"}
    assert last["response"]["output"] == [done["item"]]
    assert review.calls == []


# -- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spent", "code", "said_"),
    [
        (
            1.0,
            "budget_exceeded",
            "Iron Cage budget limit exceeded. Spent: $1.00, Reserved: $0.25, Limit: $1.00.",
        ),
        (0.5, "insufficient_budget", "Iron Cage insufficient budget for request. Available: $0.2500."),
    ],
)
def test_money_is_refused_in_the_words_of_the_contract(spent, code, said_):
    denied = BudgetExceeded("too dear", spent_usd=spent, held_usd=0.25, limit_usd=1.0, scope="run")
    status, headers, body = CHAT.refusal(denied)
    error = json.loads(body)["error"]

    assert (status, headers["x-should-retry"]) == (402, "false")
    assert (error["type"], error["code"], error["param"]) == (f"iron_cage_{code}", code, None)
    assert error["message"].startswith(said_)
    assert error["iron"]["scope"] == "run"


def test_a_rate_limit_says_when_there_is_room_again():
    status, headers, body = MESSAGES.refusal(RateLimited("too many", retry_after_seconds=1.2))

    assert (status, headers["retry-after"], headers["x-should-retry"]) == (429, "2", "false")
    assert json.loads(body)["error"]["type"] == "rate_limit_error"


def test_a_refusal_names_kinds_and_places_and_no_text():
    finding = Finding("EMAIL", 3, 9, place="messages[0].content")
    _, _, body = CHAT.refusal(ContentBlocked("no", findings=(finding,), call_id="call-1"))

    facts = {"code": "content_blocked", "reason": "no", "call_id": "call-1", "of_reply": False}
    assert json.loads(body)["error"]["iron"] == {
        **facts,
        "findings": [{"kind": "EMAIL", "start": 3, "end": 9, "score": 1.0, "place": "messages[0].content"}],
    }
