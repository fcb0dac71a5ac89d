"""HTTP/1.1 towards callers, with the limits that uvicorn leaves to a proxy in front of it.

Owns the size and the time of a request's head, slow readers, and the end of a call whose caller hangs up. All else
is uvicorn's, and its parser's (llhttp, strict about lengths and encodings that disagree).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

REPLY: Final = "iron.reply"
"""Under which an application leaves in its scope how long to read on for a caller who has hung up."""
MOST_HEAD_BYTES: Final = 64 * 1024
HEAD_SECONDS: Final = 20.0
STALLED_READER_SECONDS: Final = 60.0
_AROUND: Final = len(b": \r\n")
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
        self._refused = False
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: Any) -> None:
        """Take a connection, which is to say something soon."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """See to it that a call that nobody waits for any more ends, soon or at once."""
        super().connection_lost(exc)
        for timer in (self._deadline, self._stalled):
            if timer is not None:
                timer.cancel()
        if self._task is None or self._task.done() or self.cycle.response_complete:
            return
        scope: Any = self.cycle.scope
        reply = scope.get(REPLY)
        end = self.loop.call_later(0 if reply is None else reply.read_on_seconds, self._task.cancel)
        self._task.add_done_callback(lambda _task: end.cancel())  # else it keeps the task for all that time

    def data_received(self, data: bytes) -> None:
        """Parse what came, and see to it that a head ends some time and somewhere."""
        if self._refused:
            return
        began_in_head = self._in_head
        super().data_received(data)
        if not self._in_head:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None
            return
        self._head_bytes = len(data) + (self._head_bytes if began_in_head else 0)
        if self._head_bytes > MOST_HEAD_BYTES:
            self._refuse(431)
        elif self._deadline is None and not self._refused:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin the call, unless its head is larger than any that a client means."""
        self._in_head = False
        size = len(self.url) + sum([len(name) + len(value) + _AROUND for name, value in self.headers])
        if size > MOST_HEAD_BYTES:
            self._refuse(431)
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body."""
        if not self._refused:
            super().on_message_complete()

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

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, and close."""
        del msg
        self._refuse(400)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._task = self.loop.create_task(cycle.run_asgi(app))
        self._task.add_done_callback(self.tasks.discard)
        self.tasks.add(self._task)

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
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.close()  # an earlier request's reply is on its way; nothing may be written into it
            return
        body = b'{"error":{"message":"%b","type":"invalid_request_error","param":null,"code":null}}' % (
            _MESSAGES[status].encode()
        )
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % (_REASONS[status], len(body)) + body)
        self.transport.close()
