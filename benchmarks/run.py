"""Measure everything that runs in process, and write a table and a plot to ``benchmarks/results/``.

python benchmarks/run.py [--rounds 2000] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))

import inside
import seams

if TYPE_CHECKING:
    from row import Row

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Measure, write, print; return 1 where a row misses what it must reach."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=2000, help="interleaved rounds for the seams (default 2000)"
    )
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    asked = parser.parse_args()
    rows: list[Row] = []
    for part in (lambda: seams.rows(asked.rounds), inside.rows):
        for row in part():
            rows.append(row)
            print(
                f"  {row.what}: {row.value:.3g} {row.unit} ({row.bound}){'' if row.met else '  MISSED'}",
                file=sys.stderr,
            )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "in_process.json").write_text(
        json.dumps(
            {"setting": setting(), "rows": [asdict(row) for row in rows]}, indent=1, ensure_ascii=False
        )
        + "\n"
    )
    (RESULTS / "in_process.md").write_text(table(rows))
    plot(rows)
    print(json.dumps([asdict(row) for row in rows], ensure_ascii=False) if asked.json else table(rows))
    return 0 if all(row.met for row in rows) else 1


def setting() -> dict[str, str]:
    """Say where and with what this was measured."""
    packages = ("openai", "langchain-core", "langchain-openai", "pydantic", "google-re2", "genai-prices")
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        **{name: version(name) for name in packages},
    }


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table under the setting they were measured in."""
    lines = [
        ", ".join(f"{name} {value}" for name, value in setting().items()),
        "",
        "| what | measured | must be | met | note |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.what} | {row.value:.3g} {row.unit} | {row.bound} | {'yes' if row.met else 'NO'} | {row.note} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def plot(rows: list[Row]) -> None:
    """Draw how much of its bound each row uses: left of the line is met."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "iron-adapters"
    from matplotlib import pyplot

    used = [row.must / row.value if row.at_least else row.value / row.must for row in rows]
    figure, axes = pyplot.subplots(figsize=(9, 0.42 * len(rows) + 1.2))
    bars = axes.barh(
        [row.what for row in rows], used, color=["#2a7f62" if row.met else "#b3412f" for row in rows]
    )
    axes.bar_label(bars, [f" {row.value:.3g} {row.unit}" for row in rows], fontsize=8)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlabel("share of what is allowed (the line is the bound)")
    axes.set_xlim(0, max(1.25, *used) * 1.15)
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=8)
    figure.tight_layout()
    figure.savefig(RESULTS / "in_process.svg", metadata={"Date": None})


if __name__ == "__main__":
    sys.exit(main())
