"""A reply on its way to a caller, over ASGI.

Owns whether it has begun: after that, an error can only be told within it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from iron_adapters.router.asgi import Send


class Answer(NamedTuple):
    """A whole reply."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Reply:
    """What a caller gets for one request."""

    __slots__ = ("_send", "begun", "call_id", "read_on_seconds", "status", "upstream")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False
        self.status = 0
        self.read_on_seconds = 0.0
        """How long the provider is read on for a caller who has hung up."""
        self.upstream: str | None = None
        """Where the call went, once that is known."""
        self.call_id: str | None = None
        """The call in the record, once it is admitted or refused."""

    async def whole(self, answer: Answer) -> None:
        """Send *answer*."""
        length = (b"content-length", str(len(answer.body)).encode())
        await self.start(answer.status, [*answer.headers, length])
        await self._send({"type": "http.response.body", "body": answer.body})

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Send the head of a stream."""
        self.begun = True
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def piece(self, data: bytes) -> None:
        """Send a part of a stream."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        """End a stream."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
