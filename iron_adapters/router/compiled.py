"""pyreqwest, for what the router's own client does not speak: HTTP/2, and proxies.

Owns its setting, and the reading of its replies and failures.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import PyreqwestError, RequestTimeoutError

from iron_adapters.client_faults import causes_of, innermost_cause, was_sent
from iron_adapters.proxies import with_proxy
from iron_adapters.router.faults import (
    ConnectError,
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    broken,
    distrusted,
)
from iron_adapters.router.http1.pool import IDLE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from pyreqwest.client import Client
    from pyreqwest.request import StreamRequest
    from pyreqwest.response import Response

    from iron_adapters.proxies import Proxy
    from iron_adapters.router.sending import Patience

_STREAM_WINDOW: Final = 256 * 1024
_CONNECTION_WINDOW: Final = 64 * 1024 * 1024
"""Wide enough for every stream of a connection, so that callers who do not read hold up nobody else's."""
_PING: Final = timedelta(seconds=30)
_PONG: Final = timedelta(seconds=20)
_CERTIFICATE: Final = "invalid peer certificate"
_DISTRUSTED: Final = {"UnknownIssuer": "unknown", "not valid for name": "host", "expired": "expired"}
"""What rustls says of certificates, and what that means."""


def builder(patience: Patience, proxy: Proxy | None) -> ClientBuilder:
    """Return what a client is built from, for HTTP/1.1."""
    client = (
        ClientBuilder()
        .follow_redirects(False)
        .error_for_status(False)
        .default_cookie_store(False)
        .referer(False)
        .tcp_nodelay(True)
        .pool_idle_timeout(timedelta(seconds=IDLE_SECONDS))
        .connect_timeout(timedelta(seconds=patience.connect_seconds))
        .pool_timeout(timedelta(seconds=patience.connect_seconds))
        .read_timeout(timedelta(seconds=patience.read_seconds))
        .max_connections(patience.connections)
    )
    return with_proxy(client, proxy)


def with_http2(builder: ClientBuilder) -> ClientBuilder:
    """Let *builder* offer HTTP/2, and find out about a connection that has died unseen: all calls would wait on it."""
    return (
        builder.http2(True)
        .http2_initial_stream_window_size(_STREAM_WINDOW)
        .http2_initial_connection_window_size(_CONNECTION_WINDOW)
        .http2_keep_alive_interval(_PING)
        .http2_keep_alive_timeout(_PONG)
    )


class CompiledClient:
    """Sends requests with pyreqwest, through *proxy* where it is for them."""

    def __init__(self, client: Client, proxy: Proxy | None) -> None:
        self._client = client
        self._proxy = proxy

    def request(self, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes) -> _Asking:
        """Return a request, to be entered with ``async with``: leaving it early stops the provider.

        Raises:
            ProviderFault: it cannot be written.
        """
        # Without this limit of nothing, a stream is handed out only when a whole buffer of it has come.
        try:
            asking = self._client.request(method, url).headers(list(headers)).body_bytes(body)
            return _Asking(asking.streamed_read_buffer_limit(0).build_streamed(), url, self._proxy)
        except PyreqwestError as error:
            raise _fault(error) from None


class _Asking:
    def __init__(self, request: StreamRequest, url: str, proxy: Proxy | None) -> None:
        self._request = request
        self._url, self._proxy = url, proxy

    async def __aenter__(self) -> CompiledReply:
        try:
            return CompiledReply(await self._request.__aenter__())
        except PyreqwestError as error:
            raise _fault(error, _way(self._url, self._proxy)) from None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._request.__aexit__(kind, error, trace)


class CompiledReply:
    """A reply that pyreqwest reads."""

    def __init__(self, response: Response) -> None:
        self.status = response.status
        self.headers = [
            (name.encode("latin-1"), value.encode("latin-1", "replace"))
            for name, value in response.headers.items()
        ]
        self._reader = response.body_reader

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of the header *name*, which is written in lower case."""
        return next((value for each, value in self.headers if each == name), None)

    async def read(self) -> bytes:
        """Return what has come of the body, decoded, as soon as there is some; nothing at its end.

        Raises:
            ProviderFault: it broke.
        """
        try:
            while (chunk := await self._reader.read_chunk()) is not None and not len(chunk):
                pass  # what was read decodes to nothing yet
        except PyreqwestError as error:
            raise _fault(error) from None
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # A read that has something at once returns it to a task that was cancelled, and the wish to end is lost.
            raise asyncio.CancelledError
        return b"" if chunk is None else bytes(chunk)


def _way(url: str, proxy: Proxy | None) -> str:
    """Return what to say besides of a call to *url* that got no connection. A proxy's address may hold a password."""
    if proxy is None or not proxy.is_for(url):
        return ""
    return f"; the call went to the proxy that {proxy.variable} names: see whether that is the right one, and runs"


def _fault(error: PyreqwestError, way: str = "") -> ConnectError | ReadError:
    """Return what *error* means. Its own text may hold addresses with what is in them, so it is not told."""
    sent = was_sent(error)
    if isinstance(error, RequestTimeoutError):
        told = f"the provider did not answer in time ({type(error).__name__})"
        return ReadTimeout(told) if sent else ConnectTimeout(told + way)
    if (fault := next((told for told in causes_of(error) if _CERTIFICATE in told), None)) is not None:
        reason = next((reason for name, reason in _DISTRUSTED.items() if name in fault), "")
        return ConnectError(distrusted(reason))
    told = broken(innermost_cause(error))
    return ReadError(told) if sent else ConnectError(told + way)
