"""Times two or more functions side by side: interleaved in one run, so that noise falls on all alike."""

from __future__ import annotations

import gc
import random
import statistics
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Sample(NamedTuple):
    """What one function took, in seconds."""

    p50: float
    p99: float


def interleaved(
    functions: Mapping[str, Callable[[], object]], *, rounds: int, warm_up: int = 30
) -> dict[str, Sample]:
    """Call every function once a round, in an order shuffled each round; return medians and 99th percentiles."""
    order = list(functions)
    for _ in range(warm_up):
        for name in order:
            functions[name]()
    times: dict[str, list[float]] = {name: [] for name in order}
    shuffle = random.Random(1).shuffle
    gc.collect()
    for _ in range(rounds):
        shuffle(order)
        for name in order:
            function = functions[name]
            begin = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - begin)
    return {
        name: Sample(statistics.median(taken), statistics.quantiles(taken, n=100)[98])
        for name, taken in times.items()
    }


def per_call(function: Callable[[], object], *, calls: int, repeats: int = 9) -> float:
    """Return the median over *repeats* of the seconds one of *calls* calls takes, for what is too quick to time alone."""
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        for _ in range(calls):
            function()
        taken.append((time.perf_counter() - begin) / calls)
    return statistics.median(taken)
