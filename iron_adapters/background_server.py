"""A server in a thread of its own, that accepts connections when its constructor returns.

Owns the socket, the thread and their end. Needs uvicorn; knows nothing of the application.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Callable

_BACKLOG = 2048
_START_SECONDS = 30.0


class BackgroundServer:
    """Serves what *config* says on *listening* from construction until :meth:`stop`.

    The socket is bound once and handed over, so that no other process can take the port in between.

    Raises:
        TimeoutError: it did not start.
        RuntimeError: its application refused to start.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        listening: socket.socket,
        *,
        name: str,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        self._socket = listening
        self._loop_factory = loop_factory
        self._server = AnnouncingServer(config)
        self.port: int = listening.getsockname()[1]
        self._thread = threading.Thread(target=self._run, name=f"{name}-{self.port}", daemon=True)
        self._thread.start()
        self._await_start(name)

    def _await_start(self, name: str) -> None:
        if not self._server.announced.wait(_START_SECONDS):
            self.stop()
            raise TimeoutError(f"the {name} did not start within {_START_SECONDS:g} seconds")
        if not self._server.started:
            self.stop()
            raise RuntimeError(f"the {name} could not start")

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=self._loop_factory) as runner:
                runner.run(self._server.serve(sockets=[self._socket]))
        except SystemExit:  # uvicorn's word for an application that refused; the constructor tells it
            return
        finally:
            self._server.announced.set()

    @property
    def is_running(self) -> bool:
        """Whether it accepts connections."""
        return self._thread.is_alive() and self._server.started and not self._server.should_exit

    def stop(self) -> None:
        """Accept nothing more, let what runs end as the configuration says, and wait for the thread's end."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


class AnnouncingServer(uvicorn.Server):
    """Says when it accepts connections, so that nobody has to poll."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.announced = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so; also where the application refused to."""
        await super().startup(sockets)
        self.announced.set()


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens on *port* of *host*; 0 is any free one.

    Its connections send at once: asyncio turns Nagle's delay off only where TCP is named.

    Raises:
        OSError: the address cannot be had.
        OverflowError: *port* is the number of none.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except (OSError, OverflowError):
        listening.close()
        raise
    return listening
