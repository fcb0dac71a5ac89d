"""Bodies made to be read in two ways, to grow, or to be too deep: from callers and from providers."""

import functools
import gzip
import json
import resource
import threading
import zlib

import brotli
import pytest
import zstandard
from raw_http import ASK, Canary, answering, ask, said, streaming

from iron_adapters.router import LlmRouter, llm_router
from iron_adapters.router.app import Setting
from iron_adapters.router.sending import Patience

SECRET = "AKIAIOSFODNN7EXAMPLE"
POLICY = {
    "access": {"models": {"deny": ["o1-pro"]}},
    "safety": {"input": {"secrets": "block"}},
    "audit": {"path": "/dev/null"},
}
REST = '"messages":[{"role":"user","content":"Hello"}],"max_tokens":5'
WHOLE = f'{{"model":"gpt-4o-mini",{REST}}}'
ENCODERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda data: brotli.compress(data, quality=1),
    "zstd": zstandard.compress,
}
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def router():
    behind = Canary(answering(said()))
    with LlmRouter(provider_key="sk-test-router", upstreams={"openai": behind.url}, policy=POLICY) as running:
        running.canary = behind
        yield running
    behind.close()


def sent(router, body, **details):
    """Return a reply's status and what reached the provider for it."""
    earlier = len(router.canary.received)
    status = ask(router, body.encode() if isinstance(body, str) else body, **details).status
    return status, [each.body for each in router.canary.received[earlier:]]


# -- two readers of one body ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        '{"model":"gpt-4o-mini","model":"o1-pro",%s}',
        '{"model":"o1-pro","model":"gpt-4o-mini",%s}',
        '{"model":"gpt-4o-mini","mod\\u0065l":"o1-pro",%s}',
        '{"\\u006dodel":"o1-pro","model":"gpt-4o-mini",%s}',
        '{"model":"gpt-4o-mini","x":{"a":1,"a":2},%s}',
        '{"model":"gpt-4o-mini","":1,"":2,%s}',
        '{"model":"o1-pro","model":"gpt-4o-mini","x":"\\u0022\\u0022\\u0022\\u0022",%s}',
        '{"model":"o1-pro","model":"gpt-4o-mini","x":"\\\\u0022\\\\u0022\\\\u0022",%s}',
        '{"model":"o1-pro","model":"gpt-4o-mini","x":"\\\\\\u0022\\\\\\\\u0022",%s}',
        '{"model":"gpt-4o-mini",%s,"messages":[{"role":"user","content":"AKIAIOSFODNN7EXAMPLE"}]}',
        '{"messages":[{"role":"user","content":"AKIAIOSFODNN7EXAMPLE"}],"model":"gpt-4o-mini",%s}',
        '{"model":"gpt-4o-mini",%s,"messages":[{"role":"user","content":"AKIAIOSFODNN7EXAMPLE","content":"x"}]}',
        '{"model":"gpt-4o-mini",%s}{"model":"o1-pro"}',
        '{"model":"gpt-4o-mini",%s}\x00',
        '{"model":"gpt-4o-mini",/* x */%s}',
        '{"model":"gpt-4o-mini","temperature":NaN,%s}',
        '{"model":"gpt-4o-mini","temperature":-Infinity,%s}',
        '{"model":"gpt-4o-mini","temperature":1e999,%s}',
        '{"model":"gpt-4o-mini","x":"\\ud800",%s}',
        "\ufeff" + '{"model":"gpt-4o-mini",%s}',
        "{'model':'gpt-4o-mini',%s}",
    ],
)
def test_a_body_that_could_be_read_in_two_ways_is_not_sent(body, router):
    assert sent(router, body % REST) == (400, [])


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"gpt-4o-mini","x":"\xff",' + REST.encode() + b"}",
        b'{"model":"gpt-4o-mini","x":"\xc0\xaf",' + REST.encode() + b"}",
        b'{"model":"gpt-4o-mini","x":"\xed\xa0\x80",' + REST.encode() + b"}",
        WHOLE.encode("utf-16"),
        WHOLE.encode("utf-16-le"),
        WHOLE.encode("utf-32"),
    ],
)
def test_a_body_that_is_no_utf_8_is_not_sent(body, router):
    assert sent(router, body) == (400, [])


@pytest.mark.parametrize("body", ["", " ", "null", "[]", "1", '"x"', "{}", "{", '{"model":'])
def test_a_body_that_is_no_request_is_not_sent(body, router):
    assert sent(router, body) == (400, [])


@pytest.mark.parametrize("model", ["null", "[]", '["o1-pro"]', '{"a":1}', "1", "true", '""'])
def test_a_model_that_is_no_name_is_not_sent(model, router):
    assert sent(router, f'{{"model":{model},{REST}}}') == (400, [])


@pytest.mark.parametrize(
    "name", ['"mod\\u0065l":"o1-pro"', '"model":"o1-pr\\u006f"', '"model":"\\u006f1-pro"']
)
def test_a_name_is_judged_as_it_reads(name, router):
    assert sent(router, f"{{{name},{REST}}}") == (403, [])


def test_a_text_is_judged_as_it_reads(router):
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in SECRET)
    body = '{"model":"gpt-4o-mini","messages":[{"role":"user","content":"%s"}]}'

    assert sent(router, body % escaped) == (403, [])


def test_what_is_judged_is_what_is_sent_byte_for_byte(router):
    body = f'{{ "model" : "gpt-4o-mini",\t"Model":"x","x":"\\u0022\\/\\n","y":1.0e2,{REST} }}'.encode()

    assert sent(router, body) == (200, [body])


# -- depth and numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        '{"model":"gpt-4o-mini","x":' + "[" * 100_000 + "]" * 100_000 + f",{REST}}}",
        '{"model":"gpt-4o-mini","x":' + '{"a":' * 100_000 + "1" + "}" * 100_000 + f",{REST}}}",
        '{"model":"gpt-4o-mini","x":' + "[" * 300 + "]" * 300 + f",{REST}}}",
        "[" * 1_000_000,
        '{"model":"gpt-4o-mini","seed":' + "9" * 5000 + f",{REST}}}",
        '{"model":"gpt-4o-mini","max_tokens":' + "9" * 1_000_000 + "}",
        '{"model":"gpt-4o-mini","messages":[{"role":"user","content":['
        + "[" * 10_000
        + "]" * 10_000
        + "]}]}",
    ],
    ids=["lists", "objects", "levels", "open", "digits", "many digits", "content"],
)
def test_what_is_too_deep_or_too_long_is_refused_and_not_sent(body, router):
    assert sent(router, body) == (400, [])


def test_arguments_of_tools_may_be_deep_and_break_nothing(router):
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "[" * 100_000}}
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [call]}]
    turns += [{"role": "tool", "tool_call_id": "c", "content": '{"a":' * 50_000}]
    status, _ = sent(router, json.dumps({"model": "gpt-4o-mini", "messages": turns}))

    assert status in {200, 400}


# -- codings --------------------------------------------------------------------------------------------------------


def grown(action):
    """Return by how many bytes this process grew at its largest while *action* ran."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    action()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024


@pytest.mark.parametrize("coding", ENCODERS)
def test_a_small_body_cannot_become_a_large_one(coding, router):
    """A gigabyte would be refused at 64 MiB; what is held until then is the limit and little more."""
    bomb = ENCODERS[coding](b" " * (200 * MEGABYTE))
    assert len(bomb) < MEGABYTE
    statuses = []

    assert (
        grown(lambda: statuses.append(sent(router, bomb, headers=[f"content-encoding: {coding}"])))
        < 128 * MEGABYTE
    )
    assert statuses == [(413, [])]


@pytest.mark.parametrize("coding", ENCODERS)
def test_a_coding_is_undone_once_and_whole(coding, router):
    encode, body = ENCODERS[coding], json.dumps(ASK).encode()
    coded = encode(body)
    header = [f"content-encoding: {coding}"]

    assert sent(router, coded, headers=header) == (200, [body])
    for odd in (coded[:-4], coded + b"xx", coded + coded, encode(coded), body, b""):
        assert sent(router, odd, headers=header) == (400, [])


@pytest.mark.parametrize(
    "coding",
    ["gzip, gzip", "gzip,identity", "identity, gzip", "compress", "aes128gcm", "GZIP\t,", "x" * 1000],
)
def test_a_coding_that_is_not_known_is_refused(coding, router):
    assert sent(router, gzip.compress(json.dumps(ASK).encode()), headers=[f"content-encoding: {coding}"]) == (
        415,
        [],
    )


def test_two_codings_in_two_headers_are_refused(router):
    twice = gzip.compress(gzip.compress(json.dumps(ASK).encode()))

    assert sent(router, twice, headers=["content-encoding: gzip"] * 2) == (415, [])


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_providers_reply_cannot_become_larger_than_any_is(coding, before, monkeypatch):
    patience = functools.partial(Setting, patience=Patience(most_reply_bytes=8 * MEGABYTE))
    monkeypatch.setattr(llm_router, "Setting", patience)
    bomb = ENCODERS[coding](b" " * (200 * MEGABYTE))
    router = before(answering(bomb, headers=[f"content-encoding: {coding}"]))

    assert grown(lambda: ask(router)) < 64 * MEGABYTE
    assert ask(router).status == 502


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_providers_stream_cannot_have_an_event_without_an_end(coding, before, monkeypatch):
    monkeypatch.setattr("iron_adapters.wire.sse.LONGEST_EVENT_BYTES", 4 * MEGABYTE)
    bomb = ENCODERS[coding](b"data: " + b"a" * (100 * MEGABYTE))
    router = before(streaming(bomb, headers=[f"content-encoding: {coding}"]))

    assert grown(lambda: ask(router, {**ASK, "stream": True})) < 64 * MEGABYTE
    assert b'"error"' in ask(router, {**ASK, "stream": True}).body


@pytest.mark.parametrize("coding", ["gzip, gzip", "compress", "x"])
def test_a_reply_in_a_coding_that_is_not_known_is_a_bad_gateway(coding, before):
    body = gzip.compress(gzip.compress(json.dumps(said()).encode()))

    assert ask(before(answering(body, headers=[f"content-encoding: {coding}"]))).status == 502


def test_a_reply_is_not_packed_for_whom_it_must_not_be(before):
    router = before(answering(said("a" * 100_000)))

    assert "content-encoding" not in ask(router, headers=["accept-encoding: gzip;q=0"]).headers
    assert ask(router, headers=["accept-encoding: br, gzip;q=0.5"]).headers["content-encoding"] == "gzip"


# -- patterns -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "piece", ["a", " ", "1", "@", ":", "-", "a@", "sk-", "<EMAIL_", "+1", "1.", "=", "://", "\\u0061"]
)
def test_a_long_text_of_one_piece_takes_no_time(piece, router):
    """The engine's patterns are linear; a call of 1 MB must not hold up the others for seconds."""
    body = '{"model":"gpt-4o-mini","messages":[{"role":"user","content":"%s"}]}' % (
        piece * (MEGABYTE // len(piece))
    )
    done = threading.Event()
    thread = threading.Thread(target=lambda: (sent(router, body), done.set()))
    thread.start()

    assert done.wait(10)
    thread.join()
