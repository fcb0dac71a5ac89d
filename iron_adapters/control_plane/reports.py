"""Tells the control plane what each call drew on its leases, in the background and once per call.

Owns the way from a record to a report. The books are in ``lease_book``, the pace in ``outbox``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from iron_adapters.control_plane.errors import ControlPlaneError, worth_repeating
from iron_adapters.control_plane.outbox import Outbox

if TYPE_CHECKING:
    from iron_adapters.control_plane.client import ControlPlane
    from iron_adapters.control_plane.lease_book import LeaseBook, OpenLease
    from iron_adapters.control_plane.outbox import Pace
    from iron_policy.audit import AuditEvent

_ENDS: Final = frozenset({"call.settled", "call.failed"})


class _Report(NamedTuple):
    lease: OpenLease
    request_id: str
    tokens: int
    cost_microdollars: int
    model: str
    provider: str


class Reports:
    """Charge calls that ended to the leases of *book*, and report them to *plane* if *sends*."""

    def __init__(self, plane: ControlPlane, book: LeaseBook, *, pace: Pace | None, sends: bool) -> None:
        self._plane = plane
        self._book = book
        self._sends = sends
        self.outbox = Outbox("reports of calls", self._send, pace=pace)

    def take(self, event: AuditEvent) -> None:
        """Charge and report the call of a record, from any thread; what ends no call, or a free one, is passed over.

        A call that draws on two leases is reported on each, the second time under its id and a number.
        """
        if event.type not in _ENDS:
            return
        said = event.attributes
        cost = _count(said.get("iron.cost_nanodollars"))
        tokens = _count(said.get("gen_ai.usage.input_tokens")) + _count(
            said.get("gen_ai.usage.output_tokens")
        )
        if not cost and not tokens:
            return
        for number, (lease, micros) in enumerate(self._book.charge(cost), 1):
            report = _Report(
                lease=lease,
                request_id=event.call_id if number == 1 else f"{event.call_id}-{number}",
                tokens=tokens if number == 1 else 0,
                cost_microdollars=micros,
                model=str(said.get("gen_ai.request.model") or ""),
                provider=str(said.get("gen_ai.provider.name") or ""),
            )
            if self._sends:
                self._book.reported(lease, 1)
                if not self.outbox.put(report):
                    self._book.reported(lease, -1)

    async def _send(self, report: _Report) -> None:
        try:
            await self._plane.report(
                report.lease.lease,
                request_id=report.request_id,
                tokens=report.tokens,
                cost_microdollars=report.cost_microdollars,
                model=report.model,
                provider=report.provider,
            )
        except ControlPlaneError as error:
            if not worth_repeating(error):
                self._book.reported(report.lease, -1)
            raise
        self._book.reported(report.lease, -1)


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0
