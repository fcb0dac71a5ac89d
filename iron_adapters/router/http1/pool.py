"""The connections to all providers: which are idle, how many there may be, and how long each is waited for.

Owns their number and their time. One timer watches over all of them, instead of two for each call.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from aiohappyeyeballs import start_connection

from iron_adapters.router.faults import (
    ConnectError,
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    broken,
    not_connected,
)
from iron_adapters.router.http1.connection import Connection

if TYPE_CHECKING:
    import ssl

    from iron_adapters.router.http1.places import Address

IDLE_SECONDS: Final = 4.0
"""How long an idle connection is used again. uvicorn's and Node's servers close theirs after 5 seconds, and a call that
meets the end on its way is lost, and may be billed; httpx, under the SDKs, waits 5 seconds too."""
_NEXT_ADDRESS_SECONDS: Final = 0.25
"""RFC 8305, section 8: the Connection Attempt Delay."""
_LONGEST_TICK: Final = 1.0
_TICKS: Final = 8
"""Within the shortest time that is watched over."""


class Pool:
    """Connections, all on the running event loop.

    Args:
        connect_seconds: how long a connection may take to come about, and how long a call may wait for a free one.
        read_seconds: how long a provider may take between two parts of its reply.
        most: how many connections there may be.
    """

    def __init__(self, *, connect_seconds: float, read_seconds: float, most: int) -> None:
        self._connect_seconds, self._read_seconds, self._most = connect_seconds, read_seconds, most
        self._loop = asyncio.get_running_loop()
        self._idle: dict[Address, list[Connection]] = {}
        self._all: set[Connection] = set()
        self._opening = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._admitted = 0
        """Those who were in the queue and have not gone on yet."""
        self._tick = min(_LONGEST_TICK, IDLE_SECONDS / _TICKS, read_seconds / _TICKS)
        self._watch: asyncio.TimerHandle | None = None
        self._trust: asyncio.Future[ssl.SSLContext] | None = None

    async def connection(self, address: Address) -> Connection:
        """Return a connection to *address*, to be used for one call.

        Raises:
            ProviderFault: there is none.
        """
        if not self._someone_waits():
            if (connection := self._idle_to(address)) is not None:
                return connection
            if self._has_room():
                return await self._open(address)
        connection = await self._freed(address)
        return await self._open(address) if connection is None else connection

    def take_back(self, connection: Connection) -> None:
        """Keep *connection* for the next call."""
        self._idle.setdefault(connection.address, []).append(connection)
        self._admit_next()

    def lost(self, connection: Connection) -> None:
        """Forget *connection*, which is closed."""
        self._all.discard(connection)
        idle = self._idle.get(connection.address)
        if idle is not None and connection in idle:
            idle.remove(connection)
        self._admit_next()

    def close(self) -> None:
        """Close all of them."""
        if self._watch is not None:
            self._watch.cancel()
        for connection in list(self._all):
            connection.fail(ReadError("the router is closing"))

    async def _open(self, address: Address) -> Connection:
        self._opening += 1
        try:
            connection = await self._connected(address)
        except BaseException:
            self._admit_next()
            raise
        finally:
            self._opening -= 1
        self._all.add(connection)
        if self._watch is None:
            self._watch = self._loop.call_later(self._tick, self._look)
        return connection

    async def _connected(self, address: Address) -> Connection:
        try:
            async with asyncio.timeout(self._connect_seconds):
                connection = await self._connect(address)
        except (OSError, UnicodeError) as error:
            raise not_connected(error) from None
        if not connection.is_open:
            raise ConnectError(broken("closed at once"))
        return connection

    async def _connect(self, address: Address) -> Connection:
        make = partial(Connection, self, address, self._loop)
        tls = await self._trusted() if address.tls else None
        if _is_number(address.host):  # nobody need be asked for it, in a thread
            return (await self._loop.create_connection(make, address.host, address.port, ssl=tls))[1]
        found = await self._socket_to(address)
        name = address.host if address.tls else None
        return (await self._loop.create_connection(make, sock=found, ssl=tls, server_hostname=name))[1]

    async def _trusted(self) -> ssl.SSLContext:
        """Return how connections are secured. Reading all authorities takes 50 ms, in which others' calls go on."""
        if self._trust is None:
            from iron_adapters.router.http1.certificates import trust

            self._trust = self._loop.run_in_executor(None, trust)
        return await asyncio.shield(self._trust)

    async def _socket_to(self, address: Address) -> socket.socket:
        """Connect to whichever of the host's addresses answers first (RFC 8305): one that is silent holds up nobody."""
        found = await self._loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        connected = await start_connection(found, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS, loop=self._loop)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected

    def _idle_to(self, address: Address) -> Connection | None:
        idle = self._idle.get(address)
        while idle:
            connection = idle.pop()
            if connection.is_open and self._loop.time() - connection.since < IDLE_SECONDS:
                return connection
            connection.abort()
        return None

    def _has_room(self) -> bool:
        return len(self._all) + self._opening < self._most

    def _someone_waits(self) -> bool:
        """Tell whether somebody has come earlier: whoever took what becomes free before them could starve them."""
        return bool(self._queue or self._admitted)

    async def _freed(self, address: Address) -> Connection | None:
        """Wait for an idle connection to *address*, or for room for one more, which is ``None``.

        An idle one to somebody else makes room at once.

        Raises:
            ProviderFault: there is none for too long.
        """
        waited = False
        try:
            async with asyncio.timeout(self._connect_seconds):
                while True:
                    if waited or not self._someone_waits():
                        if (connection := self._idle_to(address)) is not None:
                            return connection
                        if self._has_room() or self._make_room():
                            return None
                    await self._turn(again=waited)
                    waited = True
        except TimeoutError:
            raise ConnectTimeout(f"all {self._most} connections to providers are in use") from None

    def _make_room(self) -> bool:
        for idle in self._idle.values():
            if idle:
                connection = idle.pop(0)
                self._all.discard(connection)
                connection.abort()
                return True
        return False

    async def _turn(self, *, again: bool) -> None:
        """Wait for something to become free: behind all others, or before them where that was in vain."""
        turn = self._loop.create_future()
        (self._queue.appendleft if again else self._queue.append)(turn)
        try:
            await turn
        except BaseException:
            if turn.cancelled() or not turn.done():
                with suppress(ValueError):
                    self._queue.remove(turn)
            else:
                self._admitted -= 1
                self._admit_next()  # its turn is another's now
            raise
        self._admitted -= 1

    def _admit_next(self) -> None:
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                self._admitted += 1
                turn.set_result(None)
                return

    def _look(self) -> None:
        """Close what has been idle for too long, and what its provider has forgotten."""
        self._watch = None
        now = self._loop.time()
        for connection in list(self._all):
            waited = now - connection.since
            if connection.is_busy:
                if waited > self._read_seconds:
                    connection.fail(ReadTimeout("the provider did not answer in time (read)"))
            elif waited > IDLE_SECONDS:
                connection.abort()
        if self._all:
            self._watch = self._loop.call_later(self._tick, self._look)


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
