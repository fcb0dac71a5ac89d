"""``iron-runtime policy``: the faults of a document, and its schema."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

from iron_policy import PolicyError, load_policy, policy_schema
from iron_policy.engine import refuse_unavailable

if TYPE_CHECKING:
    from pathlib import Path

_LINE = re.compile(r", line (\d+): ")


def check(file: Path, *, as_json: bool) -> None:
    """Name every fault of the document in *file*; exit 1 if it has any."""
    faults = _faults(file)
    if as_json:
        report = {"file": str(file), "ok": not faults, "faults": [_parts(fault) for fault in faults]}
        print(json.dumps(report, indent=2))  # noqa: T201 - a command's output
    else:
        print("\n".join(faults) or f"{file}: a policy, without faults")  # noqa: T201 - as above
    sys.exit(1 if faults else 0)


def write_schema() -> None:
    """Write the JSON Schema of the document."""
    print(json.dumps(policy_schema(), indent=2))  # noqa: T201 - a command's output


def _faults(file: Path) -> list[str]:
    try:
        refuse_unavailable(load_policy(file))
    except PolicyError as error:
        return str(error).splitlines()
    return []


def _parts(fault: str) -> dict[str, Any]:
    line = _LINE.search(fault)
    return {"line": int(line[1]) if line else None, "message": fault}
