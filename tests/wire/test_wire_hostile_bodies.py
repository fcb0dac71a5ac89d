"""Bodies that nobody sends in good faith: every one is read or refused, and none hides a text."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import Unchanged, feed_all
from thorough import examples

from iron_adapters.wire import PASS, codec_for
from iron_policy.exceptions import WireError

PATHS = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/moderations",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/responses/input_tokens",
]
STREAMING = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"]


def read(path, body):
    return codec_for("POST", path).read_request(body, {})


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"model": NaN}',
        b'{"model": "\\ud800"}',
        b'{"model": "m", "messages": 1e999}',
        b"[" * 100_000 + b"]" * 100_000,
        b'{"model":"m","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"model":"m","input":' + b"[" * 400 + b"]" * 400 + b"}",
        b'{"model":"m","x":' + b"9" * 5000 + b"}",
        b"{}",
        b'{"model":""}',
        b'{"model":7}',
    ],
    ids=lambda body: repr(body[:24]),
)
def test_what_cannot_be_read_is_refused(path, body):
    if path == "/v1/moderations" and body == b"{}":
        return  # a moderation needs no model
    with pytest.raises(WireError):
        read(path, body)


@pytest.mark.parametrize(
    "body",
    [
        '{"model":"m","messages":[{"role":"user","content":"secret","content":"harmless"}]}',
        '{"model":"m","messages":[{"role":"user","content":"secret"}],"messages":[]}',
        '{"model":"m","m\\u0065ssages":[],"messages":[]}',
        '{"model":"m","messages":[],"x":"\\u0022","user":"a","user":"b"}',
        '{"model":"m","messages":[],"x":"\\\\u0022","user":"a","user":"b"}',
    ],
)
def test_a_key_given_twice_is_refused_because_servers_differ_in_which_they_read(body):
    with pytest.raises(WireError, match="twice"):
        read("/v1/chat/completions", body.encode())


json_text = st.recursive(
    st.one_of(
        st.text(max_size=6),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.booleans(),
        st.none(),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), json_text, max_size=4), st.booleans(), st.booleans())
def test_no_honest_body_is_taken_for_one_with_a_key_twice(document, escaped, spaced):
    separators = (", ", ": ") if spaced else (",", ":")
    text = json.dumps({"model": "m", "messages": [], **document}, ensure_ascii=escaped, separators=separators)
    if escaped:
        text = text.replace('\\"', "\\u0022")
    try:
        body = text.encode()
        orjson.loads(body)
    except (UnicodeEncodeError, orjson.JSONDecodeError):
        return

    try:
        wire = read("/v1/chat/completions", body)
    except WireError as error:
        refusal = str(error)
    else:
        refusal = ""
        assert wire.body() is body
    assert "twice" not in refusal


# -- whatever shape a known key has ------------------------------------------------------------------------

KEYS = [
    "messages", "input", "content", "role", "type", "tools", "tool_calls", "function", "arguments", "name", "id",
    "text", "source", "data", "media_type", "image_url", "url", "file", "file_data", "input_audio", "audio", "system",
    "citations", "enabled", "thinking", "signature", "tool_use_id", "call_id", "tool_call_id", "output", "summary",
    "metadata", "response_format", "schema", "properties", "enum", "prompt", "variables", "stream", "stream_options",
    "n", "max_tokens", "choices", "message", "delta", "index", "finish_reason", "usage", "logprobs", "error",
    "function_call", "item", "part", "response", "output_index", "content_index", "item_id", "sequence_number",
    "content_block", "partial_json", "input_tokens", "prompt_tokens_details", "iterations", "refusal", "transcript",
    "reasoning_details", "status", "incomplete_details", "annotation", "detail", "conversation", "mcp_servers",
]  # fmt: skip
VALUES = [
    "user", "assistant", "tool", "text", "image_url", "input_audio", "document", "thinking", "tool_use", "tool_result",
    "function_call", "function_call_output", "reasoning", "message", "function", "data:image/png;base64,AAAA",
    '{"a": "b"}', "hello", "stop", "text_delta", "input_json_delta", "signature_delta", "base64",
    "content_block_start", "content_block_delta", "content_block_stop", "message_start", "message_delta",
    "message_stop", "response.output_text.delta", "response.output_text.done", "response.completed",
    "response.output_item.added", "response.output_item.done", "response.function_call_arguments.delta",
    "response.function_call_arguments.done", "response.shell_call_output_content.delta", "error", "web_search",
]  # fmt: skip
odd = st.recursive(
    st.sampled_from([*VALUES, None, True, 0, 1, -3, 2.5, 12345678]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=25,
)
odd_object = st.dictionaries(st.sampled_from(KEYS), odd, min_size=1, max_size=8)


@settings(max_examples=examples(120), deadline=None)
@given(odd_object, st.sampled_from(PATHS))
def test_a_request_of_any_shape_is_read_or_refused_and_rewritten_in_place(document, path):
    body = json.dumps({"model": "m", **document}).encode()
    try:
        wire = read(path, body)
    except WireError:
        return

    wire.rewrite([f"{text.text}!" for text in wire.request.texts])
    again = json.loads(wire.body())
    assert set(again) >= set(document)


@settings(max_examples=examples(120), deadline=None)
@given(odd_object, st.sampled_from(PATHS))
def test_a_reply_of_any_shape_is_read_and_rewritten_in_place(document, path):
    body = json.dumps(document).encode()
    wire = codec_for("POST", path).read_response(body)

    wire.rewrite([f"{text.text}!" for text in wire.response.texts])
    assert set(json.loads(wire.body())) >= set(document)


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(odd_object, max_size=5), st.sampled_from(STREAMING))
def test_a_stream_of_any_events_passes_or_is_given_up(documents, path):
    codec = codec_for("POST", path)
    wire = read(path, b'{"model":"m","messages":[],"prompt":"p","input":"i","max_tokens":5}')
    data = b"".join(b"data: " + orjson.dumps(document) + b"\n\n" for document in documents)
    for review in (Unchanged(), Louder()):
        rewriter = codec.stream(review, wire)
        try:
            out = feed_all(rewriter, data)
        except WireError:
            continue
        assert out.count(b"data: ") >= len(documents) - 1
    cut = codec.stream(Unchanged(), wire)
    try:
        cut.feed(data)
    except WireError:
        return
    assert cut.cut().endswith(b"\n\n")
    assert cut.feed(data) == b""


class Louder(Unchanged):
    """Hold every text back to its end, and shout it."""

    def push(self, channel, text):
        super().push(channel, text)
        return ""

    def finish(self, channel):
        return self.pushed.pop(channel, "").upper()

    def whole(self, text):
        return text.text.upper()


def test_deep_replies_are_given_up_rather_than_crashed_on():
    deep = b'{"choices":[{"message":{"content":' + b'[{"x":' * 500 + b'"y"' + b"}]" * 500 + b"}}]}"

    with pytest.raises(WireError, match="deeply"):
        codec_for("POST", "/v1/chat/completions").read_response(deep)


def test_deep_events_are_given_up_rather_than_crashed_on():
    wire = read("/v1/chat/completions", b'{"model":"m","messages":[]}')
    rewriter = codec_for("POST", "/v1/chat/completions").stream(Unchanged(), wire)
    deep = b'{"choices":[{"delta":{"annotations":' + b'[{"x":' * 500 + b'"y"' + b"}]" * 500 + b"}}]}"

    with pytest.raises(WireError, match="deeply"):
        rewriter.feed(b"data: " + deep + b"\n\n")


def test_integers_of_any_length_survive_a_rewriting():
    number = 123456789012345678901234567890
    body = b'{"model":"m","seed":%d,"user":"a","x":{"y":[%d]},"messages":[]}' % (number, -number)
    wire = read("/v1/chat/completions", body)
    assert any(text.text.startswith("-1234567890123456") for text in wire.request.texts)
    wire.rewrite(["b" if text.text == "a" else text.text for text in wire.request.texts])

    assert json.loads(wire.body()) == {**json.loads(body), "user": "b"}


def test_arguments_keep_their_long_integers_and_list_them():
    number = 123456789012345678901234567890
    call = {
        "id": "c",
        "type": "function",
        "function": {"name": "f", "arguments": f'{{"n": {number}, "to": "x"}}'},
    }
    body = json.dumps({"model": "m", "messages": [{"role": "assistant", "tool_calls": [call]}]}).encode()
    wire = read("/v1/chat/completions", body)
    texts = [text.text for text in wire.request.texts]
    assert str(number) in texts

    wire.rewrite(["new" if text == "x" else text for text in texts])
    arguments = json.loads(wire.body())["messages"][0]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(arguments) == {"n": number, "to": "new"}


def test_unknown_endpoints_have_no_codec():
    for method, path in [
        ("POST", "/v1/images/generations"),
        ("POST", "/v1/threads/t_1/messages"),
        ("POST", "/v1/messages/batches"),
        ("POST", "/v1/chat%2Fcompletions"),
        ("PUT", "/v1/chat/completions"),
        ("GET", "/v1/chat/completions"),
        ("DELETE", "/v1/models/mine"),
        ("GET", "/v1/files"),
        ("POST", "/v1/batches"),
        ("POST", "/v1/audio/speech"),
    ]:
        assert codec_for(method, path) is None, (method, path)


def test_known_endpoints_are_found_behind_any_prefix():
    names = {
        "/chat/completions": "openai.chat",
        "/openai/deployments/gpt/chat/completions": "openai.chat",
        "/v1/completions/": "openai.completions",
        "/v1/responses": "openai.responses",
        "/v1/responses/input_tokens": "openai.input_tokens",
        "/openai/v1/embeddings": "openai.embeddings",
        "/v1/moderations": "openai.moderations",
        "/anthropic/v1/messages": "anthropic.messages",
        "/v1/messages/count_tokens": "anthropic.count_tokens",
    }
    assert {path: codec_for("POST", path).name for path in names} == names
    assert codec_for("GET", "/v1/models") is PASS
    assert codec_for("GET", "/v1/models/gpt-4o") is PASS
