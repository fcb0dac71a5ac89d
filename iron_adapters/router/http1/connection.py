"""One connection to a provider: a request out, its reply in, and then the next.

Owns what of HTTP/1.1 is taken from a provider (RFC 9112). The parser is httptools' (llhttp), strict about lengths and
encodings that disagree.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING, Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from iron_adapters.router.faults import ProviderFault, ReadError, ReplyFault, broken, cause_of
from iron_adapters.router.http1.reply import Reply

if TYPE_CHECKING:
    from iron_adapters.router.http1.places import Address
    from iron_adapters.router.http1.pool import Pool

MOST_HEAD_BYTES: Final = 256 * 1024
_COPIED: Final = 64 * 1024
"""A body up to this size goes with its head: a copy is cheaper than a second part."""
_INTERIM: Final = range(100, 200)
_LENGTHS: Final = frozenset((b"content-length", b"transfer-encoding"))
"""Where a head has none of them, the end of the connection is the end of the body (RFC 9112, section 6.3)."""
_NO_REPLY: Final = "the provider's reply is no HTTP/1.1"
_LARGE: Final = f"the head of the provider's reply is larger than {MOST_HEAD_BYTES} bytes"


class Connection(asyncio.Protocol):
    """A connection to *address*, of which one call at a time makes use.

    Attributes:
        address: whom it leads to.
        since: when it became idle, or began to wait for the provider, by the loop's clock; ``inf`` in between.
        is_open: whether it can be used.
    """

    __slots__ = (
        "_head_bytes",
        "_headers",
        "_is_endless",
        "_is_paused",
        "_loop",
        "_parser",
        "_pool",
        "_reply",
        "_transport",
        "_unread",
        "address",
        "is_open",
        "since",
    )
    _transport: asyncio.Transport

    def __init__(self, pool: Pool, address: Address, loop: asyncio.AbstractEventLoop) -> None:
        self.address, self.since, self.is_open = address, inf, False
        self._pool, self._loop = pool, loop
        self._parser: HttpResponseParser | None = None
        self._reply: Reply | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = self._unread = 0
        self._is_endless = self._is_paused = False

    @property
    def is_busy(self) -> bool:
        """Whether a call is under way on it."""
        return self._reply is not None

    def send(self, head: bytes, body: bytes) -> Reply:
        """Send a request; return what its reply will fill."""
        reply = self._reply = Reply(self)
        self._headers, self._head_bytes, self._unread = [], 0, 0
        if len(body) <= _COPIED:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))
        return reply

    def waits(self) -> asyncio.Future[None]:
        """Return what its call waits for; from now on the provider's time runs."""
        self.since = self._loop.time()
        return self._loop.create_future()

    def waits_no_more(self) -> None:
        """Stop the provider's time."""
        if self._reply is not None:
            self.since = inf

    def read_on(self) -> None:
        """Read from the socket again."""
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close it at once. Whoever still reads from it gets no more."""
        self._reply = None
        self.is_open = False
        self._transport.abort()

    def fail(self, fault: ProviderFault) -> None:
        """Close it, and tell whoever reads from it why."""
        reply = self._reply
        self.abort()
        if reply is not None:
            reply.fail(fault)

    # -- asyncio.Protocol ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport  # type: ignore[assignment]  # of TCP or TLS, and so an asyncio.Transport
        self._parser = HttpResponseParser(self)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """Read on in the reply."""
        if self._reply is None or self._parser is None:
            self.abort()  # nobody has asked for this
            return
        self._unread += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self.fail(ReplyFault(_NO_REPLY))
        if self._unread > MOST_HEAD_BYTES or self._head_bytes > MOST_HEAD_BYTES:
            self.fail(ReplyFault(_LARGE))  # the parser keeps a field until its end, if it has one

    def eof_received(self) -> None:
        """Note that the provider closes; the transport does so too, and tells it a little later."""
        self.is_open = False

    def connection_lost(self, exc: Exception | None) -> None:
        """End; a reply whose length its head leaves open is whole now."""
        self.is_open = False
        self._parser = None  # both hold each other
        self._pool.lost(self)
        reply, self._reply = self._reply, None
        if reply is None:
            return
        if exc is None and self._is_endless and reply.status:
            reply.end()
        else:
            cause = "closed before the reply was whole" if exc is None else cause_of(exc)
            reply.fail(ReadError(broken(cause)))

    # -- of the parser -------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Close where this is a reply that nobody has asked for: else its rest would answer the next call."""
        if self._reply is None:
            self.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer, which nobody wants."""
        self._head_bytes += len(name) + len(value) + 4
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Hand the head over, unless another is to follow (RFC 9110, section 15.2)."""
        self._unread = 0
        if self._reply is None or self._parser is None:
            return
        status = self._parser.get_status_code()
        if self._head_bytes > MOST_HEAD_BYTES:
            self.fail(ReplyFault(_LARGE))
        elif status < _INTERIM.start:
            self.fail(ReplyFault(_NO_REPLY))
        elif status not in _INTERIM:
            self._reply.begin(status, self._headers)
            self._is_endless = self._reply.has_none_of(_LENGTHS)
        self._headers = []

    def on_body(self, body: bytes) -> None:
        """Hand a part of the body over."""
        self._unread = 0
        if self._reply is not None and not self._reply.add(body) and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """Hand the end over, and this connection back."""
        self._unread = 0
        reply = self._reply
        if reply is None or self._parser is None or not reply.status:
            return  # broken off, or an interim head
        self._reply = None
        self.read_on()
        if self.is_open and self._parser.should_keep_alive() and not self._transport.get_write_buffer_size():
            self.since = self._loop.time()
            self._pool.take_back(self)
        else:
            self.abort()
        reply.end()
