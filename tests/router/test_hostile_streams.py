"""Providers whose streams are odd: line ends, events, codings, and secrets cut into pieces."""

import gzip
import json

import pytest
from raw_http import ASK, CLAUDE, DONE, answering, ask, delta, said, streaming

SECRET = "AKIAIOSFODNN7EXAMPLE"
POLICY = {"safety": {"output": {"secrets": "redact"}}, "audit": {"path": "/dev/null"}}
ESCAPED = [f"\\u{ord(letter):04x}" for letter in SECRET]
END = delta(finish="stop") + DONE
STREAM = {**ASK, "stream": True}


@pytest.fixture
def told(before):
    """Return what a caller gets of a provider's stream."""

    def ask_for(data, body=STREAM, *, headers=(), **details):
        router = before(data if callable(data) else streaming(data, headers=headers), policy=POLICY)
        return ask(router, body, **details).body

    return ask_for


def pieces(size):
    return [SECRET[start : start + size] for start in range(0, len(SECRET), size)]


def texts(size):
    return b"".join(delta(piece) for piece in pieces(size))


def tool(arguments, index=0):
    call = {"index": index, "id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    return delta(tool_calls=[call])


def claude(kind, **more):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode()


def claude_tool(arguments):
    usage = {"input_tokens": 5, "output_tokens": 1}
    message = {"id": "m", "type": "message", "role": "assistant", "model": CLAUDE["model"], "content": []}
    return b"".join(
        [
            claude(
                "message_start",
                message={**message, "stop_reason": None, "stop_sequence": None, "usage": usage},
            ),
            claude(
                "content_block_start",
                index=0,
                content_block={"type": "tool_use", "id": "t", "name": "f", "input": {}},
            ),
            *(
                claude(
                    "content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": piece}
                )
                for piece in arguments
            ),
            claude("content_block_stop", index=0),
            claude(
                "message_delta",
                delta={"stop_reason": "tool_use", "stop_sequence": None},
                usage={"output_tokens": 5},
            ),
            claude("message_stop"),
        ]
    )


@pytest.mark.parametrize(
    "data",
    [
        (texts(7) + END).replace(b"\n", b"\r"),
        (texts(7) + END).replace(b"\n", b"\r\n"),
        (texts(7) + END).replace(b"\n\n", b"\r\n\r"),
        (texts(7) + END).replace(b"data: ", b"data:"),
        b"\xef\xbb\xbf" + texts(7) + END,
        texts(1) + END,
        texts(19) + END,
        (texts(20) + END).replace(b'"delta"', b'\ndata: "delta"'),
        texts(7) + DONE + END,
        DONE + texts(20),
        (texts(20))[:-2],
        texts(7),
        b"retry: 0\nid: 1\n" + texts(7) + END,
        b"data: " + json.dumps(said(SECRET)).encode() + b"\n\n" + END,
        delta(reasoning_content=SECRET) + END,
        delta(refusal=SECRET) + END,
        delta(nobody_knows=SECRET) + END,
        f'data: {{"error": {{"message": "{SECRET}"}}}}\n\n'.encode(),
    ],
)
def test_a_secret_is_found_however_its_events_are_written(data, told):
    seen = told(data)

    assert SECRET.encode() not in seen
    assert SECRET not in "".join(contents(seen))


def contents(seen):
    """Return the pieces of text of a chat's stream, as a client reads them."""
    for event in seen.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n"):
        lines = [line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:")]
        if (data := b"\n".join(lines)).startswith(b"{"):
            for choice in json.loads(data).get("choices", ()):
                yield choice.get("delta", {}).get("content") or ""


@pytest.mark.parametrize(
    "event", [b"data: \x00\n\n", b"data: x\n\n", b'data: "x"\n\n', b"data: [1]\n\n", b"data: {\n\n"]
)
def test_an_event_that_nobody_can_read_ends_a_stream_in_an_error(event, told):
    seen = told(delta("Hi ") + event + texts(20) + END)

    assert SECRET.encode() not in seen
    assert b'"error"' in seen
    assert not seen.endswith(DONE)


@pytest.mark.parametrize(
    "data",
    [
        b"".join(tool(piece) for piece in ['{"k": "', *pieces(3), '"}']),
        b"".join(tool(piece) for piece in ['{"k": "', *ESCAPED, '"}']),
        b"".join(tool(piece, index) for piece in ['{"k": "', *pieces(5), '"}'] for index in (0, 1)),
    ],
    ids=["pieces", "escaped", "two calls"],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_secret_in_a_tools_arguments_is_found_across_events(data, path, told):
    """Also where the caller speaks the other provider's dialect."""
    seen = told(data + delta(finish="tool_calls") + DONE, path=path)

    assert arguments_in(seen)
    assert SECRET not in arguments_in(seen)
    assert "REDACTED" in arguments_in(seen)


@pytest.mark.parametrize(
    "arguments", [['{"k": "', *pieces(3), '"}'], ['{"k": "', *ESCAPED, '"}']], ids=["pieces", "escaped"]
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_secret_in_claudes_arguments_is_found_across_events(arguments, path, told):
    seen = told(claude_tool(arguments), {**CLAUDE, "stream": True}, path=path)

    assert SECRET not in arguments_in(seen)
    assert "REDACTED" in arguments_in(seen)


def arguments_in(seen):
    """Return the arguments of all tool calls of a stream, put together call by call and read as JSON reads them."""
    calls = {}
    for line in seen.split(b"\n"):
        if not line.startswith(b"data: {"):
            continue
        event = json.loads(line[6:])
        for choice in event.get("choices", ()):
            for call in choice["delta"].get("tool_calls") or ():
                calls[call["index"]] = calls.get(call["index"], "") + (
                    call["function"].get("arguments") or ""
                )
        piece = event.get("delta", {}).get("partial_json")
        if piece is not None:
            calls[event["index"]] = calls.get(event["index"], "") + piece
    return "\n".join(str(json.loads(arguments)) for arguments in calls.values())


def test_a_packed_stream_is_read(told):
    seen = told(gzip.compress(delta("Hi ") + texts(7) + END), headers=["content-encoding: gzip"])

    assert "REDACTED" in "".join(contents(seen))


def test_a_stream_that_comes_byte_by_byte_is_read(told):
    data = delta("Hi ") + texts(7) + END
    seen = told(lambda _request: iter([streaming(b""), *(bytes([byte]) for byte in data)]))

    assert "".join(contents(seen)) == "Hi [REDACTED_AWS_ACCESS_KEY]"


def test_a_stream_that_nobody_asked_for_is_held_to_the_policy(told):
    assert "REDACTED" in "".join(contents(told(texts(7) + END, ASK)))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "x"}),
        ("/v1/moderations", {"model": "omni-moderation-latest", "input": "x"}),
        ("/v1/messages/count_tokens", CLAUDE),
    ],
)
def test_a_stream_where_there_is_none_is_not_handed_on(path, body, before):
    answer = ask(before(streaming(texts(20) + END), policy=POLICY), body, path=path)

    assert answer.status == 502
    assert SECRET.encode() not in answer.body


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices":[{"index":0,"message":{"role":"assistant","content":"%s","content":"x"}}]}',
        b'{"x":"%s","x":1,"choices":[{"index":0,"message":{"role":"assistant","content":"x"}}]}',
    ],
)
def test_what_a_reply_says_under_a_name_that_is_there_twice_is_not_handed_on(body, before):
    """A key's first value would be seen by nobody but the caller."""
    answer = ask(before(answering(body % SECRET.encode()), policy=POLICY))

    assert answer.status == 200
    assert SECRET.encode() not in answer.body


def test_five_thousand_answers_in_one_stream_are_read(told):
    data = b"".join(
        b'data: {"choices":[{"index":%d,"delta":{"content":"x"}}]}\n\n' % index for index in range(5000)
    )

    assert len("".join(contents(told(data + END)))) == 5000
