"""What replies say they used, and what requests can at most cost in tokens."""

from __future__ import annotations

import json

import pytest

from iron_adapters.wire import codec_for
from iron_adapters.wire.usage import anthropic_usage, openai_usage
from iron_policy.messages import Usage


def test_input_that_openai_read_from_and_wrote_to_a_cache_is_part_of_its_input():
    usage = openai_usage(
        {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30, "audio_tokens": 7},
            "completion_tokens_details": {"reasoning_tokens": 12, "audio_tokens": 5},
        }
    )

    assert usage == Usage(
        uncached_input_tokens=10,
        cache_read_input_tokens=60,
        cache_creation_input_tokens=30,
        output_tokens=20,
        reasoning_output_tokens=12,
        input_audio_tokens=7,
        output_audio_tokens=5,
    )
    assert usage.input_tokens == 100


def test_input_that_anthropic_read_from_and_wrote_to_a_cache_comes_on_top():
    usage = anthropic_usage(
        {
            "input_tokens": 10,
            "cache_read_input_tokens": 60,
            "cache_creation_input_tokens": 30,
            "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
            "output_tokens": 20,
            "output_tokens_details": {"thinking_tokens": 12},
        }
    )

    assert usage == Usage(
        uncached_input_tokens=10,
        cache_read_input_tokens=60,
        cache_creation_input_tokens=20,
        cache_creation_1h_input_tokens=10,
        output_tokens=20,
        reasoning_output_tokens=12,
    )


def test_a_compaction_is_billed_on_top_of_the_message():
    run = {"type": "compaction", "input_tokens": 1000, "output_tokens": 50}
    message = {"type": "message", "input_tokens": 10, "output_tokens": 5}
    usage = anthropic_usage({"input_tokens": 10, "output_tokens": 5, "iterations": [run, message]})

    assert (usage.uncached_input_tokens, usage.output_tokens) == (1010, 55)


@pytest.mark.parametrize("read", [openai_usage, anthropic_usage])
@pytest.mark.parametrize("nothing", [None, [], "many", 7])
def test_no_usage_is_none(read, nothing):
    assert read(nothing) is None


@pytest.mark.parametrize(
    "nonsense",
    [
        {"prompt_tokens": -5, "completion_tokens": "7", "prompt_tokens_details": {"cached_tokens": 3}},
        {},
        {"total_tokens": 600},
        {"prompt_tokens": 0, "completion_tokens": 0, "input_tokens": 0, "output_tokens": 0},
        {"prompt_tokens": "200", "completion_tokens": "400", "input_tokens": "200", "output_tokens": "400"},
        {"prompt_tokens": 200, "completion_tokens": 10**25, "input_tokens": 200, "output_tokens": 10**25},
        {"prompt_tokens": 200, "completion_tokens": 1e30, "input_tokens": 200, "output_tokens": 1e30},
        {"prompt_tokens": True, "completion_tokens": 5, "input_tokens": True, "output_tokens": 5},
        {"prompt_tokens": 200, "input_tokens": 200},
        {"completion_tokens": 5, "output_tokens": 5},
        {"input_tokens": 1.5, "output_tokens": None, "cache_read_input_tokens": -1, "cache_creation": []},
    ],
)
def test_nonsense_is_no_usage(nonsense):
    assert openai_usage(nonsense) is None
    assert anthropic_usage(nonsense) is None


def test_a_nonsensical_count_of_the_cache_is_no_usage_of_anthropic():
    assert anthropic_usage({"input_tokens": 5, "output_tokens": 5, "cache_read_input_tokens": -3}) is None


def test_whole_numbers_may_be_written_as_fractions():
    assert openai_usage({"prompt_tokens": 200.0, "completion_tokens": 4e2}) == Usage(
        uncached_input_tokens=200, output_tokens=400
    )
    assert anthropic_usage({"input_tokens": 200.0, "output_tokens": 400.0}) == Usage(
        uncached_input_tokens=200, output_tokens=400
    )


def test_embeddings_tell_of_their_input_only():
    reply = codec_for("POST", "/v1/embeddings").read_response(
        b'{"usage":{"prompt_tokens":7,"total_tokens":7}}'
    )

    assert reply.response.usage == Usage(uncached_input_tokens=7)


@pytest.mark.parametrize("status", ["queued", "in_progress", "completed"])
def test_a_response_that_is_still_to_be_made_says_so(status):
    body = json.dumps({"object": "response", "status": status, "output": [], "usage": None}).encode()
    response = codec_for("POST", "/v1/responses").read_response(body).response

    assert response.pending == (status != "completed")
    assert (response.usage, response.finish_reasons) == (None, (status,))


def test_more_cached_than_read_is_no_credit():
    usage = openai_usage(
        {
            "completion_tokens": 0,
            "prompt_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 9, "cache_write_tokens": 9},
        }
    )

    assert (usage.uncached_input_tokens, usage.cache_read_input_tokens, usage.input_tokens) == (0, 5, 5)


PICTURE = "data:image/png;base64," + "QUJD" * 50_000


def bound(path, model, part, **body):
    document = {"model": model, "messages": [{"role": "user", "content": [part]}], **body}
    return codec_for("POST", path).read_request(json.dumps(document).encode(), {}).request.input_tokens_bound


@pytest.mark.parametrize(
    ("model", "detail", "least", "most"),
    [
        ("gpt-4o", "high", 1_445, 5_000),
        ("gpt-4o-mini", "high", 48_169, 49_000),
        ("gpt-4o-mini", "low", 2_833, 3_200),
        ("gpt-4.1-nano", "auto", 3_779, 5_000),
        ("gpt-5", "auto", 1_190, 5_000),
        ("gpt-6-astra", "high", 2_942, 8_000),
        ("gpt-6-astra", "auto", 14_364, 70_000),
        ("llama-4", "low", 1_601, 8_000),
    ],
)
@pytest.mark.parametrize("url", [PICTURE, "https://example.com/picture.png"], ids=["bytes", "address"])
def test_a_picture_costs_at_most_what_its_model_makes_of_it_and_not_its_bytes(
    model, detail, least, most, url
):
    part = {"type": "image_url", "image_url": {"url": url, "detail": detail}}

    assert least <= bound("/v1/chat/completions", model, part) <= most


def test_a_picture_for_claude_costs_at_most_what_its_newest_models_see():
    source = {"type": "base64", "media_type": "image/png", "data": "QUJD" * 50_000}

    assert 4_784 <= bound("/v1/messages", "claude-opus-4-8", {"type": "image", "source": source}) <= 5_500


def test_sound_costs_by_the_second():
    part = {"type": "input_audio", "input_audio": {"data": "QUJD" * 40_000, "format": "mp3"}}

    assert 1_200 <= bound("/v1/chat/completions", "gpt-audio", part) <= 4_000


@pytest.mark.parametrize(
    "part",
    [
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}},
        {"type": "video_url", "video_url": {"url": "https://example.com/v"}},
    ],
)
def test_files_that_we_cannot_read_are_bounded_by_the_context_window_only(part):
    assert bound("/v1/chat/completions", "gpt-4o", part) is None


def test_a_file_of_plain_text_is_bounded_by_its_bytes():
    part = {
        "type": "file",
        "file": {"filename": "a.txt", "file_data": "data:text/plain;base64," + "QUJD" * 1000},
    }

    assert 3_000 <= bound("/v1/chat/completions", "gpt-4o", part) <= 9_000


@pytest.mark.parametrize(
    "source",
    [
        {"type": "base64", "media_type": "application/pdf", "data": "QUJD"},
        {"type": "url", "url": "https://example.com/a.pdf"},
        {"type": "file", "file_id": "file_1"},
    ],
)
def test_documents_that_we_cannot_read_are_bounded_by_the_context_window_only(source):
    assert bound("/v1/messages", "claude-opus-4-8", {"type": "document", "source": source}) is None


@pytest.mark.parametrize(
    ("model", "added"), [("gpt-4o", {"web_search_options": {}}), ("gpt-4o-search-preview", {})]
)
def test_a_chat_that_searches_is_bounded_by_the_context_window_only(model, added):
    assert bound("/v1/chat/completions", model, {"type": "text", "text": "x"}, **added) is None
