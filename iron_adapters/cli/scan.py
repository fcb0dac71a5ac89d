"""``iron-runtime scan``: what a text holds and where, never the values."""

from __future__ import annotations

import json
import sys
from bisect import bisect_right
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from iron_adapters.cli.complaint import complain
from iron_policy import scan

if TYPE_CHECKING:
    from collections.abc import Iterable


def scan_file(file: str, *, as_json: bool) -> None:
    """List what the text in *file* holds; exit 1 if it holds anything."""
    text = _text(file, as_json=as_json)
    found = list(_rows(text))
    if as_json:
        print(json.dumps({"file": file, "findings": found}, indent=2))  # noqa: T201 - a command's output
    else:
        _show(file, found)
    sys.exit(1 if found else 0)


def _text(file: str, *, as_json: bool) -> str:
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return content.decode("utf-8")
    except OSError as error:
        complain(f"{file}: cannot be read ({error.strerror})", code=2, as_json=as_json)
    except UnicodeDecodeError as error:
        complain(f"{file}: not UTF-8 at byte {error.start}", code=2, as_json=as_json)


def _rows(text: str) -> Iterable[dict[str, Any]]:
    starts = [0, *(index + 1 for index, character in enumerate(text) if character == "\n")]
    for finding in scan(text):
        line = bisect_right(starts, finding.start)
        yield {
            "kind": finding.kind,
            "start": finding.start,
            "end": finding.end,
            "line": line,
            "column": finding.start - starts[line - 1] + 1,
            "score": round(finding.score, 3),
        }


def _show(file: str, found: list[dict[str, Any]]) -> None:
    if not found:
        print(f"{file}: nothing found")  # noqa: T201 - a command's output
        return
    table = Table(title=f"{file}: {len(found)} found")
    for name in found[0]:
        table.add_column(name, justify="left" if name == "kind" else "right")
    for row in found:
        table.add_row(*map(str, row.values()))
    Console().print(table)
