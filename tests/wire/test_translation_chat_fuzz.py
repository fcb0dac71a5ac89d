"""Whatever comes in, a translation or an error that says why comes out."""

from __future__ import annotations

import json

from claude_replies import any_message, sse, streamed
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion
from thorough import examples

from iron_adapters.wire.translation import chat_to_messages
from iron_adapters.wire.translation.chat_fields import _NEUTRAL, PASSED
from iron_adapters.wire.translation.chat_request import _FIELDS
from iron_policy.exceptions import WireError

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
WORDS = st.sampled_from([
    "type", "role", "content", "text", "user", "assistant", "system", "tool", "function", "name", "arguments", "id",
    "tool_calls", "tool_call_id", "image_url", "url", "file", "file_data", "data:image/png;base64,AA==", "https://a/b",
    "thinking_blocks", "thinking", "signature", "parameters", "strict", "json_schema", "json_object", "schema", "object",
    "allowed_tools", "mode", "tools", "required", "auto", "none", "low", "cache_control", "prompt_cache_breakpoint", "ttl",
    "tool_use", "input", "index", "message", "content_block", "delta", "text_delta", "input_json_delta", "partial_json",
    "usage", "stop_reason", "stop_details", "citations", "error", "function_call", "{}", "30m",
])  # fmt: skip
anything = st.recursive(
    scalars | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system", "tool", "function", "developer"])},
        optional={
            "content": anything,
            "tool_calls": st.lists(
                st.fixed_dictionaries({"id": scalars, "function": anything, "type": st.just("function")})
                | anything,
                max_size=2,
            ),
            "tool_call_id": st.just("call_1"),
            "name": st.text(max_size=3),
            "function_call": anything,
            "thinking_blocks": anything,
            "cache_control": anything,
        },
    )
    | anything,
    max_size=4,
)
FIELDS = sorted(_FIELDS | set(_NEUTRAL) | set(PASSED))
REQUESTS = st.builds(
    lambda model, messages, fields: {**fields, "model": model, "messages": messages},
    st.sampled_from(["claude-sonnet-4-5", "claude-opus-4-8", "claude-3-haiku", "claude-fable-5"]),
    MESSAGES | st.just([{"role": "user", "content": "hi"}]),
    st.dictionaries(st.sampled_from(FIELDS), anything, max_size=2),
)
EVENTS = st.sampled_from(
    ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop", "error", "ping", "x"]
)  # fmt: skip
ONE = chat_to_messages(b'{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"hi"}]}')


@settings(max_examples=examples(500), deadline=None)
@given(document=REQUESTS)
def test_any_document_is_translated_or_refused(document):
    try:
        translated = chat_to_messages(json.dumps(document).encode())
    except WireError:
        return
    assert json.loads(translated.body)["messages"]


@settings(max_examples=examples(100), deadline=None)
@given(body=st.binary(max_size=40))
def test_any_bytes_are_refused(body):
    for act in (chat_to_messages, ONE.reply):
        try:
            act(body)
        except WireError:
            continue
    status, said = ONE.error(500, body)
    assert status == 500
    assert json.loads(said)["error"]["message"]


@settings(max_examples=examples(150), deadline=None)
@given(document=st.fixed_dictionaries({"type": st.just("message"), "content": st.lists(anything, max_size=3)}, optional={
    "id": anything, "model": anything, "usage": anything, "stop_reason": anything, "stop_details": anything,
}) | anything)  # fmt: skip
def test_any_reply_is_translated_or_refused(document):
    try:
        said = ONE.reply(json.dumps(document).encode())
    except WireError:
        return
    ChatCompletion.model_validate_json(said)


@settings(max_examples=examples(150), deadline=None)
@given(status=st.integers(400, 599), document=anything)
def test_any_error_becomes_an_error(status, document):
    _, said = ONE.error(status, json.dumps({"type": "error", "error": document}).encode())

    error = json.loads(said)["error"]
    assert isinstance(error["message"], str)
    assert isinstance(error["type"], str)


@settings(max_examples=examples(150), deadline=None)
@given(
    found=st.lists(
        st.fixed_dictionaries(
            {"type": EVENTS},
            optional={"index": st.integers(0, 2), "message": anything, "content_block": anything, "delta": anything, "usage": anything},
        ),
        max_size=6,
    )
)  # fmt: skip
def test_any_events_are_translated_or_refused(found):
    translator = ONE.stream()
    try:
        translator.feed(sse([{"type": "message_start", "message": {}}, *found]))
    except WireError:
        return
    translator.finish()


@settings(max_examples=examples(100), deadline=None)
@given(whole=any_message, data=st.data())
def test_a_stream_with_a_broken_byte_is_translated_or_refused(whole, data):
    stream = bytearray(streamed(whole))
    stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    translator = ONE.stream()
    try:
        translator.feed(bytes(stream))
    except WireError:
        return
    translator.finish()
