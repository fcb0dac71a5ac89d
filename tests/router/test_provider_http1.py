"""The router's own HTTP/1.1 client before providers that do what HTTP allows, and what it does not."""

import asyncio
import functools
import gc
import gzip
import inspect
import socket
import ssl
import zlib
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from raw_http import ASK, answering, delta, exchange, request, said, streaming
from tls_provider import Authority

from iron_adapters.router import LlmRouter
from iron_adapters.router.faults import (
    ConnectError,
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    ReplyFault,
    RequestFault,
)
from iron_adapters.router.http1 import Http1Client, Pool, pool
from iron_adapters.router.http1.connection import MOST_HEAD_BYTES, Connection
from iron_adapters.router.http1.places import target_of
from iron_adapters.router.http1.reply import MOST_WAITING, Reply
from iron_adapters.router.sending import read_whole
from iron_adapters.router.serving import loop_factory

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
SECONDS = 10.0
LOOPS = {"asyncio": asyncio.new_event_loop, "served": loop_factory()}


def on_each_loop(test):
    """Run *test* on asyncio's loop and on the one that routers have."""

    @functools.wraps(test)
    def running(loop_name, **fixtures):
        with asyncio.Runner(loop_factory=LOOPS[loop_name]) as runner:
            runner.run(asyncio.wait_for(test(**fixtures), 2 * SECONDS))

    signature = inspect.signature(test)
    added = inspect.Parameter("loop_name", inspect.Parameter.KEYWORD_ONLY)
    running.__signature__ = signature.replace(parameters=[*signature.parameters.values(), added])
    return pytest.mark.parametrize("loop_name", LOOPS)(running)


async def until(holds):
    """Wait until *holds*."""
    async with asyncio.timeout(SECONDS):
        while not holds():  # noqa: ASYNC110 - of many things, which have no events
            await asyncio.sleep(0.001)


class End:
    """A provider's end of a connection."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.is_gone = False

    async def request(self):
        """Return the next request's head and body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0")
        return head, await self.reader.readexactly(length)

    async def write(self, data):
        self.writer.write(data)
        await self.writer.drain()


class Provider:
    """Lets *script* speak on each connection, and then waits until the other side closes it, unless *closes*."""

    def __init__(self, script, *, closes=False, tls=None, host="127.0.0.1"):
        self._script, self._closes, self._tls, self._host = script, closes, tls, host
        self.ends, self.requests = [], []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, self._host, 0, ssl=self._tls, backlog=512)
        port = self._server.sockets[0].getsockname()[1]
        named = f"[{self._host}]" if ":" in self._host else self._host
        self.url = f"https://localhost:{port}/v1" if self._tls else f"http://{named}:{port}/v1"
        return self

    async def __aexit__(self, *_error):
        self._server.close()
        for end in self.ends:
            end.writer.transport.abort()

    async def _serve(self, reader, writer):
        end = End(reader, writer)
        self.ends.append(end)
        try:
            await self._script(self, end)
            while not self._closes and await reader.read(1 << 16):
                pass
        except (OSError, EOFError, asyncio.IncompleteReadError):
            pass
        finally:
            end.is_gone = True
            writer.close()

    @property
    def left(self):
        return [end for end in self.ends if end.is_gone]


def saying(*replies):
    """Return a script that gives each request of a connection the next of *replies*."""

    async def script(provider, end):
        for reply in replies:
            provider.requests.append(await end.request())
            await end.write(reply)

    return script


async def always(provider, end):
    """Answer every request with its own body."""
    while True:
        provider.requests.append(await end.request())
        body = provider.requests[-1][1]
        await end.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


async def silent(provider, end):
    provider.requests.append(await end.request())


@asynccontextmanager
async def pooled(*, connect_seconds=SECONDS, read_seconds=SECONDS, most=100):
    """Give a client, with its pool as ``.pool``, of which nothing is left in the end."""
    connections = Pool(connect_seconds=connect_seconds, read_seconds=read_seconds, most=most)
    client = Http1Client(connections)
    client.pool = connections
    try:
        yield client
    finally:
        connections.close()
        await until(lambda: not connections._all)


async def call(client, provider, body=b"{}", headers=()):
    """Return what comes back for one call."""
    async with client.request("POST", provider.url, headers, body) as reply:
        return reply.status, await read_whole(reply, 1 << 30)


async def answer_of(data, *, closes=False):
    """Return what the bytes *data* are as a reply, and how many connections two calls take."""
    script = saying(data) if closes else saying(data, data)
    async with Provider(script, closes=closes) as provider, pooled() as client:
        first = await call(client, provider)
        await until(lambda: not closes or not client.pool._all)
        assert await call(client, provider) == first
        return first, len(provider.ends)


async def fault_of(data, *, closes=False):
    """Return why *data* is no reply; its connection is closed."""
    async with Provider(saying(data), closes=closes) as provider, pooled() as client:
        with pytest.raises((ReadError, ReplyFault)) as raised:
            await call(client, provider)
        await until(lambda: provider.left and not client.pool._all)
        assert raised.value.sent
        return raised.value


# -- replies -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "said_here"),
    [
        (OK, b"hi"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"hi"),
        (b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 102 Wait\r\n\r\n" + OK, b"hi"),
        (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nhi", b"hi"),
        (CHUNKED + b"1\r\nh\r\n1;a=b\r\ni\r\n0\r\n\r\n", b"hi"),
        (CHUNKED + b"2\r\nhi\r\n0\r\nx-trailer: 1\r\n\r\n", b"hi"),
        (b"HTTP/1.1 204 None\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\nhi", b"hi"),
    ],
)
@on_each_loop
async def test_a_reply_is_read_and_its_connection_serves_the_next_call(data, said_here):
    (status, body), connections = await answer_of(data)

    assert (status in {200, 204}, body, connections) == (True, said_here, 1)


@pytest.mark.parametrize(
    ("data", "closes"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nhi", True),
        (b"HTTP/1.0 200 OK\r\n\r\nhi", True),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", False),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi", False),
        (
            b"HTTP/1.1 200 OK\r\nConnection: Close\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            False,
        ),
        (OK, True),
    ],
)
@on_each_loop
async def test_a_connection_that_ends_with_its_reply_serves_no_other(data, closes):
    assert await answer_of(data, closes=closes) == ((200, b"hi"), 2)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi",
        CHUNKED + b"2\r\nhi\r\n",
        CHUNKED + b"5\r\nhi",
        CHUNKED + b"2\r\nhi\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"",
    ],
)
@on_each_loop
async def test_a_reply_that_is_cut_short_is_broken(data):
    assert "connection broke" in str(await fault_of(data, closes=True))


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nabc",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 000 None\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 099 None\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/3.0 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nx-a: b\r\n folded: c\r\ncontent-length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\ncontent-length: 2\n\nhi",
        CHUNKED + b"zz\r\n",
        CHUNKED + b"2\r\nhiX\r\n0\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
    ],
)
@on_each_loop
async def test_what_is_no_http_1_1_is_no_reply(data):
    """The provider stays: what it says is judged as soon as it has come."""
    assert "no HTTP/1.1" in str(await fault_of(data))


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * MOST_HEAD_BYTES,
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 3 * MOST_HEAD_BYTES,
        b"HTTP/1.1 200 OK\r\n" + b"y" * 3 * MOST_HEAD_BYTES,
        b"HTTP/1.1 200 " + b"y" * 3 * MOST_HEAD_BYTES,
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * MOST_HEAD_BYTES + b"\r\ncontent-length: 0\r\n\r\n",
        CHUNKED + b"2\r\nhi\r\n0\r\n" + b"x: y\r\n" * MOST_HEAD_BYTES,
        CHUNKED + b"2\r\nhi\r\n0\r\nx: " + b"y" * 3 * MOST_HEAD_BYTES,
        CHUNKED + b"2;" + b"y" * 3 * MOST_HEAD_BYTES,
    ],
    ids=["fields", "value", "name", "phrase", "whole", "trailers", "trailer", "extension"],
)
@on_each_loop
async def test_a_head_has_an_end_and_so_have_trailers(data):
    assert "larger than" in str(await fault_of(data))


@on_each_loop
async def test_a_large_head_below_the_limit_is_read():
    fields = b"x: " + b"y" * (MOST_HEAD_BYTES - 10_000) + b"\r\n"
    large = b"HTTP/1.1 200 OK\r\n" + fields + b"content-length: 2\r\n\r\nhi"

    assert await answer_of(large) == ((200, b"hi"), 1)


def packed(coding, body):
    if coding == "gzip":
        return gzip.compress(body)
    if coding == "deflate":
        return zlib.compress(body)
    if coding == "br":
        return pytest.importorskip("brotli").compress(body)
    return pytest.importorskip("zstandard").compress(body)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
@on_each_loop
async def test_a_reply_that_ends_within_its_coding_is_none(coding):
    body = packed(coding, b"hello " * 100)
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: %b\r\ncontent-length: %d\r\n\r\n"
    cut = head % (coding.encode(), len(body) - 3) + body[:-3]
    whole = head % (coding.encode(), len(body)) + body
    async with Provider(saying(cut, whole)) as provider, pooled() as client:
        with pytest.raises(ReplyFault, match="content-encoding"):
            await call(client, provider)

        assert await call(client, provider) == (200, b"hello " * 100)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
@on_each_loop
async def test_a_reply_without_a_body_needs_none_in_its_coding(coding):
    empty = b"HTTP/1.1 503 Unavailable\r\ncontent-encoding: %b\r\ncontent-length: 0\r\n\r\n" % coding.encode()
    async with Provider(saying(empty)) as provider, pooled() as client:
        assert await call(client, provider) == (503, b"")


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@on_each_loop
async def test_what_follows_the_end_of_a_coding_is_not_kept(coding):
    body = packed(coding, b"hello")
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: %b\r\n\r\n" % coding.encode()

    async def endless(_provider, end):
        await end.request()
        await end.write(head + body)
        while True:
            await end.write(bytes(100_000))

    async with Provider(endless) as provider, pooled() as client:
        with pytest.raises(ReplyFault, match="content-encoding"):
            await call(client, provider)


@on_each_loop
async def test_a_reply_that_is_read_after_it_was_let_go_of_is_broken():
    async with Provider(saying(CHUNKED + b"2\r\nhi\r\n")) as provider, pooled() as client:
        async with client.request("POST", provider.url, [], b"{}") as reply:
            assert await reply.read() == b"hi"
        with pytest.raises(ReadError):
            await reply.read()


# -- what nobody has asked for -------------------------------------------------------------------------------------


EVIL = b"HTTP/1.1 200 OK\r\nx-evil: 1\r\ncontent-length: 4\r\n\r\nevil"


@pytest.mark.parametrize("length", [1, 10, 30, len(EVIL) - 2, len(EVIL)])
@on_each_loop
async def test_a_second_reply_never_answers_the_next_call(length):
    """Its first part comes with the reply before it, and the rest once somebody else uses the connection."""
    rest = asyncio.Event()

    async def splitting(provider, end):
        provider.requests.append(await end.request())
        if len(provider.ends) == 1:
            await end.write(OK + EVIL[:length])
            await rest.wait()
            await end.write(EVIL[length:])
        else:
            await end.write(OK)

    async with Provider(splitting) as provider, pooled() as client:
        assert await call(client, provider) == (200, b"hi")
        again = asyncio.ensure_future(call(client, provider))
        await asyncio.sleep(0)
        rest.set()

        assert await again == (200, b"hi")
        assert len(provider.ends) == 2


@pytest.mark.parametrize("data", [EVIL, EVIL[:20], b"x", b"\r\n"])
@on_each_loop
async def test_data_on_an_idle_connection_closes_it(data):
    speak = asyncio.Event()

    async def talkative(provider, end):
        provider.requests.append(await end.request())
        await end.write(OK)
        if len(provider.ends) == 1:
            await speak.wait()
            await end.write(data)

    async with Provider(talkative) as provider, pooled() as client:
        assert await call(client, provider) == (200, b"hi")
        speak.set()
        await until(lambda: provider.left)

        assert await call(client, provider) == (200, b"hi")
        assert len(provider.ends) == 2


@on_each_loop
async def test_a_reply_before_the_request_is_written_is_read_and_ends_the_connection():
    async def refusing(provider, end):
        await end.reader.readuntil(b"\r\n\r\n")
        end.writer.transport.pause_reading()
        await end.write(b"HTTP/1.1 413 Large\r\ncontent-length: 2\r\n\r\nno")
        await asyncio.sleep(0)
        provider.requests.append(b"")

    async with Provider(refusing) as provider, pooled() as client:
        assert await call(client, provider, bytes(30_000_000)) == (413, b"no")
        await until(lambda: not client.pool._all)


# -- requests ------------------------------------------------------------------------------------------------------


@on_each_loop
async def test_a_large_body_arrives_whole_on_a_connection_that_serves_on():
    body = bytes(range(256)) * 40_000
    async with Provider(always) as provider, pooled() as client:
        assert await call(client, provider, body) == (200, body)
        assert await call(client, provider, b"") == (200, b"")
        assert len(provider.ends) == 1
        assert b"content-length: 0\r\n" in provider.requests[1][0]


@pytest.mark.parametrize(
    "key", ["a\r\nx-evil: 1", "a\nb", "a\rb", "a\0b", "\u20ac", "a\r\n\r\nPOST / HTTP/1.1"]
)
@on_each_loop
async def test_a_key_that_no_header_can_hold_is_sent_nowhere(key):
    async with Provider(always) as provider, pooled() as client:
        with pytest.raises(RequestFault, match="look at the key") as raised:
            await call(client, provider, headers=[("authorization", f"Bearer {key}")])

        assert not raised.value.sent
        assert not provider.ends


@pytest.mark.parametrize(
    ("url", "address", "host", "path"),
    [
        ("http://a/v1", ("a", 80, False), "a", "/v1"),
        ("https://a:443/v1", ("a", 443, True), "a", "/v1"),
        ("http://a:443/v1", ("a", 443, False), "a:443", "/v1"),
        ("https://a:8443", ("a", 8443, True), "a:8443", "/"),
        ("http://[::1]/v1", ("::1", 80, False), "[::1]", "/v1"),
        ("http://[::1]:8080/v1?\xe4", ("::1", 8080, False), "[::1]:8080", "/v1?%E4"),
        ("http://b\xfccher.test/v1", ("xn--bcher-kva.test", 80, False), "xn--bcher-kva.test", "/v1"),
        ("http://a/v1?q=\xc3\xa4", ("a", 80, False), "a", "/v1?q=%C3%A4"),
        ("http://a/v1?q=%C3%A4&b=%zz+c", ("a", 80, False), "a", "/v1?q=%C3%A4&b=%zz+c"),
        ('http://a/v1?a b"<>\\^`{|}', ("a", 80, False), "a", "/v1?a%20b%22%3C%3E%5C%5E%60%7B|%7D"),
        ("http://a/v1?x=\x7f\x01", ("a", 80, False), "a", "/v1?x=%7F%01"),
        ("http://a/v1//b/../c;d=e?f=/?g", ("a", 80, False), "a", "/v1//b/../c;d=e?f=/?g"),
    ],
)
def test_an_address_is_written_as_http_has_it(url, address, host, path):
    assert tuple(target_of(url)) == (address, host, path)


@on_each_loop
async def test_an_address_of_ipv6_is_connected_to():
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    async with Provider(always, host="::1") as provider, pooled() as client:
        assert await call(client, provider, b"hi") == (200, b"hi")
        assert b"\r\nhost: [::1]:" in provider.requests[0][0]


# -- connections ---------------------------------------------------------------------------------------------------


@on_each_loop
async def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch):
    monkeypatch.setattr(pool, "IDLE_SECONDS", 0.05)
    async with Provider(always) as provider, pooled() as client:
        await call(client, provider)
        await call(client, provider)
        assert len(provider.ends) == 1
        await until(lambda: provider.left)  # nobody has to call for that

        await call(client, provider)
        assert len(provider.ends) == 2


@on_each_loop
async def test_a_caller_who_leaves_within_a_stream_closes_its_connection():
    async with Provider(saying(CHUNKED + b"2\r\nhi\r\n")) as provider, pooled() as client:
        async with client.request("POST", provider.url, [], b"{}") as reply:
            assert await reply.read() == b"hi"
        await until(lambda: provider.left and not client.pool._all)


@on_each_loop
async def test_a_caller_who_leaves_before_the_head_closes_its_connection():
    async with Provider(silent) as provider, pooled() as client:
        calling = asyncio.ensure_future(call(client, provider))
        await until(lambda: provider.requests)
        calling.cancel()
        await until(lambda: provider.left and not client.pool._all)


@on_each_loop
async def test_a_bursts_first_words_wait_for_none_of_its_others_and_all_come_in_few_pieces():
    words = [f"word {number:02}\n".encode() for number in range(40)]
    burst = CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(word), word) for word in words) + b"0\r\n\r\n"
    pieces = []
    async with (
        Provider(saying(burst)) as provider,
        pooled() as client,
        client.request("POST", provider.url, [], b"{}") as reply,
    ):
        while piece := await reply.read():
            pieces.append(piece)
    assert b"".join(pieces) == b"".join(words)
    assert pieces[0] == words[0]
    assert len(pieces) < len(words) / 4


async def read_slowly(provider, client, size):
    """Return what a reader gets who begins when no more goes through, and how much waited for it."""
    async with client.request("POST", provider.url, [], b"{}") as reply:
        written = -1
        while written != provider.written:
            written = provider.written
            await asyncio.sleep(0.1)
        waited = reply._waiting
        assert written < size
        return len(await read_whole(reply, 1 << 30)), waited


def flooding(size):
    async def flood(provider, end):
        provider.written = 0
        await end.request()
        await end.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        while provider.written < size:
            await end.write(bytes(100_000))
            provider.written += 100_000
        await always(provider, end)

    return flood


@pytest.mark.parametrize("secure", [False, True])
@on_each_loop
async def test_a_slow_reader_gets_a_fast_stream_whole_and_little_of_it_waits(secure, tls):
    size = 30_000_000
    async with Provider(flooding(size), tls=tls if secure else None) as provider, pooled() as client:
        provider.written = 0
        come, waited = await read_slowly(provider, client, size)

        assert come == size
        assert waited < MOST_WAITING + 1_000_000
        assert await call(client, provider, b"again") == (200, b"again")
        assert len(provider.ends) == 1


@on_each_loop
async def test_a_pool_that_closes_breaks_off_what_is_under_way():
    async with Provider(silent) as provider, pooled() as client:
        calling = asyncio.ensure_future(call(client, provider))
        await until(lambda: provider.requests)
        client.pool.close()
        with pytest.raises(ReadError, match="closing"):
            await calling
        await until(lambda: provider.left)


# -- time ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begins", [b"", b"HTTP/1.1 100 Continue\r\n\r\n", CHUNKED, CHUNKED + b"2\r\nhi\r\n"])
@on_each_loop
async def test_a_provider_that_says_no_more_is_not_waited_for(begins):
    async with Provider(saying(begins)) as provider, pooled(read_seconds=0.1) as client:
        with pytest.raises(ReadTimeout) as raised:
            await call(client, provider)
        await until(lambda: provider.left)

        assert (raised.value.sent, raised.value.timed_out) == (True, True)


@on_each_loop
async def test_a_handshake_that_does_not_come_about_is_not_waited_for():
    async def mute(provider, end):
        pass

    async with Provider(mute) as provider, pooled(connect_seconds=0.1) as client:
        provider.url = provider.url.replace("http:", "https:")
        with pytest.raises(ConnectTimeout) as raised:
            await call(client, provider)

        assert (raised.value.sent, raised.value.timed_out) == (False, True)


@on_each_loop
async def test_the_time_of_a_call_runs_though_another_reads_on_from_its_connection():
    """Who takes over a connection begins before the reader of the reply before is awake."""
    async with Provider(saying(OK)) as provider, pooled(read_seconds=0.2, most=1) as client:
        first = asyncio.ensure_future(call(client, provider))
        second = asyncio.ensure_future(call(client, provider))

        assert await first == (200, b"hi")
        with pytest.raises(ReadTimeout):
            await second
        assert len(provider.ends) == 1


# -- turns ---------------------------------------------------------------------------------------------------------


@on_each_loop
async def test_more_calls_than_connections_wait_their_turn_on_the_same_connections():
    async with Provider(always) as provider, pooled(most=3) as client:
        bodies = [b"%d" % number for number in range(100)]
        told = await asyncio.gather(*(call(client, provider, body) for body in bodies))

        assert told == [(200, body) for body in bodies]
        assert len(provider.ends) == 3
        assert not client.pool._someone_waits()


@on_each_loop
async def test_calls_get_their_turn_in_the_order_in_which_they_came():
    async with Provider(always) as provider, pooled(most=1) as client:
        bodies = [b"%d" % number for number in range(30)]

        async def twice(body):
            await call(client, provider, body)
            await call(client, provider, body)  # has to go behind all the others

        await asyncio.gather(*map(twice, bodies))
        assert [body for _, body in provider.requests] == bodies + bodies


@on_each_loop
async def test_callers_who_hang_up_while_they_wait_cost_nobody_a_turn():
    async with Provider(always) as provider, pooled(most=2) as client:
        calling = [asyncio.ensure_future(call(client, provider, b"%d" % number)) for number in range(200)]
        for round_ in range(50):
            await asyncio.sleep(0)
            for each in calling[round_ * 4 : round_ * 4 + 3]:
                each.cancel()
        told = await asyncio.gather(*calling, return_exceptions=True)

        assert told[3::4] == [(200, b"%d" % number) for number in range(3, 200, 4)]
        assert not client.pool._someone_waits()
        assert client.pool._opening == 0
        assert await call(client, provider, b"last") == (200, b"last")


@on_each_loop
async def test_a_caller_who_hangs_up_as_its_turn_comes_passes_it_on():
    ends = asyncio.Event()

    async def slow(provider, end):
        await end.request()
        await end.write(CHUNKED)
        await ends.wait()
        await end.write(b"0\r\n\r\n")
        await always(provider, end)

    async with Provider(slow) as provider, pooled(most=1) as client:
        async with client.request("POST", provider.url, [], b"{}") as reply:
            waiting = [asyncio.ensure_future(call(client, provider, b"%d" % n)) for n in range(3)]
            await until(lambda: len(client.pool._queue) == 3)
            client.pool._admit_next()
            waiting[0].cancel()
            await asyncio.gather(waiting[0], return_exceptions=True)
            ends.set()
            assert await reply.read() == b""

        assert await asyncio.gather(*waiting[1:]) == [(200, b"1"), (200, b"2")]


@pytest.mark.parametrize("how", ["refused", "left"])
@on_each_loop
async def test_a_connection_that_does_not_come_about_gives_its_turn_on(how):
    """Who waits behind it is not kept until its own time is over."""
    connected = asyncio.Event()

    async def mute(_provider, end):
        connected.set()
        if how == "refused":
            end.writer.transport.abort()

    async with Provider(mute) as odd, Provider(always) as provider, pooled(most=1) as client:
        odd.url = odd.url.replace("http:", "https:")
        opening = asyncio.ensure_future(call(client, odd))
        await asyncio.sleep(0)
        waiting = asyncio.ensure_future(call(client, provider, b"me"))
        await connected.wait()
        if how == "left":
            opening.cancel()
        with pytest.raises((ConnectError, asyncio.CancelledError)):
            await opening

        assert await asyncio.wait_for(waiting, SECONDS / 5) == (200, b"me")


@on_each_loop
async def test_who_waits_for_a_turn_for_too_long_has_sent_nothing():
    async with Provider(silent) as provider, pooled(connect_seconds=0.1, most=1) as client:
        first = asyncio.ensure_future(call(client, provider))
        await until(lambda: provider.requests)
        with pytest.raises(ConnectTimeout, match="in use") as raised:
            await call(client, provider)

        assert (raised.value.sent, len(provider.ends)) == (False, 1)
        first.cancel()


@on_each_loop
async def test_an_idle_connection_to_somebody_else_makes_room():
    async with Provider(always) as one, Provider(always) as other, pooled(most=1) as client:
        for _ in range(3):
            assert await call(client, one) == (200, b"{}")
            assert await call(client, other) == (200, b"{}")
        told = await asyncio.gather(*(call(client, each) for each in [one, other] * 10))

        assert told == [(200, b"{}")] * 20
        await until(lambda: len(client.pool._all) == 1)
        await until(lambda: len(one.ends + other.ends) - len(one.left + other.left) == 1)


# -- TLS -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def tls(authority, monkeypatch):
    """Return how a provider secures its connections, so that the client trusts it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.certificate("localhost"))
    return context


@on_each_loop
async def test_connections_over_tls_are_used_again(tls):
    body = bytes(range(256)) * 20_000
    async with Provider(always, tls=tls) as provider, pooled(most=2) as client:
        assert [await call(client, provider, b"a") for _ in range(5)] == [(200, b"a")] * 5
        assert len(provider.ends) == 1
        assert await call(client, provider, body) == (200, body)
        told = await asyncio.gather(*(call(client, provider, b"%d" % n) for n in range(20)))

        assert told == [(200, b"%d" % n) for n in range(20)]
        assert len(provider.ends) == 2


@on_each_loop
async def test_a_connection_over_tls_that_the_provider_closes_is_not_used_again(tls):
    async with Provider(saying(OK), closes=True, tls=tls) as provider, pooled() as client:
        assert await call(client, provider) == (200, b"hi")
        await until(lambda: not client.pool._all)

        assert await call(client, provider) == (200, b"hi")


# -- what stays ----------------------------------------------------------------------------------------------------


@pytest.fixture
def no_collector():
    """Have nothing collected that a reference still leads to."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def kept():
    return [each for each in gc.get_objects() if type(each) in {Connection, Reply}]


@on_each_loop
async def test_nothing_of_a_call_waits_for_the_collector(no_collector, tls):
    earlier = len(kept())
    cut = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi"
    endings = [OK, cut, CHUNKED + b"zz\r\n", b"", b"HTTP/1.1 200 OK\r\n\r\nhi"]
    async with AsyncExitStack() as stack:
        for data in endings:
            for secure in (None, tls):
                provider = await stack.enter_async_context(Provider(saying(data), closes=True, tls=secure))
                client = await stack.enter_async_context(pooled())
                await asyncio.gather(call(client, provider), return_exceptions=True)
        provider = await stack.enter_async_context(Provider(silent))
        client = await stack.enter_async_context(pooled(read_seconds=0.05))
        await asyncio.gather(call(client, provider), return_exceptions=True)
    del provider, client
    await until(lambda: len(kept()) <= earlier)


# -- through a router ----------------------------------------------------------------------------------------------


@pytest.fixture
def spending(canary):
    """Return what a call costs whose provider answers with the bytes *data*, and what comes back."""

    def asking(data, **more):
        behind = canary(data)
        with LlmRouter(provider_key="sk-x", upstreams={"openai": behind.url}, budget=1.0) as router:
            return exchange(router, request(router, {**ASK, **more})), router.total_spent()

    return asking


def test_a_reply_that_is_cut_short_is_a_502_and_charged(spending):
    whole = answering(said())
    answer, spent = spending(whole[:-5])

    assert answer.status == 502
    assert spent > 0


def test_a_reply_without_a_length_is_whole_at_the_connections_end(spending):
    head, _, body = answering(said()).partition(b"\r\n\r\n")
    lines = b"\r\n".join(line for line in head.split(b"\r\n") if not line.startswith(b"content-length"))
    answer, spent = spending(lines + b"\r\n\r\n" + body)

    assert (answer.status, answer.text) == (200, "Hi")
    assert 0 < spent < 0.001


def test_a_stream_in_chunks_that_is_cut_short_never_looks_whole(spending):
    event = delta("Hi")
    head = streaming(b"", headers=["transfer-encoding: chunked"])
    answer, spent = spending(head + b"%x\r\n%b\r\n" % (len(event), event), stream=True)

    assert answer.status == 200
    assert b"upstream_failed" in answer.body
    assert b"[DONE]" not in answer.body
    assert spent > 0


def test_another_protocol_is_a_502(spending):
    answer, _ = spending(b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")

    assert answer.status == 502


def test_a_query_reaches_the_provider_byte_for_byte(canary):
    behind = canary()
    with LlmRouter(provider_key="sk-x", upstreams={"openai": behind.url}) as router:
        exchange(router, request(router, path="/v1/chat/completions?a=%20%zz&b=%C3%A4+'\"{}"))

    assert behind.received[0].target == "/v1/chat/completions?a=%20%zz&b=%C3%A4+'%22%7B%7D"
