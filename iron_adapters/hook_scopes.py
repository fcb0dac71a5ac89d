"""Which scope a call draws on that a framework's hook is told of.

Owns the two that every framework has: the enclosing run, where the hook's names have a share of their own in it; and,
for a call outside any run, the hook's own scope. Which runs the framework itself has, its adapter knows.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from iron_adapters.resolve import Governor
from iron_policy.scope import current_scope

if TYPE_CHECKING:
    from iron_adapters.resolve import PolicyLike
    from iron_policy.engine import PolicyEngine
    from iron_policy.scope import Scope


class HookScopes:
    """The scopes of one hook.

    Args:
        policy: as every seam takes it.
        names: ``agent``, ``user`` and ``path`` of the calls, where they have any.

    Attributes:
        explicit_engine: the policy that was named, if one was.
        names: those that were given.

    Raises:
        PolicyError: *policy* is no policy.
    """

    def __init__(self, policy: PolicyLike, **names: str | None) -> None:
        self._governor = Governor(policy)
        self.explicit_engine = self._governor.explicit_engine
        self.names: dict[str, Any] = {key: name for key, name in names.items() if name is not None}
        self._bare: weakref.WeakKeyDictionary[PolicyEngine, Scope] = weakref.WeakKeyDictionary()

    @property
    def engine(self) -> PolicyEngine:
        """The policy that governs a call that is made here."""
        return self._governor.engine_and_scope()[0]

    def engine_and_scope(self) -> tuple[PolicyEngine, Scope]:
        """Return what governs a call that is made here."""
        engine, enclosing = self.engine, current_scope()
        if enclosing is None:
            return engine, self.outside_runs(engine)
        if not self.names:
            return engine, enclosing
        scope = enclosing.parts.get(self)
        if scope is None:
            scope = enclosing.parts[self] = engine.scope(**self.names, counts_loops=enclosing.counts_loops)
        return engine, scope

    def outside_runs(self, engine: PolicyEngine) -> Scope:
        """Return the scope of a call that no run encloses; such calls are no loop."""
        scope = self._bare.get(engine)
        if scope is None:
            scope = self._bare[engine] = engine.scope(**self.names, counts_loops=False)
        return scope
