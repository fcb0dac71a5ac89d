"""``IronCallbackHandler``: the calls of a LlamaIndex application held to a policy by one callback.

Usage::

    from iron_adapters.llama_index import IronCallbackHandler, attach

    attach({"budgets": [{"scope": "run", "limit_usd": 0.50}]})  # all models made from here on, and those of Settings
    llm = OpenAI(callback_manager=CallbackManager([IronCallbackHandler("policy.yaml", agent="researcher")]))
    with engine.run() as run:  # one run of the policy; without one, the handler's calls are one
        query_engine.query(...)

It judges a call before it is made, and blocks it with ``PolicyDenied``. Rewriting, streams and money are dealt with on the
wire, where the call is marked; so ``OpenAI``, ``AzureOpenAI``, ``Anthropic``, ``OpenAIEmbedding`` and ``IronLLM`` are
governed whole, and the caller's own messages stay as they are. On any other model (Bedrock, Vertex, in memory) a call that needs
rewriting is refused, and a reply that does is not handed on, which a stream shows too late: use ``IronLLM.wrap(llm)``
there. Of embeddings a callback learns the texts only when they are made: off the wire, use ``IronEmbedding``. Not
covered: tools, of which LlamaIndex tells no callback (``IronTool``), ``Anthropic.structured_predict``, which calls the
SDK by itself (``IronLLM``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from llama_index.core import Settings
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload
from llama_index.core.callbacks.base_handler import BaseCallbackHandler

from iron_adapters.hook_scopes import HookScopes
from iron_adapters.installation import ensure_patched
from iron_adapters.llama_index.marking import (
    WRAPPER,
    CallMark,
    embedding_told_of,
    llm_told_of,
    reaches_wire,
)
from iron_adapters.llama_index.probe import prove_blocking
from iron_adapters.marks import is_claimed, live_mark, mark
from iron_adapters.watched_calls import watched
from iron_policy.exceptions import PolicyDenied

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iron_adapters.resolve import PolicyLike
    from iron_policy.messages import ModelRequest

_MOST = 10_000
"""Calls under way at once. Beyond it the oldest is forgotten: LlamaIndex has not told of its end."""


class IronCallbackHandler(BaseCallbackHandler):
    """Hold every call of a model that this callback is told of to a policy.

    Args:
        policy: a policy, its engine, a mapping, a path, or ``None``: the enclosing scope's, ``$IRON_POLICY``, the default.
        agent: the agent's name, for budgets and limits of scope ``agent``, and the record.
        user: the user's name, likewise.
        path: a path such as ``team/research``, likewise.

    Raises:
        PolicyError: *policy* is no policy.
        RuntimeError: this version of LlamaIndex does not let a callback block a call.
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
        super().__init__(event_starts_to_ignore=[], event_ends_to_ignore=[])
        self._scopes = HookScopes(policy, agent=agent, user=user, path=path)
        self._marks: dict[str, CallMark] = {}

    def install(self) -> Self:
        """Have every model told of by ``Settings.callback_manager`` governed: those of ``Settings``, and any made later.

        As a context manager it is undone at the end of the block.
        """
        manager = Settings._callback_manager  # noqa: SLF001 - the getter would make one
        if manager is None:
            Settings.callback_manager = CallbackManager([self])
        elif self not in manager.handlers:
            manager.add_handler(self)
        return self

    def uninstall(self) -> None:
        """Undo :meth:`install`."""
        manager = Settings._callback_manager  # noqa: SLF001 - same
        if manager is not None and self in manager.handlers:
            manager.remove_handler(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.uninstall()

    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",
        **kwargs: Any,
    ) -> str:
        """Judge a call; mark it for the wire, or admit it here.

        Raises:
            PolicyDenied: the call is not made.
        """
        del parent_id, kwargs
        if event_type in {CBEventType.LLM, CBEventType.EMBEDDING} and not is_claimed(
            self._scopes.explicit_engine
        ):
            told = payload or {}
            model: Mapping[str, Any] = told.get(EventPayload.SERIALIZED) or {}
            request = llm_told_of(told, model) if event_type == CBEventType.LLM else embedding_told_of(model)
            self._start(request, event_id, known=reaches_wire(model))
        return event_id

    def on_event_end(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        **kwargs: Any,
    ) -> None:
        """Settle a call that was admitted here; see that a marked one was governed.

        Raises:
            PolicyDenied: the reply is not handed on.
        """
        del event_type, kwargs
        marked = self._marks.pop(event_id, None)
        if marked is None:
            return
        self._over(marked)
        told = payload or {}
        if (error := told.get(EventPayload.EXCEPTION)) is not None:
            marked.broke(error)
        elif marked.embeds:
            marked.embedded(told.get(EventPayload.CHUNKS) or ())
        else:
            marked.replied(told.get(EventPayload.RESPONSE) or told.get(EventPayload.COMPLETION))

    def start_trace(self, trace_id: str | None = None) -> None:
        """Do nothing: a run begins where the application says so."""

    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:
        """Do nothing, either."""

    def _start(self, request: ModelRequest, event_id: str, *, known: bool) -> None:
        engine, scope = self._scopes.engine_and_scope()
        enclosing = live_mark()
        another = enclosing if isinstance(enclosing, CallMark) else None
        same_call = another is not None and another.event_id == event_id
        if another is not None:
            if same_call and another.engine is engine:
                return
            if not same_call:
                another.stand_back()
        try:
            judged = engine.judge(request, scope=scope)
        except PolicyDenied as denied:
            if another is not None and same_call:  # LlamaIndex will not tell the other handler of the end
                self._over(another)
                another.broke(denied)
            raise
        ensure_patched()
        marked = CallMark(
            engine=engine,
            scope=scope,
            explicit=self._scopes.explicit_engine is not None,
            enclosing=enclosing,
            event_id=event_id,
            judged=judged,
            reaches_wire=known,
        )
        if not known and not marked.embeds:
            marked.admitted = watched(judged, WRAPPER)
        mark.set(marked)
        if len(self._marks) >= _MOST:
            self._marks.pop(next(iter(self._marks)), None)
        self._marks[event_id] = marked

    @staticmethod
    def _over(marked: CallMark) -> None:
        marked.over = True
        mark.set(live_mark())


def attach(
    policy: PolicyLike = None, *, agent: str | None = None, user: str | None = None, path: str | None = None
) -> IronCallbackHandler:
    """Hold every model that LlamaIndex makes from here on, and those of ``Settings``, to a policy.

    Returns:
        The handler, which undoes it: ``handler.uninstall()``, or the end of a ``with`` block.

    Raises:
        PolicyError, RuntimeError: as :class:`IronCallbackHandler` does; nothing is attached.
    """
    return IronCallbackHandler(policy, agent=agent, user=user, path=path).install()
