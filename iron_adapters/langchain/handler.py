"""``IronCallbackHandler``: the calls of a LangChain application held to a policy by one callback.

Usage::

    from langchain.agents import create_agent
    from iron_adapters.langchain import IronCallbackHandler

    handler = IronCallbackHandler({"budgets": [{"scope": "run", "limit_usd": 0.50}]}, agent="researcher")
    agent = create_agent("openai:gpt-4o-mini")  # also for any chain, or in ChatOpenAI(callbacks=[handler])
    agent.invoke({"messages": [("user", "Write to jane@example.com")]}, {"callbacks": [handler]})

It judges a call before it is made, and blocks it with ``PolicyDenied``. Rewriting, streams and money are dealt with
on the wire, where the call is marked; so ``ChatOpenAI``, ``AzureChatOpenAI``, ``ChatAnthropic`` and ``IronChatModel``
are governed whole, and the caller's own messages stay as they are. On any other model (boto3, gRPC, in memory) a
request that needs rewriting is refused, and so is a reply, which a stream has shown by then: use
``IronChatModel.wrap(model)`` there. A run of a chain or agent is a run of the policy, unless ``engine.run()`` encloses
it. A tool that the policy denies does not run, and its ``PolicyDenied`` ends the agent. Handlers with different
policies on one call all act. LangChain does not tell of the end of a call that is cancelled, or that another callback
breaks off: its hold is charged as soon as the call itself is gone. Not covered: what has no callbacks, which is
embeddings (``IronEmbeddings``), the counting of tokens at the provider (``get_num_tokens_from_messages``, and
``trim_messages`` with a model that counts so: ``IronChatModel``), and what is called on a provider's own client.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Self

from langchain_core.messages import HumanMessage
from langchain_core.outputs import ChatGenerationChunk

from iron_adapters.installation import ensure_patched
from iron_adapters.langchain.marking import CallMark, living_with, reaches_wire, told_of
from iron_adapters.langchain.probe import prove_blocking
from iron_adapters.langchain.runs import RunCallbacks, Runs
from iron_adapters.langchain.watched import WRAPPER, Watched, is_cached_reply, review_cached
from iron_adapters.marks import is_claimed, live_mark, mark
from iron_adapters.watched_calls import unseen, watched

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from uuid import UUID

    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import GenerationChunk, LLMResult

    from iron_adapters.marks import Mark
    from iron_adapters.resolve import PolicyLike
    from iron_policy.messages import ModelRequest


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
        self._marks: weakref.WeakKeyDictionary[UUID, CallMark] = weakref.WeakKeyDictionary()

    def __deepcopy__(self, _memo: dict[int, Any]) -> Self:
        return self  # a model's copy draws on the same budgets

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
        request, kind = told_of([message for one in messages for message in one], kwargs)
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
        request, kind = told_of([HumanMessage(text) for text in prompts], kwargs, "text_completion")
        self._start(serialized, request, kind, run_id, parent_run_id)

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
        marked = self._marks.get(run_id)
        if marked is not None and marked.watched is not None:
            marked.watched.feed(chunk if isinstance(chunk, ChatGenerationChunk) else str(token))

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        """Settle a call that was admitted here; see that a marked one was governed.

        Raises:
            PolicyDenied: the reply is not handed on.
        """
        marked = self._ended(run_id)
        if marked is None:
            return
        if marked.watched is not None:
            marked.watched.end(response)
        elif is_cached_reply(response):
            review_cached(marked.judged, response)
        elif not marked.requests_seen:
            Watched(unseen(marked.judged, f"; use {WRAPPER}")).end(response)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """End a call that failed or was broken off."""
        marked = self._ended(run_id)
        if marked is not None and marked.watched is not None:
            marked.watched.broke(error)

    def _start(
        self,
        serialized: Mapping[str, Any],
        request: ModelRequest,
        kind: str,
        run_id: UUID,
        parent_run_id: UUID | None,
    ) -> None:
        engine, scope = self._runs.engine_and_scope(parent_run_id)
        enclosing = live_mark()
        others = [found for found in _marks_above(enclosing) if found.run() == run_id]
        if not others and isinstance(enclosing, CallMark) and enclosing.watched is not None:
            enclosing.watched.stand_back()
        judged = engine.judge(request, scope=scope)
        named = self._runs.explicit_engine is not None
        if any(found.engine is engine or not named for found in others):
            return
        ensure_patched()
        marked = living_with(
            run_id,
            engine=engine,
            scope=scope,
            explicit=named,
            enclosing=enclosing,
            judged=judged,
        )
        if not reaches_wire(serialized, kind):
            marked.watched = Watched(watched(judged, WRAPPER))
        mark.set(marked)
        self._marks[run_id] = marked

    def _ended(self, run_id: UUID) -> CallMark | None:
        marked = self._marks.pop(run_id, None)
        if marked is not None:
            marked.over = True
            mark.set(live_mark())
        return marked


def _marks_above(found: Mark | None) -> Iterator[CallMark]:
    while found is not None:
        if isinstance(found, CallMark) and not found.over:
            yield found
        found = found.enclosing
