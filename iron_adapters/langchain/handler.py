"""``IronCallbackHandler``: the calls of a LangChain application held to a policy by one callback.

Usage::

    from iron_adapters.langchain import IronCallbackHandler

    handler = IronCallbackHandler({"budgets": [{"scope": "run", "limit_usd": 0.50}]}, agent="researcher")
    agent.invoke({"messages": [...]}, config={"callbacks": [handler]})  # or ChatOpenAI(callbacks=[handler])
    chain.with_config(callbacks=[handler]).invoke(...)  # one chain or agent run is one run of the policy

It judges a call before it is made, and blocks it with ``PolicyDenied``. Rewriting, streams and money are dealt with on the
wire, where the call is marked; so ``ChatOpenAI``, ``AzureChatOpenAI``, ``ChatAnthropic`` and ``IronChatModel`` are
governed whole, and the caller's own messages stay as they are. On any other model (boto3, gRPC, in memory) a call
that needs rewriting is refused: use ``IronChatModel.wrap(model)`` there. A tool that the policy denies does not run,
and its ``PolicyDenied`` ends the agent. With several handlers on one call the first one acts; the others can only
refuse. Not covered: embeddings, which have no callbacks (``IronEmbeddings``), and what is called on a provider's own client.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from langchain_core.messages import HumanMessage
from langchain_core.outputs import ChatGenerationChunk

from iron_adapters.install import ensure_patched
from iron_adapters.langchain.messages import Prompt
from iron_adapters.langchain.probe import prove_blocking
from iron_adapters.langchain.requests import request_of
from iron_adapters.langchain.runs import RunCallbacks, Runs
from iron_adapters.langchain.watched import Watched, is_cached_reply, unreachable
from iron_adapters.marks import Mark, is_claimed, live_mark, mark
from iron_policy.exceptions import GovernanceFailed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import GenerationChunk, LLMResult

    from iron_adapters.resolve import PolicyLike
    from iron_policy.call import Call
    from iron_policy.messages import ModelRequest

_ON_THE_WIRE = frozenset({"openai-chat", "azure-openai-chat", "anthropic-chat", "openai", "azure"})
"""Kinds of models (``_llm_type``) that speak through httpx or httpx2, at endpoints that the wire can read."""


@dataclass(slots=True, kw_only=True)
class CallMark(Mark):
    """The mark of one LangChain run."""

    judged: Call
    request: ModelRequest


class IronCallbackHandler(RunCallbacks):
    """Hold every model call and tool call that this callback is told of to a policy.

    Args:
        policy: a policy, its engine, a mapping, a path, or ``None``: the enclosing scope's, ``$IRON_POLICY``, the default.
        agent: the agent's name, for budgets and limits of scope ``agent``, and the record.
        user: the user's name, likewise.
        path: a path such as ``team/research``, likewise.

    Raises:
        PolicyError: *policy* is no policy.
        RuntimeError: this version of LangChain does not let a callback block a call.
    """

    raise_error = True
    run_inline = True

    def __init__(
        self,
        policy: PolicyLike = None,
        *,
        agent: str | None = None,
        user: str | None = None,
        path: str | None = None,
    ) -> None:
        prove_blocking(type(self))
        super().__init__(Runs(policy, agent=agent, user=user, path=path))
        self._marks: dict[UUID, CallMark] = {}
        self._watched: dict[UUID, Watched] = {}

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """Judge a call; mark it for the wire, or admit it here.

        Raises:
            PolicyDenied: the call is not made.
        """
        if is_claimed():
            return
        request, kind = _asked([message for one in messages for message in one], kwargs)
        self._start(serialized, request, kind, run_id, parent_run_id)

    def on_llm_start(
        self,
        serialized: dict[str, Any],
        prompts: list[str],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """Judge a completion's call, as :meth:`on_chat_model_start` does."""
        if is_claimed():
            return
        request, kind = _asked([HumanMessage(text) for text in prompts], kwargs)
        self._start(
            serialized, replace(request, operation_name="text_completion"), kind, run_id, parent_run_id
        )

    def on_llm_new_token(
        self,
        token: str | list[str | dict[str, Any]],
        *,
        chunk: GenerationChunk | ChatGenerationChunk | None = None,
        run_id: UUID,
        **_: Any,
    ) -> None:
        """Judge a piece of a stream that never reaches the wire.

        Raises:
            PolicyDenied: the stream ends here.
        """
        if (watched := self._watched.get(run_id)) is not None:
            watched.feed(chunk if isinstance(chunk, ChatGenerationChunk) else str(token))

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        """Settle a call that was admitted here; see that a marked one was governed.

        Raises:
            PolicyDenied: the reply is not handed on.
        """
        marked, watched = self._ended(run_id)
        if marked is not None and not marked.requests_seen and not is_cached_reply(response):
            watched = _unseen(marked)
        if watched is not None:
            watched.end(response)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """End a call that failed or was broken off."""
        watched = self._ended(run_id)[1]
        if watched is not None:
            watched.broke(error)

    def _start(
        self,
        serialized: Mapping[str, Any],
        request: ModelRequest,
        kind: str,
        run_id: UUID,
        parent_run_id: UUID | None,
    ) -> None:
        engine, scope = self._runs.engine_and_scope(parent_run_id)
        judged = engine.judge(request, scope=scope)
        if _acting.setdefault(run_id, self) is not self:
            return
        if parent_run_id in self._watched:
            self._watched[parent_run_id].stand_back()
        if kind in _ON_THE_WIRE or "iron_adapters" in (serialized or {}).get("id", ()):
            ensure_patched()
            marked = CallMark(
                engine=engine, scope=scope, enclosing=live_mark(), judged=judged, request=request
            )
            mark.set(marked)
            self._marks[run_id] = marked
        elif judged.rewrites:
            engine.refuse(judged, unreachable("the request needs rewriting"))
        else:
            self._watched[run_id] = Watched(engine.admit(request, scope=scope))

    def _ended(self, run_id: UUID) -> tuple[CallMark | None, Watched | None]:
        if _acting.get(run_id) is self:
            del _acting[run_id]
        marked = self._marks.pop(run_id, None)
        if marked is not None:
            marked.over = True
            mark.set(live_mark())
        return marked, self._watched.pop(run_id, None)


_acting: dict[UUID, IronCallbackHandler] = {}
"""Which of several handlers acts on a run."""


def _asked(messages: list[BaseMessage], told: Mapping[str, Any]) -> tuple[ModelRequest, str]:
    """Return what a callback is *told* of a call, as the engine sees it, and the model's kind."""
    params: Mapping[str, Any] = told.get("invocation_params") or {}
    kind = str(params.get("_type") or "")
    provider_name = str((told.get("metadata") or {}).get("ls_provider") or kind or "unknown")
    return request_of(provider_name, params, Prompt(messages, params)), kind


def _unseen(marked: CallMark) -> Watched:
    """Return a call that never came by the wire, to be charged from what its reply reports.

    Raises:
        GovernanceFailed: it has sent what the policy rewrites.
    """
    if marked.judged.rewrites:
        never = GovernanceFailed(
            "a call that needed rewriting never came by httpx or httpx2, so it was sent as it was; "
            "use IronChatModel.wrap(model)"
        )
        marked.engine.refuse(marked.judged, never)
    return Watched(marked.engine.admit(marked.request, scope=marked.scope))
