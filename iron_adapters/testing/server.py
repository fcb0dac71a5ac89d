"""A real loopback server for an ASGI application, in a thread of its own.

Owns the socket, the thread and their end. Needs uvicorn; knows nothing of the application.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

import uvicorn

from iron_adapters.testing.connection import HANG_UP

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_BACKLOG = 2048
_START_SECONDS = 30.0


class LoopbackServer:
    """Serves *app* on 127.0.0.1 from construction until :meth:`stop`.

    The socket is bound once and handed over, so that no other process can take the port in between.
    """

    def __init__(self, app: ASGIApp, port: int = 0) -> None:
        self._socket = _listening(port)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            _ClosableConnections(app),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=2,
        )
        self._server = _AnnouncingServer(config)
        self._thread = threading.Thread(target=self._run, name=f"provider-double-{self.port}", daemon=True)
        self._thread.start()
        if not self._server.announced.wait(_START_SECONDS):
            raise TimeoutError("the provider double did not start within 30 seconds")

    def _run(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def stop(self) -> None:
        """Close every connection and wait until the thread has ended."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


def _listening(port: int) -> socket.socket:
    """Return a bound socket whose connections send at once: asyncio turns Nagle's delay off only where TCP is named."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


class _AnnouncingServer(uvicorn.Server):
    """Says when it accepts connections, so that nobody has to poll."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.announced = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.announced.set()


class _ClosableConnections:
    """Gives each request a way to close its connection, which ASGI has no message for.

    uvicorn's ``send`` is a method of the object that holds the transport; this is the only place that relies on it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        cycle: Any = getattr(send, "__self__", None)
        transport = getattr(cycle, "transport", None)
        if transport is not None:
            scope.setdefault("extensions", {})[HANG_UP] = transport.close
        await self._app(scope, receive, send)
