"""What the command line says when it cannot do what it is asked to."""

from __future__ import annotations

import json
import sys
from typing import NoReturn


def complain(problem: str, *, code: int, as_json: bool = False) -> NoReturn:
    """Say what the *problem* is, on standard error and for machines on standard output, and exit with *code*."""
    if as_json:
        print(json.dumps({"error": problem}))  # noqa: T201 - a command's output
    for line in problem.splitlines():
        print(f"iron-runtime: {line}", file=sys.stderr)  # noqa: T201 - as above
    sys.exit(code)
