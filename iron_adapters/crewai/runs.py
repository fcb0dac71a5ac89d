"""Which scope a CrewAI call draws on.

Owns the runs under way. An enclosing ``engine.run()`` comes first; then the outermost kickoff of a crew, a flow or a
bare agent, which is a run of ours from its start to its end; then, for a bare call, the hooks' own. Within each, an
agent goes by its role.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from iron_adapters.crewai.refusals import aborted
from iron_adapters.hook_scopes import HookScopes
from iron_adapters.marks import Mark, mark
from iron_policy.scope import current_scope, entered

if TYPE_CHECKING:
    from iron_adapters.resolve import PolicyLike
    from iron_policy.engine import PolicyEngine
    from iron_policy.scope import Scope


class Kickoff(NamedTuple):
    """A kickoff under way."""

    stack: ExitStack
    mark: Mark
    before: Mark | None
    """The mark that was there when it began."""


class Runs:
    """The kickoffs under way, each with its scope.

    Args:
        policy: as every seam takes it.
        names: ``agent``, ``user`` and ``path`` of the runs, where they have any.
    """

    def __init__(self, policy: PolicyLike, **names: str | None) -> None:
        self._hook = HookScopes(policy, **names)
        self.explicit_engine = self._hook.explicit_engine
        self._open: dict[int, Kickoff] = {}

    def begin(self, kickoff: Any, name: str | None) -> None:
        """Open a run where *kickoff*, a crew or a flow, is the outermost one; mark what it sends between its calls."""
        self.end(kickoff)
        engine = self._hook.engine
        stack, before = ExitStack(), mark.get()
        if (scope := current_scope()) is None:
            scope = stack.enter_context(entered(engine.scope(**self._hook.names)))
            scope.labels = {"iron.crew": name} if name else {}
        between = Mark(
            engine, scope, explicit=self.explicit_engine is not None, enclosing=before, own_terms=aborted
        )
        mark.set(between)
        self._open[id(kickoff)] = Kickoff(stack, between, before)

    def end(self, kickoff: Any) -> str | None:
        """Close the run of *kickoff*, if it has one; return that run's name."""
        opened = self._open.pop(id(kickoff), None)
        if opened is None:
            return None
        opened.mark.over = True
        # A kickoff that ends in another context than it began in leaves nothing to put back in this one.
        with suppress(ValueError):
            opened.stack.close()
            mark.set(opened.before)
        return opened.mark.scope.run_id

    def end_marks(self) -> None:
        """Mark nothing any more; the runs that are open end with their kickoffs."""
        for opened in list(self._open.values()):
            opened.mark.over = True

    def engine_and_scope(self, agent: Any = None, task: Any = None) -> tuple[PolicyEngine, Scope]:
        """Return what governs a call that is made here by *agent* for *task*."""
        engine = self._hook.engine
        enclosing = current_scope() or self._hook.outside_runs(engine)
        return engine, named(enclosing, agent, task, **self._hook.names)


def named(
    enclosing: Scope,
    of: Any,
    task: Any,
    *,
    agent: str | None = None,
    user: str | None = None,
    path: str | None = None,
) -> Scope:
    """Return the scope of a call within *enclosing*, made by the agent *of* for *task*; *agent* is its name, if not its role."""
    role = agent or _name_of(of, "role")
    labels = {"iron.task": name} if (name := _name_of(task, "name")) else {}
    if not labels and (role is None or role == enclosing.agent):
        return enclosing
    with entered(enclosing):
        scope = enclosing.engine.scope(agent=role, user=user, path=path, counts_loops=enclosing.counts_loops)
    scope.labels = {**enclosing.labels, **labels}
    return scope


def _name_of(thing: Any, attribute: str) -> str | None:
    name = getattr(thing, attribute, None)
    return name.strip() or None if isinstance(name, str) else None
