"""Callers who write what no client writes, write slowly, never read, or hang up: HTTP/1.1 as bytes."""

import functools
import json
import socket
import threading
import time

import pytest
from raw_http import (
    ASK,
    CHAT,
    DONE,
    Canary,
    answering,
    ask,
    connected,
    delta,
    exchange,
    read_all,
    replies_in,
    request,
    said,
    streaming,
)

from iron_adapters.router import LlmRouter, bodies, llm_router, protocol
from iron_adapters.router.app import Limits, Setting

NOTHING = {"pii": "allow", "secrets": "allow", "injection": "allow"}
BODY = json.dumps(ASK)
CHUNKED = f"{len(BODY):x}\r\n{BODY}\r\n0\r\n\r\n"


@pytest.fixture(scope="module")
def router():
    behind = Canary(answering(said()))
    with LlmRouter(provider_key="sk-test-router", upstreams={"openai": behind.url}) as running:
        running.canary = behind
        yield running
    behind.close()


@pytest.fixture
def impatient(monkeypatch, before):
    """Return a router whose patience with connections is a fifth of a second."""
    for name in ("HEAD_SECONDS", "LINGER_SECONDS", "STALLED_READER_SECONDS"):
        monkeypatch.setattr(protocol, name, 0.2)
    return before


@pytest.fixture
def limited(monkeypatch, before):
    """Return what starts a router with other limits than usual."""

    def start(**limits):
        monkeypatch.setattr(llm_router, "Setting", functools.partial(Setting, limits=Limits(**limits)))
        return before()

    return start


def head(router, *more, key=None, path=CHAT):
    """Return the head of a chat's request, without what ends it."""
    token = router.api_key if key is None else key
    lines = [
        f"POST {path} HTTP/1.1",
        f"host: 127.0.0.1:{router.port}",
        f"authorization: Bearer {token}",
        "content-type: application/json",
        *more,
    ]
    return "\r\n".join(lines) + "\r\n"


def whole(router, *more, key=None):
    return f"{head(router, f'content-length: {len(BODY)}', *more, key=key)}\r\n{BODY}"


def told(router, data):
    """Return the statuses that come back for *data* until the router closes, and how many calls left it."""
    earlier = len(router.canary.received)
    with connected(router) as connection:
        connection.sendall(data.encode("latin-1"))
        return replies_in(read_all(connection)), len(router.canary.received) - earlier


# -- lengths and codings that two readers could understand differently --------------------------------------------


@pytest.mark.parametrize(
    "length", ["+5", "0x5", "-5", "5,5", "5 5", "", "5;", "9" * 20, "\xb2", "1e3", "5\t5", "5.0"]
)
def test_a_length_that_is_no_number_is_refused(length, router):
    assert told(router, f"{head(router, f'content-length: {length}')}\r\n{BODY}") == ([400], 0)


@pytest.mark.parametrize(
    "headers",
    [
        (f"content-length: {len(BODY)}", "transfer-encoding: chunked"),
        ("transfer-encoding: chunked", f"content-length: {len(BODY)}"),
        (f"content-length: {len(BODY)}", "content-length: 3"),
        (f"content-length: {len(BODY)}", f"content-length: {len(BODY)}"),
        ("transfer-encoding: chunked", "transfer-encoding: identity"),
        ("transfer-encoding : chunked",),
        (f"content-length\t: {len(BODY)}",),
        (f"content-length: {len(BODY)}", "x-a: b\r\n folded: c"),
        (f"content-length: {len(BODY)}", "x-a: b\rx-c: d"),
        (f"content-length: {len(BODY)}", "x-a: b\x00c"),
        (f"content-length: {len(BODY)}", "x a: b"),
        (f"content-length: {len(BODY)}", ": b"),
    ],
)
def test_headers_that_disagree_or_are_none_are_refused(headers, router):
    assert told(router, f"{head(router, *headers)}\r\n{CHUNKED}") == ([400], 0)


@pytest.mark.parametrize(
    "coding",
    [
        "xchunked",
        "chunked, identity",
        "identity",
        "identity, chunked",
        "chunked, chunked",
        "gzip, chunked",
        "chunked;q=1",
        '"chunked"',
        "\x0bchunked",
        "chunked\x00",
    ],
)
def test_a_transfer_coding_other_than_chunks_is_refused(coding, router):
    asked = f"{head(router, f'transfer-encoding: {coding}', 'connection: close')}\r\n{CHUNKED}"

    assert told(router, asked) == ([400], 0)


@pytest.mark.parametrize(
    "chunks",
    [
        f"0x{len(BODY):x}\r\n{BODY}\r\n0\r\n\r\n",
        f"+{len(BODY):x}\r\n{BODY}\r\n0\r\n\r\n",
        f"-{len(BODY):x}\r\n{BODY}\r\n0\r\n\r\n",
        f"1{'0' * 15}{len(BODY):x}\r\n{BODY}\r\n0\r\n\r\n",
        f"{len(BODY):x}\n{BODY}\n0\n\n",
        f"{len(BODY):x};a\n{BODY}\r\n0\r\n\r\n",
        f"{len(BODY):x}\r\n{BODY}XX\r\n0\r\n\r\n",
        f"{len(BODY):x} \x00\r\n{BODY}\r\n0\r\n\r\n",
    ],
)
def test_chunks_that_are_none_are_refused(chunks, router):
    assert told(router, f"{head(router, 'transfer-encoding: chunked')}\r\n{chunks}") == ([400], 0)


def test_lines_that_end_in_a_line_feed_alone_are_refused(router):
    assert told(router, whole(router, "connection: close").replace("\r\n", "\n")) == ([400], 0)


def test_what_ends_a_header_cannot_be_sent_in_one(router):
    """What stands behind a line's end is a header of its own, with its own rules; none reaches the provider unseen."""
    status = ask(router, headers=["x-a: b\r\nx-api-key: sk-evil"]).status

    assert status == 200
    assert b"sk-evil" not in router.canary.seen


# -- trailers -----------------------------------------------------------------------------------------------------


def test_a_trailer_is_no_header(router):
    """A token, a host or an agent that follows the body was not there when the request was let in."""
    anonymous = head(router, "transfer-encoding: chunked", "connection: close").replace(
        f"authorization: Bearer {router.api_key}\r\n", ""
    )
    trailer = f"0\r\nauthorization: Bearer {router.api_key}\r\n\r\n"
    chunks = CHUNKED.removesuffix("0\r\n\r\n")

    assert told(router, f"{anonymous}\r\n{chunks}{trailer}") == ([401], 0)
    assert told(
        router,
        f"{head(router, 'transfer-encoding: chunked', 'connection: close')}\r\n{chunks}0\r\nx-up: 1\r\n\r\n",
    ) == ([200], 1)
    assert b"x-up" not in router.canary.seen


def test_trailers_have_an_end(router):
    trailers = "".join(f"x{number}: y\r\n" for number in range(100_000))
    chunks = CHUNKED.removesuffix("\r\n")
    statuses, _ = told(router, f"{head(router, 'transfer-encoding: chunked')}\r\n{chunks}{trailers}\r\n")

    assert statuses in ([431], [])  # the answer may be lost where the caller still writes


# -- sizes of heads -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    ["x: " + "a" * 100_000, "a" * 100_000 + ": x", "\r\n".join(f"x{number}: y" for number in range(100_000))],
    ids=["value", "name", "count"],
)
def test_a_head_has_an_end(more, router):
    with connected(router) as connection:
        connection.sendall(head(router, more).encode())
        assert replies_in(read_all(connection)) == [431]


def test_a_target_has_an_end(router):
    assert ask(router, path="/" + "a" * 100_000).status == 431


def test_what_follows_a_head_that_is_too_large_is_not_carried_out(router):
    large = whole(router, "x: " + "a" * 66_000)

    assert told(router, large + whole(router)) == ([431], 0)


def test_a_boundary_of_a_form_is_not_looked_at(router):
    kind = "multipart/form-data; boundary=" + "a" * 60_000

    assert ask(router, b"--a", kind=kind).status == 415


# -- time ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [b"", b"\r\n", b"\r\n\r\n\r\n", b"P", b"POST / HTTP/1.1\r\nhost", b"GET /\r\n", b"PRI * HTTP/2.0\r\n"],
)
def test_a_connection_that_says_nothing_whole_is_closed(data, impatient):
    with connected(impatient(), seconds=5) as connection:
        connection.sendall(data)

        assert replies_in(read_all(connection)) in ([], [400], [408])


def test_empty_lines_do_not_keep_a_connection(impatient):
    """Parsers skip them before a request, so they are no reason to wait."""
    router = impatient()
    with connected(router, seconds=5) as connection:
        connection.sendall(whole(router).encode())
        assert replies_in(connection.recv(10_000)) == [200]
        connection.sendall(b"\r\n")

        assert read_all(connection) == b""


def test_a_head_that_comes_byte_by_byte_is_not_waited_for(impatient):
    router = impatient()
    began = time.monotonic()
    with connected(router, seconds=5) as connection:
        received = b""
        connection.settimeout(0.02)
        for byte in whole(router).encode():
            try:
                connection.sendall(bytes([byte]))
                received += connection.recv(1000)
            except TimeoutError:
                continue
            except OSError:
                break
            if received:
                break

        assert replies_in(received) == [408]
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("sent", ["", '{"mod'])
def test_a_body_that_does_not_come_is_not_waited_for(sent, impatient, limited):
    router = limited(body_idle_seconds=0.2)
    with connected(router, seconds=5) as connection:
        connection.sendall(f"{head(router, 'content-length: 100')}\r\n{sent}".encode())

        assert replies_in(read_all(connection)) == [408]


def test_a_body_that_trickles_is_not_waited_for(impatient, limited, monkeypatch):
    """Each byte comes in time, and the whole would never: a body has to come at some speed."""
    monkeypatch.setattr(bodies, "SLOWEST_BYTES_PER_SECOND", 1000)
    router = limited(body_idle_seconds=0.2)
    with connected(router, seconds=5) as connection:
        connection.sendall(f"{head(router, 'content-length: 100000')}\r\n".encode())
        connection.settimeout(0.02)
        received = b""
        for _ in range(200):
            try:
                connection.sendall(b" ")
                received += connection.recv(1000)
            except TimeoutError:
                continue
            break

    assert replies_in(received) == [408]


def send_forever(connection, data):
    while True:
        connection.sendall(data)
        time.sleep(0.01)


def test_the_body_of_a_refused_request_is_not_read_forever(impatient):
    """A caller without the token could hold a connection as long as it likes, else."""
    router = impatient()
    with connected(router, seconds=5) as connection:
        connection.sendall(f"{head(router, 'transfer-encoding: chunked', key='wrong')}\r\n".encode())
        received = connection.recv(1000)
        with pytest.raises(OSError, match=r"pipe|reset"):
            send_forever(connection, b"5\r\n     \r\n")

    assert replies_in(received) == [401]


def test_a_gigabyte_that_is_only_announced_is_refused_at_once(router):
    with connected(router) as connection:
        connection.sendall(f"{head(router, 'content-length: 1000000000')}\r\n".encode())

        assert replies_in(connection.recv(1000)) == [413]


def test_a_body_without_an_end_is_refused_at_the_limit(limited):
    router = limited(most_body_bytes=1_000_000)
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with connected(router) as connection:
        connection.sendall(f"{head(router, 'transfer-encoding: chunked')}\r\n".encode())
        for _ in range(20):
            connection.sendall(piece)

        assert replies_in(connection.recv(1000)) == [413]


def test_a_caller_who_never_reads_is_let_go(impatient):
    """Its provider is, too, a few seconds later: those in which most streams end and tell what they cost."""
    stopped = threading.Event()

    def endless(_request):
        try:
            yield streaming(b"")
            while True:
                yield delta("a" * 30_000)
        finally:
            stopped.set()

    router = impatient(endless, policy={"safety": {"input": NOTHING, "output": NOTHING}})
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", router.port))
        connection.sendall(request(router, {**ASK, "stream": True}))

        assert stopped.wait(15)


def test_five_hundred_idle_callers_keep_nobody_waiting(impatient):
    router = impatient()
    idle = [connected(router) for _ in range(500)]
    try:
        for number, connection in enumerate(idle):
            connection.sendall(b"POST / HTTP/1.1\r\nhost: a"[: number % 24])
        began = time.monotonic()

        assert ask(router).status == 200
        assert time.monotonic() - began < 6
        assert all(replies_in(read_all(each)) in ([], [408]) for each in idle)
    finally:
        for each in idle:
            each.close()


# -- one connection, several requests -----------------------------------------------------------------------------


def test_each_request_of_a_connection_is_let_in_by_itself(router):
    asked = whole(router) + whole(router, key="wrong") + whole(router, "connection: close")

    assert told(router, asked) == ([200, 401, 200], 2)


def test_nothing_follows_a_connections_last_request(router):
    assert told(router, whole(router, "connection: close") + whole(router)) == ([200], 1)
    assert told(router, whole(router, "connection: close") + "XXXX") == ([200], 1)


def test_a_bad_request_behind_a_good_one_spoils_no_answer(router):
    statuses, sent = told(router, whole(router) + "NONSENSE\r\n\r\n")

    assert statuses in ([200], [])
    assert sent <= 1


def test_headers_that_connection_names_stay_behind(router):
    """RFC 9110, section 7.6.1; what the router adds itself cannot be taken away so."""
    ask(
        router,
        headers=[
            "x-hop: 1",
            "Connection: x-hop, Authorization, Content-Type",
            "Keep-Alive: 5",
            "TE: trailers",
        ],
    )
    sent = router.canary.received[-1]

    assert sent.headers["authorization"] == "Bearer sk-test-router"
    assert not {"x-hop", "keep-alive", "te"} & sent.headers.keys()


# -- what old and odd clients do ----------------------------------------------------------------------------------


def test_http_1_0_is_served_and_closed(router):
    assert told(router, whole(router).replace("HTTP/1.1", "HTTP/1.0")) == ([200], 1)


def test_a_caller_who_waits_to_be_told_to_go_on_is_told(router):
    with connected(router) as connection:
        expects = head(router, f"content-length: {len(BODY)}", "expect: 100-continue", "connection: close")
        connection.sendall(f"{expects}\r\n".encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(BODY.encode())

        assert replies_in(read_all(connection)) == [200]
    assert "expect" not in router.canary.received[-1].headers


def test_a_caller_without_the_token_is_not_told_to_go_on(router):
    with connected(router) as connection:
        expects = head(router, "content-length: 1000000", "expect: 100-continue", key="wrong")
        connection.sendall(f"{expects}\r\n".encode())

        assert replies_in(connection.recv(1000)) == [401]


def test_head_has_no_body(router):
    answer = ask(router, b"", path="/", method="HEAD")

    assert (answer.status, answer.body) == (200, b"")
    assert ask(router, b"", method="HEAD").status == 405


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x02\x00\x01\x00", b"SSH-2.0-x\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
)
def test_other_protocols_are_refused(data, router):
    with connected(router) as connection:
        connection.sendall(data)

        assert replies_in(read_all(connection)) == [400]


@pytest.mark.parametrize("wish", ["websocket", "h2c"])
def test_a_wish_for_another_protocol_is_not_heard_and_the_call_is_served(wish, router):
    """Java's own client wishes for HTTP/2 with every request that goes over plain HTTP."""
    asked = whole(
        router, f"Upgrade: {wish}", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABk"
    )

    assert told(router, asked.replace("Connection: Upgrade,", "Connection: close, Upgrade,")) == ([200], 1)
    assert not {"upgrade", "http2-settings"} & router.canary.received[-1].headers.keys()


def test_a_caller_who_hangs_up_in_the_middle_of_a_body_is_forgotten(router):
    earlier = len(router.canary.received)
    with connected(router) as connection:
        connection.sendall(f"{head(router, 'content-length: 1000')}\r\n{{".encode())

    assert ask(router).status == 200
    assert len(router.canary.received) == earlier + 1


# -- the provider's side ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "x-a: b\r\nset-cookie: c=d",
        "x-a: b\rset-cookie: c=d",
        "x-a: b\x00c",
        "Connection: x-inner\r\nx-inner: 1",
        "access-control-allow-origin: *",
        "alt-svc: h3=evil",
    ],
)
def test_a_providers_odd_headers_do_not_reach_the_caller(header, before):
    answer = ask(before(answering(said(), headers=[header])))

    assert answer.status in {200, 502}
    assert b"c=d" not in answer.raw
    assert not {"x-inner", "access-control-allow-origin", "alt-svc"} & answer.headers.keys()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5, 6\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>",
        b"HTTP/1.1 999 What\r\ncontent-length: 0\r\n\r\n",
    ],
)
def test_what_is_no_answer_is_a_bad_gateway(answer, before):
    told_caller = ask(before(answer))

    assert told_caller.status == 502
    assert told_caller.json["error"]["type"] == "server_error"


def test_a_stream_ends_with_its_callers_connection(before):
    router = before(streaming(delta("Hi", "stop") + DONE))
    answer = exchange(router, request(router, {**ASK, "stream": True}))

    assert answer.body.endswith(DONE)
