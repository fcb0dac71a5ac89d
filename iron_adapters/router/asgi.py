"""The words of ASGI 3 (asgi.readthedocs.io) that server and application share, and the life of the application.

Owns no protocol: uvicorn speaks to the system, ``turn`` to the caller.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


async def live(life: AbstractAsyncContextManager[None], receive: Receive, send: Send) -> None:
    """Enter *life* when the server starts, and leave it when the server ends.

    Raises:
        Exception: what *life* raises; the server is told before.
    """
    stage = "startup"
    try:
        await receive()
        async with life:
            await send({"type": "lifespan.startup.complete"})
            stage = "shutdown"
            await receive()
    except BaseException as error:
        await send({"type": f"lifespan.{stage}.failed", "message": type(error).__name__})
        raise
    await send({"type": "lifespan.shutdown.complete"})
