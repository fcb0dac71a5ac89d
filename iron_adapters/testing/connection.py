"""One client's connection while it is answered: writing, pausing, noticing that it is gone, hanging up.

Owns what ASGI leaves out: an answer that ends in the middle of a body. Knows no dialect.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from starlette.types import Receive, Scope, Send

    from iron_adapters.testing.settings import Settings

HANG_UP = "iron_adapters.hang_up"
"""Name of the ASGI extension under which the server puts a callable that closes the connection."""

_TICK_SECONDS = 0.02


class Connection:
    """One client that waits for an answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, settings: Settings) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._settings = settings
        self._watcher: asyncio.Task[None] | None = None
        self.gone = False

    async def __aenter__(self) -> Self:
        self._watcher = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the head of the answer."""
        closing = {} if self._settings.keep_alive else {"connection": "close"}
        raw = [(name.encode(), value.encode()) for name, value in {**headers, **closing}.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def write(self, data: bytes) -> None:
        """Send a piece of the body, at once."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes = b"") -> None:
        """Send *data* and end the body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def pause(self, seconds: float) -> None:
        """Wait *seconds*, or until the client is gone or the server stops."""
        until = time.monotonic() + seconds
        while not (self.gone or self._settings.closing):
            left = until - time.monotonic()
            if left <= 0:
                return
            await asyncio.sleep(min(left, _TICK_SECONDS))

    async def hang_up(self) -> None:
        """Close the connection as it stands. In process, where there is none, raise ``ConnectionResetError``."""
        hang_up = self._scope.get("extensions", {}).get(HANG_UP)
        if hang_up is None:
            raise ConnectionResetError("the double closed the connection, as it was told to")
        hang_up()
        if self._watcher is not None:
            await self._watcher
