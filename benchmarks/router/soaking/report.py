"""The report of a soak: JSON, Markdown, and a plot of memory and calls."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from soaking.found import Found

_NANO = 10**9


def write(found: Found, folder: Path) -> None:
    """Write ``soak.json``, ``soak.md`` and ``soak.svg`` into *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "soak.json").write_text(json.dumps(_facts(found), indent=1) + "\n")
    (folder / "soak.md").write_text(printed(found) + "\n![memory and calls](soak.svg)\n")
    _draw(found, folder / "soak.svg")


def printed(found: Found) -> str:
    """Return the report as Markdown."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Found) -> Iterator[str]:
    counts, books = found.counts, found.books
    verdict = "Nothing went wrong." if not found.faults else f"Does not hold: {'; '.join(found.faults)}."
    yield "# The router under a soak"
    yield ""
    yield (
        f"{found.seconds / 60:g} minutes, {found.callers} callers at once, {counts.calls:,} calls "
        f"({counts.calls / found.seconds:.1f}/s), of which {counts.left.total():,} were left by their callers "
        f"({counts.left.total() / max(1, counts.calls):.1%}). **{verdict}**"
    )
    yield from ("", "## Calls", "", "| kind | made | left by the caller | wrong |", "|---|--:|--:|--:|")
    for kind, made in sorted(counts.made.items()):
        yield f"| {kind} | {made:,} | {counts.left[kind]:,} | {counts.errors[kind]} |"
    yield f"| **together** | {counts.calls:,} | {counts.left.total():,} | {counts.errors.total()} |"
    yield from (
        "",
        "Right is: the text that the provider said, with the caller's own address in it; for the two kinds of",
    )
    yield "faults, the error that was to be told. Addresses that reached the provider: " + f"{found.leaks}."
    if counts.told:
        yield from ("", "The first errors:", "", *(f"- {error}" for error in counts.told))
    yield from ("", "## How callers left", "", "| when and how | |", "|---|--:|")
    yield from (f"| {way} | {times:,} |" for way, times in sorted(counts.ways.items()))
    yield from _money(found)
    if books.unequal:
        yield from ("", "Calls that one side has:", "", *(f"- {each}" for each in books.unequal[:50]))
    yield from _process(found)


def _money(found: Found) -> Iterator[str]:
    books = found.books
    yield from (
        "",
        "## Money",
        "",
        "| | router: calls | provider: calls | router: $ | provider: $ | difference |",
    )
    yield "|---|--:|--:|--:|--:|--:|"
    for role, account in books.accounts.items():
        difference = account.charged_nanodollars - account.billed_nanodollars
        yield (
            f"| {role} | {account.charged_calls:,} | {account.billed_calls:,} | {_usd(account.charged_nanodollars)} | "
            f"{_usd(account.billed_nanodollars)} | {_usd(difference)} |"
        )
    yield ""
    yield (
        "Untold is what a call cost whose provider broke off, or said nothing of it: the router then charges by what came "
        "and, where nothing came, the upper bound that it held; such calls are no part of the first row. "
        f"The record comes to ${_usd(books.record_nanodollars)}, the budget to "
        f"${_usd(books.spent_nanodollars)}, the command's summary to ${_usd(books.summary_nanodollars)}; held once all "
        f"was quiet: ${_usd(books.held_nanodollars)}. Calls that never ended: {books.never_ended}, that ended twice: "
        f"{books.ended_twice}. Where the first row's charges come from: {_pairs(books.bases)}."
    )


def _process(found: Found) -> Iterator[str]:
    yield from ("", "## The process", "", "| mean of | first third | last third | change | at rest |")
    yield "|---|--:|--:|--:|--:|"
    rest = found.at_rest
    for name, what, at_rest in (
        ("resident memory, MB", lambda weight: weight.resident_mb, rest.resident_mb),
        ("descriptors", lambda weight: weight.descriptors, rest.descriptors),
        ("threads", lambda weight: weight.threads, rest.threads),
    ):
        first, last = found.thirds(what)
        yield f"| {name} | {first:.1f} | {last:.1f} | {last / first - 1:+.1%} | {at_rest:g} |"
    yield ""
    yield (
        f"After {'two minutes' if found.judges_memory else 'a fifth of the time'} of warming up. Machine: "
        f"{platform.machine()}, Python {platform.python_version()}, load average {found.load_average[0]:.1f} before and "
        f"{found.load_average[1]:.1f} after; callers, provider and router share its cores."
    )


def _usd(nanodollars: int) -> str:
    sign = "-" if nanodollars < 0 else ""
    return f"{sign}{abs(nanodollars) // _NANO:,}.{abs(nanodollars) % _NANO:09d}"


def _pairs(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "nothing"


def _facts(found: Found) -> dict[str, Any]:
    counts = found.counts
    return {
        "seconds": found.seconds,
        "callers": found.callers,
        "seed": found.seed,
        "holds": not found.faults,
        "faults": found.faults,
        "calls": dict(sorted(counts.made.items())),
        "left": dict(sorted(counts.left.items())),
        "left_how": dict(sorted(counts.ways.items())),
        "errors": dict(counts.errors),
        "first_errors": counts.told,
        "statuses": {str(status): times for status, times in sorted(counts.statuses.items())},
        "leaks": found.leaks,
        "money": found.books.as_dict(),
        "weights": [asdict(weight) for weight in found.weights],
        "at_rest": asdict(found.at_rest),
        "load_average": found.load_average,
    }


def _draw(found: Found, path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "iron-adapters"
    from matplotlib import pyplot

    figure, (memory, calls) = pyplot.subplots(2, 1, figsize=(9, 4.8), sharex=True)
    minutes = [weight.seconds / 60 for weight in found.weights]
    memory.plot(minutes, [weight.resident_mb for weight in found.weights], color="#2a7f62")
    memory.set_ylim(0, 1.2 * max(weight.resident_mb for weight in found.weights))
    memory.set_title("resident memory of the router (MB)", fontsize=9, loc="left")
    pairs = list(zip(found.weights, found.weights[1:], strict=False))
    rates = [(late.calls - early.calls) / (late.seconds - early.seconds) for early, late in pairs]
    calls.plot(minutes[1:], rates, color="#4a6fa5")
    calls.set_ylim(bottom=0)
    calls.set_title("calls a second", fontsize=9, loc="left")
    calls.set_xlabel("minutes", fontsize=8)
    for axes in (memory, calls):
        axes.tick_params(labelsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
