"""What is told about a call: one event, and where events go.

Owns the shape of an event and of a sink. Knows no attribute: those who record choose them, and choose no content.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Json: TypeAlias = "Mapping[str, Json] | list[Json] | tuple[Json, ...] | str | int | float | bool | None"


_NONE: Final[Mapping[str, Json]] = {}


class AuditEvent(NamedTuple):
    """Something that happened to a call, a tool or a budget."""

    type: str
    """Such as ``call.admitted``, ``call.refused``, ``call.settled``, ``call.failed`` or ``tool.refused``."""
    time: float
    """Epoch seconds."""
    call_id: str
    attributes: Mapping[str, Json] = _NONE
    """OpenTelemetry GenAI names (``gen_ai.*``) and our own (``iron.*``)."""


class Sink(Protocol):
    """Takes events. It never raises: a record that cannot be kept is counted and told, and breaks no call."""

    def write(self, event: AuditEvent) -> None:
        """Take one event."""

    def close(self) -> None:
        """Take no more; a second close does nothing."""
