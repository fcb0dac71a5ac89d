"""The folder by which a supervisor and the processes that it governs know of each other.

Owns its format. It is private (mode 0700, files 0600), and lies in the system's directory for temporary files:

- ``run.json``: what governs: the policy, the budget, the agent's name. While it is there the run may go on.
- ``<pid>-<random>.report``: what one process has done so far. It is one line, the CRC-32 of some JSON and that JSON,
  written over in one go at each change; a reader that comes in between sees that by the sum, and reads again.

The report of a process that has done nothing yet is empty.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from iron_adapters.governed_start import REPORT, SETTINGS, VARIABLE, new_report

HOOK = str(Path(__file__).with_name("start_hook"))
"""The directory with the ``sitecustomize`` that governs a Python as it starts."""

_OWNER = "budget-owner"
_ATTEMPTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What governs the processes of a run."""

    policy: dict[str, Any]
    explicit: bool = True
    """Whether somebody named that policy. Else it is the default, and yields to what the program itself names."""
    budget_usd: str | None = None
    """The most that the run may spend, in USD."""
    agent: str | None = None
    leashed: bool = False
    """Whether every call asks if the run still goes on."""


@dataclass(slots=True, kw_only=True)
class Report:
    """What one process, or several together, have done so far."""

    processes: int = 1
    calling_processes: int = 0
    """How many of them have made a call."""
    calls: int = 0
    unpriced_calls: int = 0
    """Calls to models that nobody knows the price of; they count as costing nothing."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nanodollars: Counter[str] = field(default_factory=Counter)
    """By where the amount comes from: ``reported``, ``estimated``, ``held``."""
    findings: Counter[str] = field(default_factory=Counter)
    """How often each kind was found, on the way in or out."""
    refusals: Counter[str] = field(default_factory=Counter)
    """How often something was refused, by the code of the refusal."""

    def add(self, other: Report) -> None:
        """Add what *other* has done."""
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, Counter):
                value.update(getattr(other, name))
            else:
                setattr(self, name, value + getattr(other, name))


class RunFolder:
    """One run's folder, on either side."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._settings = self.path / SETTINGS

    @classmethod
    def create(cls, settings: RunSettings) -> Self:
        """Make a new folder with *settings* in it."""
        folder = cls(tempfile.mkdtemp(prefix="iron-run-"))
        written = {name: getattr(settings, name) for name in settings.__slots__}
        _write(folder._settings, json.dumps(written).encode())
        return folder

    def environment(self) -> dict[str, str]:
        """Return this process's environment for a process of the run."""
        inherited = os.environ.get("PYTHONPATH")
        return {
            **os.environ,
            VARIABLE: str(self.path),
            "PYTHONPATH": HOOK if not inherited else HOOK + os.pathsep + inherited,
        }

    def settings(self) -> RunSettings:
        """Return what governs.

        Raises:
            OSError: the run is over.
        """
        return RunSettings(**json.loads(self._settings.read_bytes()))

    def goes_on(self) -> bool:
        """Tell whether the run may go on."""
        return self._settings.exists()

    def stop(self) -> None:
        """Let no process of the run do anything more."""
        self._settings.unlink(missing_ok=True)

    def own_budget(self, name: str) -> bool:
        """Let the report *name* be the one that spends the run's budget; tell whether it is."""
        try:
            _write(self.path / _OWNER, name.encode(), flags=os.O_EXCL)
        except FileExistsError:
            return (self.path / _OWNER).read_bytes() == name.encode()
        return True

    def new_report(self) -> str:
        """Return the name for the report of this process, which is there from now on."""
        return new_report(str(self.path))

    def publish(self, name: str, report: Report) -> None:
        """Let *report* be what the process with the report *name* has done so far.

        Raises:
            OSError: the folder is gone.
        """
        body = json.dumps({name: getattr(report, name) for name in report.__slots__}).encode()
        # Opened anew each time: a program that turns itself into a daemon closes every file it does not know.
        _write(self.path / name, b"%08x %b\n" % (zlib.crc32(body), body))

    def total(self) -> Report:
        """Return what all processes together have done so far."""
        total = Report(processes=0)
        for path in sorted(self.path.glob(f"*{REPORT}")):
            total.add(_read(path))
        return total

    def remove(self) -> None:
        """Delete the folder, as far as it is there."""
        shutil.rmtree(self.path, ignore_errors=True)


def _write(path: Path, content: bytes, *, flags: int = 0) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o600)
    try:
        os.write(file, content)
    finally:
        os.close(file)


def _read(path: Path) -> Report:
    """Return the report in a file; an empty one where nothing whole is to be had."""
    for _ in range(_ATTEMPTS):
        line = path.read_bytes().partition(b"\n")[0]
        if not line:
            break
        if line[:8] == b"%08x" % zlib.crc32(line[9:]):
            known: dict[str, Any] = json.loads(line[9:])
            for name, value in known.items():
                if isinstance(value, dict):
                    known[name] = Counter(value)
            return Report(**known)
    return Report()
