"""One request of a caller and its answer, as ASGI has them (asgi.readthedocs.io, HTTP specification 2.3).

Owns the bytes of the answer (RFC 9112): its head, how its length is told, and when the connection ends with it.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from iron_adapters.router.asgi import Application, Message
    from iron_adapters.router.protocol import GuardedProtocol

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_LINE_END: Final = b"\r\n"
_BODILESS: Final = frozenset((204, 304))
_FAILED: Final = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Turn:
    """A request that has come, and the answer that goes back.

    Attributes:
        scope: the request, as ASGI describes it.
        more_body: whether more of the request's body is to come.
        begun: whether the answer's head is written.
        complete: whether the answer is.
        disconnected: whether the caller is gone: nothing is written any more.
        keep_alive: whether the connection serves another request afterwards.
    """

    __slots__ = (
        "_chunked",
        "_delivered",
        "_expects_continue",
        "_head",
        "_left",
        "_parts",
        "_protocol",
        "_size",
        "_waiter",
        "begun",
        "complete",
        "disconnected",
        "keep_alive",
        "more_body",
        "scope",
    )

    def __init__(
        self, protocol: GuardedProtocol, scope: dict[str, Any], *, keep_alive: bool, expects_continue: bool
    ) -> None:
        self.scope = scope
        self.more_body, self.begun, self.complete, self.disconnected = True, False, False, False
        self.keep_alive = keep_alive
        self._protocol = protocol
        self._expects_continue = expects_continue
        self._parts: list[bytes] = []
        self._size = 0
        self._delivered = False
        self._waiter: asyncio.Future[None] | None = None
        self._head = b""
        self._chunked = False
        self._left = 0

    async def run(self, app: Application) -> None:
        """Have *app* answer. What it does not bring to an end, ends with the connection."""
        with suppress(BaseException):  # a server's edge: the caller sees it, and a traceback may hold texts
            await app(self.scope, self.receive, self.send)
        if not self.complete and not self.disconnected:
            self._protocol.break_off(b"" if self.begun and not self._head else _FAILED)

    # -- the request ---------------------------------------------------------------------------------------

    def add(self, data: bytes) -> int:
        """Take a part of the body; return how many bytes wait for the application."""
        self._parts.append(data)
        self._size += len(data)
        self.wake()
        return self._size

    def end_body(self) -> None:
        """Note that the body is whole."""
        self.more_body = False
        self.wake()

    def whole_body(self) -> bytes | None:
        """Return the body where all of it is here; ``None`` where it has to be waited for."""
        if self.more_body or self.disconnected or self._delivered:
            return None
        self._delivered, self._expects_continue = True, False
        parts, self._parts = self._parts, []
        self._protocol.resume_reading()  # else nobody sees the caller hang up
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def wake(self) -> None:
        """Let an application that waits look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def receive(self) -> Message:
        """Return the next part of the body; after the last, wait until the caller is gone or has the answer."""
        if self._expects_continue:
            self._expects_continue = False
            self._protocol.write(_CONTINUE)
        while not (self.disconnected or self.complete):
            if not self._delivered and (self._parts or not self.more_body):
                parts, self._parts, self._size = self._parts, [], 0
                self._delivered = not self.more_body
                self._protocol.resume_reading()
                body = parts[0] if len(parts) == 1 else b"".join(parts)
                return {"type": "http.request", "body": body, "more_body": self.more_body}
            self._protocol.resume_reading()
            self._waiter = self._protocol.loop.create_future()
            await self._waiter
        return {"type": "http.disconnect"}

    # -- the answer ----------------------------------------------------------------------------------------

    async def send(self, message: Message) -> None:
        """Write a part of the answer, once the caller has taken what was written before.

        Raises:
            RuntimeError: the application sends what does not follow.
        """
        if self._protocol.write_paused:
            await self._protocol.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if kind == "http.response.start" and not self.begun:
            self._begin(message["status"], message.get("headers", ()))
        elif kind == "http.response.body" and self.begun and not self.complete:
            self._write(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError(f"an application sent {kind!r} where it does not follow")

    def _begin(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Write the head; one that tells its body's length goes with the body."""
        self.begun, self._expects_continue = True, False
        lines, length = [_status_line(status)], None
        for name, value in headers:
            if name == b"content-length":
                length = int(value)
            elif name == b"connection":
                self.keep_alive = self.keep_alive and b"close" not in value.lower()
                continue
            lines.append(b"%b: %b" % (name, value))
        if not self.keep_alive:
            lines.append(b"connection: close")
        if status in _BODILESS or self.scope["method"] == "HEAD":
            self._left = 0
        elif length is None:
            self._chunked = self.scope["http_version"] != "1.0"
            self._left = -1
            if self._chunked:
                lines.append(b"transfer-encoding: chunked")
        else:
            self._left = length
        self._head = _joined(lines)
        if length is None:
            self._protocol.write(self._head)
            self._head = b""

    def _write(self, body: bytes, *, more: bool) -> None:
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if not more:
                data += b"0\r\n\r\n"
        elif self._left < 0:
            data = body  # HTTP/1.0: the connection's end is the body's
        else:
            data = b"" if self.scope["method"] == "HEAD" else body
            self._left -= len(data)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("the answer's body has another length than its head says")
        if self._head:
            data, self._head = self._head + data, b""
        if data:
            self._protocol.write(data)
        if not more:
            self.complete = True
            self.wake()
            self._protocol.turn_ended(self)


@lru_cache(maxsize=64)
def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}".encode()


def _joined(lines: list[bytes]) -> bytes:
    """Return a head.

    Raises:
        RuntimeError: one of its lines holds more than one.
    """
    head = _LINE_END.join(lines)
    if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1:
        raise RuntimeError("a header of the answer holds a line break")
    return head + _LINE_END + _LINE_END
