"""A caller's connection, by hand: HTTP/1.1 as it is, so that a caller can leave it at any moment and in any way.

Owns framing and hanging up. Knows nothing of models.
"""

from __future__ import annotations

import asyncio
import gzip
import random
import socket
import struct
import time
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Moment = Literal["in the head", "in the body", "after the body", "after the first byte", "in mid-reply"]
Way = Literal["FIN", "RST", "half-closed"]
MOMENTS: tuple[Moment, ...] = (
    "in the head",
    "in the body",
    "after the body",
    "after the first byte",
    "in mid-reply",
)
WAYS: tuple[Way, ...] = ("FIN", "RST", "half-closed")
_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER of no time: closing sends RST
_IDLE_SECONDS = 20.0
"""Far below what the router keeps an idle connection for, so that the two never end one at the same time."""


class HangUp(NamedTuple):
    """When and how a caller leaves."""

    moment: Moment
    way: Way
    delay_seconds: float
    """How long it waits after the moment has come."""
    pieces: int
    """How many pieces of the reply it reads before, where it leaves in mid-reply."""

    @classmethod
    def at_random(cls, choose: random.Random) -> HangUp:
        """Return one of all the ways to leave."""
        delay = choose.choice((0.0, 0.0, choose.uniform(0.0, 0.05)))
        return cls(choose.choice(MOMENTS), choose.choice(WAYS), delay, choose.randint(1, 40))


@dataclass(slots=True)
class Got:
    """What came back, as far as it came."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    left: bool = False
    """Whether the caller hung up before it was over."""


class BrokenError(Exception):
    """The connection ended before the reply did."""


class Left(Exception):  # noqa: N818 - what the caller did
    """The caller has hung up, as it meant to."""


class Connection:
    """One connection, for one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._used = time.monotonic()

    @classmethod
    async def open(cls, port: int) -> Connection:
        """Connect to *port* on this machine."""
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 20))

    @property
    def reusable(self) -> bool:
        """Whether the next request can go over it."""
        fresh = time.monotonic() - self._used < _IDLE_SECONDS
        return fresh and not self._writer.is_closing() and not self._reader.at_eof()

    def close(self) -> None:
        """End it."""
        self._writer.close()

    async def exchange(self, head: bytes, body: bytes, leave: HangUp | None = None) -> Got:
        """Send a request and return its reply, or what came of it until the caller left as *leave* says.

        Raises:
            BrokenError: the reply did not end as it should.
        """
        got, pieces = Got(), [b""]
        try:
            await self._send(head, body, leave)
            await self._read_head(got, leave)
            await self._read_body(got, pieces, leave)
        except Left:
            got.left = True
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise BrokenError(
                f"{type(error).__name__} after status {got.status or 'none'} and {len(b''.join(pieces))} bytes"
            ) from None
        got.body = b"".join(pieces)
        if got.headers.get("content-encoding") == "gzip" and not got.left:
            got.body = gzip.decompress(got.body)
        self._used = time.monotonic()
        return got

    async def _send(self, head: bytes, body: bytes, leave: HangUp | None) -> None:
        if leave is not None and leave.moment in {"in the head", "in the body"}:
            cut = len(head) // 2 if leave.moment == "in the head" else len(head) + len(body) // 2
            self._writer.write((head + body)[:cut])
            await self._leave(leave)
        self._writer.write(head + body)
        await self._writer.drain()
        if leave is not None and leave.moment == "after the body":
            await self._leave(leave)

    async def _read_head(self, got: Got, leave: HangUp | None) -> None:
        first = await self._reader.readexactly(1)
        if leave is not None and leave.moment == "after the first byte":
            await self._leave(leave)
        lines = (first + await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        got.status = int(lines[0].split(" ")[1])
        got.headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:-2])
        }

    async def _read_body(self, got: Got, pieces: list[bytes], leave: HangUp | None) -> None:
        left_to_read = leave.pieces if leave is not None else -1
        if got.headers.get("transfer-encoding") == "chunked":
            while (size := int((await self._reader.readline()) or b"0", 16)) > 0:
                pieces.append((await self._reader.readexactly(size + 2))[:-2])
                if len(pieces) > left_to_read > 0:
                    await self._leave(leave)
            await self._reader.readexactly(2)
            return
        length = int(got.headers.get("content-length", 0))
        if leave is not None:
            pieces.append(await self._reader.readexactly(length // 2))
            await self._leave(leave)
        pieces.append(await self._reader.readexactly(length))

    async def _leave(self, leave: HangUp | None) -> None:
        assert leave is not None
        await asyncio.sleep(leave.delay_seconds)
        if leave.way == "RST":
            self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            self._writer.transport.abort()
        elif leave.way == "half-closed":
            self._writer.write_eof()
            await asyncio.sleep(0.1)
        self._writer.close()
        raise Left
