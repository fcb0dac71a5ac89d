"""A server in a process tree of its own: started, timed until it is ready, weighed, and ended by its own number."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class NotServedError(Exception):
    """A server ended, or was not ready in time; the message holds the last it said."""


class Served:
    """A running server on a loopback port."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.port, self.ready_seconds, self.ready_cpu_seconds = port, 0.0, 0.0
        self._process, self._log = process, log

    def wait_until_ready(self, path: str, *, since: float, limit_seconds: float = 120) -> None:
        """Ask *path* until it answers 200; keep how long that took, by the clock and on its core."""
        while not answers(self.port, path):
            if self._process.poll() is not None:
                raise NotServedError(f"it ended with code {self._process.returncode}{self._last_words()}")
            if time.monotonic() - since > limit_seconds:
                raise NotServedError(f"no 200 at {path} within {limit_seconds:g} s{self._last_words()}")
            time.sleep(0.002)
        self.ready_seconds, self.ready_cpu_seconds = time.monotonic() - since, self.cpu_seconds()

    def resident_mb(self) -> float:
        """Return the resident memory of the process and its descendants; pages they share count for each."""
        pages = sum(int(_read(pid, "statm").split()[1]) for pid in self._tree())
        return pages * _PAGE / 1e6

    def cpu_seconds(self) -> float:
        """Return the time on a core that the process and its descendants have taken so far."""
        stats = (_after_name(pid) for pid in self._tree())
        return sum(int(fields[11]) + int(fields[12]) for fields in stats) / _TICKS

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tree(self) -> list[int]:
        parents = {int(entry.name): _parent(int(entry.name)) for entry in Path("/proc").glob("[0-9]*")}
        tree = [self._process.pid]
        for pid in tree:
            tree += [child for child, parent in parents.items() if parent == pid]
        return tree

    def _last_words(self) -> str:
        lines = [line for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        return f": {lines[-1].strip()[:300]}" if lines else ""


@contextlib.contextmanager
def served(
    command: list[str], *, port: int, ready: str, folder: Path, environment: Mapping[str, str]
) -> Iterator[Served]:
    """Run *command* for as long as the block lasts; enter it once the server is ready."""
    log = folder / "output.log"
    with log.open("wb") as output:
        begin = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    server = Served(process, port, log)
    try:
        server.wait_until_ready(ready, since=begin)
        yield server
    finally:
        server.stop()


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def answers(port: int, path: str) -> bool:
    """Whether a GET of *path* gives 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "0 0 0"


def _after_name(pid: int) -> list[str]:
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return fields if len(fields) > 12 else ["0"] * 13


def _parent(pid: int) -> int:
    return int(_after_name(pid)[1])
