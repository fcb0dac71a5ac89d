"""The engine of calls that a runtime judges: here it judges nothing, and admits nothing that cannot be sent there.

Owns what stands where a policy would, so that hooks and runs work as they do in library mode.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from iron_policy.call import Call
from iron_policy.document import Policy
from iron_policy.engine import PolicyEngine
from iron_policy.exceptions import GovernanceFailed
from iron_policy.scope import current_scope

if TYPE_CHECKING:
    from iron_policy.call import CostBasis, Settlement
    from iron_policy.messages import ModelRequest
    from iron_policy.scope import Scope

_BY_WIRE = frozenset(("openai", "anthropic", "azure"))
"""Providers whose models are called through their SDKs, so by httpx or httpx2."""
_NOTHING = dict.fromkeys(("pii", "secrets", "injection"), "allow")
_LIMITLESS = {
    "safety": {"input": _NOTHING, "output": _NOTHING},
    "loops": {"model_calls": None, "tool_calls": None, "identical_tool_calls": None},
}


class RelayEngine(PolicyEngine):
    """Stand where a policy would: the runtime's holds, and it is asked on the wire."""

    def __init__(self) -> None:
        super().__init__(Policy.model_validate(_LIMITLESS), sinks=[])

    def admit(self, request: ModelRequest, *, scope: Scope | None = None) -> Call:
        """Let a call pass that the wire will send to the runtime, and count nothing: the runtime does.

        Raises:
            GovernanceFailed: the call does not come by the wire, so no runtime would see it.
        """
        if request.provider_name not in _BY_WIRE:
            raise never_linked()
        from iron_adapters.installation import ensure_patched

        ensure_patched()
        return Call(self, request, scope or current_scope() or self.implicit_scope)

    def settled(self, call: Call, settlement: Settlement) -> None:
        """Count nothing."""

    def failed(self, call: Call, error: str, cost: int, basis: CostBasis, *, provider_at_fault: bool) -> None:
        """Count nothing."""


def never_linked() -> GovernanceFailed:
    """Return the refusal of a call that cannot be sent to the runtime."""
    return GovernanceFailed(
        "IRON_RUNTIME_URL is set, and this model's calls do not come by httpx or httpx2, so they cannot be sent to the "
        "runtime; name a policy where it is governed, or unset IRON_RUNTIME_URL"
    )


@cache
def relay_engine() -> RelayEngine:
    """Return this process's."""
    return RelayEngine()
