"""Starting a program so that every Python in it is governed, and passing on what it is told and how it ends.

Owns processes, process groups and signals. What governs stands in the run's folder; what a call may do, no word here.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iron_adapters.run_folder import RunSettings
from iron_policy.cost import to_usd
from iron_policy.detect import KINDS
from iron_policy.document import Policy
from iron_policy.engine import PolicyEngine, refuse_unavailable
from iron_policy.loading import load_policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from iron_adapters.resolve import PolicyLike
    from iron_adapters.run_folder import Report, RunFolder

PASSED_ON = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
)
_PYTHON = re.compile(r"(python|pypy)[\d.]*w?(\.exe)?")
_DEAF = "EIS"
"""Python's flags that make it ignore ``PYTHONPATH`` (``-E``, ``-I``) or import no ``sitecustomize`` (``-S``)."""


class UngovernableError(ValueError):
    """The command asks for a Python that would not be governed, so it is not started."""


def settings_of(policy: PolicyLike, *, budget_usd: str | None = None, **names: Any) -> RunSettings:
    """Return what governs a run under *policy*.

    Raises:
        PolicyError: *policy* is no policy, or asks for what this version cannot do.
    """
    found = _policy_of(policy)
    refuse_unavailable(found)
    # Only what the document says itself: some defaults differ for a whole process.
    document = found.model_dump(mode="json", exclude_unset=True)
    explicit = policy is not None or bool(os.environ.get("IRON_POLICY"))
    return RunSettings(policy=document, explicit=explicit, budget_usd=budget_usd, **names)


def start(command: Sequence[str], folder: RunFolder, **options: Any) -> subprocess.Popen[bytes]:
    """Start *command*, leader of a process group of its own, as part of the run of *folder*.

    Raises:
        UngovernableError: it is a Python that ignores the environment.
        OSError: there is no such program, or it cannot be run.
    """
    refuse_ungovernable(command)
    # The command is the user's own: to run it is what they ask for.
    return subprocess.Popen(command, env=folder.environment(), process_group=0, **options)  # noqa: S603


def supervise(command: Sequence[str], folder: RunFolder) -> int:
    """Run *command* to its end, passing signals on to its process group.

    Returns:
        Its exit code; the negative number of the signal that ended it.

    Raises:
        UngovernableError, OSError: as :func:`start` does.
    """
    refuse_ungovernable(command)
    terminal = Terminal()
    process: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        if process is None:
            early.append(number)
        else:
            signal_group(process.pid, number)

    before = {number: signal.getsignal(number) for number in PASSED_ON}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # what nohup has silenced stays so
            signal.signal(number, pass_on)
    try:
        process = start(command, folder)
        terminal.lend(process.pid)
        for number in early:
            signal_group(process.pid, number)
        return terminal.wait(process)
    finally:
        terminal.take_back()
        for number, handler in before.items():
            signal.signal(number, handler)


class Terminal:
    """The terminal that this process has in its foreground, if it has one: lent to the program while that runs."""

    def __init__(self) -> None:
        self._mine = False
        with suppress(OSError):
            self._mine = os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()

    def lend(self, group: int) -> None:
        """Let *group* read the keyboard, and go on if it was stopped for trying."""
        if self._mine:
            self._give(group)
            signal_group(group, signal.SIGCONT)

    def take_back(self) -> None:
        """Be in the foreground again."""
        if self._mine:
            self._give(os.getpgrp())

    def wait(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for the end of *process*; where the keyboard stops it, stop with it."""
        while self._mine:
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                process.returncode = os.waitstatus_to_exitcode(status)
                break
            self.take_back()
            os.kill(os.getpid(), signal.SIGSTOP)
            self.lend(process.pid)
        return process.wait()

    @staticmethod
    def _give(group: int) -> None:
        # Whoever changes the foreground from the background is stopped, unless it ignores that.
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        with suppress(OSError):
            os.tcsetpgrp(0, group)
        signal.signal(signal.SIGTTOU, before)


def signal_group(group: int, number: int) -> None:
    """Send a signal to every process of *group* that there still is."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def numbers_of(report: Report) -> dict[str, Any]:
    """Return *report* for people and machines: money in USD."""
    costs = {basis: float(to_usd(cost)) for basis, cost in report.cost_nanodollars.items() if cost}
    return {
        "processes": report.processes,
        "calls": report.calls,
        "unpriced_calls": report.unpriced_calls,
        "input_tokens": report.input_tokens,
        "output_tokens": report.output_tokens,
        "cost_usd": float(to_usd(report.cost_nanodollars.total())),
        "cost_usd_by_basis": costs,
        "findings": dict(report.findings),
        "pii_detections": sum(count for kind, count in report.findings.items() if KINDS.get(kind) == "pii"),
        "refusals": dict(report.refusals),
    }


def refuse_ungovernable(command: Sequence[str]) -> None:
    """Refuse a Python, or a script for one, that is told to ignore the environment.

    Raises:
        UngovernableError: naming the flag; or the system cannot do it at all.
    """
    if not hasattr(os, "killpg"):
        raise UngovernableError("this system has no process groups; use install() in the program")
    for words in (command, _shebang(command[0])):
        flag = _deaf_flag(words)
        if flag is not None:
            raise UngovernableError(
                f"{' '.join(words[:2])}: with -{flag}, Python ignores the environment by which it is governed; "
                "leave that flag out, or use install() in the program"
            )


def _policy_of(policy: PolicyLike) -> Policy:
    policy = policy if policy is not None else os.environ.get("IRON_POLICY") or Policy()
    if isinstance(policy, PolicyEngine):
        return policy.policy
    if isinstance(policy, Policy):
        return policy
    return load_policy(policy if isinstance(policy, Mapping) else Path(policy))


def _shebang(program: str) -> list[str]:
    """Return the words of the line that says what runs the script *program*."""
    path = shutil.which(program)
    if path is None:
        return []
    with suppress(OSError), Path(path).open("rb") as file:
        line = file.readline(1024)
        return line[2:].decode("utf-8", "replace").split() if line.startswith(b"#!") else []
    return []


def _deaf_flag(words: Sequence[str]) -> str | None:
    """Return the flag by which the Python that *words* call ignores its environment; ``None`` if there is none."""
    at = next((n for n, word in enumerate(words[:3]) if _PYTHON.fullmatch(Path(word).name)), None)
    if at is None:
        return None
    arguments = iter(words[at + 1 :])
    for argument in arguments:
        if not re.match("-[^-]", argument):
            return None
        for letter in argument[1:]:
            if letter in _DEAF:
                return letter
            if letter in "cm":
                return None
            if letter in "WX":
                if argument.endswith(letter):
                    next(arguments, None)
                break
    return None
