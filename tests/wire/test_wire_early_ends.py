"""Streams that end before they tell what they used: the first word of it is no final one."""

from __future__ import annotations

import json

import pytest
from recorded import Unchanged

from iron_adapters.wire import codec_for
from iron_policy.messages import Usage

START = {
    "type": "message_start",
    "message": {"model": "claude-haiku-4-5", "usage": {"input_tokens": 300, "cache_read_input_tokens": 40, "output_tokens": 1}},
}  # fmt: skip
PIECE = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "word "}}
KNOWN = Usage(uncached_input_tokens=300, cache_read_input_tokens=40)


def data(*documents):
    return b"".join(b"data: " + json.dumps(document).encode() + b"\n\n" for document in documents)


def rewriter_of(path, **body):
    codec = codec_for("POST", path)
    request = {"model": "m", "messages": [], "input": "i", "max_tokens": 5, "stream": True, **body}
    return codec.stream(Unchanged(), codec.read_request(json.dumps(request).encode(), {}))


def message_delta(usage):
    return {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}


@pytest.mark.parametrize("end", ["hang up", "finish", "cut"])
def test_a_message_that_ends_early_tells_of_its_input_only(end):
    rewriter = rewriter_of("/v1/messages")
    rewriter.feed(data(START, PIECE, PIECE))
    if end != "hang up":
        getattr(rewriter, end)()

    assert rewriter.usage is None
    assert rewriter.input_usage == KNOWN


def test_a_cut_message_tells_its_caller_about_how_much_it_brought():
    rewriter = rewriter_of("/v1/messages")
    rewriter.feed(data(START, *[PIECE] * 8))

    assert b'"usage":{"output_tokens":10}' in rewriter.cut()


@pytest.mark.parametrize("usage", [None, {}, {"input_tokens": 300}, {"output_tokens": -1}])
def test_an_end_without_a_sane_count_of_the_output_is_no_report(usage):
    rewriter = rewriter_of("/v1/messages")
    rewriter.feed(data(START, PIECE, message_delta(usage)))

    assert rewriter.usage is None
    assert rewriter.input_usage == KNOWN


def test_an_end_that_tells_the_output_is_the_report():
    rewriter = rewriter_of("/v1/messages")
    rewriter.feed(data(START, PIECE, message_delta({"output_tokens": 7})))

    assert rewriter.usage == KNOWN._replace(output_tokens=7)


def chunk(text, **rest):
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], **rest}


def test_a_report_that_text_follows_is_out_of_date():
    rewriter = rewriter_of("/v1/chat/completions")
    usage = {"prompt_tokens": 300, "completion_tokens": 1, "total_tokens": 301}
    rewriter.feed(data(chunk("", usage=usage), chunk("word "), chunk("word ")))

    assert rewriter.usage is None
    assert rewriter.input_usage == Usage(uncached_input_tokens=300)


def test_a_report_that_grows_with_each_chunk_counts_up_to_where_the_stream_ends():
    rewriter = rewriter_of("/v1/chat/completions")
    rewriter.feed(
        data(*[chunk("word ", usage={"prompt_tokens": 300, "completion_tokens": n}) for n in (1, 2, 3)])
    )

    assert rewriter.usage == Usage(uncached_input_tokens=300, output_tokens=3)


def test_a_response_in_the_background_goes_on_without_a_listener():
    rewriter = rewriter_of("/v1/responses", background=True)
    created = {
        "type": "response.created",
        "response": {"background": True, "status": "queued", "usage": None},
    }
    rewriter.feed(data(created))
    assert rewriter.pending

    usage = {"input_tokens": 3, "output_tokens": 5}
    end = {
        "type": "response.completed",
        "response": {"background": True, "status": "completed", "usage": usage},
    }
    rewriter.feed(data(end))
    assert not rewriter.pending
    assert rewriter.usage == Usage(uncached_input_tokens=3, output_tokens=5)
