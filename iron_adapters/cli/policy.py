"""``iron-runtime policy``: the faults of a document, and its schema."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

from iron_policy import PolicyError, policy_schema
from iron_policy.engine import refuse_unavailable
from iron_policy.loading import load_with_lines, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from iron_policy import Policy
    from iron_policy.loading import Key

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
        policy, lines = load_with_lines(file)
    except PolicyError as error:
        return str(error).splitlines()
    return [f"{place_of(key, str(file), lines)}: {fault}" for key, fault in _refused_at_start(policy)]


def _refused_at_start(policy: Policy) -> Iterator[tuple[Key, str]]:
    """Yield what a document may say, and neither an engine nor a router starts with: its key, and what is wrong."""
    from iron_adapters.router.upstreams import upstreams_of  # needs no extra

    try:
        refuse_unavailable(policy)
    except PolicyError as error:
        for line in str(error).splitlines():
            fault = line.removeprefix("policy: ")
            yield tuple(fault.partition(":")[0].split(".")), fault
    for name, section in policy.upstreams.items():
        try:
            upstreams_of({name: section})
        except PolicyError as error:
            yield ("upstreams", name), str(error)


def _parts(fault: str) -> dict[str, Any]:
    line = _LINE.search(fault)
    return {"line": int(line[1]) if line else None, "message": fault}
