"""How uvicorn is set up for the router.

Owns the numbers: how long callers may idle, and how long their streams may go on when the server is told to end.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import uvicorn

from iron_adapters.router.protocol import GuardedProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from iron_adapters.router.asgi import Application

KEEP_ALIVE_SECONDS: Final = 75
"""How long an idle connection is kept, as nginx does. Clients keep theirs for 5 to 60 seconds."""
GRACE_SECONDS: Final = 30
"""How long calls under way may go on after the server was told to end."""


def configuration(app: Application, *, grace_seconds: int = GRACE_SECONDS) -> uvicorn.Config:
    """Return uvicorn's configuration for *app*."""
    return uvicorn.Config(
        app,
        http=GuardedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=grace_seconds,
        backlog=2048,
    )


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes event loops: uvloop's where there is one (not on Windows)."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
