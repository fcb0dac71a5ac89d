# ruff: noqa: SLF001 - a chat model's protected methods are its protocol
"""``IronChatModel``: any LangChain chat model, with every call of it held to a policy.

Usage::

    from langchain_anthropic import ChatAnthropic
    from iron_adapters.langchain import IronChatModel

    model = IronChatModel(model="gpt-4o-mini", policy={"budgets": [{"scope": "run", "limit_usd": 1.00}]})
    model.invoke("Write to jane@example.com")  # the provider reads <EMAIL_...>, the reply names her again
    IronChatModel.wrap(ChatAnthropic(model="claude-haiku-4-5")).invoke("Write to jane@example.com")

It stands in for the model it holds: the same callbacks (fired once), tools, structured output, streams, profile and
errors; only ``PolicyDenied`` is new. ``ChatOpenAI``, ``AzureChatOpenAI`` and ``ChatAnthropic`` are governed on the wire,
by what they really send, whatever it was set by. Any other model is governed by what LangChain tells of its calls, and
needs no HTTP: boto3, gRPC, in memory. Under an ``IronCallbackHandler`` with another policy both act and are charged.
Not covered: what is called on the provider's own client, such as ``model.root_client``.
"""

from __future__ import annotations

import hashlib
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from langchain_core.language_models import BaseChatModel
from pydantic import PrivateAttr

from iron_adapters.installation import ensure_patched
from iron_adapters.langchain.by_name import chat_model_by_name
from iron_adapters.langchain.calls import ChatCall, reporting_usage
from iron_adapters.langchain.copies import keep, kept
from iron_adapters.langchain.messages import Prompt
from iron_adapters.langchain.rebinding import ANSWERS
from iron_adapters.langchain.requests import LIMITS, TEXTS, request_of
from iron_adapters.langchain.stand_in import StandIn
from iron_adapters.langchain.wire_calls import WireCall, calls_by_wire, mark_for, under_mark
from iron_adapters.marks import claimed, is_claimed
from iron_adapters.resolve import Governor
from iron_adapters.wrapped_calls import next_to_act
from iron_adapters.wrapped_streams import each_async_step, each_step

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator, Sequence

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import ChatGenerationChunk, ChatResult

    from iron_adapters.resolve import PolicyLike


class IronChatModel(StandIn):
    """Hold every call of a chat model to a policy.

    Args:
        model: the model's name, as ``init_chat_model`` takes it: ``gpt-4o-mini``, ``anthropic:claude-haiku-4-5``.
        policy: a policy, its engine, a mapping, a path, or ``None``: the enclosing scope's, ``$IRON_POLICY``, the default.
        wrapped: a model to hold, instead of one by name.
        kwargs: what the model takes besides.

    Raises:
        PolicyError: *policy* is no policy.
    """

    _governor: Governor = PrivateAttr()
    _provider_name: str = PrivateAttr()
    _limit_name: str = PrivateAttr()
    _comes_by_wire: bool = PrivateAttr()
    _answers: Collection[str] = PrivateAttr(default=())
    _seal: str = PrivateAttr(default_factory=lambda: uuid4().hex)

    def __init__(
        self,
        model: str | None = None,
        *,
        policy: PolicyLike = None,
        wrapped: BaseChatModel | None = None,
        **kwargs: Any,
    ) -> None:
        governor = Governor(policy)
        super().__init__(chat_model_by_name(model, kwargs) if wrapped is None else wrapped)
        self._governor = governor
        held = self.wrapped
        self._provider_name = str(held._get_ls_params().get("ls_provider") or held._llm_type)
        self._comes_by_wire = calls_by_wire(held)
        self._limit_name = next((name for name in LIMITS if name in type(held).model_fields), LIMITS[0])

    @classmethod
    def wrap(
        cls, model: BaseChatModel, policy: PolicyLike = None, *, answers: Collection[str] = ()
    ) -> IronChatModel:
        """Return *model*, governed.

        Calls of the tools in *answers* are forms of the answer itself: they show real values without being revealed.

        Raises:
            TypeError: *model* is no chat model.
            PolicyError: *policy* is no policy.
        """
        if not isinstance(model, BaseChatModel):
            raise TypeError(
                f"wrap() takes a BaseChatModel, not {type(model).__name__}; wrap the model, then bind it"
            )
        held = cls(wrapped=model, policy=policy)
        held._answers = answers
        return held

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None, **kwargs: Any
    ) -> int:
        """Count tokens as the model does; it may ask its provider, so the texts are judged and rewritten first.

        Raises:
            PolicyDenied, WireError: nothing was sent.
        """
        prompt = Prompt(messages, {**kwargs, "tools": tools})
        if self._comes_by_wire:
            ensure_patched()
            marked, _ = mark_for(self._governor)
            with under_mark(marked):
                return self.wrapped.get_num_tokens_from_messages(messages, tools, **kwargs)
        engine, scope = self._governor.engine_and_scope()
        params = self._get_invocation_params()
        judged = engine.judge(request_of(self._provider_name, params, prompt), scope=scope)
        if (texts := judged.texts) is not None:
            messages, kwargs = prompt.rewritten(texts)
            tools = kwargs.pop("tools")
        with claimed(engine, scope):
            return self.wrapped.get_num_tokens_from_messages(messages, tools, **kwargs)

    # -- the calls -----------------------------------------------------------------------------------------

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 - it would be told unreviewed tokens
        **kwargs: Any,
    ) -> ChatResult:
        call = self._begin(messages, stop, kwargs)
        if call is None:
            return self.wrapped._generate(messages, stop, **kwargs)
        with call.ended_on_error():
            to_send, altered = call.arguments(self._limit_name)
            with call.acting():
                result = call.target(self)._generate(to_send, **altered)
            return call.reviewed(result)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002 - same
        **kwargs: Any,
    ) -> ChatResult:
        call = self._begin(messages, stop, kwargs)
        if call is None:
            return await self.wrapped._agenerate(messages, stop, **kwargs)
        with call.ended_on_error():
            to_send, altered = call.arguments(self._limit_name)
            with call.acting():
                result = await call.target(self)._agenerate(to_send, **altered)
            return call.reviewed(result)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        call = self._begin(messages, stop, kwargs, stream=True)
        if call is None:
            yield from self._reporting()._stream(messages, stop, **kwargs)
            return
        with call.streamed() as stream:
            to_send, altered = call.arguments(self._limit_name)
            with call.acting():
                chunks = call.target(self)._stream(to_send, **altered)
            with closing(each_step(chunks, call.acting)) as steps:
                for released in stream.through(steps):
                    if run_manager:
                        run_manager.on_llm_new_token(released.text, chunk=released)
                    yield released

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        call = self._begin(messages, stop, kwargs, stream=True)
        if call is None:
            async for chunk in self._reporting()._astream(messages, stop, **kwargs):
                yield chunk
            return
        with call.streamed() as stream:
            to_send, altered = call.arguments(self._limit_name)
            with call.acting():
                chunks = call.target(self)._astream(to_send, **altered)
            async with aclosing(each_async_step(chunks, call.acting)) as steps:
                async for released in stream.through_async(steps):
                    if run_manager:
                        await run_manager.on_llm_new_token(released.text, chunk=released)
                    yield released

    def _reporting(self) -> BaseChatModel:
        return self.wrapped if self._comes_by_wire else reporting_usage(self.wrapped)

    def _begin(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        kwargs: dict[str, Any],
        *,
        stream: bool = False,
    ) -> ChatCall | WireCall | None:
        """Admit a call; return ``None`` where every policy that applies to it acts already."""
        answers = kwargs.pop(ANSWERS, self._answers)
        acting = None if self._comes_by_wire else next_to_act(self._governor)
        if acting is None and (not self._comes_by_wire or is_claimed(self._governor.explicit_engine)):
            return None
        params = self._get_invocation_params(stop=stop, **kwargs)
        given = {**kwargs, "stop": stop}
        settings = {key: params[key] for key in TEXTS if key in params and not given.get(key)}
        prompt = Prompt(messages, given, settings)
        request = request_of(self._provider_name, params, prompt, stream=stream)
        if acting is None:
            ensure_patched()
            return WireCall(self._governor, request, prompt, answers=answers)
        engine, scope = acting
        return ChatCall(engine.admit(request, scope=scope), prompt, answers=answers)

    # -- parity with the model -----------------------------------------------------------------------------

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        """Keep cached replies apart from those of other policies, and from ungoverned ones."""
        engine, _ = self._governor.engine_and_scope()
        policy = hashlib.blake2b(engine.policy.model_dump_json().encode(), digest_size=16).hexdigest()
        return f"{self.wrapped._get_llm_string(stop, **kwargs)}---iron:{policy}"

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> IronChatModel:
        memo = {} if memo is None else memo
        memo[id(self._governor)] = self._governor  # copies share their budgets
        return super().__deepcopy__(memo)

    def __reduce__(self) -> tuple[Any, ...]:
        keep(self._seal, self._governor)
        engine = self._governor.explicit_engine
        policy = None if engine is None else engine.policy.model_dump()
        return _revived, (type(self), self.wrapped, policy, tuple(self._answers), self._seal)


def _revived(
    cls: type[IronChatModel], wrapped: BaseChatModel, policy: PolicyLike, answers: tuple[str, ...], seal: str
) -> IronChatModel:
    """Return a model that was pickled; see ``copies``."""
    governor = kept(seal)
    held = cls.wrap(wrapped, None if governor else policy, answers=answers)
    held._governor, held._seal = governor or held._governor, seal
    return held
