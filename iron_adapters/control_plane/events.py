"""What the record says of a call, in the words of the control plane's analytics (protocol 012).

Owns that translation; pure. No text of a call is in it, and no provider's error message either: providers quote the
request in theirs. An error is told by its type or status alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_OID, UUID, uuid5

if TYPE_CHECKING:
    from iron_policy.audit import AuditEvent

COMPLETED: Final = "llm_request_completed"
FAILED: Final = "llm_request_failed"

_TYPES: Final = {"call.settled": COMPLETED, "call.failed": FAILED, "call.refused": FAILED}
_PROVIDERS: Final = frozenset({"openai", "anthropic"})
_NANO_PER_MICRO: Final = 1_000


def analytics_event(event: AuditEvent) -> dict[str, Any] | None:
    """Return what to tell of *event*, ``None`` where it ends no model call.

    The event has the id of its call, so that one that is sent twice is counted once.
    """
    kind = _TYPES.get(event.type)
    if kind is None:
        return None
    said = event.attributes
    provider = said.get("gen_ai.provider.name")
    told: dict[str, Any] = {
        "event_id": _uuid(event.call_id),
        "timestamp_ms": int(event.time * 1_000),
        "event_type": kind,
        "model": said.get("gen_ai.request.model") or "unknown",
        "provider": provider if provider in _PROVIDERS else "unknown",
    }
    cost = said.get("iron.cost_nanodollars")
    if kind == COMPLETED:
        told["input_tokens"] = said.get("gen_ai.usage.input_tokens") or 0
        told["output_tokens"] = said.get("gen_ai.usage.output_tokens") or 0
        told["cost_micros"] = _micros(cost)
    else:
        told["error_code"] = str(said.get("error.type") or "unknown")
        if micros := _micros(cost):
            told["cost_micros"] = micros
    return told


def _micros(nanodollars: object) -> int:
    """Return whole micro-dollars, rounded half up: rounded down, small calls would be free."""
    return (nanodollars + _NANO_PER_MICRO // 2) // _NANO_PER_MICRO if isinstance(nanodollars, int) else 0


def _uuid(call_id: str) -> str:
    try:
        return str(UUID(hex=call_id, version=4))
    except ValueError:
        return str(uuid5(NAMESPACE_OID, call_id))
