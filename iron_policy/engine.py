"""The policy engine: admits calls, judges tools, opens run scopes.

Owns the order of judgement and everything that outlives one call: accounts, rates, breakers, the record. Knows no
framework and no wire format: a seam lists texts, asks, and puts the answers back.
"""

from __future__ import annotations

import atexit
import fnmatch
import logging
import secrets
import threading
import time
import weakref
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

from iron_policy.audit import JsonlSink, LogSink
from iron_policy.budget import PROCESS_LEDGER, Account
from iron_policy.call import Call
from iron_policy.cost import to_nanodollars
from iron_policy.document import Policy
from iron_policy.exceptions import GovernanceFailed, PolicyDenied, PolicyError
from iron_policy.recorder import Recorder
from iron_policy.redact import Vault
from iron_policy.reliability import Breakers, RateMeter
from iron_policy.rules.access import access_rules, denied_tool
from iron_policy.rules.content import ContentJudge
from iron_policy.rules.loops import judge_model_calls, judge_tool_calls
from iron_policy.rules.names import name_filter
from iron_policy.scope import Scope, current_scope, entered
from iron_policy.spending import Spending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from iron_policy.audit import Sink
    from iron_policy.budget import Account as AccountType
    from iron_policy.call import CostBasis, Settlement
    from iron_policy.messages import ModelRequest, Text, ToolCall

_log = logging.getLogger("iron.engine")
_MOST_KEPT = 100_000
"""Characters of one text that the record keeps, where it keeps any."""
_PROCESS_KEY = secrets.token_bytes(32)


class PolicyEngine:
    """Carry one policy out.

    Args:
        policy: the policy; the built-in default where there is none.
        sinks: where the record goes, instead of where the policy says.
        token_key: makes the stand-ins for tokenized values; processes that share it write the same bytes.
            Without one, a random key for the life of this process.
        clock: epoch seconds, for windows and rates.

    Raises:
        PolicyError: the policy asks for what this version cannot do.
    """

    def __init__(
        self,
        policy: Policy | None = None,
        *,
        sinks: Sequence[Sink] | None = None,
        token_key: bytes | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        # Read again, because `model_copy(update=…)` reads nothing: a mode that is misspelt there would enforce nothing.
        self.policy = Policy() if policy is None else Policy.model_validate(policy.model_dump(warnings=False))
        refuse_unavailable(self.policy)
        self.enforces = self.policy.mode == "enforce"
        self.content = ContentJudge(self.policy.safety)
        self.ledger = PROCESS_LEDGER
        self._allows_model = name_filter(self.policy.access.models)
        self.spending = Spending(self.policy.spending, self.ledger, self._allows_model)
        self.recorder = Recorder(_sinks(self.policy) if sinks is None else sinks, monitor=not self.enforces)
        self.implicit_scope = Scope(self, Vault(token_key or _PROCESS_KEY), counts_loops=False)
        self._token_key = token_key or _PROCESS_KEY
        self._clock = clock
        self._keeps_content = self.policy.audit.content != "none" and bool(self.recorder.sinks)
        self._rules = tuple(access_rules(self.policy.access))
        self._allows_tool = name_filter(self.policy.access.tools)
        self._revealed = name_filter_or_none(self.policy)
        self._accounts: dict[tuple[int, str], AccountType] = {}
        self._accounts_lock = threading.Lock()
        self._rates = RateMeter(self.policy.limits, clock) if self.policy.limits else None
        breaker = self.policy.reliability.breaker
        self._breakers = Breakers(breaker, clock) if breaker else None
        _engines.add(self)

    # -- the way of one call -------------------------------------------------------------------------------

    def admit(self, request: ModelRequest, *, scope: Scope | None = None) -> Call:
        """Judge *request* and hold what it may cost.

        Returns:
            The call, to be sent as it says, and then settled or failed exactly once.

        Raises:
            PolicyDenied: nothing may be sent, and nothing is held.
        """
        if _abandoned:
            _end_abandoned()
        call = Call(self, request, scope or current_scope() or self.implicit_scope)
        self._judge(call)
        self._count(call)
        self._hold(call)
        call.admitted = True
        if call.findings:
            call.scope.record_findings([finding.kind for finding in call.findings])
        self.recorder.admitted(call, self._kept_content(call) if self._keeps_content else None)
        return call

    def judge(self, request: ModelRequest, *, scope: Scope | None = None) -> Call:
        """Judge *request* without sending, counting or holding anything: what a hook does before the wire acts.

        Raises:
            PolicyDenied: as :meth:`admit` would, as far as can be told without holding.
        """
        call = Call(self, request, scope or current_scope() or self.implicit_scope)
        self._judge(call)
        if (used_up := self.spending.fits_at_all(self._accounts_of(call.scope))) is not None:
            self.refuse(call, used_up)
        return call

    def admit_tool(self, call: ToolCall, *, scope: Scope | None = None) -> ToolCall:
        """Judge a tool that is about to run; return it with real values where the policy reveals them.

        Raises:
            ToolNotAllowed: the tool must not run.
        """
        scope = scope or current_scope() or self.implicit_scope
        if scope.objection is not None and (stopped := scope.objection()) is not None:
            self._refuse_tool(call.name, scope, stopped)
            raise stopped
        if self._allows_tool is not None and not self._allows_tool(call.name):
            self._refuse_tool(call.name, scope, denied_tool(call.name))
        if self.enforces and self.reveals(call.name):
            return call._replace(arguments=scope.vault.restore(call.arguments, in_json=True))
        return call

    def judge_tool_result(self, name: str, texts: Sequence[Text], *, scope: Scope | None = None) -> None:
        """Judge what the tool *name* has returned, before an agent keeps it. What a model may read of it, its call decides.

        Raises:
            ContentBlocked: it must not be kept.
        """
        denied = self.content.refusal(self.content.judge(texts))
        if denied is not None:
            self._refuse_tool(name, scope or current_scope() or self.implicit_scope, denied)

    def refuse(self, call: Call, denied: PolicyDenied) -> None:
        """Record a refusal and raise it; in monitor mode only record it."""
        denied.call_id = call.id
        self.recorder.refused(call, denied)
        call.scope.record_refusal()
        if self.enforces:
            raise denied

    def _refuse_tool(self, name: str, scope: Scope, denied: PolicyDenied) -> None:
        self.recorder.tool_refused(name, scope, denied)
        scope.record_refusal()
        if self.enforces:
            raise denied

    def unjudged(self, call: Call, error: Exception) -> None:
        """Decide about a text that a detector failed on.

        Raises:
            GovernanceFailed: the policy fails closed, as it does by default.
        """
        # No traceback: it may hold texts.
        _log.error("a detector failed with %s", type(error).__name__)
        if self.policy.safety.on_error == "deny":
            self.refuse(
                call,
                GovernanceFailed(f"a detector failed with {type(error).__name__}; safety.on_error is deny"),
            )

    def tool_objections(self, call: ToolCall, scope: Scope) -> Iterator[PolicyDenied]:
        """Yield what speaks against a tool call that a model asks for, and count it."""
        if self._allows_tool is not None and not self._allows_tool(call.name):
            yield denied_tool(call.name)
        if scope.counts_loops:
            count, identical = scope.count_tool_call(call)
            if (looping := judge_tool_calls(self.policy.loops, count, identical, call.name)) is not None:
                yield looping

    def lets_pass(self, path: str) -> bool:
        """Tell whether the policy lets an endpoint pass that nobody here can read."""
        return any(fnmatch.fnmatchcase(path, pattern) for pattern in self.policy.access.endpoints)

    @property
    def limits_models(self) -> bool:
        """Whether the policy lets only some models be asked."""
        return self.enforces and self._allows_model is not None

    def allows_model(self, model: str) -> bool:
        """Tell whether the policy lets *model* be asked."""
        return not self.enforces or self._allows_model is None or self._allows_model(model)

    def reveals(self, tool_name: str) -> bool:
        """Tell whether *tool_name* may see real values behind tokens."""
        return self._revealed is not None and self._revealed(tool_name)

    # -- scopes --------------------------------------------------------------------------------------------

    def scope(
        self,
        *,
        budget_usd: float | str | None = None,
        agent: str | None = None,
        user: str | None = None,
        path: str | None = None,
        counts_loops: bool = True,
    ) -> Scope:
        """Return a new run scope, a child of the current one if there is one. It is not entered yet.

        Raises:
            ValueError: *budget_usd* is negative or no number.
        """
        parent = current_scope()
        account = None
        if budget_usd is not None:
            account = Account(scope="run", limit_nanodollars=to_nanodollars(budget_usd))
        vault = parent.vault if parent else self.new_vault()
        return Scope(
            self,
            vault,
            parent=parent,
            account=account,
            agent=agent,
            user=user,
            path=path,
            counts_loops=counts_loops,
        )

    def new_vault(self) -> Vault:
        """Return a vault of its own, for a scope whose values are nobody else's business."""
        return Vault(self._token_key)

    @contextmanager
    def run(
        self,
        *,
        budget_usd: float | str | None = None,
        agent: str | None = None,
        user: str | None = None,
        path: str | None = None,
    ) -> Iterator[Scope]:
        """Open a run scope within a ``with`` block; calls inside draw on it, in tasks too."""
        with entered(self.scope(budget_usd=budget_usd, agent=agent, user=user, path=path)) as scope:
            yield scope

    def accounts(self, scope: Scope | None = None) -> tuple[AccountType, ...]:
        """Return every account that a call in *scope* draws on."""
        return self._accounts_of(scope or current_scope() or self.implicit_scope)

    def abandon(self, call: Call) -> None:
        """Take a call that nobody ended and nobody holds any more; it is ended with the next one.

        Called by the collector, which may interrupt this very thread inside a lock: so nothing more is done here.
        """
        _abandoned.append(call)

    def close(self) -> None:
        """Close the record. Calls made later are still governed, and no longer recorded."""
        self.recorder.close()

    # -- what a call tells at its end ----------------------------------------------------------------------

    def settled(self, call: Call, settlement: Settlement) -> None:
        """Charge and record a call that brought a reply."""
        usage, cost = settlement.usage, settlement.cost_nanodollars
        self._charge(call, cost)
        if call.request.billed:
            call.scope.record(usage=usage, cost_nanodollars=cost)
        if self._rates is not None and self._rates.counts_tokens:
            used = usage.input_tokens + usage.output_tokens
            self._rates.correct(call.scope.name_of, used - call.estimated_input_tokens())
        if self._breakers is not None:
            self._breakers.succeeded(call.request.provider_name)
        self.recorder.settled(call, settlement)

    def failed(self, call: Call, error: str, cost: int, basis: CostBasis, *, provider_at_fault: bool) -> None:
        """Charge and record a call that brought none."""
        self._charge(call, cost)
        if call.request.billed:
            call.scope.record(usage=None, cost_nanodollars=cost)
        if provider_at_fault:
            call.scope.expect_retry()
        if self._breakers is not None and provider_at_fault:
            self._breakers.failed(call.request.provider_name)
        self.recorder.failed(call, error, cost, basis)

    def _charge(self, call: Call, cost: int) -> None:
        if call.hold is not None:
            for account, fraction in call.hold.settle(cost):
                self.recorder.budget_alert(call, account.scope, fraction)

    # -- judgement -----------------------------------------------------------------------------------------

    def _judge(self, call: Call) -> None:
        """Hold *call* against what neither costs nor counts: its model, tools, parameters and texts."""
        request, scope = call.request, call.scope
        if scope.objection is not None and (stopped := scope.objection()) is not None:
            self.refuse(call, stopped)
            raise stopped  # also where the policy only watches: whoever stops a run means it
        for rule in self._rules:
            outcome = rule(request)
            if isinstance(outcome, PolicyDenied):
                self.refuse(call, outcome)
            else:
                request = outcome
        call.request = request
        try:
            call.findings = self.content.judge(request.texts)
        except Exception as error:  # noqa: BLE001 - whatever a detector throws, the policy decides
            self.unjudged(call, error)
            return
        if call.findings:
            if (blocked := self.content.refusal(call.findings)) is not None:
                self.refuse(call, blocked)
            call.rewrites = self.enforces and self.content.needs_rewriting(call.findings)

    def _count(self, call: Call) -> None:
        """Hold *call* against what earlier calls have used up: loops, a provider's breaker, rates."""
        scope, request = call.scope, call.request
        if scope.counts_loops and not (request.retry_count and scope.takes_retry()):
            looping = judge_model_calls(self.policy.loops, scope.count_model_call())
            if looping is not None:
                self.refuse(call, looping)
        if self._breakers is not None:
            open_circuit = self._breakers.objection(request.provider_name)
            if open_circuit is not None:
                self.refuse(call, open_circuit)
        if self._rates is not None:
            tokens = call.estimated_input_tokens() if self._rates.counts_tokens else 0
            limited = self._rates.objection(scope.name_of, tokens)
            if limited is not None:
                self.refuse(call, limited)

    def _hold(self, call: Call) -> None:
        """Hold what *call* may cost."""
        outcome = self.spending.hold(call.request, self._accounts_of(call.scope))
        if isinstance(outcome, PolicyDenied):
            self.refuse(call, outcome)
        else:
            call.request, call.price, call.hold = outcome

    def _kept_content(self, call: Call) -> tuple[str, ...]:
        try:
            kept = self.content.redacted(call.asked.texts, call.scope.vault)
        except Exception as error:  # noqa: BLE001 - the record never breaks a call
            _log.error("a detector failed with %s; the record holds no content", type(error).__name__)
            return ()
        return tuple(text if len(text) <= _MOST_KEPT else text[:_MOST_KEPT] + "…" for text in kept)

    def _accounts_of(self, scope: Scope) -> tuple[AccountType, ...]:
        """Return the accounts of this policy's budgets, then those of the scope and all above it."""
        accounts = scope.accounts_by_engine.get(self)
        if accounts is None:
            parent = scope.parent
            if parent is not None and parent.engine is scope.engine and scope.draws_as(parent):
                accounts = scope.accounts_by_engine[self] = self._accounts_of(parent)
                return accounts
            own = tuple(scope.account for scope in scope.lineage() if scope.account is not None)
            enclosing = scope.engine._accounts_of(scope) if scope.engine is not self else own  # noqa: SLF001
            accounts = scope.accounts_by_engine[self] = (*self._budget_accounts(scope), *enclosing)
        return accounts

    def _budget_accounts(self, scope: Scope) -> Iterator[AccountType]:
        for index, budget in enumerate(self.policy.budgets):
            name = scope.name_of(budget.scope)
            if name is None:
                continue
            with self._accounts_lock:
                account = self._accounts.get((index, name))
                if account is None:
                    account = Account(
                        scope=budget.scope,
                        limit_nanodollars=to_nanodollars(budget.limit_usd),
                        window=budget.window,
                        alert_at=budget.alert_at,
                        clock=self._clock,
                    )
                    self._keep(account, index, name, scope)
            yield account

    def _keep(self, account: AccountType, index: int, name: str, scope: Scope) -> None:
        """Remember an account by its name; a run's account lives as long as the run."""
        self._accounts[index, name] = account
        if self.policy.budgets[index].scope == "run":
            run = next(part for part in reversed(scope.lineage()) if part.run_id == scope.run_id)
            weakref.finalize(run, self._accounts.pop, (index, name), None)


def refuse_unavailable(policy: Policy) -> None:
    """Raise for what a document may say and this version cannot carry out: nothing starts half governed.

    Raises:
        PolicyError: naming each key, one to a line.
    """
    reliability = policy.reliability
    unavailable = {
        "state": not policy.state.startswith("memory://"),
        "reliability.timeout_seconds": reliability.timeout_seconds is not None,
        "reliability.retry": reliability.retry is not None,
        "reliability.fallback": bool(reliability.fallback),
    }
    faults = [
        f"policy: {key}: not carried out by this version; remove it, so that nothing is half governed"
        for key, asked in unavailable.items()
        if asked
    ]
    if faults:
        raise PolicyError("\n".join(faults))


def name_filter_or_none(policy: Policy) -> Callable[[str], bool] | None:
    """Return what tells whether a tool sees real values, or ``None`` where none does."""
    if not policy.safety.reveal.tools:
        return None
    from iron_policy.document import Names

    names = Names(allow=policy.safety.reveal.tools)
    return name_filter(names) or (lambda _name: True)


def _sinks(policy: Policy) -> tuple[Sink, ...]:
    return (LogSink(),) if policy.audit.path is None else (JsonlSink(policy.audit.path),)


_abandoned: deque[Call] = deque()


def _end_abandoned() -> None:
    """Charge and record the calls that were dropped without an end: the provider may have billed them."""
    while _abandoned:
        _abandoned.popleft().fail("abandoned", sent=True, provider_at_fault=False)


_engines: weakref.WeakSet[PolicyEngine] = weakref.WeakSet()


def _close_all() -> None:
    _end_abandoned()
    for engine in list(_engines):
        engine.close()


atexit.register(_close_all)
