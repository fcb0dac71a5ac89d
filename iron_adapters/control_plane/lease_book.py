"""Which lease a call is charged to.

Owns the books of the open leases, in whole nano-dollars, and the one rounding of what is reported of them. Knows no
server and no call. Thread-safe.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from iron_adapters.control_plane.replies import NANO_PER_MICRO

if TYPE_CHECKING:
    from iron_adapters.control_plane.replies import Lease


@dataclass(slots=True, eq=False)
class OpenLease:
    """A lease that has not been given back, and what calls have drawn on it."""

    lease: Lease
    charged_nanodollars: int = 0
    unreported: int = 0
    """How many reports on it are still to be sent."""

    @property
    def left_nanodollars(self) -> int:
        """What has been granted and not been drawn; negative where calls cost more than was held for them."""
        return self.lease.granted_nanodollars - self.charged_nanodollars


class LeaseBook:
    """The open leases, the oldest first, and what is charged to each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[OpenLease] = []
        self._charged = 0

    def add(self, lease: Lease) -> None:
        """Take a new lease; it is drawn on when the others are used up."""
        with self._lock:
            self._open.append(OpenLease(lease))

    def charge(self, nanodollars: int) -> list[tuple[OpenLease, int]]:
        """Charge a call to the oldest leases that have room; the newest takes what fits none.

        Returns:
            What to report: leases, and micro-dollars of each. A lease's reports come to its sum rounded down, so that
            many small calls come to what they cost together. Empty where there is no lease.
        """
        with self._lock:
            return self._draw(nanodollars)

    def charge_up_to(self, total_nanodollars: int) -> None:
        """Charge what is missing of the sum of all charges, those of returned leases included."""
        with self._lock:
            self._draw(max(0, total_nanodollars - self._charged))

    def reported(self, lease: OpenLease, count: int) -> None:
        """Note that so many more reports are to be sent, or have been (negative)."""
        with self._lock:
            lease.unreported += count

    def take_used_up(self) -> list[OpenLease]:
        """Remove and return the leases, but for the newest, that are used up and reported."""
        with self._lock:
            done = [one for one in self._open[:-1] if one.left_nanodollars <= 0 and not one.unreported]
            self._open = [one for one in self._open if one not in done]
            return done

    def take_all(self) -> list[OpenLease]:
        """Remove and return all leases."""
        with self._lock:
            taken, self._open = self._open, []
            return taken

    def _draw(self, nanodollars: int) -> list[tuple[OpenLease, int]]:
        parts = []
        for one in self._open:
            newest = one is self._open[-1]
            part = nanodollars if newest else min(nanodollars, max(0, one.left_nanodollars))
            if not part and not newest:
                continue
            before = one.charged_nanodollars // NANO_PER_MICRO
            one.charged_nanodollars += part
            self._charged += part
            parts.append((one, one.charged_nanodollars // NANO_PER_MICRO - before))
            nanodollars -= part
            if not nanodollars:
                break
        return parts
