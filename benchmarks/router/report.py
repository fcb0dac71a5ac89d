"""The report: tables in Markdown, every run in JSON, plots in SVG."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from found import IRON, LITELLM, NGINX, PORTKEY, Found, rows
from visit import DIRECT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contenders import Contender
    from cores import Cores
    from row import Row
    from visit import Plan

_ORDER = (IRON, LITELLM, PORTKEY, NGINX, DIRECT)
_CALLS = {
    "requests/s, 16 connections": ("per_second_16", ",.0f"),
    "requests/s, 64 connections": ("per_second_64", ",.0f"),
    "p50, 1 connection (ms)": ("p50_1_ms", ".3g"),
    "p99, 1 connection (ms)": ("p99_1_ms", ".3g"),
    "p50, 16 connections (ms)": ("p50_16_ms", ".3g"),
    "p99, 16 connections (ms)": ("p99_16_ms", ".3g"),
    "share of its core that it used, 16 connections": ("core_share_16", ".0%"),
    "time on its core for each request, 16 connections (µs)": ("cpu_us_16", ",.0f"),
    "ready after (s)": ("ready_seconds", ".3g"),
    "of which on its core (s)": ("ready_cpu_seconds", ".3g"),
    "memory idle (MB)": ("idle_mb", ".0f"),
    "memory after load (MB)": ("loaded_mb", ".0f"),
}
_STREAMS = {
    "paced: first event, p50 (ms)": ("paced_event_p50_ms", ".2f"),
    "text of the first token, p50 (ms)": ("paced_first_p50_ms", ".2f"),
    "between tokens, mean (ms)": ("paced_gap_mean_ms", ".3f"),
    "between tokens, p99 (ms)": ("paced_gap_p99_ms", ".2f"),
    "a token's text is there after, mean (ms)": ("paced_token_mean_ms", ".1f"),
    "unpaced: text of the first token, p50 (ms)": ("unpaced_first_p50_ms", ".2f"),
    "between tokens, mean (ms) ": ("unpaced_gap_mean_ms", ".4f"),
    "all 64 tokens, p50 (ms)": ("unpaced_last_p50_ms", ".2f"),
}


def setting(chosen: Sequence[Contender], cores: Cores, plan: Plan) -> dict[str, str]:
    """Say where, when and with what this is measured."""
    wrk = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout  # noqa: S607 - whichever there is
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "processor": f"{_processor()}, {os.cpu_count()} cores ({platform.machine()})",
        "system": f"{platform.system()} {platform.release()}, {_python()}",
        "load generator": " ".join(wrk.split()[:2]),
        "cores": f"{cores.measured} for what is measured, {cores.load} for load and provider",
        "plan": f"{plan.runs} runs, each {plan.seconds} s at 1, 16 and 64 connections, {plan.paced} paced and "
        f"{plan.unpaced} unpaced streams; figures are medians of the runs",
        "load average before": f"{os.getloadavg()[0]:.2f}",
        **{one.name: one.version() for one in chosen if one.missing() is None},
    }


def write(found: Found, about: dict[str, str], chosen: Sequence[Contender], folder: Path | None) -> None:
    """Write the three files into *folder*, if one is given."""
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    everything = {
        "setting": about,
        "rows": [{**asdict(row), "met": row.met} for row in rows(found)],
        "not_measured": found.not_measured,
        "runs": found.runs,
        "flat": found.flat,
    }
    (folder / "router.json").write_text(json.dumps(everything, indent=1, ensure_ascii=False) + "\n")
    (folder / "router.md").write_text(printed(found, about, chosen))
    if found.runs:
        from plots import draw

        draw(found, folder / "router.svg")


def printed(found: Found, about: dict[str, str], chosen: Sequence[Contender]) -> str:
    """Return the report as Markdown."""
    parts = [
        "# The router beside others",
        "\n".join(f"- {name}: {value}" for name, value in about.items()),
        "## What it must reach",
        _bounds(rows(found)),
        *[f"Not measured: {name}: {reason}" for name, reason in found.not_measured.items()],
        "## Calls",
        _figures(found, _CALLS),
        *_findings(found),
        "## Streams of 64 tokens, 20 ms apart and all at once",
        _figures(found, _STREAMS),
        "## Settings",
        "\n".join(f"- **{one.name}**: {one.settings}" for one in chosen),
    ]
    return "\n\n".join(parts) + "\n"


def _bounds(measured: list[Row]) -> str:
    if not measured:
        return "Nothing of it was measured."
    lines = ["| what | measured | must be | met | note |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.what} | {row.value:.3g} {row.unit} | {row.bound} | {'yes' if row.met else 'NO'} | {row.note} |"
        for row in measured
    ]
    return "\n".join(lines)


def _figures(found: Found, columns: dict[str, tuple[str, str]]) -> str:
    names = [name for name in _ORDER if name in found.runs]
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for title, (figure, form) in columns.items():
        cells = [_cell(found, name, figure, form) for name in names]
        lines.append(f"| {title.strip()} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(found: Found, name: str, figure: str, form: str) -> str:
    value = found.median(name, figure)
    if value is None:
        return ""
    if len(found.runs[name]) == 1:
        return f"{value:{form}}"
    least, most = found.spread(name, figure)
    return f"{value:{form}} ({least:{form}} to {most:{form}})"


def _findings(found: Found) -> list[str]:
    value = found.median(IRON, "per_second_16_findings")
    if value is None:
        return []
    return [
        f"With an e-mail address in each prompt, new each time and tokenized, {IRON} answers {value:,.0f} requests/s."
    ]


def _python() -> str:
    """Return which Python this is: builds of one version differ by more than a tenth in speed."""
    build = "the system's" if sys.base_prefix == "/usr" else "not the system's"
    return f"Python {platform.python_version()} ({build}, {platform.python_compiler()})"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown")
