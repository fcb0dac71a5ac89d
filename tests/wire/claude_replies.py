"""Messages of Anthropic's, whole and as the events they are streamed in; and chunks of chat completions put together."""

from __future__ import annotations

import json

from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk
from recorded import events

USAGE = {
    "input_tokens": 10,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 1000,
    "output_tokens": 7,
    "service_tier": "standard",
}
_LISTS = ("thinking_blocks", "annotations", "citations")


def message(*blocks, stop_reason="end_turn", **fields):
    return {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": list(blocks),
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": USAGE,
        **fields,
    }


def text(said, **fields):
    return {"type": "text", "text": said, **fields}


def tool_use(call_id, name, **arguments):
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def thinking(said, signature="c2ln"):
    return {"type": "thinking", "thinking": said, "signature": signature}


def streamed(whole, size=3):
    """Return the stream of the message *whole*, its texts cut into pieces of *size*."""
    start = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    found = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, block in enumerate(whole["content"]):
        found += _block_events(index, block, size)
    end = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    if "stop_details" in whole:
        end["stop_details"] = whole["stop_details"]
    found.append(
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": whole["usage"]["output_tokens"]}}
    )
    return sse([*found, {"type": "message_stop"}])


def sse(found):
    return b"".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in found)


def _block_events(index, block, size):
    empty, deltas = _taken_apart(block, size)
    yield {"type": "content_block_start", "index": index, "content_block": empty}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def _taken_apart(block, size):
    if block["type"] == "text":
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"], size)]
        deltas += [{"type": "citations_delta", "citation": one} for one in block.get("citations", ())]
        return {"type": "text", "text": ""}, deltas
    if block["type"] == "tool_use":
        said = ["", *pieces(json.dumps(block["input"]), size)] if block["input"] else [""]
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in said]
    if block["type"] == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"], size)]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
        return {"type": "thinking", "thinking": "", "signature": ""}, deltas
    return block, []


def pieces(said, size):
    return [said[start : start + size] for start in range(0, len(said), size)]


def joined(stream):
    """Return the completion that the chunks of *stream* say together, as whole replies have it."""
    chunks = events(stream)
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
    first = chunks[0]
    said = {"role": None, "content": None, "refusal": None}
    finish = usage = None
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            _add(said, choice["delta"])
            finish = choice["finish_reason"] or finish
    for key in _LISTS:
        for entry in said.get(key, ()):
            del entry["index"]
    for call in said.get("tool_calls", ()):
        del call["index"]
    choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": finish}
    heading = {key: value for key, value in first.items() if key not in {"choices", "usage"}}
    return {**heading, "object": "chat.completion", "choices": [choice], "usage": usage}


def _add(said, delta):
    for key, value in delta.items():
        if isinstance(value, str) and isinstance(said.get(key), str) and key not in {"id", "type", "role"}:
            said[key] += value
        elif isinstance(value, list):
            _add_entries(said.setdefault(key, []), value)
        elif isinstance(value, dict) and isinstance(said.get(key), dict):
            _add(said[key], value)
        elif value is not None:
            said[key] = value


def _add_entries(entries, added):
    for entry in added:
        if entry["index"] == len(entries):
            entries.append({})
        _add(entries[entry["index"]], entry)


def comparable(completion):
    """Return *completion* without what may differ: how JSON is spaced, and an empty content in place of none."""
    said = completion["choices"][0]["message"]
    said["content"] = said["content"] or None
    for call in [*said.get("tool_calls", ()), {"function": said.get("function_call") or {}}]:
        if call["function"]:
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return completion


words = st.text(min_size=1, max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | words, lambda inner: st.lists(inner, max_size=3), max_leaves=5
)
inputs = st.dictionaries(words, values, max_size=3)
sources = st.sampled_from(
    [
        {"type": "web_search_result_location", "cited_text": "x", "url": "https://a.example/", "title": "A"},
        {
            "type": "char_location",
            "cited_text": "x",
            "document_index": 0,
            "start_char_index": 0,
            "end_char_index": 1,
        },
    ]
)
any_block = st.one_of(
    st.builds(text, st.text(max_size=30)),
    st.builds(lambda said, cited: text(said, citations=cited), words, st.lists(sources, min_size=1, max_size=2)),
    st.builds(lambda number, name, given: {**tool_use(f"toolu_{number}", name), "input": given}, st.integers(0, 99), words, inputs),
    st.builds(thinking, st.text(max_size=30)),
    st.builds(lambda data: {"type": "redacted_thinking", "data": data}, words),
)  # fmt: skip
any_message = st.builds(
    lambda blocks, reason, details: message(*blocks, stop_reason=reason, stop_details=details),
    st.lists(any_block, max_size=5),
    st.sampled_from(
        [
            "end_turn",
            "max_tokens",
            "stop_sequence",
            "tool_use",
            "pause_turn",
            "refusal",
            "model_context_window_exceeded",
            "later",
        ]
    ),
    st.sampled_from([None, {"type": "refusal", "category": None, "explanation": "It would harm."}]),
)
