"""The runs of callers in other processes: their scopes, made when they are first heard of and kept while they go on.

Owns how many are kept and for how long. A run has its own vault, its own budget and its own counts of loops, and its
parts draw on it, as they do in library mode. A run's id is all that it takes to call on its behalf, and so to have its
stand-ins turned back: it is 128 random bits, and whoever has the router's token is trusted with it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from iron_adapters.router.problems import NotServed
from iron_adapters.run_header import RUN_HEADER
from iron_policy.budget import Account
from iron_policy.cost import to_nanodollars
from iron_policy.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from iron_adapters.run_header import RunPart

MOST_RUNS: Final = 10_000
MOST_PARTS: Final = 10_000
IDLE_SECONDS: Final = 6 * 3600.0


class _KeptScope(Scope):
    """A scope that is called by the id that its own process has given it."""

    ended = 0
    """How many of its calls have ended."""


@dataclass(slots=True)
class _Run:
    """One run and its parts, by their ids."""

    top: _KeptScope
    used_at: float
    parts: OrderedDict[str, _KeptScope] = field(default_factory=OrderedDict)


class Runs:
    """The runs that a router keeps, within *scope*.

    What was not used for the longest is forgotten first; its budget starts anew if it is heard of again. A budget that
    a program gives itself holds against mistakes, not against the program.

    Args:
        scope: the router's own; all runs are parts of it.
        most_runs: how many are kept.
        idle_seconds: how long one is kept that nothing is heard of.
        clock: in seconds, going forward.
    """

    def __init__(
        self,
        scope: Scope,
        *,
        most_runs: int = MOST_RUNS,
        idle_seconds: float = IDLE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scope = scope
        self._most_runs = most_runs
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._runs: OrderedDict[str, _Run] = OrderedDict()
        self._ids: dict[str, str] = {}
        """Of every part, the id of its run."""

    def __len__(self) -> int:
        return len(self._runs)

    def scope_of(self, parts: Sequence[RunPart]) -> Scope:
        """Return the scope of a call that draws on *parts*, the outermost first.

        Raises:
            NotServed: a part is known as one of another run.
        """
        run = self._run(parts[0])
        scope: _KeptScope = run.top
        for part in parts[1:]:
            scope = self._part(run, part, scope, parts[0].id)
        return scope

    def known(self, scope_id: str) -> _KeptScope | None:
        """Return the scope of that id, if it is kept."""
        self._forget_idle()
        run_id = self._ids.get(scope_id)
        if run_id is None:
            return None
        run = self._runs[run_id]
        return run.top if scope_id == run_id else run.parts.get(scope_id)

    def end(self, run_id: str) -> None:
        """Forget the values behind the stand-ins of a run that has ended. Its sums stay, for late questions and calls."""
        run = self._runs.get(run_id)
        if run is not None:
            vault = run.top.engine.new_vault()
            for scope in (run.top, *run.parts.values()):
                scope.vault = vault

    def _run(self, part: RunPart) -> _Run:
        self._forget_idle()
        now = self._clock()
        run = self._runs.get(part.id)
        if run is None:
            if part.id in self._ids:
                raise _elsewhere()
            top = _scope_for(part, self._scope, None)
            top.run_id = part.id
            run = self._runs[part.id] = _Run(top, now)
            self._ids[part.id] = part.id
            if len(self._runs) > self._most_runs:
                self._forget(next(iter(self._runs)))
        run.used_at = now
        self._runs.move_to_end(part.id)
        return run

    def _part(self, run: _Run, part: RunPart, parent: _KeptScope, run_id: str) -> _KeptScope:
        scope = run.parts.get(part.id)
        if scope is None:
            if part.id in self._ids:
                raise _elsewhere()
            scope = run.parts[part.id] = _scope_for(part, parent, parent)
            self._ids[part.id] = run_id
            if len(run.parts) > MOST_PARTS:
                oldest, _ = run.parts.popitem(last=False)
                del self._ids[oldest]
        elif scope.parent is not parent:
            raise _elsewhere()
        run.parts.move_to_end(part.id)
        return scope

    def _forget_idle(self) -> None:
        long_ago = self._clock() - self._idle_seconds
        while self._runs and (run_id := next(iter(self._runs))) and self._runs[run_id].used_at < long_ago:
            self._forget(run_id)

    def _forget(self, run_id: str) -> None:
        run = self._runs.pop(run_id)
        for scope_id in (run_id, *run.parts):
            del self._ids[scope_id]


def note_end(scope: Scope) -> None:
    """Note that a call that drew on *scope* has ended, here and above."""
    for each in scope.lineage():
        if isinstance(each, _KeptScope):
            each.ended += 1


def told(scope: Scope) -> dict[str, Any]:
    """Return what is known of a run, for the process that it runs in."""
    summary = scope.summary()
    return {
        "run_id": summary.run_id,
        "calls": summary.calls,
        "refusals": summary.refusals,
        "input_tokens": summary.input_tokens,
        "output_tokens": summary.output_tokens,
        "cost_nanodollars": to_nanodollars(summary.cost_usd),
        "findings": summary.findings,
    }


def _scope_for(part: RunPart, parent: Scope, vault_of: Scope | None) -> _KeptScope:
    account = None
    if part.budget_nanodollars is not None:
        account = Account(scope="run", limit_nanodollars=part.budget_nanodollars)
    return _KeptScope(
        parent.engine,
        parent.engine.new_vault() if vault_of is None else vault_of.vault,
        parent=parent,
        account=account,
        agent=part.agent,
        user=part.user,
        path=part.path,
        counts_loops=part.counts_loops,
    )


def _elsewhere() -> NotServed:
    return NotServed(400, "bad_run", f"{RUN_HEADER}: a scope stands within another one than it did before")
