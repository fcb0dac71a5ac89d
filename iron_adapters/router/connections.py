"""Connections to providers: which client a call takes.

HTTP/1.1 is the rule, as with the providers' SDKs: over HTTP/2 all calls share one connection, and those above the
server's limit of streams (often 100) wait in silence until another ends.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Protocol, Self

from iron_adapters.router.http1 import Http1Client, Pool

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from iron_adapters.proxies import Proxy
    from iron_adapters.router.sending import Patience
    from iron_adapters.router.upstreams import Upstream, Upstreams


class ProviderReply(Protocol):
    """What a provider answers, as both clients hand it out."""

    status: int
    headers: list[tuple[bytes, bytes]]
    """Names in lower case."""

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of the header *name*, which is written in lower case."""

    async def read(self) -> bytes:
        """Return what has come of the body, decoded, as soon as there is some; nothing at its end.

        Raises:
            ProviderFault: it broke.
        """


class Client(Protocol):
    """Sends requests to providers."""

    def request(
        self, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes
    ) -> AbstractAsyncContextManager[ProviderReply]:
        """Return a request, to be entered with ``async with``: leaving it early stops the provider.

        Raises:
            ProviderFault: it cannot be written.
        """


class Connections:
    """The clients towards all upstreams, between entering and leaving. They belong to the running event loop."""

    def __init__(self, patience: Patience, upstreams: Upstreams, proxy: Proxy | None = None) -> None:
        self._patience, self._proxy = patience, proxy
        self._needs_http2 = any(each.http2 for each in upstreams)
        self._stack = AsyncExitStack()
        self._http1: Client
        self._http2: Client
        self._proxied: Client | None = None

    async def __aenter__(self) -> Self:
        """Open the clients that are needed."""
        patience = self._patience
        pool = Pool(
            connect_seconds=patience.connect_seconds,
            read_seconds=patience.read_seconds,
            most=patience.connections,
        )
        self._stack.callback(pool.close)
        self._http1 = Http1Client(pool)
        if self._proxy is not None:
            self._proxied = await self._compiled(http2=False)
        if self._needs_http2:
            self._http2 = await self._compiled(http2=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close them."""
        await self._stack.aclose()

    def to(self, upstream: Upstream) -> Client:
        """Return the client for calls to *upstream*."""
        if upstream.http2:
            return self._http2
        if self._proxied is not None and upstream.base_url.startswith("https:"):
            return self._proxied  # which knows whom the proxy is not for
        return self._http1

    async def _compiled(self, *, http2: bool) -> Client:
        from iron_adapters.router.compiled import CompiledClient, builder, with_http2

        built = builder(self._patience, self._proxy)
        client = (with_http2(built) if http2 else built).build()
        return CompiledClient(await self._stack.enter_async_context(client), self._proxy)
