"""Which scope a call that callbacks tell of draws on: the enclosing run, else the handler's own."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from iron_adapters.resolve import Governor
from iron_policy.scope import current_scope

if TYPE_CHECKING:
    from iron_adapters.resolve import PolicyLike
    from iron_policy.engine import PolicyEngine
    from iron_policy.scope import Scope


class Scopes:
    """The scopes of one handler.

    Args:
        policy: as every seam takes it.
        names: ``agent``, ``user`` and ``path`` of the calls, where they have any.
    """

    def __init__(self, policy: PolicyLike, **names: str | None) -> None:
        self._governor = Governor(policy)
        self.explicit_engine = self._governor.explicit_engine
        self._names: dict[str, Any] = {key: name for key, name in names.items() if name is not None}
        self._bare: weakref.WeakKeyDictionary[PolicyEngine, Scope] = weakref.WeakKeyDictionary()

    def engine_and_scope(self) -> tuple[PolicyEngine, Scope]:
        """Return what governs a call that is made here."""
        engine, _ = self._governor.engine_and_scope()
        enclosing = current_scope()
        if enclosing is None:
            if engine not in self._bare:
                self._bare[engine] = engine.scope(**self._names, counts_loops=False)
            return engine, self._bare[engine]
        if not self._names:
            return engine, enclosing
        if self not in enclosing.parts:
            enclosing.parts[self] = engine.scope(**self._names, counts_loops=enclosing.counts_loops)
        return engine, enclosing.parts[self]
