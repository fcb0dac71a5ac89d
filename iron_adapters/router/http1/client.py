"""Requests over HTTP/1.1: how one is written, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from iron_adapters.router.codings import accepted
from iron_adapters.router.faults import RequestFault
from iron_adapters.router.http1.places import target_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from iron_adapters.router.http1.places import Address
    from iron_adapters.router.http1.pool import Pool
    from iron_adapters.router.http1.reply import Reply

_END: Final = "\r\n"


class Http1Client:
    """Sends requests over the connections of *pool*."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def request(self, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes) -> Asking:
        """Return a request, to be entered with ``async with``: leaving it early stops the provider.

        Raises:
            RequestFault: a header cannot be written.
        """
        target = target_of(url)
        lines = [f"{method} {target.path} HTTP/1.1", f"host: {target.host}", f"accept-encoding: {accepted()}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if body or method == "POST":
            lines.append(f"content-length: {len(body)}")
        return Asking(self._pool, target.address, _head(lines), body)


class Asking:
    """A request and its reply, between entering and leaving."""

    __slots__ = ("_address", "_body", "_head", "_pool", "_reply")

    def __init__(self, pool: Pool, address: Address, head: bytes, body: bytes) -> None:
        self._pool, self._address, self._head, self._body = pool, address, head, body
        self._reply: Reply | None = None

    async def __aenter__(self) -> Reply:
        """Send it; return the reply once its head is there.

        Raises:
            ProviderFault: none came.
        """
        connection = await self._pool.connection(self._address)
        reply = self._reply = connection.send(self._head, self._body)
        try:
            await reply.wait_for_head()
        except BaseException:
            reply.close()
            raise
        return reply

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the reply."""
        if self._reply is not None:
            self._reply.close()


def _head(lines: list[str]) -> bytes:
    """Return the head of a request. Keys come from files and other programs: none may write a line of its own."""
    head = _END.join(lines)
    if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1 or "\0" in head:
        raise RequestFault("a header of the call holds a line break; look at the key")
    try:
        return (head + _END + _END).encode("latin-1")
    except UnicodeEncodeError:
        raise RequestFault(
            "a header of the call holds a character that HTTP has not; look at the key"
        ) from None
