"""A process that is one run: its engine, its scope, and the report of what it does.

Owns the way from a run's settings to a scope that holds everywhere in this process, and from the record's events to
the numbers that the supervisor reads. Imports the engine and nothing of HTTP.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from iron_adapters.run_folder import Report, RunFolder
from iron_policy.document import Policy
from iron_policy.engine import PolicyEngine
from iron_policy.exceptions import BudgetExceeded, PolicyDenied, RunStopped
from iron_policy.recorder import watch_all
from iron_policy.scope import be_one_run

if TYPE_CHECKING:
    from iron_adapters.run_folder import RunSettings
    from iron_policy.audit import AuditEvent


def take_up(path: str, report: str) -> None:
    """Hold this whole process, every thread of it and what it forks, to what the run's settings say.

    Args:
        path: the run's folder.
        report: the name of this process's report.

    Raises:
        OSError: the run is over.
        PolicyError: this version cannot carry its policy out.
    """
    folder = RunFolder(path)
    settings = folder.settings()
    reporter = Reporter(folder, report)
    watch_all(reporter)
    os.register_at_fork(after_in_child=reporter.start_anew)
    policy = Policy.model_validate(settings.policy)
    key = os.environ.get("IRON_TOKEN_KEY")
    engine = PolicyEngine(policy, token_key=key.encode() if key else None)
    # A program may live for months; it is a loop that ran away only if somebody said how much is too much.
    counts_loops = "loops" in policy.model_fields_set
    scope = engine.scope(budget_usd=settings.budget_usd, agent=settings.agent, counts_loops=counts_loops)
    scope.governs_wire = True
    scope.explicit_policy = settings.explicit
    scope.objection = _Leash(folder, settings, reporter).objection
    be_one_run(scope)


class _Leash:
    """Says why a call must not be made, whatever the policy says of it."""

    def __init__(self, folder: RunFolder, settings: RunSettings, reporter: Reporter) -> None:
        self._folder = folder
        self._settings = settings
        self._reporter = reporter
        self._owner: str | None = None

    def objection(self) -> PolicyDenied | None:
        if self._settings.leashed and not self._folder.goes_on():
            return RunStopped("this agent has been stopped; nothing more of it is sent")
        if self._settings.budget_usd is not None and not self._owns_budget():
            return BudgetExceeded(
                "another process of this agent spends its budget; sharing one between processes needs a shared store, "
                "which this version has not: make all calls in one process",
                limit_usd=float(self._settings.budget_usd),
                scope="run",
            )
        return None

    def _owns_budget(self) -> bool:
        name = self._reporter.name
        if self._owner != name:
            self._owner = name if self._folder.own_budget(name) else None
        return self._owner == name


class Reporter:
    """A sink that keeps this process's report up to date."""

    def __init__(self, folder: RunFolder, name: str) -> None:
        self.name = name
        self._folder = folder
        self._report = Report()
        self._lock = threading.Lock()
        self._found: dict[str, Counter[str]] = {}
        """What was found in calls under way: several events of one call may tell of the same findings."""

    def start_anew(self) -> None:
        """Report for a forked child, which has done nothing yet."""
        self._lock, self._report, self._found = threading.Lock(), Report(), {}
        with suppress(OSError):
            self.name = self._folder.new_report()

    def write(self, event: AuditEvent) -> None:
        """Count *event* and publish the sums. A folder that is gone has nobody who reads it."""
        with self._lock:
            self._count(event.type, event.call_id, dict(event.attributes))
            if event.type != "call.admitted":  # its numbers come with its end
                with suppress(OSError):
                    self._folder.publish(self.name, self._report)

    def close(self) -> None:
        """Do nothing: whatever is known has been published."""

    def _count(self, kind: str, call_id: str, attributes: dict[str, Any]) -> None:
        report = self._report
        report.calling_processes = 1
        if kind in {"call.refused", "tool.refused"}:
            report.refusals[attributes["error.type"]] += 1
        elif kind in {"call.settled", "call.failed"}:
            report.calls += 1
            report.cost_nanodollars[attributes["iron.cost_basis"]] += attributes["iron.cost_nanodollars"]
            report.unpriced_calls += attributes.get("iron.price_source") == "unknown"
            report.input_tokens += attributes.get("gen_ai.usage.input_tokens", 0)
            report.output_tokens += attributes.get("gen_ai.usage.output_tokens", 0)
        self._count_findings(kind, call_id, Counter(attributes.get("iron.findings", {})))

    def _count_findings(self, kind: str, call_id: str, found: Counter[str]) -> None:
        if kind == "call.admitted":
            self._found.setdefault(call_id, Counter())
        before = self._found.get(call_id, Counter())
        self._report.findings.update(found - before)
        if kind in {"call.settled", "call.failed"}:
            self._found.pop(call_id, None)
        elif call_id in self._found:
            self._found[call_id] = before | found
