"""Every recorded exchange: nothing hides, nothing else changes, nothing is counted otherwise than it was."""

from __future__ import annotations

import json
import random

import pytest
from recorded import UNREADABLE, Replacing, Unchanged, events, feed_all, recordings, said

from iron_policy.exceptions import WireError

MARK = "§"

SILENT_KEYS = {
    # names given by a provider or by code, and choices of closed sets
    "model", "type", "role", "id", "object", "status", "call_id", "tool_call_id", "tool_use_id", "file_id", "name",
    "format", "media_type", "detail", "ttl", "mode", "encoding_format", "$schema", "function_call", "service_tier",
    "reasoning_effort", "modalities", "voice", "include", "required", "truncation", "previous_response_id", "phase",
    "container", "server_label", "server_name", "vector_store_ids", "namespace", "pattern", "$ref", "execution",
    "tool_choice", "search_context_size", "container_id", "request_id",
    # sealed or encoded
    "signature", "encrypted_content", "encrypted_index", "data", "file_data", "result",
    # what the provider says of itself
    "finish_reason", "stop_reason", "stop_sequence", "system_fingerprint", "prompt_cache_retention",
}  # fmt: skip
SILENT_TREES = {
    "tool_choice", "reasoning", "mcp_servers", "usage", "billing", "container", "caller",
    "cache_control", "stream_options", "prompt_cache_options", "prompt_cache_breakpoint",
    "require_approval", "incomplete_details",
}  # fmt: skip
SETTINGS = {("thinking", "type"), ("thinking", "display"), ("output_config", "effort"), ("audio", "format")}


def marked(texts):
    return [MARK + text.text for text in texts]


def changes(old, new, path=()):
    """Yield (path, old leaf, new leaf) for every string, key and number of both, which must have one shape."""
    if isinstance(old, dict):
        assert isinstance(new, dict)
        assert len(old) == len(new), path
        for (old_key, old_value), (new_key, new_value) in zip(old.items(), new.items(), strict=True):
            if old_key != new_key:
                yield (*path, "<key>"), old_key, new_key
            yield from changes(old_value, new_value, (*path, old_key))
    elif isinstance(old, list):
        old = left_in(old, new)
        for index, (old_item, new_item) in enumerate(zip(old, new, strict=True)):
            yield from changes(old_item, new_item, (*path, index))
    elif path and path[-1] == "arguments" and isinstance(old, str) and old.startswith("{"):
        yield from changes(json.loads(old), json.loads(new), path)
    else:
        yield path, old, new


def left_in(old, new):
    """Return the blocks of *old* less the signed thinking of earlier turns, which rewriting leaves out."""
    if len(old) == len(new):
        return old
    return [block for block in old if block["type"] != "thinking"]


def is_silent(path, value):
    keys = [key for key in path if isinstance(key, str)]
    known = keys[-1] in SILENT_KEYS or set(keys) & SILENT_TREES or tuple(keys[-2:]) in SETTINGS
    return bool(known) or value.startswith("data:")


def check_marking(old, new, texts):
    """Prove that each text was marked, and that each unmarked string stands where no text is."""
    found = 0
    for path, before, after in changes(old, new):
        if before == after:
            assert not isinstance(before, str) or not before or is_silent(path, before), (path, before)
        else:
            assert after == f"{MARK}{before}", path
            found += 1
    return found


@pytest.mark.parametrize("recording", recordings(lambda one: one.readable))
def test_a_request_that_nobody_alters_stays_the_very_bytes(recording):
    wire = recording.read_request()
    wire.rewrite([text.text for text in wire.request.texts])

    assert wire.body() is recording.request_body


@pytest.mark.parametrize("recording", recordings(lambda one: one.readable))
def test_every_string_of_a_request_is_a_text_or_known_to_be_none(recording):
    wire = recording.read_request()
    wire.rewrite(marked(wire.request.texts))

    old, new = json.loads(recording.request_body), json.loads(wire.body())
    found = check_marking(old, new, wire.request.texts)
    left_out = sum(text.place.endswith(".thinking") for text in wire.request.texts)
    assert len(wire.request.texts) - left_out <= found <= len(wire.request.texts)


@pytest.mark.parametrize("recording", recordings(lambda one: one.has_text and not one.readable))
def test_token_ids_are_refused_with_the_remedy(recording):
    assert recording.name in UNREADABLE

    with pytest.raises(WireError, match="send text"):
        recording.read_request()


@pytest.mark.parametrize("recording", recordings(lambda one: one.has_text and one.reply_body))
def test_every_string_of_a_reply_is_a_text_or_known_to_be_none(recording):
    wire = recording.codec.read_response(recording.reply_body)
    wire.rewrite([text.text for text in wire.response.texts])
    assert wire.body() is recording.reply_body

    wire.rewrite(marked(wire.response.texts))
    old, new = json.loads(recording.reply_body), json.loads(wire.body())
    if recording.codec.name in {"openai.embeddings", "openai.moderations", "anthropic.count_tokens"}:
        old = new = {"error": old.get("error")} if old.get("error") else {}
        return
    for echoed in (
        "instructions",
        "tools",
        "text",
        "user",
        "metadata",
        "reasoning",
        "tool_choice",
        "truncation",
    ):
        assert old.pop(echoed, None) == new.pop(echoed, None)
    assert check_marking(old, new, wire.response.texts) == len(wire.response.texts)


@pytest.mark.parametrize("recording", recordings(lambda one: one.has_text and one.reply_body))
def test_a_reply_tells_its_model_its_calls_and_its_end(recording):
    response = recording.codec.read_response(recording.reply_body).response

    assert response.model == recording.row["response_model"] or not recording.row["response_model"]
    if recording.row["features"] and "tool_call" in recording.row["features"].split():
        assert response.tool_calls
        assert all(call.name and isinstance(json.loads(call.arguments), dict) for call in response.tool_calls)
    if recording.status == 200 and recording.codec.name in {"openai.chat", "anthropic.messages"}:
        assert response.finish_reasons


STREAMS = recordings(lambda one: one.sse is not None)


@pytest.mark.parametrize("recording", STREAMS)
def test_a_stream_that_nobody_alters_stays_the_very_bytes(recording):
    for seed in range(2):
        draw = random.Random(seed)
        sizes = iter(lambda: draw.choice((1, 2, 7, 40, 300, 3000)), None)  # noqa: B023 - used up in this round
        assert feed_all(recording.rewriter(Unchanged()), recording.sse, sizes) == recording.sse


@pytest.mark.parametrize("recording", STREAMS)
def test_a_stream_says_what_a_review_makes_of_it(recording):
    draw = random.Random(recording.name)
    review = Replacing("e", "E", held=draw.choice((0, 1, 5, 40)))
    rewriter = recording.rewriter(review)

    out = feed_all(rewriter, recording.sse, iter(lambda: draw.randrange(1, 600), None))

    before, after = said(recording.sse), said(out)
    assert after == {key: text.replace("e", "E") for key, text in before.items()}
    assert sum(map(len, before.values())) == rewriter.output_characters
    assert set(review.finished) == set(review.pushed), "every text is ended"
    for old, new in zip(whole_texts(recording.sse), whole_texts(out), strict=True):
        assert new == old.replace("e", "E")


def whole_texts(data):
    """Return what the events say that repeat whole texts."""
    found = []
    for event in events(data):
        if event.get("type", "").endswith(".done"):
            found += [event[key] for key in ("text", "arguments", "refusal", "code") if key in event]
        for item in (event.get("response") or {}).get("output", ()):
            found += [part["text"] for part in item.get("content") or () if "text" in part]
            found += [item["arguments"]] if "arguments" in item else []
    return found


@pytest.mark.parametrize("recording", STREAMS)
def test_a_stream_is_numbered_without_gaps_after_events_were_put_in(recording):
    out = feed_all(recording.rewriter(Replacing("e", "E", held=30)), recording.sse)

    numbers = [event["sequence_number"] for event in events(out) if "sequence_number" in event]
    assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("recording", STREAMS)
def test_a_stream_tells_its_model_its_calls_and_its_end(recording):
    review = Unchanged()
    rewriter = recording.rewriter(review)
    feed_all(rewriter, recording.sse)

    assert rewriter.model == recording.row["response_model"]
    assert rewriter.finish_reasons or rewriter.error
    if "stream_tool_call" in recording.row["features"].split():
        assert review.calls
        assert all(call.name and isinstance(json.loads(call.arguments), dict) for call in review.calls)


def usage_of(recording):
    if recording.sse is None:
        return recording.codec.read_response(recording.reply_body).response.usage
    rewriter = recording.rewriter(Unchanged())
    feed_all(rewriter, recording.sse)
    return rewriter.usage


@pytest.mark.parametrize("recording", recordings(lambda one: one.readable))
def test_usage_is_what_the_provider_said(recording):
    usage, row = usage_of(recording), recording.row
    if recording.usage is None:
        assert usage is None
        return
    cached, written = int(row["cached_input_tokens"] or 0), int(row["cache_write_tokens"] or 0)
    includes = row["provider"] == "openai"
    assert usage.input_tokens == int(row["input_tokens"]) + (0 if includes else cached + written)
    assert usage.cache_read_input_tokens == cached
    assert usage.cache_creation_input_tokens + usage.cache_creation_1h_input_tokens == written
    assert usage.output_tokens == int(row["output_tokens"] or 0)
    if row["reasoning_tokens"]:
        assert usage.reasoning_output_tokens == int(row["reasoning_tokens"])


@pytest.mark.parametrize("recording", recordings(lambda one: one.readable))
def test_the_input_is_never_more_than_its_bound(recording):
    usage, bound = usage_of(recording), recording.read_request().request.input_tokens_bound

    assert usage is None or bound is None or usage.input_tokens <= bound
