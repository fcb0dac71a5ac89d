"""The router as what a process is there for: it serves until a signal ends it.

Owns what signals mean. The first one to end lets calls under way finish within the grace that uvicorn's configuration
states; a second one breaks them off, which their record and their budget still get to know.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, cast

import uvicorn

from iron_adapters.router.serving import loop_factory

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from types import FrameType

    from iron_adapters.router.protocol import GuardedProtocol

ENDS: Final = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)
)
"""Signals that end a router."""
BREAKS_OFF: Final = getattr(signal, "SIGQUIT", None)
"""The signal that ends it at once."""


class ForegroundServer(uvicorn.Server):
    """Serves in this process's main thread.

    Args:
        config: what is served, and how.
        on_ready: called when connections are accepted.
        supervisor: a pipe whose writing end a supervisor holds as long as it lives, where this is one of its workers.
            It alone then reads the keyboard's signals, and its end is the worker's.
    """

    def __init__(
        self, config: uvicorn.Config, *, on_ready: Callable[[], None], supervisor: int | None = None
    ) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._supervisor = supervisor

    def serve_on(self, listening: socket.socket) -> None:
        """Serve connections of *listening* until a signal ends it.

        Raises:
            SystemExit: the application refused to start.
        """
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(self.serve(sockets=[listening]))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        if self._supervisor is not None:
            asyncio.get_running_loop().add_reader(self._supervisor, self._be_orphaned, self._supervisor)
        self._on_ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End by signals while this lasts. Unlike uvicorn, do not raise them once more: to end is what was asked for."""
        loop = asyncio.get_running_loop()

        def tell(number: int, _frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self._obey, number)

        numbers = [*ENDS, *([] if BREAKS_OFF is None else [BREAKS_OFF])]
        before = {number: signal.getsignal(number) for number in numbers}
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:  # what nohup or a supervisor has silenced stays so
                signal.signal(number, tell)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _obey(self, number: int) -> None:
        # A worker gets the same signal from its supervisor and from whoever signals the whole group.
        if number == BREAKS_OFF or (self.should_exit and self._supervisor is None):
            self._break_off()
        self.should_exit = True

    def _break_off(self) -> None:
        for task in self.server_state.tasks:
            task.cancel()
        for connection in list(self.server_state.connections):
            cast("GuardedProtocol", connection).abort()

    def _be_orphaned(self, supervisor: int) -> None:
        asyncio.get_running_loop().remove_reader(supervisor)
        os.close(supervisor)
        self.should_exit = True
