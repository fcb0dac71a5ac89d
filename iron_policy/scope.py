"""Run scopes: whose budget, vault and counts a call draws on.

Owns the tree of scopes and the context variable that carries the current one into tasks and threads that copy
their context. A child draws on its parent. Knows no rule and no price.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from iron_policy.cost import to_usd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from iron_policy.budget import Account
    from iron_policy.engine import PolicyEngine
    from iron_policy.messages import ToolCall, Usage
    from iron_policy.redact import Vault

_current: ContextVar[Scope | None] = ContextVar("iron_scope", default=None)


def current_scope() -> Scope | None:
    """Return the innermost scope that is open here, if one is."""
    return _current.get()


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
        self.account = account
        self.run_id = parent.run_id if parent else uuid4().hex
        self.agent = agent or (parent.agent if parent else None)
        self.user = user or (parent.user if parent else None)
        self.path = path or (parent.path if parent else None)
        self.counts_loops = counts_loops
        self.accounts_by_engine: dict[PolicyEngine, tuple[Account, ...]] = {}
        self._lock = threading.Lock()
        self._tool_calls: Counter[bytes] = Counter()
        self._counts = Counter[str]()
        self._findings = Counter[str]()

    def lineage(self) -> Iterator[Scope]:
        """Yield this scope and those it draws on, innermost first."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

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

    def count_model_call(self) -> int:
        """Count a model call here and above; return how many the whole run has made."""
        return [scope._count("model_calls") for scope in self.lineage()][-1]

    def count_tool_call(self, call: ToolCall) -> tuple[int, int]:
        """Count a tool call; return how many there are now, and how many just like it."""
        key = hashlib.blake2b(f"{call.name}\0{call.arguments}".encode(errors="replace"), digest_size=16).digest()
        top = list(self.lineage())[-1]
        with top._lock:
            top._counts["tool_calls"] += 1
            top._tool_calls[key] += 1
            return top._counts["tool_calls"], top._tool_calls[key]

    def record(self, *, usage: Usage | None, cost_nanodollars: int) -> None:
        """Add a settled call to the sums, here and above."""
        for scope in self.lineage():
            with scope._lock:
                counts = scope._counts
                counts["calls"] += 1
                counts["cost"] += cost_nanodollars
                if usage is not None:
                    counts["input_tokens"] += usage.input_tokens
                    counts["output_tokens"] += usage.output_tokens

    def record_refusal(self) -> None:
        """Add a refused call to the sums, here and above."""
        for scope in self.lineage():
            scope._count("refusals")

    def record_findings(self, kinds: Iterator[str] | tuple[str, ...]) -> None:
        """Add findings to the sums, here and above."""
        found = Counter(kinds)
        if found:
            for scope in self.lineage():
                with scope._lock:
                    scope._findings.update(found)

    def summary(self) -> RunSummary:
        """Return what happened so far."""
        with self._lock:
            counts = self._counts
            return RunSummary(
                run_id=self.run_id,
                calls=counts["calls"],
                refusals=counts["refusals"],
                input_tokens=counts["input_tokens"],
                output_tokens=counts["output_tokens"],
                cost_usd=to_usd(counts["cost"]),
                findings=dict(self._findings),
            )

    def _count(self, what: str) -> int:
        with self._lock:
            self._counts[what] += 1
            return self._counts[what]
