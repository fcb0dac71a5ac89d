"""Writes down what happened to a call: one event when it is admitted or refused, one when it ends.

Owns the names of the attributes (``gen_ai.*`` of OpenTelemetry's GenAI conventions, ``iron.*`` our own). Decides
nothing, and never sees a text unless the policy says that redacted texts are to be kept.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from iron_policy.audit import AuditEvent
from iron_policy.exceptions import BudgetExceeded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from iron_policy.audit import Sink
    from iron_policy.call import Call, CostBasis, Settlement
    from iron_policy.exceptions import PolicyDenied
    from iron_policy.scope import Scope


_watching: list[Sink] = []


def watch_all(sink: Sink) -> None:
    """Let *sink* have the events of every engine that this process makes from now on, besides the engine's own sinks."""
    _watching.append(sink)


class Recorder:
    """Hand events to the sinks of one engine."""

    def __init__(self, sinks: Sequence[Sink], *, monitor: bool) -> None:
        self.sinks = (*sinks, *_watching)
        self._monitor = monitor

    def admitted(self, call: Call, content: Sequence[str] | None) -> None:
        """Record that *call* may be sent."""
        attributes = _of_call(call)
        if call.hold is not None:
            attributes["iron.held_nanodollars"] = call.hold.nanodollars
        if call.request is not call.asked:
            if call.max_tokens is not None:
                attributes["gen_ai.request.max_tokens"] = call.max_tokens
            if call.model is not None:
                attributes["iron.substitute_model"] = call.model
        if call.rewrites:
            attributes["iron.rewritten"] = True
        if content is not None:
            attributes["iron.input"] = list(content)
        self._write("call.admitted", call.id, call.scope, attributes)

    def refused(self, call: Call, denied: PolicyDenied) -> None:
        """Record that *call*, or its reply, may not pass."""
        self._write("call.refused", call.id, call.scope, {**_of_call(call), **_of_denial(denied)})

    def settled(self, call: Call, settlement: Settlement) -> None:
        """Record what *call* used and cost."""
        usage, price = settlement.usage, settlement.price
        attributes = _of_call(call)
        attributes["gen_ai.response.model"] = settlement.model
        attributes["gen_ai.response.finish_reasons"] = list(settlement.finish_reasons)
        attributes["gen_ai.usage.input_tokens"] = usage.input_tokens
        attributes["gen_ai.usage.output_tokens"] = usage.output_tokens
        attributes["gen_ai.usage.cache_read.input_tokens"] = usage.cache_read_input_tokens
        attributes["iron.cost_nanodollars"] = settlement.cost_nanodollars
        attributes["iron.cost_basis"] = settlement.basis
        attributes["iron.price_source"] = price.source if price else "unknown"
        attributes["iron.price_date"] = price.price_date if price else None
        attributes["iron.duration_seconds"] = _since(call)
        self._write("call.settled", call.id, call.scope, attributes)

    def failed(self, call: Call, error: str, cost_nanodollars: int, basis: CostBasis) -> None:
        """Record that *call* brought no reply."""
        attributes = _of_call(call)
        attributes["error.type"] = error
        attributes["iron.cost_nanodollars"] = cost_nanodollars
        attributes["iron.cost_basis"] = basis
        attributes["iron.duration_seconds"] = _since(call)
        self._write("call.failed", call.id, call.scope, attributes)

    def tool_refused(self, name: str, scope: Scope, denied: PolicyDenied) -> None:
        """Record that a tool was not run."""
        attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name, **_of_scope(scope)}
        self._write("tool.refused", scope.run_id, scope, {**attributes, **_of_denial(denied)})

    def budget_alert(self, call: Call, scope: str, fraction: float) -> None:
        """Record that a budget has been spent to *fraction*."""
        attributes = {**_of_scope(call.scope), "iron.scope": scope, "iron.fraction": fraction}
        self._write("budget.alert", call.id, call.scope, attributes)

    def close(self) -> None:
        """Close every sink."""
        for sink in self.sinks:
            sink.close()

    def _write(self, kind: str, call_id: str, scope: Scope, attributes: dict[str, Any]) -> None:
        sinks = (*self.sinks, *scope.sinks) if scope.sinks else self.sinks
        if not sinks:
            return
        if self._monitor:
            attributes["iron.mode"] = "monitor"
        event = AuditEvent(kind, time.time(), call_id, attributes)
        for sink in sinks:
            sink.write(event)


def _of_call(call: Call) -> dict[str, Any]:
    asked = call.asked
    attributes = _of_scope(call.scope)
    attributes["gen_ai.operation.name"] = asked.operation_name
    attributes["gen_ai.provider.name"] = asked.provider_name
    attributes["gen_ai.request.model"] = asked.model
    if call.findings:
        attributes["iron.findings"] = dict(Counter(finding.kind for finding in call.findings))
    return attributes


def _since(call: Call) -> float:
    return round(time.monotonic() - call.started, 6)


def _of_scope(scope: Scope) -> dict[str, Any]:
    attributes: dict[str, Any] = {"iron.run_id": scope.run_id, **scope.labels}
    if scope.agent is not None:
        attributes["gen_ai.agent.name"] = scope.agent
    if scope.user is not None:
        attributes["iron.user"] = scope.user
    if scope.path is not None:
        attributes["iron.path"] = scope.path
    return attributes


def _of_denial(denied: PolicyDenied) -> dict[str, Any]:
    attributes: dict[str, Any] = {"error.type": denied.code, "iron.reason": denied.reason}
    if denied.findings:
        attributes["iron.findings"] = dict(Counter(finding.kind for finding in denied.findings))
    if isinstance(denied, BudgetExceeded):
        attributes["iron.scope"] = denied.scope
    return attributes
