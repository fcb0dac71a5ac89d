"""One reply on its way in: its head, and what has come of its body.

Owns the queue between the socket and whoever reads, and how much may stand in it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from iron_adapters.router.codings import TooLarge, UnknownCoding, decoder
from iron_adapters.router.faults import ReadError, ReplyFault

if TYPE_CHECKING:
    import asyncio

    from iron_adapters.router.codings import Decoder
    from iron_adapters.router.faults import ProviderFault
    from iron_adapters.router.http1.connection import Connection

MOST_WAITING: Final = 256 * 1024
"""Bytes of a body that wait for a reader before no more of it is read from the socket."""
_MOST_DECODED: Final = 64 * 1024 * 1024
"""What one reading may come to once it is decoded."""


class Reply:
    """What a provider answers. Whoever asked for it reads it; the connection fills it.

    Attributes:
        status: of HTTP; 0 until the head has come.
        headers: names in lower case, values as they came.
    """

    __slots__ = (
        "_at_once",
        "_began",
        "_connection",
        "_decoder",
        "_fault",
        "_first",
        "_is_whole",
        "_parts",
        "_waiter",
        "_waiting",
        "headers",
        "status",
    )

    def __init__(self, connection: Connection) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._first: dict[bytes, bytes] = {}
        """The first value of each header."""
        self._connection: Connection | None = connection
        self._parts: deque[bytes] = deque()
        self._waiting = 0
        self._at_once = 1
        """How many parts of a burst are read together."""
        self._began = False  # an error may have no body, and say how it is coded
        self._is_whole = False
        self._fault: ProviderFault | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._decoder: Decoder | None = None

    # -- for whoever reads ---------------------------------------------------------------------------------

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of the header *name*, which is written in lower case."""
        return self._first.get(name)

    def has_none_of(self, names: frozenset[bytes]) -> bool:
        """Tell whether no header has one of *names*."""
        return names.isdisjoint(self._first)

    async def wait_for_head(self) -> None:
        """Return once status and headers are there.

        Raises:
            ProviderFault: they never come.
        """
        while not self.status:
            if self._fault is not None:
                raise _again(self._fault)
            await self._change()
        if (coding := self.header(b"content-encoding")) is not None:
            self._undo(coding)

    async def read(self) -> bytes:
        """Return the next of the body, decoded, as soon as it is there; nothing at the end.

        Of a burst, the first part comes by itself, then two, then four: its first words are on their way while the
        rest is judged, and the rest takes few writes.

        Raises:
            ProviderFault: it broke, or is not coded as its head says.
        """
        while True:
            while not self._parts:
                if self._fault is not None:
                    raise _again(self._fault)
                if self._is_whole:
                    if self._began and self._decoder is not None and not self._decoder.is_whole():
                        raise ReplyFault("the provider's reply ends within its content-encoding")
                    return b""
                await self._change()
            data = self._take()
            self._began = True
            if self._decoder is not None:
                data = _decoded(self._decoder, data)
            if data:
                return data

    def close(self) -> None:
        """Let go of it. What has not come by now is not wanted any more, and its connection of no further use."""
        if self._connection is not None:
            self._connection.abort()
            self.fail(ReadError("the reply was let go of"))

    # -- for the connection --------------------------------------------------------------------------------

    def begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Take the head."""
        self.headers, self.status = headers, status
        self._first = dict(reversed(headers))
        self._wake()

    def add(self, data: bytes) -> bool:
        """Take a part of the body; tell whether more may come."""
        self._parts.append(data)
        self._waiting += len(data)
        self._wake()
        return self._waiting <= MOST_WAITING

    def end(self) -> None:
        """Note that all has come, and that the connection serves others now."""
        self._is_whole, self._connection = True, None
        self._wake()

    def fail(self, fault: ProviderFault) -> None:
        """Note that no more will come."""
        self._fault, self._connection = fault, None
        self._wake()

    # -- its own -------------------------------------------------------------------------------------------

    def _take(self) -> bytes:
        parts, most = self._parts, self._at_once
        if len(parts) > most:
            data = b"".join([parts.popleft() for _ in range(most)])
            self._at_once = 2 * most
        else:
            data = parts[0] if len(parts) == 1 else b"".join(parts)
            parts.clear()
            self._at_once = 1
        was_full = self._waiting > MOST_WAITING
        self._waiting -= len(data)
        if was_full and self._waiting <= MOST_WAITING and self._connection is not None:
            self._connection.read_on()
        return data

    def _undo(self, coding: bytes) -> None:
        try:
            self._decoder = decoder(coding.decode("latin-1"))
        except UnknownCoding:
            raise ReplyFault("the provider's reply is in a content-encoding that was not asked for") from None

    async def _change(self) -> None:
        connection = self._connection
        if connection is None:
            return
        self._waiter = connection.waits()
        try:
            await self._waiter
        finally:
            self._waiter = None
            if self._connection is not None:  # else it serves another by now, whose time runs
                connection.waits_no_more()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _again(fault: ProviderFault) -> ProviderFault:
    """Return *fault*, to be raised: what was raised holds the frames that hold the reply, which holds the fault."""
    return type(fault)(*fault.args)


def _decoded(decoder: Decoder, data: bytes) -> bytes:
    try:
        return decoder.feed(data, _MOST_DECODED)
    except ValueError:
        raise ReplyFault("the provider's reply is not coded as its content-encoding says") from None
    except TooLarge:
        raise ReplyFault("a few bytes of the provider's reply decode to too many") from None
