"""One process of several that serve one port: how it comes to be, and what it tells its supervisor.

Owns the fork and the pipes. A worker is forked from a process that has read the policy, opened the socket and loaded
everything, so that all share one memory for it and one key for stand-ins. It says ``ready`` in a line, its sums in
another, and ends when its supervisor does.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from iron_adapters.router.totals import read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import FrameType

    from iron_adapters.router.totals import Totals

    _Handler: TypeAlias = Callable[[int, FrameType | None], object] | int | None

_log = logging.getLogger("iron.router")
READY: Final = b"ready\n"
_FAILED: Final = 1


class Worker:
    """A worker as its supervisor sees it.

    Attributes:
        pid: the process.
        pipe: what it says comes from here; it is at its end when the process is.
        began: when it was started, by the monotonic clock.
        ready: whether it accepts connections.
        totals: what it did, once it has said so.
    """

    def __init__(self, pid: int, pipe: int) -> None:
        self.pid = pid
        self.pipe = pipe
        self.began = time.monotonic()
        self.ready = False
        self.totals: Totals | None = None
        self._said = b""

    def listen(self) -> bool:
        """Take in what it says; return False once it has ended."""
        said = os.read(self.pipe, 65536)
        *lines, self._said = (self._said + said).split(b"\n")
        for line in lines:
            if line + b"\n" == READY:
                self.ready = True
            else:
                self.totals = read(line)
        return bool(said)

    def signal(self, number: int) -> None:
        """Send it a signal. It is not waited for yet, so its id is nobody else's."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Wait for its end; return its exit code, the negative number of a signal that ended it."""
        os.close(self.pipe)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def fork_worker(
    work: Callable[[int], None], *, closes: Iterable[int], handlers: Mapping[int, _Handler]
) -> Worker:
    """Start a process that does *work*, which is given where to say things, and ends.

    Args:
        work: what it does.
        closes: files of the supervisor that it must not hold open.
        handlers: of signals, as they are to be in the worker at first.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pipe, says = os.pipe()
    pid = os.fork()
    if pid == 0:
        _begin(pipe, closes, handlers)
        _work_and_exit(work, says)
    os.close(says)
    return Worker(pid, pipe)


def _begin(pipe: int, closes: Iterable[int], handlers: Mapping[int, _Handler]) -> None:
    """Leave to the supervisor what is its own."""
    signal.set_wakeup_fd(-1)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    for file in (pipe, *closes):
        os.close(file)


def _work_and_exit(work: Callable[[int], None], says: int) -> NoReturn:
    """Do *work* and end this process, without what the supervisor has arranged for its own end."""
    code = _FAILED
    try:
        work(says)
        code = 0
    except BaseException as error:  # noqa: BLE001 - the worker's edge: a traceback may hold texts, and the process ends anyway
        _log.error("a worker failed with %s", type(error).__name__)
    finally:
        sys.stderr.flush()
        os._exit(code)
