"""On whose behalf a call is made: the scope that it draws on.

Owns what callers may say about themselves in headers: ``x-iron-agent``, ``x-iron-user`` and ``x-iron-path`` name the
agent, the user and the place that budgets and the record are kept by; ``x-iron-run`` names the run, whose scopes are
kept in ``runs``; ``x-iron-claim`` says that this very process judges the call already. Every caller who has the token
is believed.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import orjson

from iron_adapters.own_routers import PROOF_HEADER, redeem
from iron_adapters.router.paths import MESSAGES, RESPONSES
from iron_adapters.router.problems import NotServed
from iron_adapters.run_header import RUN_HEADER, read
from iron_policy.document import Policy
from iron_policy.engine import PolicyEngine
from iron_policy.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from iron_adapters.marks import Claim
    from iron_adapters.router.runs import Runs
    from iron_adapters.run_header import RunPart
    from iron_policy.redact import Vault

_LONGEST_NAME: Final = 200
_MOST_VAULTS: Final = 1000
_THREAD: Final = b'"thread"'
"""Within a text, its quotes would be escaped."""
_STORE: Final = b'"store"'
_GOES_ON: Final = (b'"previous_response_id"', b'"conversation"')
_NOTHING: Final = dict.fromkeys(("pii", "secrets", "injection"), "allow")
_NAMES: Final = ("x-iron-agent", "x-iron-user", "x-iron-path")


class Callers:
    """The scopes of the calls that a router serves, all of them parts of *scope*.

    Args:
        scope: the router's own.
        runs: those of callers' runs; ``None`` where there are several workers, which share none.
    """

    def __init__(self, scope: Scope, runs: Runs | None) -> None:
        self._scope = scope
        self._runs = runs
        self._aside: PolicyEngine | None = None
        self._vaults: dict[str, Vault] = {}

    def scope_of(self, endpoint: str, headers: Mapping[str, str], body: bytes = b"") -> Scope:
        """Return the scope of one call.

        It has a vault of its own, or its run's, so that no caller's stand-ins turn into another's values. Only where
        the provider keeps a conversation, and a reply may hold stand-ins of an earlier request, a user has one; callers
        who name no user share one.

        Raises:
            NotServed: a name is too long or holds what no name does, or the run cannot be kept here.
            WireError: the run's header cannot be read.
        """
        claims = redeem(headers.get(PROOF_HEADER))
        if any(claim.engine in (None, self._scope.engine) for claim in claims):
            return _Aside(self._engine_aside(), self._scope, claims)
        header = headers.get(RUN_HEADER)
        kept = _is_kept(endpoint, body)
        if header is None:
            return self._scope_of_call(kept, **_names(headers))
        parts = read(header)
        if self._runs is not None:
            return self._runs.scope_of(parts)
        _refuse_counted(parts, self._scope.engine.policy)
        innermost = parts[-1]
        return self._scope_of_call(kept, agent=innermost.agent, user=innermost.user, path=innermost.path)

    def _scope_of_call(self, kept: bool, **names: Any) -> Scope:
        scope = self._scope
        vault = self._kept_vault(names.get("user")) if kept else scope.engine.new_vault()
        return Scope(scope.engine, vault, parent=scope, counts_loops=False, **names)

    def _kept_vault(self, user: str | None) -> Vault:
        """Return the vault of the conversations that providers keep for *user*; one user's stand-ins are not another's."""
        if user is None:
            return self._scope.vault
        vault = self._vaults.pop(user, None)
        if vault is None:
            vault = self._scope.engine.new_vault()
        self._vaults[user] = vault  # the latest used is the last
        if len(self._vaults) > _MOST_VAULTS:
            del self._vaults[next(iter(self._vaults))]
        return vault

    def _engine_aside(self) -> PolicyEngine:
        """Return what carries nothing out but the router's own budget."""
        if self._aside is None:
            spending = self._scope.engine.policy.spending
            policy = {"safety": {"input": _NOTHING, "output": _NOTHING}, "spending": spending.model_dump()}
            self._aside = PolicyEngine(Policy.model_validate(policy), sinks=[])
        return self._aside


class _Aside(Scope):
    """The scope of a call that this process judges already: it draws on what that has not charged."""

    def __init__(self, engine: PolicyEngine, router: Scope, claims: Sequence[Claim]) -> None:
        super().__init__(engine, engine.new_vault(), counts_loops=False)
        charged = {part for claim in claims if claim.scope is not None for part in claim.scope.lineage()}
        self._drawn_on = tuple(part for part in router.lineage() if part not in charged)
        self.sinks = router.sinks

    def lineage(self) -> tuple[Scope, ...]:
        """Return this and those of the router's scopes that no seam has charged."""
        return self, *self._drawn_on


def _is_kept(endpoint: str, body: bytes) -> bool:
    """Tell whether the provider keeps the conversation: OpenAI's responses, and Anthropic's messages in a thread."""
    if endpoint == RESPONSES:
        return not _is_on_its_own(body)
    return endpoint == MESSAGES and _THREAD in body


def _is_on_its_own(body: bytes) -> bool:
    """Tell whether a request of OpenAI's responses goes on from nothing that is kept, and wants nothing kept."""
    if _STORE not in body or any(name in body for name in _GOES_ON):
        return False
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False  # whoever reads it next says so
    return isinstance(document, dict) and document.get("store") is False


def _refuse_counted(parts: tuple[RunPart, ...], policy: Policy) -> None:
    """Refuse a run that would be counted in each worker for itself.

    Raises:
        NotServed: it has a budget, or the policy counts its loops.
    """
    loops = policy.loops
    counts = any(
        limit is not None for limit in (loops.model_calls, loops.tool_calls, loops.identical_tool_calls)
    )
    if any(part.budget_nanodollars is not None or (counts and part.counts_loops) for part in parts):
        raise NotServed(
            400,
            "runs_not_kept",
            f"{RUN_HEADER}: this runtime has several workers, which share no run's budget and loops; start it with "
            "--workers=1, or lift the policy's loops and give the run no budget",
        )


def _names(headers: Mapping[str, str]) -> dict[str, str | None]:
    return {header.removeprefix("x-iron-"): _name(headers, header) for header in _NAMES if header in headers}


def _name(headers: Mapping[str, str], header: str) -> str | None:
    name = headers.get(header)
    if name is None:
        return None
    with suppress(UnicodeError):  # clients write UTF-8 or Latin-1, and say nowhere which
        name = name.encode("latin-1").decode()
    if not name.isprintable() or len(name) > _LONGEST_NAME:
        raise NotServed(400, "bad_name", f"{header}: a name has up to {_LONGEST_NAME} printable characters")
    return name
