"""``iron-runtime audit``: whether a record is as it was written."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from iron_adapters.cli.complaint import complain
from iron_policy.audit import verify

if TYPE_CHECKING:
    from pathlib import Path


def check(file: Path, *, as_json: bool) -> None:
    """Check the audit file; exit 1 if it was changed, 2 if it cannot be read."""
    try:
        report = verify(file)
    except OSError as error:
        complain(f"{file}: cannot be read ({error.strerror})", code=2, as_json=as_json)
    print(json.dumps({"ok": report.ok, **asdict(report)}, indent=2) if as_json else report)  # noqa: T201 - a command's output
    sys.exit(0 if report.ok else 1)
