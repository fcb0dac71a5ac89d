"""``iron-runtime run``: a program under a policy, and what it came to."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console
from rich.table import Table

from iron_adapters.cli.complaint import complain
from iron_adapters.run_folder import RunFolder
from iron_adapters.supervision import UngovernableError, numbers_of, settings_of, supervise
from iron_policy.exceptions import PolicyError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from iron_adapters.run_folder import Report, RunSettings

_UNGOVERNED = 3
_CANNOT_BE_GOVERNED = 78
_ENDS_ALIKE = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL}
_NO_PROGRAM = {FileNotFoundError: 127, PermissionError: 126}


def run_governed(command: Sequence[str], policy: Path | None, *, as_json: bool) -> NoReturn:
    """Run *command* to its end, tell on standard error what it did, and exit as it did."""
    try:
        settings = settings_of(policy)
    except PolicyError as error:
        complain(f"{error}\nthe program is not started", code=2)
    folder = RunFolder.create(settings)
    try:
        code = supervise(command, folder)
        report = folder.total()
    except UngovernableError as error:
        complain(str(error), code=2)
    except OSError as error:
        complain(f"{command[0]}: {error.strerror}", code=_NO_PROGRAM.get(type(error), 2))
    finally:
        folder.remove()
    _tell(code, report, settings, as_json=as_json)
    _exit_like(code, governed=report.processes > 0)


def _tell(code: int, report: Report, settings: RunSettings, *, as_json: bool) -> None:
    numbers = numbers_of(report)
    if as_json:
        print(json.dumps({"exit_code": code, **numbers}), file=sys.stderr)  # noqa: T201 - a command's output
    elif report.processes:
        _show(numbers)
    if not report.processes and code != _CANNOT_BE_GOVERNED:
        _note("no Python of this program was governed: it started none, or took the environment from it")
    if report.calling_processes > 1 and settings.policy.get("budgets"):
        _note(
            f"{report.calling_processes} processes made calls, and each had the policy's budgets for itself: "
            "sharing them needs a shared store, which this version has not"
        )


def _show(numbers: dict[str, Any]) -> None:
    bases = ", ".join(f"${cost:.6f} {basis}" for basis, cost in numbers["cost_usd_by_basis"].items())
    unpriced = f"; {numbers['unpriced_calls']} calls unpriced" if numbers["unpriced_calls"] else ""
    rows = {
        "calls": str(numbers["calls"]),
        "tokens": f"{numbers['input_tokens']:,} in, {numbers['output_tokens']:,} out",
        "cost": f"${numbers['cost_usd']:.6f}" + (f" ({bases})" if bases else "") + unpriced,
        "found": _counts(numbers["findings"]),
        "refused": _counts(numbers["refusals"]),
    }
    table = Table(title="iron-runtime", show_header=False, title_justify="left")
    for name, value in rows.items():
        table.add_row(name, value)
    Console(stderr=True).print(table)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "nothing"


def _note(text: str) -> None:
    print(f"iron-runtime: {text}", file=sys.stderr)  # noqa: T201 - a command's output


def _exit_like(code: int, *, governed: bool) -> NoReturn:
    """Exit with the program's code, or end by the signal that ended it, so that shells see what happened."""
    if code < 0 and -code in _ENDS_ALIKE:
        sys.stderr.flush()
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    if code == 0 and not governed:
        sys.exit(_UNGOVERNED)
    sys.exit(code if code >= 0 else 128 - code)
