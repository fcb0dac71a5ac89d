"""The double's application on a real loopback socket.

Owns how uvicorn is set up for it, and the one thing that ASGI has no message for: hanging up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import uvicorn

from iron_adapters.background_server import BackgroundServer, bound
from iron_adapters.testing.connection import HANG_UP

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class LoopbackServer(BackgroundServer):
    """Serves *app* on 127.0.0.1 from construction until :meth:`stop`."""

    def __init__(self, app: ASGIApp, port: int = 0) -> None:
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
        super().__init__(config, bound("127.0.0.1", port), name="provider-double")


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
