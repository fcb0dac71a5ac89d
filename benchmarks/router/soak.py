"""The soak: mixed calls for half an hour, a fifth of their callers hanging up, and nothing may go wrong.

``python benchmarks/router/soak.py --minutes 30`` writes ``benchmarks/results/soak.{json,md,svg}``.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from soaking.books import compare
from soaking.found import Found
from soaking.load import Counts, Load
from soaking.provider import Provider
from soaking.report import printed, write
from soaking.router import Router, Weight, running

RESULTS = Path(__file__).parents[1] / "results"


def main() -> int:
    """Soak, write, print; return 1 where something that must hold does not."""
    asked = _arguments()
    logging.getLogger("asyncio").setLevel(
        logging.ERROR
    )  # else it tells of each stream that the router has closed
    signal.signal(
        signal.SIGTERM, lambda number, _frame: sys.exit(128 + number)
    )  # the router is ended with it
    seconds = 90.0 if asked.quick else asked.minutes * 60
    found = soak(
        seconds, callers=asked.callers, pause_seconds=asked.pause, seed=asked.seed, runtime=asked.runtime
    )
    if asked.results is not None:
        write(found, asked.results)
    print(printed(found))
    return 1 if found.faults else 0


def soak(
    seconds: float,
    *,
    callers: int = 20,
    pause_seconds: float = 0.4,
    seed: int = 1,
    runtime: Path | None = None,
) -> Found:
    """Let *callers* call for *seconds*, wait until all is quiet, and return what was found."""
    load_before = os.getloadavg()[0]
    provider = Provider()
    with provider.double, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running(provider, folder, runtime) as router:
            load = Load(router, provider, seed=seed, pause_seconds=pause_seconds)
            asyncio.run(load.run(seconds, callers=callers, every_seconds=min(10.0, seconds / 12), tell=_tell))
            told = router.told_by_refusal()
            quiet = _at_rest(router, load)
        books = compare(
            router.record, provider.double.bill.lines, summary_usd=router.ended()["cost_usd"], told=told
        )
        return Found(
            seconds=seconds,
            callers=callers,
            seed=seed,
            counts=load.counts,
            weights=load.weights,
            at_rest=quiet,
            books=books,
            leaks=provider.leaks,
            complaints=router.complaints(),
            load_average=(load_before, os.getloadavg()[0]),
        )


def _at_rest(router: Router, load: Load) -> Weight:
    time.sleep(1.0)
    return router.weigh(load.weights[-1].seconds, load.counts.calls)


def _tell(weight: Weight, counts: Counts) -> None:
    print(
        f"  {weight.seconds:5.0f} s: {counts.calls:,} calls, {counts.left.total():,} left, "
        f"{counts.errors.total()} errors; {weight.resident_mb:.1f} MB, {weight.descriptors} descriptors, "
        f"{weight.threads} threads",
        flush=True,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="how long (default 30)")
    parser.add_argument("--quick", action="store_true", help="90 seconds: whether all works; writes nothing")
    parser.add_argument("--callers", type=int, default=20, help="how many at once (default 20)")
    parser.add_argument(
        "--pause", type=float, default=0.4, help="seconds between a caller's calls, on average"
    )
    parser.add_argument("--seed", type=int, default=1, help="what the calls are made from")
    parser.add_argument("--runtime", type=Path, help="which iron-runtime (default: this environment's)")
    parser.add_argument("--results", type=Path, help="folder for the report")
    asked = parser.parse_args()
    if asked.results is None and not asked.quick:
        asked.results = RESULTS
    return asked


if __name__ == "__main__":
    sys.exit(main())
