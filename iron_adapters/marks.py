"""Marks and claims: how seams that see one call agree on which of them acts.

A *mark* is left by a framework's hook: this call belongs to that engine and scope, let the wire act on it. A
*claim* is laid by a seam that enforces: the seams below it stand aside, so that a call is judged and charged once.
Both are context variables, so they follow a call into tasks and threads that copy their context.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from iron_policy.engine import PolicyEngine
    from iron_policy.exceptions import IronError
    from iron_policy.scope import Scope


class Claim(NamedTuple):
    """What a seam that enforces tells those below it."""

    engine: PolicyEngine | None
    """The policy that acts; ``None`` where it is not said, and everybody stands aside."""
    scope: Scope | None
    """The scope that is charged."""


@dataclass(slots=True)
class Mark:
    """One framework call, on its way to the wire."""

    engine: PolicyEngine
    scope: Scope
    explicit: bool = True
    """Whether the hook was given a policy of its own; else it yields to a seam below that was."""
    enclosing: Mark | None = None
    """The mark of the call within which this one is made."""
    requests_seen: int = 0
    """How many requests of this call, or of calls within it, were governed."""
    over: bool = False
    """True when the call has ended: a mark may outlive it in contexts that its end did not reach."""
    own_terms: Callable[[IronError], IronError] | None = None
    """Makes a refusal on the wire one that the framework above lets pass, where it would retry any other."""

    def note_request(self) -> None:
        """Count a request that is governed on behalf of this mark."""
        self.requests_seen += 1
        if self.enclosing is not None:
            self.enclosing.note_request()


mark: ContextVar[Mark | None] = ContextVar("iron_mark", default=None)
_claims: ContextVar[tuple[Claim, ...]] = ContextVar("iron_claims", default=())


def live_mark() -> Mark | None:
    """Return the mark of the innermost call that is under way here, ``None`` where no call is marked."""
    found = mark.get()
    while found is not None and found.over:
        found = found.enclosing
    return found


def is_claimed(engine: PolicyEngine | None = None) -> bool:
    """Tell whether the seam that asks must stand aside: a seam further out acts on the call that is made here.

    Args:
        engine: the policy that the seam was given. Where another policy acts, it acts as well: two policies on one
            call are both kept. ``None`` for a seam that takes whatever policy is in force.
    """
    claims = _claims.get()
    return bool(claims) and (engine is None or any(claim.engine in (None, engine) for claim in claims))


def claims_here() -> tuple[Claim, ...]:
    """Return what seams further out claim of the call that is made here, the outermost first."""
    return _claims.get()


def is_charged(scope: Scope) -> bool:
    """Tell whether a seam further out charges *scope*, or one within it, for the call that is made here."""
    return any(claim.scope is not None and scope in claim.scope.lineage() for claim in _claims.get())


def claim_here(engine: PolicyEngine | None = None, scope: Scope | None = None) -> Token[tuple[Claim, ...]]:
    """Claim every call that is made from here until :func:`give_back`, for the policy that acts and the scope it charges."""
    return _claims.set((*_claims.get(), Claim(engine, scope)))


def give_back(claim: Token[tuple[Claim, ...]]) -> None:
    """End a claim."""
    _claims.reset(claim)


@contextmanager
def claimed(engine: PolicyEngine | None = None, scope: Scope | None = None) -> Iterator[None]:
    """Claim every call that is made within the ``with`` block, as :func:`claim_here` does."""
    claim = claim_here(engine, scope)
    try:
        yield
    finally:
        give_back(claim)
