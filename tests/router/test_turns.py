"""Requests and answers on a caller's connection, as bytes: what follows what, how an answer ends, who is let go of."""

import gc
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from patient import serving
from raw_http import ASK, MOST, Answered, connected, delta, read_all, replies_in, request, streaming

from iron_adapters.background_server import BackgroundServer, bound
from iron_adapters.router import protocol
from iron_adapters.router.protocol import GuardedProtocol
from iron_adapters.router.sending import Patience
from iron_adapters.router.serving import configuration, loop_factory
from iron_adapters.router.turn import Turn

SECONDS = 30.0
CONNECTIONS = Path("/proc/net/tcp")
BUSY, GO = threading.Event(), threading.Event()
LARGE = bytes(20_000_000)


def until(holds):
    """Wait until *holds*; return whether it came to that."""
    end = time.monotonic() + SECONDS
    while not holds() and time.monotonic() < end:
        time.sleep(0.005)
    return holds()


async def application(scope, receive, send):
    """Answer as the path says."""
    if scope["type"] == "lifespan":
        for _ in range(2):
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
        return
    path, body, more = scope["path"], b"", True
    while more and path != "/early":
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    if path == "/busy":
        BUSY.set()
        GO.wait(SECONDS)
    answer = {"/large": LARGE, "/length": b"%d" % len(body)}.get(path, b"hello")
    length = [] if path in {"/stream", "/broken"} else [(b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    if path == "/headless":
        raise ValueError(path)
    if path in {"/stream", "/broken"}:
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
    if path == "/broken":
        raise ValueError(path)
    await send({"type": "http.response.body", "body": answer[:2] if path == "/short" else answer})


@contextmanager
def served():
    server = BackgroundServer(
        configuration(application), bound("127.0.0.1", 0), name="turns", loop_factory=loop_factory()
    )
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def server():
    with served() as running:
        yield running


def asked(path, *headers, method="GET", version="1.1", body=b""):
    lines = [f"{method} {path} HTTP/{version}", "host: a", *headers]
    lines += [f"content-length: {len(body)}"] if body else []
    return "\r\n".join([*lines, "", ""]).encode() + body


def told(server, *parts):
    """Return all that comes back for *parts*, of which each goes out once the one before it is taken."""
    with connected(server) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            connection.sendall(part)
        return read_all(connection)


LAST = asked("/", "connection: close")


# -- requests ------------------------------------------------------------------------------------------------------


def test_requests_in_one_piece_are_answered_in_their_order(server):
    bodies = [b"a" * size for size in (1, 300, 100_000, 0, 7)]
    data = b"".join(asked("/length", method="POST", body=body) for body in bodies)
    raw = told(server, data + LAST)

    assert replies_in(raw) == [200] * 6
    lengths = [part.partition(b"\r\n\r\n")[2] for part in raw.split(b"HTTP/1.1 ")[1:-1]]
    assert [int(each) for each in lengths] == [len(body) for body in bodies]


@pytest.mark.parametrize("cut", [1, 10, len(LAST) - 1])
def test_a_head_that_begins_behind_a_large_body_is_no_large_head(cut, server):
    """Both are read at once, as the loop was busy when they came."""
    BUSY.clear(), GO.clear()
    with connected(server) as connection:
        connection.sendall(asked("/busy"))
        assert BUSY.wait(SECONDS)
        connection.sendall(asked("/length", method="POST", body=b"a" * 100_000) + LAST[:cut])
        GO.set()
        received = connection.recv(MOST)
        connection.sendall(LAST[cut:])

        assert replies_in(received + read_all(connection)) == [200, 200, 200]


def test_many_wishes_for_another_protocol_in_one_piece_are_all_not_heard(server):
    wish = asked("/", "connection: upgrade", "upgrade: h2c")

    assert replies_in(told(server, wish * 2000 + LAST)) == [200] * 2001


def test_a_body_byte_by_byte_is_read(server):
    data = asked("/length", "connection: close", method="POST", body=b"hello")
    raw = told(server, *(data[at : at + 1] for at in range(len(data))))

    assert Answered(raw).body == b"5"


@pytest.mark.parametrize(("version", "interim"), [("1.1", [100]), ("1.0", [])])
def test_only_who_knows_interim_replies_gets_one(version, interim, server):
    data = asked(
        "/length", "expect: 100-continue", "connection: close", method="POST", version=version, body=b"x"
    )
    with connected(server) as connection:
        connection.sendall(data[:-1])
        received = connection.recv(MOST) if interim else b""
        connection.sendall(data[-1:])
        received += read_all(connection)

    assert replies_in(received) == [*interim, 200]


def test_who_has_its_answer_early_is_served_on_when_its_body_is_over(server):
    early = asked("/early", method="POST", body=b"a" * 1_000_000)

    assert replies_in(told(server, early + LAST)) == [200, 200]


# -- answers -------------------------------------------------------------------------------------------------------


def test_an_answer_of_a_known_length_goes_out_in_one_piece(server, monkeypatch):
    written = []
    write = GuardedProtocol.write
    monkeypatch.setattr(
        GuardedProtocol, "write", lambda self, data: (written.append(data), write(self, data))[1]
    )
    raw = told(server, LAST)

    assert written == [raw]


def test_a_stream_is_told_in_chunks_and_its_connection_serves_on(server):
    raw = told(server, asked("/stream") + LAST)

    assert raw.count(b"3\r\none\r\n5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n") == 1


def test_a_stream_for_http_1_0_ends_with_its_connection(server):
    answer = Answered(told(server, asked("/stream", "connection: keep-alive", version="1.0")))

    assert answer.raw.endswith(b"\r\n\r\nonehello")
    assert "transfer-encoding" not in answer.headers
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("path", ["/", "/stream"])
def test_an_answer_to_head_has_no_body(path, server):
    raw = told(server, asked(path, method="HEAD") + asked(path, "connection: close", method="HEAD"))

    assert replies_in(raw) == [200, 200]
    assert b"hello" not in raw
    assert b"one" not in raw


@pytest.mark.parametrize("path", ["/headless", "/short"])
def test_an_application_that_fails_before_anything_is_written_is_a_500(path, server):
    assert replies_in(told(server, asked(path))) == [500]


def test_a_stream_that_fails_never_looks_whole(server):
    raw = told(server, asked("/broken") + LAST)

    assert raw.endswith(b"3\r\none\r\n")


def test_a_caller_who_reads_a_large_answer_slowly_gets_all_of_it(monkeypatch, server):
    """It takes longer than anybody is waited for who takes nothing."""
    monkeypatch.setattr(protocol, "STALLED_READER_SECONDS", 0.5)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(asked("/large", "connection: close"))
        came, began = 0, time.monotonic()
        while data := connection.recv(1 << 18):
            came += len(data)
            time.sleep(0.015)

    assert came > len(LARGE)
    assert time.monotonic() - began > 1


# -- ends ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not CONNECTIONS.exists(), reason="needs /proc")
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("most", [1, protocol.MOST_WAITING])
def test_a_caller_who_hangs_up_lets_go_of_its_provider_however_large_its_prompt(
    most, half, canary, monkeypatch
):
    """A provider that thinks writes nothing by which one could find out."""
    monkeypatch.setattr(protocol, "MOST_WAITING", most)
    asked_for, let_go = threading.Event(), threading.Event()

    def thinking(_request):
        yield streaming(delta("Hi"))
        asked_for.set()
        let_go.wait(3 * SECONDS)  # longer than anybody looks

    behind = canary(thinking)
    section = {"base_url": behind.url, "dialect": "openai"}
    with serving(Patience(read_on_seconds=0.0), openai=section) as router:
        data = request(router, {**ASK, "stream": True})
        with connected(router) as connection:
            connection.sendall(data)
            assert asked_for.wait(SECONDS)
            connection.recv(1)
            if half:
                connection.shutdown(socket.SHUT_WR)
                read_all(connection)
        try:
            assert until(lambda: not _established(behind.port))
        finally:
            let_go.set()


def _established(port):
    """Return how many connections to *port* the side that opened them still holds."""
    lines = [line.split() for line in CONNECTIONS.read_text(encoding="ascii").splitlines()[1:]]
    return sum(1 for line in lines if int(line[2].split(":")[1], 16) == port and line[3] == "01")


def test_nothing_of_a_connection_waits_for_the_collector():
    gc.disable()
    try:
        with served() as server:
            told(server, asked("/stream") + LAST)
            told(server, asked("/broken"))
            told(server, b"NONSENSE\r\n\r\n")
            with connected(server) as connection:
                connection.sendall(asked("/large"))
                connection.recv(1)
            with connected(server) as connection:
                connection.sendall(asked("/length", "content-length: 10", method="POST") + b"a")
            assert until(lambda: not _kept_by(server)), [
                (each, [type(holder) for holder in gc.get_referrers(each)]) for each in _kept_by(server)
            ]
    finally:
        gc.enable()


def _kept_by(server):
    """Return the connections and turns of *server*, and of no other that an earlier test has left in this process."""
    its = server._server.server_state
    alive = gc.get_objects()
    connections = [each for each in alive if type(each) is GuardedProtocol and each._server_state is its]
    return connections + [
        each for each in alive if type(each) is Turn and each._protocol._server_state is its
    ]


def test_a_server_that_ends_waits_for_no_idle_caller():
    with served() as server, connected(server) as idle:
        idle.sendall(asked("/"))
        assert replies_in(idle.recv(MOST)) == [200]
        server.stop()

        assert read_all(idle) == b""


def test_an_early_answer_before_the_end_reaches_a_caller_who_is_still_sending(server):
    """Closing with a body half read would reset the connection, and the answer in it would be lost."""
    body = bytes(4_000_000)
    with socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as caller:
        caller.sendall(asked("/early", "connection: close", "content-length: 4000000", method="POST"))
        first = caller.recv(65536)
        caller.sendall(body)
        rest = read_all(caller)

    assert first.startswith(b"HTTP/1.1 200")
    assert (first + rest).endswith(b"hello")
