"""Measure the router beside LiteLLM's proxy, Portkey's gateway and nginx; write ``benchmarks/results/router.*``.

python benchmarks/router/run.py [--quick] [--runs 3] [--flat] [--only NAME] [--runtime PATH] [--results FOLDER]
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from contenders import Contender, Iron, LiteLLM, Nginx, Portkey
from cores import Cores
from flat import flat
from found import IRON, Found, rows
from load import LoadError
from report import printed, setting, write
from served import NotServedError
from visit import DIRECT, Plan, Providers, providers, visit, visit_direct

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULTS = Path(__file__).parents[1] / "results"
_NEEDED = {"nginx": "nginx-light", "wrk": "wrk", "taskset": "util-linux"}


def main() -> int:
    """Measure, write, print; return 1 where a row misses what it must reach, 2 where ours cannot be measured."""
    asked = _arguments()
    lacking = [package for program, package in _NEEDED.items() if shutil.which(program) is None]
    if lacking:
        print(f"Nothing can be measured without it: apt-get install {' '.join(lacking)}", file=sys.stderr)
        return 2
    plan = Plan.quick() if asked.quick else Plan(runs=asked.runs)
    cores = Cores.pick()
    chosen = _chosen(asked.only, asked.runtime)
    about = setting(chosen, cores, plan)
    cores.stay_off_measured()
    found = Found()
    with providers() as ports:
        _measure(found, chosen, ports, cores, plan)
        if asked.flat and IRON in found.runs:
            found.flat = flat(Iron(asked.runtime), ports, cores)
    about["load average after"] = f"{os.getloadavg()[0]:.2f}"
    write(found, about, chosen, asked.results)
    print(printed(found, about, chosen))
    if IRON in found.not_measured:
        return 2
    return 0 if all(row.met for row in rows(found)) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one short run each: whether all works, no figures"
    )
    parser.add_argument("--runs", type=int, default=3, help="how often each is visited (default 3)")
    parser.add_argument(
        "--flat", action="store_true", help="200,000 more calls through ours, twice, weighing it"
    )
    parser.add_argument("--only", action="append", help="part of a contender's name; may be repeated")
    parser.add_argument("--runtime", type=Path, default=Iron.runtime, help="which iron-runtime to measure")
    parser.add_argument(
        "--results", type=Path, help="folder for the report (default: results, for --quick none)"
    )
    asked = parser.parse_args()
    if asked.results is None and not asked.quick and not asked.only:
        asked.results = RESULTS
    return asked


def _chosen(only: Sequence[str] | None, runtime: Path) -> list[Contender]:
    everyone: list[Contender] = [Iron(runtime), LiteLLM(), Portkey(), Nginx()]
    if not only:
        return everyone
    chosen = [one for one in everyone if any(part.lower() in one.name.lower() for part in only)]
    if not chosen:
        names = ", ".join(one.name for one in everyone)
        raise SystemExit(f"--only {' '.join(only)}: no contender is called that; there are {names}")
    return chosen


def _measure(found: Found, chosen: list[Contender], ports: Providers, cores: Cores, plan: Plan) -> None:
    for one in chosen:
        if reason := one.missing():
            _leave_out(found, one.name, reason)
    shuffle = random.Random(1).shuffle
    for number in range(1, plan.runs + 1):
        turns = [None, *(one for one in chosen if one.name not in found.not_measured)]
        shuffle(turns)
        for one in turns:
            begin = time.monotonic()
            _turn(found, one, ports, cores, plan)
            name = one.name if one else DIRECT
            print(f"  run {number} of {plan.runs}, {name}: {time.monotonic() - begin:.0f} s", flush=True)


def _turn(found: Found, one: Contender | None, ports: Providers, cores: Cores, plan: Plan) -> None:
    if one is None:
        found.runs.setdefault(DIRECT, []).append(visit_direct(ports, plan))
        return
    try:
        found.runs.setdefault(one.name, []).append(visit(one, ports, cores, plan))
    except (NotServedError, LoadError, OSError, subprocess.SubprocessError) as error:
        found.runs.pop(one.name)
        _leave_out(found, one.name, str(error))


def _leave_out(found: Found, name: str, reason: str) -> None:
    found.not_measured[name] = reason
    print(f"  NOT MEASURED: {name}: {reason}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
