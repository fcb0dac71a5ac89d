"""Connections to providers: the version of HTTP, whose certificates are trusted, and the proxy in between.

Owns how the clients are set up. HTTP/1.1 is the rule, as with the providers' SDKs: over HTTP/2 all calls share one
connection, and those above the server's limit of streams (often 100) wait in silence until another ends.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self

from pyreqwest.client import ClientBuilder

from iron_adapters.proxies import with_proxy

if TYPE_CHECKING:
    from types import TracebackType

    from pyreqwest.client import Client

    from iron_adapters.proxies import Proxy
    from iron_adapters.router.sending import Patience
    from iron_adapters.router.upstreams import Upstream, Upstreams

_IDLE: Final = timedelta(seconds=4)
"""How long an idle HTTP/1.1 connection is used again. uvicorn's and Node's servers close theirs after 5 seconds, and a
call that meets the end on its way is lost, and may be billed; httpx, under the SDKs, waits 5 seconds too."""
_STREAM_WINDOW: Final = 256 * 1024
_CONNECTION_WINDOW: Final = 64 * 1024 * 1024
"""Wide enough for every stream of a connection, so that callers who do not read hold up nobody else's."""
_PING: Final = timedelta(seconds=30)
_PONG: Final = timedelta(seconds=20)


class Connections:
    """The clients towards all upstreams, between entering and leaving. They belong to the running event loop."""

    def __init__(self, patience: Patience, upstreams: Upstreams, proxy: Proxy | None = None) -> None:
        self._patience, self._proxy = patience, proxy
        self._needs_http2 = any(each.http2 for each in upstreams)
        self._stack = AsyncExitStack()
        self._http1: Client
        self._http2: Client

    async def __aenter__(self) -> Self:
        """Open the clients that are needed."""
        self._http1 = await self._stack.enter_async_context(self._builder().pool_idle_timeout(_IDLE).build())
        if self._needs_http2:
            self._http2 = await self._stack.enter_async_context(_with_http2(self._builder()).build())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close them."""
        await self._stack.aclose()

    def to(self, upstream: Upstream) -> Client:
        """Return the client for calls to *upstream*."""
        return self._http2 if upstream.http2 else self._http1

    def _builder(self) -> ClientBuilder:
        patience = self._patience
        builder = (
            ClientBuilder()
            .follow_redirects(False)
            .error_for_status(False)
            .default_cookie_store(False)
            .referer(False)
            .tcp_nodelay(True)
            .connect_timeout(timedelta(seconds=patience.connect_seconds))
            .pool_timeout(timedelta(seconds=patience.connect_seconds))
            .read_timeout(timedelta(seconds=patience.read_seconds))
            .max_connections(patience.connections)
        )
        return with_proxy(builder, self._proxy)


def _with_http2(builder: ClientBuilder) -> ClientBuilder:
    """Let *builder* offer HTTP/2, and find out about a connection that has died unseen: all calls would wait on it."""
    return (
        builder.http2(True)
        .http2_initial_stream_window_size(_STREAM_WINDOW)
        .http2_initial_connection_window_size(_CONNECTION_WINDOW)
        .http2_keep_alive_interval(_PING)
        .http2_keep_alive_timeout(_PONG)
    )
