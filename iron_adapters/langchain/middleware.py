"""``IronMiddleware``: an agent of ``create_agent`` held to a policy, its model and its tools.

Usage::

    from langchain.agents import create_agent
    from iron_adapters.langchain import IronMiddleware

    governed = IronMiddleware({"budgets": [{"scope": "run", "limit_usd": 0.50}]}, agent="researcher")
    agent = create_agent("openai:gpt-4o-mini", middleware=[governed])
    agent.invoke({"messages": [("user", "Write to jane@example.com")]})

One run of the agent is one run of the policy; sub-agents that its tools call draw on it. The model is held by
``IronChatModel`` for each call, so that what ``stream_mode="messages"`` shows is reviewed too. A model call that is
refused raises ``PolicyDenied`` out of the agent. A tool that is refused, or whose result is, does not end the agent: the
model reads the reason in a ``ToolMessage`` with ``status="error"``. Put it last among middleware that alters messages
or models: what stands behind it is not judged.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated, Any, NotRequired
from uuid import uuid4

from langchain.agents.middleware.types import AgentMiddleware, AgentState, PrivateStateAttr
from langchain.agents.structured_output import AutoStrategy, ToolStrategy
from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableBinding

from iron_adapters.langchain.chat_model import IronChatModel
from iron_adapters.langchain.rebinding import rebound
from iron_adapters.langchain.tools import admitted_call, judged_result
from iron_adapters.resolve import Governor
from iron_policy.scope import entered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from langchain.agents.middleware.types import (
        ModelCallResult,
        ModelRequest,
        ModelResponse,
        ToolCallRequest,
    )
    from langgraph.runtime import Runtime
    from langgraph.types import Command

    from iron_adapters.resolve import PolicyLike
    from iron_policy.engine import PolicyEngine
    from iron_policy.scope import Scope

_MOST = 10_000
"""Runs remembered that were interrupted or have failed; the oldest is forgotten first."""


class RunState(AgentState[Any]):
    """An agent's state, with the name of its run, so that a run that was interrupted goes on as the same."""

    iron_run: NotRequired[Annotated[str, PrivateStateAttr]]


class IronMiddleware(AgentMiddleware[RunState, Any, Any]):
    """Hold an agent's model calls and tool calls to a policy.

    Args:
        policy: a policy, its engine, a mapping, a path, or ``None``: the enclosing scope's, ``$IRON_POLICY``, the default.
        agent: the agent's name, for budgets and limits of scope ``agent``, and the record.
        user: the user's name, likewise.
        path: a path such as ``team/research``, likewise.

    Raises:
        PolicyError: *policy* is no policy.
    """

    state_schema = RunState

    def __init__(
        self,
        policy: PolicyLike = None,
        *,
        agent: str | None = None,
        user: str | None = None,
        path: str | None = None,
    ) -> None:
        super().__init__()
        self._governor = Governor(policy)
        self._names: dict[str, str | None] = {"agent": agent, "user": user, "path": path}
        self._scopes: OrderedDict[str, Scope] = OrderedDict()
        self._lock = threading.Lock()

    def before_agent(self, state: RunState, runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Name the run."""
        return {"iron_run": uuid4().hex}

    async def abefore_agent(self, state: RunState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Name the run."""
        return self.before_agent(state, runtime)

    def after_agent(self, state: RunState, runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Forget the run."""
        with self._lock:
            self._scopes.pop(state.get("iron_run", ""), None)
        return None

    async def aafter_agent(self, state: RunState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Forget the run."""
        return self.after_agent(state, runtime)

    def _scope(self, state: Any) -> tuple[PolicyEngine, Scope]:
        engine, _ = self._governor.engine_and_scope()
        run_id = state.get("iron_run", "") if isinstance(state, dict) else ""
        with self._lock:
            scope = self._scopes.get(run_id)
            if scope is None:
                scope = self._scopes[run_id] = engine.scope(
                    agent=self._names["agent"], user=self._names["user"], path=self._names["path"]
                )
                if len(self._scopes) > _MOST:
                    self._scopes.popitem(last=False)
        return engine, scope

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelCallResult[Any]:
        """Call the model under the policy.

        Raises:
            PolicyDenied: the call was refused, or its reply.
        """
        _, scope = self._scope(request.state)
        with entered(scope):
            return handler(request.override(model=_governed(request, self._governor.explicit_engine)))

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelCallResult[Any]:
        """Call the model under the policy, as :meth:`wrap_model_call` does."""
        _, scope = self._scope(request.state)
        with entered(scope):
            return await handler(request.override(model=_governed(request, self._governor.explicit_engine)))

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], ToolMessage | Command[Any]]
    ) -> ToolMessage | Command[Any]:
        """Run a tool under the policy; tell the model where it is refused."""
        engine, scope = self._scope(request.state)
        with entered(scope):
            admitted = admitted_call(engine, request)
            if isinstance(admitted, ToolMessage):
                return admitted
            return judged_result(engine, request, handler(admitted))

    async def awrap_tool_call(
        self,
        request: ToolCallRequest,
        handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]],
    ) -> ToolMessage | Command[Any]:
        """Run a tool under the policy, as :meth:`wrap_tool_call` does."""
        engine, scope = self._scope(request.state)
        with entered(scope):
            admitted = admitted_call(engine, request)
            if isinstance(admitted, ToolMessage):
                return admitted
            return judged_result(engine, request, await handler(admitted))


def _governed(request: ModelRequest[Any], engine: PolicyEngine | None) -> Any:
    """Return the model of *request*, or what it is bound to, held to the policy."""
    model: Any = request.model
    inner = model
    while isinstance(inner, RunnableBinding):
        inner = inner.bound
    held = IronChatModel.wrap(inner, engine, answers=_answers(request.response_format))
    return rebound(model, inner, held)


def _answers(response_format: Any) -> tuple[str, ...]:
    """Return the names of tools that stand for the agent's answer itself, so that the caller is their reader."""
    if isinstance(response_format, AutoStrategy):
        response_format = ToolStrategy(response_format.schema)
    return (
        tuple(spec.name for spec in response_format.schema_specs)
        if isinstance(response_format, ToolStrategy)
        else ()
    )
