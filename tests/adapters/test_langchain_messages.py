"""Where LangChain's messages keep texts: each place is listed, rewritten in a copy, and left alone in the original."""

import copy

import pytest

pytest.importorskip("langchain_core")

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk
from pydantic import BaseModel

from iron_adapters.langchain.chunks import ChunkReview
from iron_adapters.langchain.messages import Prompt
from iron_adapters.langchain.replies import Reply, normalised
from iron_policy import ContentBlocked
from iron_policy.messages import Usage

VALUE = "jane.roe@example.com"
TOKEN = "<EMAIL_aaaaaaaa>"
IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk" * 2


def human(*blocks):
    return HumanMessage(list(blocks))


def called(**how):
    return AIMessage("", **how)


PLACES = {
    "system": SystemMessage(VALUE),
    "human": HumanMessage(VALUE),
    "name": HumanMessage("Hello", name=VALUE),
    "assistant": AIMessage(VALUE),
    "assistant's chunk": AIMessageChunk(VALUE),
    "other role": ChatMessage(VALUE, role="developer"),
    "function": FunctionMessage(VALUE, name="f"),
    "tool": ToolMessage(VALUE, tool_call_id="1"),
    "tool, blocks": ToolMessage([{"type": "text", "text": VALUE}], tool_call_id="1"),
    "text block": human({"type": "text", "text": VALUE}),
    "bare string": human(VALUE),
    "block without type": human({"text": VALUE}),
    "citation": AIMessage(
        [{"type": "text", "text": "x", "annotations": [{"type": "citation", "cited_text": VALUE}]}]
    ),
    "reasoning": AIMessage([{"type": "reasoning", "reasoning": VALUE}]),
    "thinking": AIMessage([{"type": "thinking", "thinking": VALUE, "signature": IMAGE}]),
    "summary": AIMessage([{"type": "reasoning", "summary": [{"type": "summary_text", "text": VALUE}]}]),
    "tool use": AIMessage([{"type": "tool_use", "id": "1", "name": "f", "input": {"a": [VALUE]}}]),
    "function call": AIMessage(
        [{"type": "function_call", "call_id": "1", "name": "f", "arguments": f'{{"a":"{VALUE}"}}'}]
    ),
    "tool call block": AIMessage([{"type": "tool_call", "id": "1", "name": "f", "args": {"a": VALUE}}]),
    "tool result block": human(
        {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": VALUE}]}
    ),
    "image address": human({"type": "image_url", "image_url": {"url": f"https://example.org/?q={VALUE}"}}),
    "image address, v1": human({"type": "image", "url": f"https://example.org/?q={VALUE}"}),
    "document": human(
        {"type": "document", "source": {"type": "text", "data": VALUE, "media_type": "text/plain"}}
    ),
    "plain text": human({"type": "text-plain", "text": VALUE, "mime_type": "text/plain"}),
    "server's tool": AIMessage(
        [{"type": "server_tool_call", "id": "1", "name": "search", "args": {"query": VALUE}}]
    ),
    "server's result": AIMessage(
        [{"type": "server_tool_result", "tool_call_id": "1", "output": [{"title": VALUE}]}]
    ),
    "provider's own": AIMessage([{"type": "non_standard", "value": {"anything": {"at": [VALUE]}}}]),
    "tool call": called(tool_calls=[{"name": "f", "args": {"a": {"b": [VALUE]}}, "id": "1"}]),
    "argument's name": called(tool_calls=[{"name": "f", "args": {VALUE: 1}, "id": "1"}]),
    "invalid tool call": called(
        invalid_tool_calls=[{"name": "f", "args": f"{{ {VALUE}", "id": "1", "error": "bad"}]
    ),
    "kwargs": called(additional_kwargs={"reasoning_content": VALUE}),
    "kwargs, function": called(
        additional_kwargs={"function_call": {"name": "f", "arguments": f'{{"a":"{VALUE}"}}'}}
    ),
    "kwargs, tool call": called(
        additional_kwargs={
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": f'{{"a":"{VALUE}"}}'}}
            ]
        }
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_text_is_listed_and_rewritten_in_a_copy_wherever_it_stands(place):
    original = PLACES[place]
    original.response_metadata["x"] = 1
    before = copy.deepcopy(original)
    prompt = Prompt([original], {})

    assert [text for text in prompt.texts if VALUE in text.text]
    (rewritten,), _ = prompt.rewritten([text.text.replace(VALUE, TOKEN) for text in prompt.texts])

    assert original == before
    assert VALUE not in str(rewritten.model_dump())
    assert TOKEN in str(rewritten.model_dump())
    assert (type(rewritten), rewritten.id, rewritten.response_metadata) == (
        type(original),
        original.id,
        {"x": 1},
    )
    assert original.model_dump() == eval(str(rewritten.model_dump()).replace(TOKEN, VALUE))  # noqa: S307 - our own repr


KEYWORDS = {
    "tool": {
        "tools": [{"type": "function", "function": {"name": "f", "description": VALUE, "parameters": {}}}]
    },
    "parameter": {"tools": [{"name": "f", "input_schema": {"properties": {"a": {"description": VALUE}}}}]},
    "format": {"response_format": {"type": "json_schema", "json_schema": {"schema": {"description": VALUE}}}},
    "stop": {"stop": [VALUE]},
    "user": {"user": VALUE},
    "unknown": {"anything": {"at": [VALUE]}},
}


@pytest.mark.parametrize("place", KEYWORDS)
def test_a_text_in_a_keyword_is_rewritten_too(place):
    kwargs = KEYWORDS[place]
    before = copy.deepcopy(kwargs)
    prompt = Prompt([], {"temperature": 0, **kwargs})

    _, rewritten = prompt.rewritten([text.text.replace(VALUE, TOKEN) for text in prompt.texts])

    assert kwargs == before
    assert VALUE not in str(rewritten)
    assert eval(str(rewritten).replace(TOKEN, VALUE)) == {"temperature": 0, **kwargs}  # noqa: S307 - our own repr


def test_a_class_that_describes_itself_with_an_address_is_refused():
    class Letter(BaseModel):
        """To jane.roe@example.com."""

    prompt = Prompt([], {"response_format": Letter})

    with pytest.raises(ContentBlocked, match="'Letter'"):
        prompt.rewritten([text.text.replace(VALUE, TOKEN) for text in prompt.texts])


def test_encoded_pictures_and_identifiers_are_no_texts():
    blocks = [
        {"type": "image", "base64": IMAGE, "mime_type": "image/png"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": IMAGE}},
        {"type": "thinking", "thinking": "", "signature": IMAGE},
    ]

    assert Prompt([HumanMessage(blocks)], {}).texts == ()


def test_a_number_that_is_long_enough_to_be_somebodys_is_a_text():
    message = called(tool_calls=[{"name": "pay", "args": {"card": 4111111111111111, "times": 3}, "id": "1"}])
    prompt = Prompt([message], {})

    (rewritten,), _ = prompt.rewritten(
        ["<CARD>" if text.text.startswith("4111") else text.text for text in prompt.texts]
    )

    assert rewritten.tool_calls[0]["args"] == {"card": "<CARD>", "times": 3}


def test_a_tools_result_is_known_by_the_tool_that_was_called():
    calls = called(tool_calls=[{"name": "look_up", "args": {}, "id": "7"}])
    prompt = Prompt([calls, ToolMessage("found", tool_call_id="7")], {})

    assert [(text.role, text.tool_name) for text in prompt.texts if text.text == "found"] == [
        ("tool", "look_up")
    ]


# -- replies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [place for place in PLACES if isinstance(PLACES[place], AIMessage)])
def test_a_reply_is_rewritten_in_the_same_places(place):
    reply = Reply([ChatGeneration(message=PLACES[place], generation_info={"logprobs": {"tokens": [VALUE]}})])

    (rewritten,) = reply.rewritten([text.text.replace(VALUE, TOKEN) for text in reply.response.texts])

    assert VALUE not in str(rewritten.message.model_dump())
    assert rewritten.generation_info == {}
    assert TOKEN in str(rewritten.message.model_dump())


class Masking:
    """A review that holds every piece back until the next, and replaces what it knows."""

    def __init__(self):
        self.held = {}

    def push(self, channel, text):
        released = self.held.get(channel, "")
        self.held[channel] = text
        return released.replace("secret", "[x]")

    def finish(self, channel):
        return self.held.pop(channel, "").replace("secret", "[x]")

    def whole(self, text):
        return text.text.replace("secret", "[x]")

    def tool_call(self, call):
        self.called = call


def piece(**how):
    return ChatGenerationChunk(message=AIMessageChunk(**{"content": "", **how}))


def block(kind, key, text, index=0):
    return piece(content=[{"type": kind, key: text, "index": index}])


STREAMS = {
    "content": [piece(content="a "), piece(content="secret"), piece(content=" b")],
    "text": [block("text", "text", text) for text in ("a ", "secret", " b")],
    "thinking": [block("thinking", "thinking", text) for text in ("a ", "secret", " b")],
    "thinking, then text": [block("thinking", "thinking", "secret"), block("text", "text", "secret", 1)],
    "summary": [
        piece(
            content=[
                {
                    "type": "reasoning",
                    "index": 0,
                    "summary": [{"type": "summary_text", "index": 0, "text": text}],
                }
            ]
        )
        for text in ("a ", "secret", " b")
    ],
    "reasoning beside": [
        piece(additional_kwargs={"reasoning_content": text}) for text in ("a ", "secret", " b")
    ],
    "citation": [
        block("text", "text", "a"),
        piece(content=[{"type": "text", "index": 0, "citations": [{"cited_text": "secret"}]}]),
    ],
    "tool call": [
        piece(tool_call_chunks=[{"name": "f", "args": "", "id": "1", "index": 0}]),
        *(
            piece(tool_call_chunks=[{"name": None, "args": a, "id": None, "index": 0}])
            for a in ('{"a": "', "secret", '"}')
        ),
    ],
    "two tool calls": [
        piece(tool_call_chunks=[{"name": name, "args": '{"a": "secret"}', "id": name, "index": index}])
        for index, name in enumerate("fg")
    ],
    "tool use": [
        piece(
            content=[{"type": "tool_use", "id": "1", "name": "f", "input": {}, "index": 0}],
            tool_call_chunks=[{"name": "f", "args": "", "id": "1", "index": 0}],
        ),
        *(
            piece(
                content=[{"type": "input_json_delta", "partial_json": a, "index": 0}],
                tool_call_chunks=[{"name": None, "args": a, "id": None, "index": 0}],
            )
            for a in ('{"a": "', "secret", '"}')
        ),
    ],
}


@pytest.mark.parametrize("stream", STREAMS)
def test_a_stream_says_what_its_whole_would_say(stream):
    end = ChatGenerationChunk(
        message=AIMessageChunk("", usage_metadata={"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}),
        generation_info={"finish_reason": "stop", "model_name": "m"},
    )
    chunks = [*STREAMS[stream], end]
    before = copy.deepcopy(chunks)
    review = ChunkReview(Masking())

    released = [out for chunk in chunks for out in review.feed(chunk)] + list(review.finish())

    assert chunks == before
    assert released[-1].generation_info == end.generation_info
    assert (review.model, review.finish_reasons) == ("m", ("stop",))
    assert review.usage == Usage(uncached_input_tokens=3, output_tokens=2)
    assert merged(released) == eval(str(merged(chunks)).replace("secret", "[x]"))  # noqa: S307 - our own repr


def merged(chunks):
    whole = sum(chunks[1:], chunks[0]).message
    return {"content": whole.content, "kwargs": whole.additional_kwargs, "tool_calls": whole.tool_calls}


# -- usage ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        ({"input_tokens": 10, "output_tokens": 4}, Usage(uncached_input_tokens=10, output_tokens=4)),
        (
            {
                "input_tokens": 100,
                "output_tokens": 40,
                "input_token_details": {"cache_read": 30, "cache_creation": 20, "audio": 5},
                "output_token_details": {"reasoning": 7, "audio": 2},
            },
            Usage(
                uncached_input_tokens=50,
                cache_read_input_tokens=30,
                cache_creation_input_tokens=20,
                output_tokens=40,
                reasoning_output_tokens=7,
                input_audio_tokens=5,
                output_audio_tokens=2,
            ),
        ),
        (
            {
                "input_tokens": 100,
                "output_tokens": 0,
                "input_token_details": {
                    "cache_creation": 0,
                    "ephemeral_5m_input_tokens": 20,
                    "ephemeral_1h_input_tokens": 30,
                },
            },
            Usage(
                uncached_input_tokens=50, cache_creation_input_tokens=20, cache_creation_1h_input_tokens=30
            ),
        ),
        (
            {
                "input_tokens": 100,
                "output_tokens": 9,
                "input_token_details": {"flex": 60, "flex_cache_read": 40},
            },
            Usage(uncached_input_tokens=60, cache_read_input_tokens=40, output_tokens=9),
        ),
    ],
    ids=["plain", "openai", "anthropic", "flex"],
)
def test_usage_falls_into_buckets_that_do_not_overlap(reported, usage):
    assert normalised(reported) == usage
