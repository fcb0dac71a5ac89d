"""Which engine a seam's ``policy=`` means.

Owns the one reading of the environment that seams share: ``IRON_POLICY`` (a policy file) and ``IRON_TOKEN_KEY``
(the key for stand-ins). One policy object, or one file, has one engine in a process, so that its budgets are
shared by all who name it; a dict is a policy of its own each time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from iron_adapters.marks import is_charged
from iron_adapters.relay import RelayEngine, relay_engine
from iron_adapters.runtime_address import runtime_address
from iron_policy.document import Policy
from iron_policy.engine import PolicyEngine
from iron_policy.exceptions import PolicyError
from iron_policy.loading import load_policy
from iron_policy.scope import current_scope

if TYPE_CHECKING:
    from iron_policy.scope import Scope

PolicyLike: TypeAlias = "Policy | PolicyEngine | Mapping[str, Any] | str | os.PathLike[str] | None"
"""A policy, its engine, a mapping, a file's path, or ``None``: the enclosing scope's, ``$IRON_POLICY``, the default."""

_lock = threading.RLock()
_by_file: dict[tuple[str, int, int], PolicyEngine] = {}
_by_object: dict[int, tuple[Policy, PolicyEngine]] = {}
_MOST_POLICIES = 4096
"""Policy objects whose engines are remembered; beyond it the one that was asked for longest ago is forgotten."""
_default: list[PolicyEngine] = []


class Governor:
    """A seam's policy, resolved when it is attached; ``None`` is looked up anew at each call.

    Raises:
        PolicyError: *policy* is no policy. Nothing is governed then, so nothing should start.
    """

    def __init__(self, policy: PolicyLike = None) -> None:
        self.explicit_engine = None if policy is None else engine_for(policy)
        fallback = self.explicit_engine or unnamed_engine()
        self._own_scope = (
            fallback.scope(counts_loops=False) if current_scope() is None else fallback.implicit_scope
        )

    def engine_and_scope(self) -> tuple[PolicyEngine, Scope]:
        """Return what governs a call that is made here and now.

        The enclosing run is drawn on, unless another policy acts on the call already and charges it.
        """
        engine, scope = self.explicit_engine, current_scope()
        if scope is None:
            return engine or unnamed_engine(), self._own_scope
        if engine is not None and is_charged(scope):
            return engine, self._own_scope
        return engine or scope.engine, scope


def engine_for(policy: PolicyLike) -> PolicyEngine:
    """Return the engine that carries *policy* out.

    Raises:
        PolicyError: *policy* is no policy.
    """
    if policy is None:
        scope = current_scope()
        return default_engine() if scope is None or isinstance(scope.engine, RelayEngine) else scope.engine
    if isinstance(policy, PolicyEngine):
        return policy
    if isinstance(policy, Policy):
        return _engine_of_object(policy)
    if isinstance(policy, Mapping):
        return _new_engine(load_policy(policy))
    if not isinstance(policy, str | os.PathLike) or not policy:
        raise PolicyError(
            f"policy: a Policy, a PolicyEngine, a mapping, a file's path or None, not {type(policy).__name__}"
        )
    return _engine_of_file(Path(policy))


def enclosing_engine() -> PolicyEngine:
    """Return what governs where no policy is named: the enclosing run's, else :func:`unnamed_engine`."""
    scope = current_scope()
    return unnamed_engine() if scope is None else scope.engine


def unnamed_engine() -> PolicyEngine:
    """Return what governs a seam that no policy is named for, outside any run: the default, or a runtime's.

    Raises:
        PolicyError: ``IRON_RUNTIME_URL`` is no address, or the default policy is none.
    """
    return default_engine() if runtime_address() is None else relay_engine()


def default_engine() -> PolicyEngine:
    """Return this process's engine: of the file that ``$IRON_POLICY`` names, else of the built-in default."""
    with _lock:
        if not _default:
            path = os.environ.get("IRON_POLICY")
            _default.append(_engine_of_file(Path(path)) if path else _new_engine(Policy()))
        return _default[0]


def set_default_engine(engine: PolicyEngine | None) -> None:
    """Let *engine* govern where no policy is named; ``None`` reads the environment anew at the next call."""
    with _lock:
        _default.clear()
        if engine is not None:
            _default.append(engine)


def _new_engine(policy: Policy) -> PolicyEngine:
    key = os.environ.get("IRON_TOKEN_KEY")
    return PolicyEngine(policy, token_key=key.encode() if key else None)


def _engine_of_object(policy: Policy) -> PolicyEngine:
    with _lock:
        # By identity: an equal policy is another one. The policy is kept beside its engine, so that its id stays its own.
        known = _by_object.pop(id(policy), None)
        engine = _new_engine(policy) if known is None else known[1]
        _by_object[id(policy)] = policy, engine
        if len(_by_object) > _MOST_POLICIES:
            del _by_object[next(iter(_by_object))]
        return engine


def _engine_of_file(path: Path) -> PolicyEngine:
    policy = load_policy(path)
    status = path.stat()
    key = (str(path.resolve()), status.st_mtime_ns, status.st_size)
    with _lock:
        if key not in _by_file:
            _by_file[key] = _new_engine(policy)
        return _by_file[key]
