"""A call that a framework's hook sees and nobody can rewrite, as its model does not come by the wire.

Owns what every hook does about one: refuse what would need rewriting, naming the wrapper that can, and admit the rest
to be metered. Knows no framework; reading such a call's reply is its adapter's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from iron_adapters.relay import RelayEngine, never_linked
from iron_policy.exceptions import ContentBlocked, GovernanceFailed

if TYPE_CHECKING:
    from iron_policy.call import Call


def remedy(wrapper: str) -> str:
    """Return why a hook cannot do what *wrapper* can, such as ``IronLLM.wrap(llm)``."""
    return f"this model does not reach the wire, so a hook cannot; use {wrapper}"


def unreachable(what: str, wrapper: str) -> ContentBlocked:
    """Return the refusal of what a hook cannot carry out."""
    return ContentBlocked(f"{what}, and {remedy(wrapper)}")


def watched(judged: Call, wrapper: str) -> Call:
    """Admit the call that was *judged*, before it is made.

    Raises:
        PolicyDenied: the policy rewrites it, or does not admit it.
    """
    if judged.rewrites:
        judged.engine.refuse(judged, unreachable("the request needs rewriting", wrapper))
    return judged.engine.admit(judged.asked, scope=judged.scope)


def unseen(judged: Call, advice: str = "") -> Call:
    """Admit the call that was *judged*, after it was made: it was to come by the wire, and never came.

    Raises:
        GovernanceFailed: it has sent what the policy rewrites. *advice* is what the message ends with.
        PolicyDenied: the policy does not admit it.
    """
    if isinstance(judged.engine, RelayEngine):
        raise never_linked()
    if judged.rewrites:
        never = "a call that needed rewriting never came by httpx or httpx2, so it was sent as it was"
        judged.engine.refuse(judged, GovernanceFailed(never + advice))
    return judged.engine.admit(judged.asked, scope=judged.scope)


def stand_back(call: Call) -> None:
    """Charge nothing for *call*: one within it is governed itself."""
    call.fail("delegated", sent=False, provider_at_fault=False)
