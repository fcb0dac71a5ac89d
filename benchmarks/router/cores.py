"""Which core does what: the thing measured has one for itself, whatever drives and feeds it has the other."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cores:
    """Two cores of this machine."""

    measured: int
    load: int

    @classmethod
    def pick(cls) -> Cores:
        """Return the first two cores that this process may use; raise ``RuntimeError`` where there are not two."""
        usable = sorted(os.sched_getaffinity(0))
        if len(usable) < 2:
            raise RuntimeError(
                f"only core {usable[0]} may be used here; two are needed, one for what is measured and one for its load"
            )
        return cls(*usable[:2])

    def stay_off_measured(self) -> None:
        """Keep this process, and what it starts without saying otherwise, on the core of the load."""
        os.sched_setaffinity(0, {self.load})

    def on_measured(self, command: list[str]) -> list[str]:
        """Return *command* as it runs on the measured core alone."""
        return ["taskset", "--cpu-list", str(self.measured), *command]
