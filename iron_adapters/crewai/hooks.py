"""``IronHooks``: every model call and tool call of CrewAI in this process, held to a policy.

Usage::

    from iron_adapters.crewai import IronHooks

    with IronHooks("policy.yaml"):  # or IronHooks("policy.yaml").install(), for as long as the process lives
        crew.kickoff(inputs={"topic": "rivers"})

It judges a call before it is made, and blocks it with ``PolicyDenied``, which is CrewAI's ``HookAborted`` too and comes
out of ``kickoff()``. Rewriting, streams and money are dealt with on the wire, where the call is marked; so the crew's
own messages stay as they are. One kickoff of a crew, a flow or a bare agent is one run of the policy, unless a run is open
already; each agent goes by its role in budgets, limits and the record. A tool that the policy denies does not run, and
the agent reads why. Models that speak through the OpenAI or Anthropic SDK are governed whole, and through litellm where it
speaks their dialects; on any other (Bedrock, Gemini, Azure, your own) a call that needs rewriting is refused: use
``IronLLM.wrap(llm)`` there. Not covered: what a tool sends by itself (``install()`` sees it), embeddings, and ``call()`` on a
``BaseLLM`` of your own outside an agent, which calls no hooks. After
``await llm.acall()`` outside an agent, requests of the same context stay governed until CrewAI's next call.
"""

from __future__ import annotations

import threading
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Self

from crewai.hooks.dispatch import InterceptionPoint, register, unregister

from iron_adapters.crewai.marking import CallMark, marked
from iron_adapters.crewai.messages import Prompt
from iron_adapters.crewai.probe import prove_blocking, prove_registered
from iron_adapters.crewai.refusals import fail_closed
from iron_adapters.crewai.requests import reaches_seam, request_of
from iron_adapters.crewai.runs import Runs
from iron_adapters.crewai.tools import admit_arguments, judge_result
from iron_adapters.installation import ensure_patched
from iron_adapters.marks import is_claimed, live_mark, mark
from iron_adapters.tool_arguments import told
from iron_adapters.watched_calls import watched
from iron_policy.exceptions import IronError

if TYPE_CHECKING:
    from collections.abc import Callable

    from crewai.hooks.contexts import ExecutionEndContext, ExecutionStartContext, StepContext
    from crewai.hooks.llm_hooks import LLMCallHookContext
    from crewai.hooks.tool_hooks import ToolCallHookContext

    from iron_adapters.marks import Mark
    from iron_adapters.resolve import PolicyLike

_SEEN = "_iron_marked"
"""Set on a hook's context by the hooks that act on the call; others can only refuse it."""


class IronHooks:
    """Hold what CrewAI does in this process to a policy, while installed.

    Args:
        policy: a policy, its engine, a mapping, a path, or ``None``: the enclosing scope's, ``$IRON_POLICY``, the default.
        agent: the name that all agents go by, for budgets and limits of scope ``agent``, and the record; by default each
            goes by its role.
        user: the user's name, likewise.
        path: a path such as ``team/research``, likewise.

    Raises:
        PolicyError: *policy* is no policy.
        RuntimeError: this version of CrewAI does not let a hook block a call.
    """

    def __init__(
        self,
        policy: PolicyLike = None,
        *,
        agent: str | None = None,
        user: str | None = None,
        path: str | None = None,
    ) -> None:
        prove_blocking()
        self._runs = Runs(policy, agent=agent, user=user, path=path)
        self._marks: weakref.WeakSet[CallMark] = weakref.WeakSet()
        self._unended: list[CallMark] = []
        self._refusal: ContextVar[IronError | None] = ContextVar("iron_tool_refusal", default=None)
        self._aside: ContextVar[tuple[Mark | None, ...]] = ContextVar("iron_set_aside", default=())
        self._uses = 0
        self._lock = threading.Lock()
        self._hooks: dict[InterceptionPoint, Callable[[Any], Any]] = {
            InterceptionPoint.EXECUTION_START: self._before_kickoff,
            InterceptionPoint.EXECUTION_END: self._after_kickoff,
            InterceptionPoint.PRE_STEP: self._before_task,
            InterceptionPoint.PRE_MODEL_CALL: self._before_call,
            InterceptionPoint.POST_MODEL_CALL: self._after_call,
            InterceptionPoint.PRE_TOOL_CALL: self._before_tool,
            InterceptionPoint.POST_TOOL_CALL: self._after_tool,
        }

    def install(self) -> Self:
        """Govern from here on. Installed twice, it is to be uninstalled twice.

        Raises:
            RuntimeError: CrewAI would not call the hooks; nothing is installed.
        """
        ensure_patched()
        with self._lock:
            self._uses += 1
            if self._uses > 1:
                return self
            for point, hook in self._hooks.items():
                register(point, hook)
        try:
            prove_registered(self._hooks)
        except RuntimeError:
            self.uninstall()
            raise
        return self

    def uninstall(self) -> None:
        """Govern no longer."""
        with self._lock:
            self._uses = max(0, self._uses - 1)
            if self._uses:
                return
            for point, hook in self._hooks.items():
                unregister(point, hook)
            self._runs.end_marks()
            for left in list(self._marks):
                left.over = True
            self._charge_unended(lambda _: True)

    def __enter__(self) -> Self:
        return self.install()

    def __exit__(self, *error: object) -> None:
        self.uninstall()

    # -- runs ----------------------------------------------------------------------------------------------

    def _before_kickoff(self, context: ExecutionStartContext) -> None:
        with fail_closed():
            for agent in (
                *(getattr(context.crew, "agents", None) or ()),
                getattr(context.crew, "manager_agent", None),
            ):
                self._enlist(agent)
            self._runs.begin(
                context.crew or context.flow, getattr(context.crew or context.flow, "name", None)
            )

    def _after_kickoff(self, context: ExecutionEndContext) -> None:
        with fail_closed():
            ended = self._runs.end(context.crew or context.flow)
            self._charge_unended(lambda left: left.scope.run_id == ended)

    def _before_task(self, context: StepContext) -> None:
        with fail_closed():
            self._enlist(context.agent)

    def _enlist(self, agent: Any) -> None:
        """See that an agent that has worked before calls the hooks: its executor keeps those of its first time."""
        executor = getattr(agent, "agent_executor", None)
        for name, hook in (
            ("before_llm_call_hooks", self._hooks[InterceptionPoint.PRE_MODEL_CALL]),
            ("after_llm_call_hooks", self._hooks[InterceptionPoint.POST_MODEL_CALL]),
        ):
            kept = getattr(executor, name, None)
            if isinstance(kept, list) and hook not in kept:
                kept.append(hook)

    # -- model calls ---------------------------------------------------------------------------------------

    def _before_call(self, context: LLMCallHookContext) -> None:
        """Judge a call; mark it for the wire, or admit it here.

        Raises:
            PolicyDenied: the call is not made.
        """
        named = self._runs.explicit_engine
        if not self._uses or is_claimed(named):
            return
        with fail_closed():
            engine, scope = self._runs.engine_and_scope(context.agent, context.task)
            request = request_of(context.llm, Prompt(context.messages))
            judged = engine.judge(request, scope=scope)
            if getattr(context, _SEEN, False):
                return
            setattr(context, _SEEN, True)
            caller = context.executor or context.llm
            new = marked(context.llm, engine, scope, explicit=named is not None, owner=self, caller=caller)
            if not reaches_seam(context.llm):
                self._charge_unended(lambda left: left.caller is caller)
                new.admitted = watched(judged, "IronLLM.wrap(llm)")
                self._unended.append(new)
            ensure_patched()
            mark.set(new)
            self._marks.add(new)

    def _after_call(self, context: LLMCallHookContext) -> str | None:
        """Take the mark back; judge and charge what never came by the wire.

        Raises:
            PolicyDenied: the reply is not handed on.
        """
        found = live_mark()
        while isinstance(found, CallMark) and not (found.owner is self and found.llm is context.llm):
            found = found.enclosing
        if not self._uses or not isinstance(found, CallMark) or found.over:
            return None
        with fail_closed():
            found.over = True
            mark.set(found.enclosing)
            if found in self._unended:
                self._unended.remove(found)
            return found.replied(context.response)

    def _charge_unended(self, concerns: Callable[[CallMark], bool]) -> None:
        """Charge calls off the wire of whose end no hook has told: those that brought tool calls, or failed."""
        for left in [left for left in self._unended if concerns(left)]:
            self._unended.remove(left)
            left.forgotten()

    # -- tools ---------------------------------------------------------------------------------------------

    def _before_tool(self, context: ToolCallHookContext) -> None:
        """Judge a tool that is about to run; show it real values where the policy says so.

        Raises:
            PolicyDenied: it does not run. CrewAI goes on, and the agent reads why in place of a result.
        """
        self._refusal.set(None)
        if not self._uses:
            return
        # The call that asked for it is over, whatever a tool sends by itself is no call of the crew's.
        self._aside.set((*self._aside.get(), mark.get()))
        mark.set(None)
        try:
            with fail_closed():
                engine, scope = self._runs.engine_and_scope(context.agent, context.task)
                admit_arguments(engine, scope, context.tool_name, context.tool_input)
        except IronError as error:
            self._refusal.set(error)
            raise

    def _after_tool(self, context: ToolCallHookContext) -> str | None:
        """Tell the agent why a tool was refused; judge what one has returned."""
        refused = self._refusal.get()
        self._refusal.set(None)
        if aside := self._aside.get():
            self._aside.set(aside[:-1])
            mark.set(aside[-1])
        if refused is not None:
            return told(refused)
        if not self._uses or not isinstance(context.tool_result, str):
            return None
        with fail_closed():
            engine, scope = self._runs.engine_and_scope(context.agent, context.task)
            return judge_result(engine, scope, context.tool_name, context.tool_result)
