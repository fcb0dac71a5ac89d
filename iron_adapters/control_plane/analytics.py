"""Tells the control plane of every model call that ended: a sink of the record, with a background sender.

Owns which records are told. What is said of them stands in ``events``, when they are sent in ``outbox``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from iron_adapters.control_plane.events import analytics_event
from iron_adapters.control_plane.outbox import Outbox

if TYPE_CHECKING:
    from iron_adapters.control_plane.client import ControlPlane
    from iron_adapters.control_plane.outbox import Pace
    from iron_policy.audit import AuditEvent

_ENDS: Final = frozenset({"call.settled", "call.failed"})


class Analytics:
    """A sink that tells *plane* how calls ended, one event each. Without a plane it keeps them and sends nothing.

    Records come from any thread and wait in memory: at most *capacity*, later ones are dropped and counted. They are
    sent after ``pace.interval_seconds``, or at once when ``pace.batch`` are waiting. An answer of 2xx or 4xx is the
    end of one, but for 401, 408 and 429 (up to ten tries); 5xx and no answer are tried again for as long as it takes.
    What is in memory when a process dies is lost.
    """

    def __init__(
        self, plane: ControlPlane | None, *, pace: Pace | None = None, capacity: int = 10_000
    ) -> None:
        self._plane = plane
        self._outbox = Outbox("analytics events", self._send, pace=pace, capacity=capacity)
        self._under_way: set[str] = set()
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many events are not yet delivered."""
        return self._outbox.waiting

    @property
    def sent(self) -> int:
        """How many events the server took."""
        return self._outbox.sent

    @property
    def refused(self) -> int:
        """How many events the server refused for good."""
        return self._outbox.refused

    @property
    def dropped(self) -> int:
        """How many events found no room."""
        return self._outbox.dropped

    def write(self, event: AuditEvent) -> None:
        """Take a record, from any thread and without waiting; what ends no call is passed over."""
        kind = event.type
        if kind == "call.admitted":
            self._under_way.add(event.call_id)
        elif kind in _ENDS:
            self._under_way.discard(event.call_id)
            self._take(event)
        elif kind == "call.refused" and not self._goes_on(event):
            self._take(event)

    def close(self) -> None:
        """Take no more. What is waiting is sent by :meth:`stop`."""
        self._closed = True

    def start(self) -> None:
        """Begin to send, on the running event loop."""
        if self._plane is not None:
            self._outbox.start()

    async def flush(self, timeout_seconds: float = 5.0) -> int:
        """Send what is waiting now; return how many events could not be sent in time."""
        return await self._outbox.flush(timeout_seconds)

    async def stop(self, timeout_seconds: float = 5.0) -> int:
        """Take no more, send the rest, and end; return how many events were never sent."""
        self.close()
        return await self._outbox.stop(timeout_seconds)

    def _goes_on(self, event: AuditEvent) -> bool:
        """A refused reply is still settled, and one that is only watched is handed on: their calls end later."""
        return event.call_id in self._under_way or event.attributes.get("iron.mode") == "monitor"

    def _take(self, event: AuditEvent) -> None:
        if not self._closed:
            self._outbox.put(event)

    async def _send(self, event: AuditEvent) -> None:
        told = analytics_event(event)
        if told is not None and self._plane is not None:
            await self._plane.send_event(told)
