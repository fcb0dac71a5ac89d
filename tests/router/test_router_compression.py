"""Compression on both sides of the router: bodies and streams, whole or at once, and those that would fill its memory."""

import gzip
import json
import threading
import zlib

import brotli
import pytest
import zstandard
from clients import openai_of
from patient import serving
from raw_http import ASK, DONE, answering, ask, connected, delta, request, said

from iron_adapters.router.sending import Patience

LONG = "word " * 10_000
CODINGS = ["gzip", "br", "zstd"]
MEBIBYTE = 1 << 20


def raw_deflate(body):
    encoder = zlib.compressobj(wbits=-15)
    return encoder.compress(body) + encoder.flush()


def zstd_of_no_length(body):
    return zstandard.ZstdCompressor(write_content_size=False).compress(body)


COMPRESS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}


class Flushed:
    """Compresses piece by piece, each to be read at once."""

    def __init__(self, coding):
        self._coding = coding
        if coding == "gzip":
            self._encoder = zlib.compressobj(wbits=31)
        elif coding == "br":
            self._encoder = brotli.Compressor()
        else:
            self._encoder = zstandard.ZstdCompressor().compressobj()

    def feed(self, data):
        encoder = self._encoder
        if self._coding == "br":
            return encoder.process(data) + encoder.flush()
        kind = zlib.Z_SYNC_FLUSH if self._coding == "gzip" else zstandard.COMPRESSOBJ_FLUSH_BLOCK
        return encoder.compress(data) + encoder.flush(kind)

    def finish(self):
        return self._encoder.finish() if self._coding == "br" else self._encoder.flush()


# -- from callers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("coding", "compress"),
    [
        *COMPRESS.items(),
        ("X-GZIP", gzip.compress),
        ("deflate", raw_deflate),
        ("identity", bytes),
        ("zstd", zstd_of_no_length),
    ],
)
def test_a_request_may_come_in_any_coding_and_goes_on_in_none(coding, compress, double, standing_router):
    body = json.dumps({**ASK, "messages": [{"role": "user", "content": LONG}]}).encode()
    told = ask(standing_router, compress(body), headers=[f"content-encoding: {coding}"])

    assert told.status == 200
    assert double.requests.last.json["messages"][0]["content"] == LONG
    assert "content-encoding" not in double.requests.last.headers


@pytest.mark.parametrize("coding", COMPRESS)
@pytest.mark.parametrize("spoil", [lambda data: data[:-3], lambda data: b"no" + data], ids=["cut", "odd"])
def test_a_body_that_is_not_what_it_says_is_a_400_and_not_sent(coding, spoil, double, standing_router):
    body = spoil(COMPRESS[coding](json.dumps({**ASK, "user": LONG}).encode()))
    told = ask(standing_router, body, headers=[f"content-encoding: {coding}"])

    assert told.status == 400
    assert told.json["error"]["code"] in {"bad_encoding", "unreadable"}
    assert len(double.requests) == 0


@pytest.mark.parametrize("coding", ["compress", "gzip, br", "*"])
def test_a_coding_that_is_not_known_is_a_415_that_names_those_that_are(coding, double, standing_router):
    told = ask(standing_router, gzip.compress(b"{}"), headers=[f"content-encoding: {coding}"])

    assert (told.status, told.json["error"]["code"]) == (415, "unsupported_encoding")
    assert "gzip, deflate, zstd or br" in told.json["error"]["message"]


# -- to callers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accepted", "text", "coding"),
    [
        ("gzip", LONG, "gzip"),
        ("br, GZIP;q=0.5", LONG, "gzip"),
        ("br, zstd", LONG, None),
        ("gzip;q=0", LONG, None),
        ("gzip; q=0.000, br", LONG, None),
        (None, LONG, None),
        ("gzip", "short", None),
    ],
)
def test_a_long_reply_goes_in_gzip_to_who_takes_it(accepted, text, coding, double, standing_router):
    double.reply(text)
    headers = [f"accept-encoding: {accepted}"] if accepted else []
    told = ask(standing_router, {**ASK, "max_tokens": 16_000}, headers=headers)
    body = gzip.decompress(told.body) if coding else told.body

    assert told.headers.get("content-encoding") == coding
    assert told.headers["content-length"] == str(len(told.body))
    assert json.loads(body)["choices"][0]["message"]["content"].strip() == text.strip()


# -- from providers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", CODINGS)
def test_replies_and_streams_of_a_provider_may_come_in_any_coding(coding, double, standing_router):
    double.compress(coding)
    double.reply("word " * 300)
    double.reply("word " * 300)
    asking = {**ASK, "max_tokens": 1000}
    whole = ask(standing_router, asking)
    with openai_of(standing_router) as client:
        chunks = list(client.chat.completions.create(**asking, stream=True))

    assert coding in double.requests.last.headers["accept-encoding"]
    assert "content-encoding" not in whole.headers
    assert whole.text == "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert whole.text.count("word") == 300


@pytest.mark.parametrize("coding", CODINGS)
def test_a_compressed_stream_comes_event_by_event(coding, before):
    seen = threading.Event()

    def answer(_):
        encoder = Flushed(coding)
        head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: {coding}\r\n\r\n"
        yield head.encode() + encoder.feed(delta("First. ") + delta("More to come") + delta(" after a while"))
        seen.wait(20)
        yield encoder.feed(delta(finish="stop") + DONE) + encoder.finish()

    router = before(answer)
    received = b""
    with connected(router) as caller:
        caller.sendall(request(router, {**ASK, "stream": True}))
        while b"First" not in received:
            received += caller.recv(65536)
        assert not seen.is_set()
        seen.set()
        while data := caller.recv(65536):
            received += data

    assert b"[DONE]" in received
    assert b"while" in received


@pytest.mark.parametrize("coding", CODINGS)
def test_a_provider_that_sends_another_thing_than_it_says_is_a_502(coding, before):
    told = ask(before(answering(said("secret"), headers=[f"content-encoding: {coding}"])))

    assert (told.status, told.json["error"]["code"]) == (502, "upstream_failed")
    assert "secret" not in told.json["error"]["message"]


def bomb(coding, kind, beginning):
    """Return what answers with *beginning* and then blanks without end, in *coding*."""

    def answer(_):
        encoder = Flushed(coding)
        yield f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-encoding: {coding}\r\n\r\n".encode()
        yield encoder.feed(beginning)
        while True:
            yield encoder.feed(b" " * MEBIBYTE)

    return answer


@pytest.mark.parametrize("coding", CODINGS)
def test_a_reply_that_never_stops_growing_is_a_502(coding, canary):
    behind = canary(bomb(coding, "application/json", b'{"id":'))
    with serving(Patience(most_reply_bytes=4 * MEBIBYTE), openai=behind.url) as router:
        told = ask(router)

    assert (told.status, told.json["error"]["code"]) == (502, "upstream_failed")
    assert str(4 * MEBIBYTE) in told.json["error"]["message"]


@pytest.mark.parametrize("coding", CODINGS)
def test_an_event_that_never_stops_growing_ends_its_stream(coding, before):
    router = before(bomb(coding, "text/event-stream", delta("Hi") + b"data: {"))
    told = ask(router, {**ASK, "stream": True})

    assert told.status == 200
    assert b'"upstream_failed"' in told.body
    assert b"[DONE]" not in told.body
