"""Putting answers on the wire: whole bodies and streams, with the faults that spoil them.

Owns the order of delays, cuts and pieces. Decides nothing about what is said.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from iron_adapters.testing.connection import Connection
from iron_adapters.testing.encodings import Encoder, encoder_for
from iron_adapters.testing.rechunking import Rechunker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from starlette.types import Receive, Scope, Send

    from iron_adapters.testing.answer import ModelEndpoint
    from iron_adapters.testing.billing import Bill, BillLine
    from iron_adapters.testing.events import Event
    from iron_adapters.testing.faults import Fault
    from iron_adapters.testing.settings import Settings


@dataclass(slots=True, kw_only=True)
class WholeReply:
    """An answer in one piece: an ASGI application for one request."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    settings: Settings
    fault: Fault | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, spoilt as the fault says."""
        kind = self.fault.kind if self.fault else None
        body = self.body[: len(self.body) // 2] if kind == "malformed" else self.body
        encoder = _encoder(scope, self.settings)
        if encoder is not None:
            body = encoder.feed(body) + encoder.finish()
        headers = {**self.headers, "content-type": "application/json", "content-length": str(len(body))}
        async with Connection(scope, receive, send, self.settings) as connection:
            if kind == "drop":
                await connection.hang_up()
                return
            await connection.pause(self._delay())
            await connection.start(self.status, headers | _encoded(encoder))
            if kind == "cut":
                await connection.write(body[: len(body) // 2])
                await connection.hang_up()
                return
            await connection.end(body)

    def _delay(self) -> float:
        extra = self.fault.seconds if self.fault and self.fault.kind in {"stall", "slow"} else 0.0
        return extra + self.settings.first_token_seconds


@dataclass(slots=True, kw_only=True)
class StreamedReply:
    """An answer in events: an ASGI application for one request. Each token is billed before it is sent."""

    headers: Mapping[str, str]
    events: Iterator[Event]
    endpoint: ModelEndpoint
    bill: Bill
    line: BillLine
    settings: Settings
    fault: Fault | None = None
    _pipe: _Pipe = field(init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until they end, the fault breaks them off, or the client is gone."""
        encoder = _encoder(scope, self.settings)
        head = {
            **self.headers,
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache",
        }
        async with Connection(scope, receive, send, self.settings) as connection:
            self._pipe = _Pipe(connection, encoder, self.settings.rechunk_seed)
            await connection.start(200, head | _encoded(encoder))
            if await self._send_events(connection):
                await self._pipe.finish()
                await connection.end()

    async def _send_events(self, connection: Connection) -> bool:
        """Return whether the body ends as it should."""
        told_tokens = False
        for number, event in enumerate(self.events):
            fault = self.fault
            if fault and number == fault.after_events and not await self._goes_on(connection, fault):
                return fault.kind == "error_event"
            first = bool(event.tokens) and not told_tokens
            told_tokens = told_tokens or first
            if event.tokens:
                await connection.pause(self._delay(first=first))
            if connection.gone:
                return False
            self.bill.add(self.line, event.tokens, event.reasoning_tokens)
            await self._pipe.write(self._broken(event, first=first))
        self.line.finished = True
        return True

    async def _goes_on(self, connection: Connection, fault: Fault) -> bool:
        """Carry out a fault in the middle; return whether the stream goes on."""
        await self._pipe.flush()
        if fault.kind == "cut":
            await connection.hang_up()
            return False
        if fault.kind == "stall":
            await connection.pause(fault.seconds)
        if fault.kind == "error_event":
            message = fault.message or self.endpoint.dialect.fault_message(fault.status)[0]
            for event in self.endpoint.error_events(fault.status, message, fault.after_events):
                await self._pipe.write(event.data)
            return False
        return True

    def _broken(self, event: Event, *, first: bool) -> bytes:
        """Return the event's bytes, its JSON cut off where the fault says so."""
        if self.fault and self.fault.kind == "malformed" and first:
            return event.data[: len(event.data) * 2 // 3].rstrip() + b"\n\n"
        return event.data

    def _delay(self, *, first: bool) -> float:
        if not first:
            return self.settings.token_seconds
        slow = self.fault.seconds if self.fault and self.fault.kind == "slow" else 0.0
        return slow + self.settings.first_token_seconds


class _Pipe:
    """What the events' bytes pass before they reach the connection: compression, then cutting."""

    def __init__(self, connection: Connection, encoder: Encoder | None, rechunk_seed: int | None) -> None:
        self._connection = connection
        self._encoder = encoder
        self._rechunker = None if rechunk_seed is None else Rechunker(rechunk_seed)

    async def write(self, data: bytes) -> None:
        """Send *data*."""
        await self._pass_on(self._encoder.feed(data) if self._encoder else data)

    async def flush(self) -> None:
        """Send what is held back for the next cut."""
        for piece in self._rechunker.flush() if self._rechunker else ():
            await self._connection.write(piece)

    async def finish(self) -> None:
        """Send the end of a compressed body."""
        if self._encoder:
            await self._pass_on(self._encoder.finish())
        await self.flush()

    async def _pass_on(self, data: bytes) -> None:
        if self._rechunker is None:
            await self._connection.write(data)
            return
        for piece in self._rechunker.feed(data):
            await self._connection.write(piece)
            await asyncio.sleep(0)  # lets the piece leave on its own


def _encoder(scope: Scope, settings: Settings) -> Encoder | None:
    accepted = next(
        (value.decode("latin-1") for name, value in scope["headers"] if name == b"accept-encoding"), ""
    )
    return encoder_for(accepted, settings.compression)


def _encoded(encoder: Encoder | None) -> dict[str, str]:
    return {"content-encoding": encoder.name} if encoder else {}
