"""Which scope a LangChain run draws on.

Owns the tree of runs under way, as callbacks tell of them, and the judgement of tools. An enclosing ``engine.run()`` comes first; then the
outermost chain or agent, which is a run of ours from its start to its end; then, for a bare call, the handler's own.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import BaseCallbackHandler

from iron_adapters.hook_scopes import HookScopes
from iron_policy.messages import ToolCall
from iron_policy.scope import current_scope

if TYPE_CHECKING:
    from uuid import UUID

    from iron_adapters.resolve import PolicyLike
    from iron_policy.engine import PolicyEngine
    from iron_policy.scope import Scope


class Runs:
    """The runs under way, each with its scope.

    Args:
        policy: as every seam takes it.
        names: ``agent``, ``user`` and ``path`` of the runs, where they have any.
    """

    def __init__(self, policy: PolicyLike, **names: str | None) -> None:
        self._hook = HookScopes(policy, **names)
        self.explicit_engine = self._hook.explicit_engine
        # A run that LangChain does not tell the end of takes its id with it.
        self._scopes: weakref.WeakKeyDictionary[UUID, Scope] = weakref.WeakKeyDictionary()

    def begin(self, run_id: UUID, parent_run_id: UUID | None) -> None:
        """Note that a chain, a tool or a retriever starts."""
        if current_scope() is None:
            scope = self._scope_of(parent_run_id) or self._hook.engine.scope(**self._hook.names)
            self._scopes[run_id] = scope

    def end(self, run_id: UUID) -> None:
        """Note that it ends."""
        self._scopes.pop(run_id, None)

    def engine_and_scope(self, parent_run_id: UUID | None) -> tuple[PolicyEngine, Scope]:
        """Return what governs a call that is made here, within the run *parent_run_id*."""
        scope = self._scope_of(parent_run_id) if current_scope() is None else None
        return self._hook.engine_and_scope() if scope is None else (self._hook.engine, scope)

    def _scope_of(self, run_id: UUID | None) -> Scope | None:
        return None if run_id is None else self._scopes.get(run_id)


class RunCallbacks(BaseCallbackHandler):
    """The callbacks that tell of chains, tools and retrievers."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    def on_chain_start(
        self, serialized: Any, inputs: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Open a run scope where this is the outermost chain."""
        del serialized, inputs, kwargs
        self._runs.begin(run_id, parent_run_id)

    def on_tool_start(
        self,
        serialized: dict[str, Any] | None,
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """Judge a tool that is about to run.

        Raises:
            ToolNotAllowed: it does not run.
        """
        engine, scope = self._runs.engine_and_scope(parent_run_id)
        name = (serialized or {}).get("name") or kwargs.get("name") or "unknown"
        engine.admit_tool(ToolCall(name, input_str), scope=scope)
        self._runs.begin(run_id, parent_run_id)

    on_retriever_start: Any = on_chain_start
    """What a retriever finds is judged when a prompt brings it to a model."""

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Close the run."""
        del outputs, kwargs
        self._runs.end(run_id)

    on_chain_error: Any = on_chain_end
    on_tool_end: Any = on_chain_end
    on_tool_error: Any = on_chain_end
    on_retriever_end: Any = on_chain_end
    on_retriever_error: Any = on_chain_end
