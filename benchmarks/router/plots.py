"""The plots: requests a second, latency, and what a stream's reader waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from found import IRON, LITELLM, NGINX, PORTKEY, Found
from visit import DIRECT

if TYPE_CHECKING:
    from pathlib import Path

_COLORS = {IRON: "#2a7f62", LITELLM: "#b3412f", PORTKEY: "#c98a2b", NGINX: "#4a6fa5", DIRECT: "#888888"}


def draw(found: Found, path: Path) -> None:
    """Draw four panels, and one for memory where it was watched."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "iron-adapters"
    from matplotlib import pyplot

    panels = 4 + bool(found.flat)
    figure, axes = pyplot.subplots(panels, 1, figsize=(9, 2.4 * panels))
    throughput = {"16 connections": "per_second_16", "64 connections": "per_second_64"}
    _bars(axes[0], found, throughput, "requests/s, one core", "{:,.0f}")
    axes[0].set_ylim(bottom=10)
    latency = {
        "1 connection, p50": "p50_1_ms",
        "p99": "p99_1_ms",
        "16, p50": "p50_16_ms",
        "16, p99": "p99_16_ms",
    }
    _bars(axes[1], found, latency, "a call (ms)", "{:.2g}")
    first = {
        "paced: first event": "paced_event_p50_ms",
        "its first token's text": "paced_first_p50_ms",
        "unpaced: first token's text": "unpaced_first_p50_ms",
    }
    _bars(axes[2], found, first, "a stream begins, p50 (ms)", "{:.2g}")
    gaps = {"paced, mean": "paced_gap_mean_ms", "paced, p99": "paced_gap_p99_ms"}
    _bars(axes[3], found, gaps, "between tokens (ms), sent 20 apart", "{:.4g}", logarithmic=False)
    if found.flat:
        _memory(axes[4], found)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def _bars(
    axes: Any, found: Found, groups: dict[str, str], title: str, form: str, *, logarithmic: bool = True
) -> None:
    names = [name for name in _COLORS if name in found.runs]
    width = 0.8 / len(names)
    for place, name in enumerate(names):
        values = [found.median(name, figure) for figure in groups.values()]
        bars = axes.bar(
            [group + place * width for group in range(len(groups))],
            [value or float("nan") for value in values],
            width,
            color=_COLORS[name],
            label=name,
        )
        axes.bar_label(bars, [form.format(value) if value else "" for value in values], fontsize=7)
    axes.set_xticks([group + 0.4 - width / 2 for group in range(len(groups))], list(groups))
    axes.set_title(title, fontsize=9, loc="left")
    axes.tick_params(labelsize=8)
    axes.margins(y=0.2)
    if logarithmic:
        axes.set_yscale("log")
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


def _memory(axes: Any, found: Found) -> None:
    for kind, samples in found.flat.items():
        axes.plot([calls for calls, _ in samples], [megabytes for _, megabytes in samples], label=kind)
    axes.set_ylim(0, 1.2 * max(megabytes for samples in found.flat.values() for _, megabytes in samples))
    axes.set_title(f"{IRON}: resident memory (MB) over calls made", fontsize=9, loc="left")
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=7, loc="lower right", frameon=False)
