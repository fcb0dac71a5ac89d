"""HTTP/1.1 towards callers, on a connection that uvicorn's server has accepted.

Owns what of HTTP/1.1 is taken (RFC 9112; no other form of a target than a path, no trailers), the size and the time of a
request's head, what follows an answer, slow readers, and the end of a call whose caller hangs up. The parser is httptools'
(llhttp), strict about lengths and encodings that disagree.
"""

from __future__ import annotations

import asyncio
from collections import deque
from math import inf
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from iron_adapters.router.turn import Turn

if TYPE_CHECKING:
    import uvicorn
    from uvicorn.server import ServerState

REPLY: Final = "iron.reply"
"""Under which an application leaves in its scope how long to read on for a caller who has hung up."""
MOST_HEAD_BYTES: Final = 64 * 1024
MOST_WAITING: Final = 64 * 1024
"""Bytes of a body that wait for the application before no more of it is read from the socket."""
HEAD_SECONDS: Final = 20.0
STALLED_READER_SECONDS: Final = 60.0
SLOWEST_READER_BYTES: Final = 48 * 1024
"""What a caller takes in that time at least, while more waits. A large answer goes out in one piece, and may take longer."""
LINGER_SECONDS: Final = 20.0
"""How long the rest of a body is read that nobody waits for any more. Closing at once would cost the caller the answer."""
_AROUND: Final = len(b": \r\n")
_OF_WISH: Final = frozenset((b"upgrade", b"connection", b"http2-settings"))
_TARGETS: Final = (b"/", b"*")
"""How a request's target begins: a whole address is for a proxy, and names a host besides the Host header."""
_REASONS: Final = {
    400: b"400 Bad Request",
    408: b"408 Request Timeout",
    431: b"431 Request Header Fields Too Large",
}
_NO_PATH: Final = "this is no proxy: ask for a path such as /v1/chat/completions"
_MESSAGES: Final = {
    400: "this is no HTTP request that can be read: speak http:// to this port, and give each length once",
    408: f"the request's head did not come within {HEAD_SECONDS:g} seconds",
    431: f"the request's head is larger than {MOST_HEAD_BYTES} bytes",
}


class GuardedProtocol(asyncio.Protocol):
    """One caller's connection.

    Args:
        config: uvicorn's.
        server_state: uvicorn's: it waits for the connections and tasks in there when it ends.
        app_state: uvicorn's; not used.
        _loop: uvicorn's; not used.
    """

    _transport: asyncio.Transport

    def __init__(self, config: uvicorn.Config, server_state: ServerState, **_rest: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.write_paused = False
        self._app = config.loaded_app
        self._keep_alive_seconds = config.timeout_keep_alive
        self._server_state = server_state
        self._ends: dict[str, Any] = {}
        self._parser: HttpRequestParser | None = None
        self._begin_parsing()
        # The request that is being parsed.
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = self._body_bytes = self._trailer_bytes = self._came_bytes = 0
        self._in_head = self._refused = self._expects_continue = False
        self._wish: bytes | None = None
        """The head of a request that wishes for another protocol, without the wish."""
        # The calls.
        self._turn: Turn | None = None
        """The one that was parsed last, which may still be queued."""
        self._running: Turn | None = None
        self._queue: deque[Turn] = deque()
        self._task: asyncio.Task[None] | None = None
        # Time.
        self._deadline = inf
        self._rests = False
        """Whether the deadline is the one between two requests."""
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._read_paused = False
        self._drained: asyncio.Future[None] | None = None

    # -- asyncio.Protocol ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection, which is to say something soon."""
        self._transport = transport  # type: ignore[assignment]  # of TCP or TLS, and so an asyncio.Transport
        self._server_state.connections.add(self)  # type: ignore[arg-type]  # uvicorn asks it for shutdown() only
        secure = transport.get_extra_info("sslcontext") is not None
        self._ends = {
            "server": _address(transport.get_extra_info("sockname")),
            "client": _address(transport.get_extra_info("peername")),
            "scheme": "https" if secure else "http",
        }
        self._due_in(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """See to it that a call that nobody waits for any more ends, soon or at once."""
        del exc
        self._server_state.connections.discard(self)
        self._parser = None  # both hold each other
        self._deadline = inf
        for timer in (self._timer, self._stalled):
            if timer is not None:
                timer.cancel()
        self._wake_writer()
        if self._running is None or self._task is None or self._running.complete:
            self._forget()
            return
        self._running.disconnected = True
        self._running.wake()
        reply = self._running.scope.get(REPLY)
        end = self.loop.call_later(0 if reply is None else reply.read_on_seconds, self._task.cancel)
        self._task.add_done_callback(lambda _task: end.cancel())  # else it keeps the task for all that time
        self._task.add_done_callback(lambda _task: self._forget())

    def data_received(self, data: bytes) -> None:
        """Parse what came, and see to it that a head ends some time and somewhere."""
        if self._refused:
            return
        began_in_head, self._body_bytes, self._came_bytes = self._in_head, 0, len(data)
        if self._rests:
            self._rests, self._deadline = False, inf
        self._parse(data)
        if self._in_head:
            self._head_bytes = len(data) - self._body_bytes + (self._head_bytes if began_in_head else 0)
            if self._head_bytes > MOST_HEAD_BYTES:
                self._refuse(431)
                return
        elif self._headers:
            self._drop_trailers()
        if self._deadline == inf and (self._in_head or self._is_idle()):
            self._due_in(HEAD_SECONDS)

    def pause_writing(self) -> None:
        """Note that the caller does not read; it is not waited for forever."""
        self.write_paused = True
        if self._stalled is None:
            self._watch_reader()

    def resume_writing(self) -> None:
        """Note that the caller reads again."""
        self._wake_writer()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    # -- for uvicorn ---------------------------------------------------------------------------------------

    def shutdown(self) -> None:
        """End when what is under way has ended."""
        if self._turn is None or self._turn.complete:
            self._transport.close()
        else:
            self._turn.keep_alive = False

    def abort(self) -> None:
        """End at once."""
        self._transport.abort()

    # -- for a turn ----------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send *data* to the caller."""
        self._transport.write(data)

    async def drain(self) -> None:
        """Return once the caller has taken what was written, or is gone."""
        if self.write_paused:
            if self._drained is None:
                self._drained = self.loop.create_future()
            await self._drained

    def resume_reading(self) -> None:
        """Read from the socket again."""
        if self._read_paused:
            self._read_paused = False
            self._transport.resume_reading()

    def break_off(self, last: bytes) -> None:
        """Write *last* and close: a call has ended without an answer, or within it."""
        self._transport.write(last)
        self._transport.close()

    def turn_ended(self, turn: Turn) -> None:
        """Go on to the next request; what is still to come of this one's body has to come soon."""
        self._server_state.total_requests += 1
        if not turn.keep_alive and not turn.more_body:
            self._transport.close()
        if self._transport.is_closing():
            return
        self.resume_reading()
        if turn.more_body:
            if not turn.keep_alive and self._transport.can_write_eof():
                self._transport.write_eof()
            self._due_in(LINGER_SECONDS)
        elif self._queue:
            self._start(self._queue.popleft())
        elif not self._in_head:
            self._rest()

    # -- of the parser -------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._in_head, self._expects_continue = True, False
        self._url, self._headers = b"", []

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer."""
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self._expects_continue = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Begin the call, unless its head is none that a client means."""
        self._in_head = False
        self._deadline = inf
        parser = self._parser
        if self._refused or parser is None:
            return
        if parser.should_upgrade():
            self._wish = self._head_without_wish(parser)
            return
        if self._came_bytes + self._head_bytes > MOST_HEAD_BYTES < self._size_of_head():
            self._refuse(431)
        elif not self._url.startswith(_TARGETS) or b"#" in self._url:
            self._refuse(400, _NO_PATH)
        else:
            self._take(parser)
            self._trailer_bytes = 0
            self._headers = []  # the call has its own; trailers are none of them

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._body_bytes += len(body)
        turn = self._turn
        if self._refused or self._wish is not None or turn is None or turn.complete:
            return
        if turn.add(body) > MOST_WAITING:
            self._pause_reading()

    def on_message_complete(self) -> None:
        """End the body."""
        if self._refused or self._wish is not None or self._turn is None:
            return
        turn = self._turn
        turn.end_body()
        self._deadline = inf
        if turn.complete and turn.keep_alive:
            self._rest()
        elif turn.complete:
            self._transport.close()

    # -- its own -------------------------------------------------------------------------------------------

    def _begin_parsing(self) -> None:
        self._parser = HttpRequestParser(self)
        # Else a request that says "connection: close" is none once more follows it, and is not answered.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def _size_of_head(self) -> int:
        return len(self._url) + sum([len(name) + len(value) + _AROUND for name, value in self._headers])

    def _take(self, parser: HttpRequestParser) -> None:
        """Make a turn of the request whose head is whole; it waits for those before it."""
        version = parser.get_http_version()
        raw_path, _, query = self._url.partition(b"?")
        path = raw_path.decode("latin-1")
        scope = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "method": parser.get_method().decode("ascii"),
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": self._headers,
            **self._ends,
        }
        keep_alive = version != "1.0" and parser.should_keep_alive()
        turn = Turn(
            self, scope, keep_alive=keep_alive, expects_continue=self._expects_continue and version != "1.0"
        )
        earlier, self._turn = self._turn, turn
        if earlier is None or earlier.complete:
            self._start(turn)
        else:
            self._pause_reading()
            self._queue.append(turn)

    def _watch_reader(self) -> None:
        waiting = self._transport.get_write_buffer_size()
        self._stalled = self.loop.call_later(STALLED_READER_SECONDS, self._look_at_reader, waiting)

    def _look_at_reader(self, waited: int) -> None:
        if waited - self._transport.get_write_buffer_size() < SLOWEST_READER_BYTES:
            self._transport.abort()
        else:
            self._watch_reader()

    def _forget(self) -> None:
        """Let go of the calls: each holds its connection, and both would wait for the collector."""
        self._turn = self._running = self._task = None
        self._queue.clear()

    def _start(self, turn: Turn) -> None:
        self._running = turn
        self._task = self.loop.create_task(turn.run(self._app))
        tasks = self._server_state.tasks
        self._task.add_done_callback(tasks.discard)
        tasks.add(self._task)

    def _pause_reading(self) -> None:
        if not self._read_paused:
            self._read_paused = True
            self._transport.pause_reading()

    def _wake_writer(self) -> None:
        self.write_paused = False
        if self._drained is not None:
            if not self._drained.done():
                self._drained.set_result(None)
            self._drained = None

    def _parse(self, data: bytes) -> None:
        while data and self._parser is not None and not self._refused:
            try:
                self._parser.feed_data(data)
            except HttpParserUpgrade as wish:
                data = self._without_wish(data[wish.args[0] :])
            except HttpParserError:
                self._refuse(400)
            else:
                return

    def _head_without_wish(self, parser: HttpRequestParser) -> bytes:
        """Return the head without its wish for another protocol, which need not be heard (RFC 9110, section 7.8)."""
        closes = any(name == b"connection" and b"close" in value.lower() for name, value in self._headers)
        lines = [b"%b %b HTTP/%b" % (parser.get_method(), self._url, parser.get_http_version().encode())]
        lines += [b"%b: %b" % pair for pair in self._headers if pair[0] not in _OF_WISH]
        return b"\r\n".join([*lines, *([b"connection: close"] if closes else []), b"", b""])

    def _without_wish(self, rest: bytes) -> bytes:
        """Return what is to be parsed instead of *rest*, which the parser takes for the protocol that was wished for.

        Java's client wishes for HTTP/2 with each request; its bodies would be lost.
        """
        again, self._wish = self._wish, None
        if again is None or again.startswith(b"CONNECT "):
            self._refuse(400, _NO_PATH)
            return b""
        self._begin_parsing()
        return again + rest

    def _is_idle(self) -> bool:
        """Tell whether nothing is under way here, so that the next thing to come is a request."""
        return self._turn is None or (self._turn.complete and not self._turn.more_body)

    def _drop_trailers(self) -> None:
        """Forget fields that follow the body: a name that decides something must stand where it is looked for."""
        self._trailer_bytes += sum([len(name) + len(value) + _AROUND for name, value in self._headers])
        self._headers = []
        if self._trailer_bytes > MOST_HEAD_BYTES:
            self._refuse(431)

    def _rest(self) -> None:
        """Wait for the next request."""
        self._rests = True
        self._due_in(self._keep_alive_seconds)

    def _due_in(self, seconds: float) -> None:
        """Give what is to come next so much time. The timer that runs is moved when it goes off, not with each request."""
        self._deadline = self.loop.time() + seconds
        if self._timer is None:
            self._timer = self.loop.call_at(self._deadline, self._look_at_time)
        elif self._timer.when() > self._deadline:
            self._timer.cancel()
            self._timer = self.loop.call_at(self._deadline, self._look_at_time)

    def _look_at_time(self) -> None:
        self._timer = None
        if self._deadline == inf:
            return
        if self.loop.time() < self._deadline:
            self._timer = self.loop.call_at(self._deadline, self._look_at_time)
            return
        self._deadline = inf
        if self._in_head:
            self._refuse(408)
        elif not self._transport.is_closing():
            self._transport.close()

    def _refuse(self, status: int, message: str | None = None) -> None:
        self._refused = True
        if self._transport.is_closing():
            return
        if self._is_answering():
            self._transport.close()  # an earlier request's reply is on its way; nothing may be written into it
            return
        body = b'{"error":{"message":"%b","type":"invalid_request_error","param":null,"code":null}}' % (
            (message or _MESSAGES[status]).encode()
        )
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.break_off(head % (_REASONS[status], len(body)) + body)

    def _is_answering(self) -> bool:
        """Tell whether a call has an answer to come or has begun with it. One whose own body is bad gets none."""
        running = self._running
        if running is None or running.complete:
            return False
        if running is not self._turn or running.begun or not running.more_body:
            return True
        running.disconnected = True  # it writes nothing any more
        running.wake()
        return False


_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}


def _address(name: Any) -> tuple[str, int] | None:
    """Return host and port of a socket's end, as ASGI has it."""
    return (str(name[0]), int(name[1])) if isinstance(name, (tuple, list)) and len(name) > 1 else None
