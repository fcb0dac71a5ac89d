"""Where events go: the log, memory, a file of hash chains.

Owns writing. Whatever goes wrong here is counted and told once on the logger ``iron.audit``; it breaks no call.
"""

from __future__ import annotations

import atexit
import logging
import os
import secrets
import threading
import time
import weakref
from collections import deque
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

from iron_policy.audit.chain import AFTER, CLOSED, DROPPED, KEYED, OPENED, Chain, plain, split
from iron_policy.audit.events import AuditEvent
from iron_policy.exceptions import PolicyError

if TYPE_CHECKING:
    from iron_policy.audit.events import Json

LOGGER: Final = logging.getLogger("iron.audit")

_LONGEST_TAIL: Final = 1 << 20
"""Bytes read back from the end of a file in search of its last line."""

# orjson writes these as they are, and some readers of logs take each for the end of a line.
_ESCAPED: Final = str.maketrans({"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})


class LogSink:
    """One JSON line per event on a logger, at level INFO."""

    def __init__(self, logger_name: str = LOGGER.name) -> None:
        self._logger = logging.getLogger(logger_name)

    def write(self, event: AuditEvent) -> None:
        """Log *event*, where the logger listens at all."""
        if self._logger.isEnabledFor(logging.INFO):
            # As an argument, because a percent sign in an attribute must not be taken for a format.
            self._logger.info("%s", _one_line(event))

    def close(self) -> None:
        """Do nothing: loggers are closed by those who set them up."""


class MemorySink:
    """The latest events, in memory."""

    def __init__(self, maxlen: int = 1_000) -> None:
        self._events: deque[AuditEvent] = deque(maxlen=maxlen)

    @property
    def events(self) -> tuple[AuditEvent, ...]:
        """The latest events, the oldest first."""
        return tuple(self._events)

    def write(self, event: AuditEvent) -> None:
        """Keep *event*, in place of the oldest if there is no more room."""
        self._events.append(event)

    def close(self) -> None:
        """Do nothing; the events stay readable."""


class JsonlSink:
    """A file of hash chains, one JSON line per event (the format stands in ``chain``).

    Several processes may append to one file. A forked child starts a chain of its own. The file is created for its
    owner alone (mode 0600); one that exists keeps its mode. To change files, close this sink and open another.

    Attributes:
        path: the file.
        dropped: how many events could not be written.
    """

    def __init__(self, path: str | os.PathLike[str], *, key: bytes | None = None) -> None:
        """Open or create the file.

        Raises:
            PolicyError: the file cannot be opened for appending.
        """
        self.path = Path(path)
        self.dropped = 0
        self._key = key
        self._lock = threading.Lock()
        self._told: set[str] = set()
        self._chain: Chain | None = None
        self._torn = False
        try:
            self._file: int | None = os.open(
                self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise PolicyError(
                f"audit.path: {str(self.path)!r} cannot be opened for appending ({error.strerror}); "
                "create its directory, or name another file"
            ) from error
        _mind_forks_and_exit()
        _open_sinks.add(self)

    def write(self, event: AuditEvent) -> None:
        """Append *event*; where that fails, count it as dropped."""
        with self._lock:
            try:
                self._append(self._chain or self._open_chain(), event)
                return
            except (OSError, TypeError, ValueError, RecursionError) as error:
                self.dropped += 1
                problem = error
        self._tell(problem)  # outside the lock: a handler of the log may itself lead here

    def close(self) -> None:
        """Write the chain's last line and close the file. What comes later is dropped."""
        with self._lock:
            if self._file is None:
                return
            try:
                if self._chain is not None:
                    self._append(self._chain, _event(CLOSED, {DROPPED: self.dropped}))
                os.close(self._file)
            except OSError as error:
                self._tell(error)
            self._file = None
        _open_sinks.discard(self)

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:
            self.close()

    def _open_chain(self) -> Chain:
        """Begin a chain with its first line."""
        after, self._torn = _last_hash(self.path)
        chain = Chain(secrets.token_hex(8), self._key)
        self._append(chain, _event(OPENED, {AFTER: after, KEYED: self._key is not None}))
        self._chain = chain
        return chain

    def _append(self, chain: Chain, event: AuditEvent) -> None:
        if self._file is None:
            raise ValueError("the sink is closed")
        try:
            line, digest = chain.line(event)
        except TypeError:
            line, digest = chain.line(
                event._replace(call_id=plain(event.call_id), attributes=plain(event.attributes))
            )
        if self._torn:
            # The rest of a line that could not be finished must not swallow this one.
            line = b"\n" + line
        written = os.write(
            self._file, line
        )  # one call per line: with O_APPEND, lines of other processes stay whole
        self._torn = written < len(line)
        if self._torn:
            raise OSError(None, "the file system took only a part of a line")
        chain.accept(digest)

    def _tell(self, error: Exception) -> None:
        """Log a failure, the first time that its kind occurs."""
        kind = f"{type(error).__name__} {getattr(error, 'errno', '')}"
        if kind not in self._told:
            self._told.add(kind)
            LOGGER.warning(
                "audit events for %r are being dropped: %s: %s; this is told once, and counted in `dropped`",
                str(self.path),
                type(error).__name__,
                getattr(error, "strerror", None) or error,
            )

    def start_anew(self) -> None:
        """Leave the chain to the parent process, and a lock that one of its threads may hold for ever."""
        self._lock = threading.Lock()
        self._chain = None
        self.dropped = 0


_open_sinks: weakref.WeakSet[JsonlSink] = weakref.WeakSet()


@cache
def _mind_forks_and_exit() -> None:
    """Arrange, once per process, for sinks after a fork."""
    os.register_at_fork(after_in_child=_after_fork)
    atexit.register(_close_all)


def _after_fork() -> None:
    for sink in tuple(_open_sinks):
        sink.start_anew()


def _close_all() -> None:
    for sink in tuple(_open_sinks):
        sink.close()


def _event(kind: str, attributes: dict[str, Json]) -> AuditEvent:
    return AuditEvent(kind, time.time(), "", {**attributes, "process.pid": os.getpid()})


def _one_line(event: AuditEvent) -> str:
    record = {
        "type": event.type,
        "time": event.time,
        "call_id": event.call_id,
        "attributes": event.attributes,
    }
    try:
        text = orjson.dumps(record).decode()
    except TypeError:
        text = orjson.dumps(plain(record)).decode()
    return text if text.isascii() else text.translate(_ESCAPED)


def _last_hash(path: Path) -> tuple[str | None, bool]:
    """Return the hash of a file's last whole line, and whether a line that is not whole follows it."""
    if not path.is_file():
        return None, False  # a device such as /dev/stdout has no last line, and reading some has no end
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - _LONGEST_TAIL))
            *lines, rest = file.read(_LONGEST_TAIL).split(b"\n")
    except OSError:
        # Whoever may only append may not look; the chain then stands alone.
        return None, False
    for line in reversed(lines):
        if (parts := split(line)) is not None:
            return parts[0], bool(rest)
    return None, bool(rest)
