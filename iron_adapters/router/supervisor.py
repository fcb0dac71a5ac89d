"""Several processes that serve one port: started together, started anew when one fails, ended together.

Owns their number and their end. All accept from one socket, so that while a worker is gone nobody waits for it.
"""

from __future__ import annotations

import os
import selectors
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from iron_adapters.router.foreground import ENDS
from iron_adapters.router.totals import Totals
from iron_adapters.router.worker import fork_worker

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from iron_adapters.router.worker import Worker

LIVED_SECONDS: Final = 10.0
"""A worker that ends sooner counts as another failure in a row."""
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0
_LAST_SECONDS: Final = 5.0
"""What a worker has beyond its grace, or after calls were broken off, before it is killed."""


class Listener(Protocol):
    """Who is told what happens to workers."""

    def ready(self) -> None:
        """All workers accept connections."""

    def worker_ended(self, pid: int, code: int, pause_seconds: float) -> None:
        """A worker ended by itself; another starts after a pause. *code* is negative for a signal."""


class WorkersFailed(RuntimeError):  # noqa: N818 - what happened
    """A worker ended before all were ready, so none goes on."""


class Supervisor:
    """Runs *count* workers until a signal ends it.

    Args:
        count: how many there are.
        work: what each does, given where to say things and a pipe that ends when this process does.
        listening: the socket that all accept from.
        listener: is told of what happens.
        grace_seconds: how long calls under way may go on at the end.
    """

    def __init__(
        self,
        count: int,
        work: Callable[[int, int], None],
        listening: socket.socket,
        listener: Listener,
        *,
        grace_seconds: int,
    ) -> None:
        self._count, self._work, self._listening = count, work, listening
        self._listener = listener
        self._grace_seconds = grace_seconds
        self._workers: list[Worker] = []
        self._due: list[float] = []
        self._failures = 0
        self._asked: list[int] = []
        self._ending = self._announced = self._failed = False
        self._killed_at: float | None = None
        self._totals = Totals()

    def run(self) -> Totals:
        """Start the workers, keep up their number until a signal comes, end them, and return what they did.

        Raises:
            WorkersFailed: one could not start.
        """
        self._selector = selectors.DefaultSelector()
        self._alive = os.pipe()
        with self._selector, self._signals_heard():
            self._due = [0.0] * self._count
            while self._workers or not self._ending:
                self._start_due()
                for key, _ in self._selector.select(self._timeout()):
                    self._hear(key.data, key.fd)
                self._obey()
        for file in self._alive:
            os.close(file)
        if self._failed:
            raise WorkersFailed("a worker ended before all were ready")
        return self._totals

    # -- workers -------------------------------------------------------------------------------------------

    def _start_due(self) -> None:
        """Start what is to be started by now."""
        now = time.monotonic()
        for due in [due for due in self._due if due <= now and not self._ending]:
            self._due.remove(due)
            worker = fork_worker(
                lambda says: self._work(says, self._alive[0]),
                closes=[self._alive[1], *self._wakes, *(other.pipe for other in self._workers)],
                handlers={
                    **self._before,
                    signal.SIGINT: signal.SIG_IGN,  # the keyboard's reaches it through here
                    signal.SIGTERM: signal.SIG_DFL,  # what it is told by, whatever this process was started to ignore
                    signal.SIGQUIT: signal.SIG_DFL,
                },
            )
            self._workers.append(worker)
            self._selector.register(worker.pipe, selectors.EVENT_READ, worker)

    def _hear(self, worker: Worker | None, file: int) -> None:
        if worker is None:
            os.read(file, 4096)
        elif not worker.listen():
            self._selector.unregister(file)
            self._workers.remove(worker)
            self._take_leave(worker, worker.wait())
        elif not self._announced and sum(worker.ready for worker in self._workers) == self._count:
            self._announced = True
            self._listener.ready()

    def _take_leave(self, worker: Worker, code: int) -> None:
        """Add up what *worker* did, and see to its successor."""
        if worker.totals is None:
            self._totals.lost_workers += 1
        else:
            self._totals.add(worker.totals)
        if self._ending:
            return
        if not self._announced:
            self._failed = True
            self._end()
            return
        now = time.monotonic()
        self._failures = 1 if now - worker.began >= LIVED_SECONDS else self._failures + 1
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (self._failures - 1))
        self._due.append(now + pause)
        self._listener.worker_ended(worker.pid, code, pause)

    # -- the end -------------------------------------------------------------------------------------------

    def _obey(self) -> None:
        """Do what signals ask for, and kill what has not ended in time."""
        while self._asked:
            if self._asked.pop(0) == signal.SIGQUIT or self._ending:
                self._end(signal.SIGQUIT, 0)
            else:
                self._end()
        if self._killed_at is not None and time.monotonic() >= self._killed_at:
            self._signal_all(signal.SIGKILL)
            self._killed_at = None

    def _end(self, number: int = signal.SIGTERM, grace_seconds: float | None = None) -> None:
        grace = self._grace_seconds if grace_seconds is None else grace_seconds
        self._ending = True
        self._listening.close()  # else whoever connects now waits for nobody
        self._killed_at = time.monotonic() + grace + _LAST_SECONDS
        self._signal_all(number)

    def _signal_all(self, number: int) -> None:
        for worker in self._workers:
            worker.signal(number)

    def _timeout(self) -> float | None:
        """Return how long nothing is to be done unless something happens, in seconds."""
        moments = [] if self._ending else [*self._due]
        if self._killed_at is not None:
            moments.append(self._killed_at)
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    @contextmanager
    def _signals_heard(self) -> Iterator[None]:
        """Take note of signals while this lasts; each wakes whoever waits in :meth:`run`."""
        self._wakes = os.pipe()
        for file in self._wakes:
            os.set_blocking(file, False)
        self._selector.register(self._wakes[0], selectors.EVENT_READ, None)
        self._before = {number: signal.getsignal(number) for number in (*ENDS, signal.SIGQUIT)}
        woken_before = signal.set_wakeup_fd(self._wakes[1], warn_on_full_buffer=False)
        for number, handler in self._before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, lambda number, _frame: self._asked.append(number))
        try:
            yield
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(woken_before)
            for file in self._wakes:
                os.close(file)
