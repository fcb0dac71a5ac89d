"""Replies that no provider should send: they pass as the bare SDK takes them, hide nothing, and tell nothing."""

from __future__ import annotations

import json

import pytest
from recorded import Replacing, Unchanged, events

from iron_adapters.wire import codec_for
from iron_policy.exceptions import WireError

REPLIES = {
    "/v1/chat/completions": '{"choices":[{"index":0,"message":{"content":%s}}]}',
    "/v1/completions": '{"choices":[{"index":0,"text":%s}]}',
    "/v1/responses": '{"output":[{"type":"message","content":[{"type":"output_text","text":%s}]}]}',
    "/v1/messages": '{"content":[{"type":"text","text":%s}]}',
}
EVENTS = {
    "/v1/chat/completions": '{"choices":[{"index":0,"delta":{"content":%s}}]}',
    "/v1/completions": '{"choices":[{"index":0,"text":%s}]}',
    "/v1/responses": '{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":%s}',
    "/v1/messages": '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":%s}}',
}


def stream_of(path, review):
    codec = codec_for("POST", path)
    request = b'{"model":"m","messages":[],"prompt":"p","input":"i","max_tokens":5,"stream":true}'
    return codec.stream(review, codec.read_request(request, {}))


@pytest.mark.parametrize("path", REPLIES)
def test_half_a_surrogate_pair_in_a_reply_passes(path):
    body = (REPLIES[path] % r'"bob \ud83d"').encode()
    wire = codec_for("POST", path).read_response(body)
    assert json.loads(wire.body()) == json.loads(body)

    wire.rewrite([text.text.replace("bob", "<NAME>") for text in wire.response.texts])
    assert json.loads(wire.body()) == json.loads(body.replace(b"bob", b"<NAME>"))


@pytest.mark.parametrize("path", EVENTS)
def test_a_surrogate_pair_that_two_events_share_is_whole_again(path):
    stream = stream_of(path, Replacing("bob", "<NAME>"))
    pieces = [f"data: {EVENTS[path] % half}\n\n".encode() for half in (r'"\ud83d"', r'"\ude00 bob"')]
    out = b"".join([*map(stream.feed, pieces), stream.finish()])

    assert "bob" not in out.decode()
    assert "\U0001f600" in json.loads(f'"{"".join(texts_of(out))}"')


def texts_of(out):
    for line in out.decode().split("\n"):
        if line.startswith("data: "):
            yield from (part.split('"')[0] for part in line.split('":"')[1:] if part.startswith("\\u"))


@pytest.mark.parametrize("path", REPLIES)
def test_the_first_of_two_values_of_a_key_is_dropped_because_nobody_judged_it(path):
    body = (REPLIES[path] % '"secret"').replace('"secret"', '"secret","text":"x","content":"x"').encode()
    wire = codec_for("POST", path).read_response(body)

    assert json.loads(wire.body()) == json.loads(body)
    assert b"secret" not in wire.body() or "secret" in [text.text for text in wire.response.texts]


@pytest.mark.parametrize("path", EVENTS)
def test_the_first_of_two_values_of_a_key_in_an_event_is_dropped(path):
    document = (EVENTS[path] % '"secret"')[:-1] + "," + (EVENTS[path] % '"x"')[1:]
    out = stream_of(path, Unchanged()).feed(f"data: {document}\n\n".encode())

    assert b"secret" not in out
    assert events(out) == [json.loads(document)]


@pytest.mark.parametrize("path", [*REPLIES, "/v1/embeddings", "/v1/moderations"])
@pytest.mark.parametrize("body", [b"", b"not json: bob", b'{"a":"bob"', b'["bob"]'])
def test_a_reply_that_cannot_be_read_is_told_as_one_and_not_shown(path, body):
    with pytest.raises(WireError, match=r"^the reply is no JSON") as caught:
        codec_for("POST", path).read_response(body)

    assert_tells_nothing(caught.value)


@pytest.mark.parametrize(
    "body", [b"not json: bob", b'["bob"]', b'{"a":"bob","a":"bob"}', b'{"a":NaN,"b":"bob"}']
)
def test_no_exception_behind_a_refusal_holds_the_body(body):
    with pytest.raises(WireError) as caught:
        codec_for("POST", "/v1/chat/completions").read_request(body, {})

    assert_tells_nothing(caught.value)


def test_no_exception_behind_a_stream_that_cannot_be_read_holds_it():
    with pytest.raises(WireError) as caught:
        stream_of("/v1/chat/completions", Unchanged()).feed(b"data: no json: bob\n\n")

    assert_tells_nothing(caught.value)


def assert_tells_nothing(error):
    while error is not None:
        assert "bob" not in f"{error!r}{vars(error)}{getattr(error, 'doc', '')}"
        assert error.__cause__ is None
        error = error.__context__


def test_a_url_that_names_a_deployment_tells_which():
    codec = codec_for("POST", "/openai/deployments/gpt-4-turbo/chat/completions")
    body = b'{"model":"gpt-4o-mini","messages":[]}'

    def named(path):
        return codec.read_request(body, {}, path=path).request.deployment_name

    assert named("/openai/deployments/gpt-4-turbo/chat/completions") == "gpt-4-turbo"
    assert named("/openai/deployments/my own/chat/completions") == "my own"
    assert named("/openai/deployments/gpt-4o-mini/chat/completions") is None
    assert named("/v1/chat/completions") is None
    assert codec.read_request(body, {}).request.deployment_name is None
