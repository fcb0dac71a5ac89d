"""Run scopes: whose budget, vault and counts a call draws on.

Owns the tree of scopes and the context variable that carries the current one into tasks and threads that copy
their context. A child draws on its parent. Knows no rule and no price.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from iron_policy.cost import to_usd
from iron_policy.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from decimal import Decimal

    from iron_policy.audit import Sink
    from iron_policy.budget import Account
    from iron_policy.engine import PolicyEngine
    from iron_policy.exceptions import PolicyDenied
    from iron_policy.messages import ToolCall, Usage
    from iron_policy.redact import Vault

_current: ContextVar[Scope | None] = ContextVar("iron_scope", default=None)
_process: list[Scope] = []


def current_scope() -> Scope | None:
    """Return the innermost scope that is open here, if one is."""
    scope = _current.get()
    return scope if scope is not None or not _process else _process[0]


def process_scope() -> Scope | None:
    """Return the run that this whole process is, if it is one."""
    return _process[0] if _process else None


def be_one_run(scope: Scope | None) -> None:
    """Let *scope* hold wherever none is open, in every thread: this process is one run. ``None`` ends that."""
    _process[:] = [] if scope is None else [scope]


@contextmanager
def entered(scope: Scope) -> Iterator[Scope]:
    """Make *scope* the current one within a ``with`` block."""
    token = _current.set(scope)
    try:
        yield scope
    finally:
        _current.reset(token)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What a run did so far, its children included."""

    run_id: str
    calls: int
    refusals: int
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal
    findings: dict[str, int] = field(default_factory=dict)
    """How often each kind was found, on the way in or out."""
    note: str = ""
    """What is missing above, where something is."""


class Scope:
    """One run, or a part of one: its names, its vault, its own budget and its counts."""

    def __init__(
        self,
        engine: PolicyEngine,
        vault: Vault,
        *,
        parent: Scope | None = None,
        account: Account | None = None,
        agent: str | None = None,
        user: str | None = None,
        path: str | None = None,
        counts_loops: bool = True,
    ) -> None:
        self.engine = engine
        self.vault = vault
        self.parent = parent
        self._above: tuple[Scope, ...] = parent.lineage() if parent else ()
        self.account = account
        self.run_id: str = parent.run_id if parent else uuid4().hex
        self.agent: str | None = agent or (parent.agent if parent else None)
        self.user: str | None = user or (parent.user if parent else None)
        self.path: str | None = path or (parent.path if parent else None)
        self.counts_loops = counts_loops
        self.governs_wire: bool = parent.governs_wire if parent else False
        """Whether calls in this scope that no other seam sees are to be governed on the wire."""
        self.explicit_policy = True
        """Whether the policy was named where the scope was opened; else it yields to one that was."""
        self.objection: Callable[[], PolicyDenied | None] | None = parent.objection if parent else None
        """Asked before each call and each tool, where somebody outside may stop the run. It holds in every mode."""
        self.sinks: tuple[Sink, ...] = parent.sinks if parent else ()
        """Who is told of calls made here, besides the engine's own sinks. They must not raise, and are closed by who gave them."""
        self.labels: Mapping[str, str] = parent.labels if parent else {}
        """What else the record is to say of calls made here, by attribute."""
        self.completed: Callable[[Scope, RunSummary], RunSummary] | None = None
        """Adds to a summary what somebody else knows of this run, where its calls are judged elsewhere."""
        self.accounts_by_engine: dict[PolicyEngine, tuple[Account, ...]] = {}
        self.parts: dict[object, Scope] = {}
        """Scopes that seams have made of this one for names of their own, by seam: they live as long as it does."""
        self._retries_due = 0
        self._sums = Tally()
        self._findings = Tally()

    def lineage(self) -> tuple[Scope, ...]:
        """Return this scope and those it draws on, innermost first."""
        return (self, *self._above)

    def draws_as(self, other: Scope) -> bool:
        """Tell whether this scope has no money of its own and goes by the names of *other*, which it is a part of."""
        return self.account is None and (self.run_id, self.agent, self.user, self.path) == (
            other.run_id,
            other.agent,
            other.user,
            other.path,
        )

    def name_of(self, scope: str) -> str | None:
        """Return the name that a budget or limit on *scope* goes by here, ``None`` where it does not apply."""
        match scope:
            case "global":
                return ""
            case "run":
                return self.run_id
            case "agent":
                return self.agent or ""
            case "user":
                return self.user or ""
            case path:
                own = self.path or ""
                return path if own == path or own.startswith(path + "/") else None

    def expect_retry(self) -> None:
        """Note that a call failed, so that an SDK may make it again."""
        self._retries_due = min(self._retries_due + 1, 1000)

    def takes_retry(self) -> bool:
        """Tell whether a call that says it is a retry follows a failure. Its caller alone does not make it one."""
        due = self._retries_due > 0
        self._retries_due -= due
        return due

    def count_model_call(self) -> int:
        """Count a model call here and above; return how many the whole run has made."""
        count = 0
        for scope in self._counting():
            count = scope._sums.count_one("model_calls")  # noqa: SLF001 - our own kind
        return count

    def count_tool_call(self, call: ToolCall) -> tuple[int, int]:
        """Count a tool call of the whole run; return how many there are now, and how many just like it."""
        key = hashlib.blake2b(
            f"{call.name}\0{call.arguments}".encode(errors="replace"), digest_size=16
        ).digest()
        top = self._counting()[-1]
        total, identical = top._sums.count("tool_calls", key)  # noqa: SLF001 - our own kind
        return total, identical

    def _counting(self) -> Sequence[Scope]:
        """Return this scope and those above it, up to the outermost that counts loops: a whole process may not."""
        lineage = self.lineage()
        return lineage if lineage[-1].counts_loops else [scope for scope in lineage if scope.counts_loops]

    def record(self, *, usage: Usage | None, cost_nanodollars: int) -> None:
        """Add a call that has ended to the sums, here and above."""
        amounts = {"calls": 1, "cost": cost_nanodollars}
        if usage is not None:
            amounts["input_tokens"] = usage.input_tokens
            amounts["output_tokens"] = usage.output_tokens
        for scope in self.lineage():
            scope._sums.add(amounts)  # noqa: SLF001 - our own kind

    def record_refusal(self) -> None:
        """Add a refused call to the sums, here and above."""
        for scope in self.lineage():
            scope._sums.count_one("refusals")  # noqa: SLF001 - our own kind

    def record_findings(self, kinds: Sequence[str]) -> None:
        """Add findings to the sums, here and above."""
        if kinds:
            for scope in self.lineage():
                scope._findings.count_all(kinds)  # noqa: SLF001 - our own kind

    def summary(self) -> RunSummary:
        """Return what happened so far."""
        sums = self._sums.snapshot()
        summary = RunSummary(
            run_id=self.run_id,
            calls=sums.get("calls", 0),
            refusals=sums.get("refusals", 0),
            input_tokens=sums.get("input_tokens", 0),
            output_tokens=sums.get("output_tokens", 0),
            cost_usd=to_usd(sums.get("cost", 0)),
            findings={str(kind): count for kind, count in self._findings.snapshot().items()},
        )
        return summary if self.completed is None else self.completed(self, summary)
