"""Whether our memory stays where it is over 200,000 calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from load import CLEAN, WITH_FINDINGS, load
from visit import CHAT, Providers, started

if TYPE_CHECKING:
    from contenders import Contender
    from cores import Cores

CALLS = 200_000
KINDS = {"a new prompt each": CLEAN, "a new e-mail address each": WITH_FINDINGS}


def flat(
    contender: Contender, ports: Providers, cores: Cores, *, calls: int = CALLS
) -> dict[str, list[list[float]]]:
    """Send *calls* of each kind in slices, weigh after each tenth; return calls made and MB, from the first tenth on."""
    measured = {}
    for kind, content in KINDS.items():
        with started(contender, ports.whole, cores, streams=False) as (server, folder):
            samples, made = [], 0
            while made < calls:
                slice_end = made + calls / 10
                while made < slice_end:
                    made += load(
                        f"http://127.0.0.1:{server.port}{CHAT}",
                        contender.headers(ports.whole),
                        connections=16,
                        seconds=1,
                        folder=folder,
                        content=content,
                    ).requests
                samples.append([float(made), server.resident_mb()])
                print(f"    {kind}: {made:,} calls, {samples[-1][1]:.1f} MB", flush=True)
            measured[kind] = samples
    return measured
