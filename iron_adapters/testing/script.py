"""What the double is told to do next: a queue of replies and a queue of faults.

Owns both queues and who takes from them. Thread-safe; knows no dialect.
"""

from __future__ import annotations

import fnmatch
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from iron_adapters.testing.asked import Asked
from iron_adapters.testing.faults import Fault
from iron_adapters.testing.replies import Reply
from iron_adapters.testing.speaking import speak

Speaker: TypeAlias = Callable[[Asked], Reply | str]
"""Makes the answer to one request."""

Line: TypeAlias = Reply | str | Fault | Speaker
"""One line of a script."""


@dataclass(slots=True)
class _Pending:
    fault: Fault
    model: str
    times: int


class Script:
    """Takes a line per request: faults first, then replies in order, then the default speaker."""

    def __init__(self) -> None:
        self._lines: deque[Line] = deque()
        self._faults: list[_Pending] = []
        self._default: Speaker = speak
        self._lock = threading.Lock()

    def add(self, *lines: Line) -> None:
        """Append *lines*."""
        with self._lock:
            self._lines.extend(lines)

    def add_fault(self, fault: Fault, *, times: int, model: str) -> None:
        """Let the next *times* requests for a model that matches *model* fail."""
        with self._lock:
            self._faults.append(_Pending(fault, model, times))

    def set_default(self, speaker: Speaker | None) -> None:
        """Let *speaker* answer where no line is left; ``None`` brings the echo back."""
        with self._lock:
            self._default = speaker or speak

    def clear(self) -> None:
        """Forget every line and fault, and bring the echo back."""
        with self._lock:
            self._lines.clear()
            self._faults.clear()
            self._default = speak

    def take_fault(self, model: str) -> Fault | None:
        """Return and use up the fault that the next request for *model* meets, if any."""
        with self._lock:
            for pending in self._faults:
                if fnmatch.fnmatchcase(model, pending.model):
                    pending.times -= 1
                    if pending.times <= 0:
                        self._faults.remove(pending)
                    return pending.fault
            if self._lines and isinstance(self._lines[0], Fault):
                fault = self._lines.popleft()
                return fault if isinstance(fault, Fault) else None
            return None

    def take_reply(self, asked: Asked) -> Reply:
        """Return the reply to *asked*, using up a line where there is one."""
        with self._lock:
            line = (
                self._lines.popleft()
                if self._lines and not isinstance(self._lines[0], Fault)
                else self._default
            )
        said = line if isinstance(line, Reply | str | Fault) else line(asked)
        return said if isinstance(said, Reply) else Reply(str(said))

    @property
    def lines_left(self) -> int:
        """How many lines and faults nobody has taken yet."""
        with self._lock:
            return len(self._lines) + sum(pending.times for pending in self._faults)
