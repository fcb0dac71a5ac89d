"""HTTP/1.1 towards callers, with the limits that uvicorn leaves to a proxy in front of it.

Owns what of HTTP/1.1 is taken (RFC 9112; no other form of a target than a path, no trailers), the size and the time of a request's head, what follows an answer, slow readers, and the end of a call whose
caller hangs up. All else is uvicorn's, and its parser's (llhttp, strict about lengths and encodings that disagree).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

REPLY: Final = "iron.reply"
"""Under which an application leaves in its scope how long to read on for a caller who has hung up."""
MOST_HEAD_BYTES: Final = 64 * 1024
HEAD_SECONDS: Final = 20.0
STALLED_READER_SECONDS: Final = 60.0
LINGER_SECONDS: Final = 20.0
"""How long the rest of a body is read that nobody waits for any more. Closing at once would cost the caller the answer."""
_AROUND: Final = len(b": \r\n")
_OF_WISH: Final = frozenset((b"upgrade", b"connection", b"http2-settings"))
_TARGETS: Final = (b"/", b"*")
"""How a request's target begins: a whole address is for a proxy, and names a host besides the Host header."""
_QUIET: Final = logging.getLogger("iron.router.connection")
"""What uvicorn has to say of a connection: tracebacks of calls that were broken off, which are no faults."""
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False
_REASONS: Final = {
    400: b"400 Bad Request",
    408: b"408 Request Timeout",
    431: b"431 Request Header Fields Too Large",
}
_MESSAGES: Final = {
    400: "this is no HTTP request",
    408: f"the request's head did not come within {HEAD_SECONDS:g} seconds",
    431: f"the request's head is larger than {MOST_HEAD_BYTES} bytes",
}


class GuardedProtocol(HttpToolsProtocol):
    """One caller's connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = self.access_logger = _QUIET
        self.access_log = False
        self._head_bytes = 0
        self._in_head = False
        self._trailer_bytes = 0
        self._wish: bytes | None = None
        """The head of a request that wishes for another protocol, without the wish."""
        self._refused = False
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._running: Any = None
        """The cycle of that task: ``cycle`` is the one that was parsed last, which may still be queued."""

    def connection_made(self, transport: Any) -> None:
        """Take a connection, which is to say something soon."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """See to it that a call that nobody waits for any more ends, soon or at once."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # uvicorn leaves it where the caller has reset the connection
        for timer in (self._deadline, self._stalled):
            if timer is not None:
                timer.cancel()
        if self._task is None or self._task.done() or self._running.response_complete:
            return
        self._running.disconnected = True
        reply = self._running.scope.get(REPLY)
        end = self.loop.call_later(0 if reply is None else reply.read_on_seconds, self._task.cancel)
        self._task.add_done_callback(lambda _task: end.cancel())  # else it keeps the task for all that time

    def data_received(self, data: bytes) -> None:
        """Parse what came, and see to it that a head ends some time and somewhere."""
        if self._refused:
            return
        began_in_head = self._in_head
        self._parse(data)
        if self._in_head:
            self._head_bytes = len(data) + (self._head_bytes if began_in_head else 0)
            if self._head_bytes > MOST_HEAD_BYTES:
                self._refuse(431)
                return
        elif self.headers:
            self._drop_trailers()
        if self._deadline is None and (self._in_head or self._awaits_head()):
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin the call, unless its head is none that a client means."""
        self._in_head = False
        self._in_time()
        if self._refused:
            return
        if self.parser.should_upgrade():
            self._wish = self._head_without_wish()
            return
        size = len(self.url) + sum([len(name) + len(value) + _AROUND for name, value in self.headers])
        if size > MOST_HEAD_BYTES:
            self._refuse(431)
        elif not self.url.startswith(_TARGETS) or b"#" in self.url:
            self._refuse(400)
        else:
            super().on_headers_complete()
            self._trailer_bytes = 0
            self.headers = []  # the call has its own; trailers are none of them

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body."""
        self._in_time()
        if not self._refused and self._wish is None:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on to the next request; what is still to come of this one's body has to come soon."""
        outstanding = not self.pipeline and self.cycle.more_body
        super().on_response_complete()
        if outstanding and self._deadline is None:
            self._deadline = self.loop.call_later(LINGER_SECONDS, self._too_slow)

    def pause_writing(self) -> None:
        """Note that the caller does not read; it is not waited for forever."""
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(STALLED_READER_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Note that the caller reads again."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._running = cycle
        self._task = self.loop.create_task(cycle.run_asgi(app))
        self._task.add_done_callback(self.tasks.discard)
        self.tasks.add(self._task)

    def _parse(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as wish:
            self._go_on_without_wish(data[wish.args[0] :])
        except HttpParserError:
            self._refuse(400)

    def _head_without_wish(self) -> bytes:
        """Return the head without its wish for another protocol, which need not be heard (RFC 9110, section 7.8)."""
        closes = any(name == b"connection" and b"close" in value.lower() for name, value in self.headers)
        lines = [
            b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        ]
        lines += [b"%b: %b" % pair for pair in self.headers if pair[0] not in _OF_WISH]
        return b"\r\n".join([*lines, *([b"connection: close"] if closes else []), b"", b""])

    def _go_on_without_wish(self, rest: bytes) -> None:
        """Parse a request again that wished for another protocol: the parser takes what follows for that protocol.

        Java's client wishes for HTTP/2 with each request; its bodies would be lost.
        """
        again, self._wish = self._wish, None
        if again is None or again.startswith(b"CONNECT "):
            self._refuse(400)
            return
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn sets it
        self._parse(again + rest)

    def _awaits_head(self) -> bool:
        """Tell whether nothing is under way here, so that the next thing to come is a request."""
        return self.cycle is None or (self.cycle.response_complete and not self.cycle.more_body)

    def _drop_trailers(self) -> None:
        """Forget fields that follow the body: a name that decides something must stand where it is looked for."""
        self._trailer_bytes += sum([len(name) + len(value) + _AROUND for name, value in self.headers])
        self.headers = []
        if self._trailer_bytes > MOST_HEAD_BYTES:
            self._refuse(431)

    def _in_time(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if self._in_head:
            self._refuse(408)
        elif not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, status: int) -> None:
        self._refused = True
        if self.transport.is_closing():
            return
        if self._is_answering():
            self.transport.close()  # an earlier request's reply is on its way; nothing may be written into it
            return
        body = b'{"error":{"message":"%b","type":"invalid_request_error","param":null,"code":null}}' % (
            _MESSAGES[status].encode()
        )
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % (_REASONS[status], len(body)) + body)
        self.transport.close()

    def _is_answering(self) -> bool:
        """Tell whether a call has an answer to come or has begun with it. One whose own body is bad gets none."""
        running = self._running
        if running is None or running.response_complete:
            return False
        if running is not self.cycle or running.response_started or not running.more_body:
            return True
        running.disconnected = True  # it writes nothing any more
        running.message_event.set()
        return False
