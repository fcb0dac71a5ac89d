# ruff: noqa: SLF001 - a chat model's protected methods are its protocol
"""``IronChatModel``: any LangChain chat model, with every call of it held to a policy.

Usage::

    from langchain_anthropic import ChatAnthropic
    from iron_adapters.langchain import IronChatModel

    model = IronChatModel(model="gpt-4o-mini", policy={"budgets": [{"scope": "run", "limit_usd": 1.00}]})
    model.invoke("Write to jane@example.com")  # the provider reads <EMAIL_...>, the reply names her again
    IronChatModel.wrap(ChatAnthropic(model="claude-haiku-4-5")).invoke("Write to jane@example.com")

It stands in for the model it holds: the same callbacks (fired once), tools, structured output, streams, profile and
errors; only ``PolicyDenied`` is new. It needs no HTTP, so it governs models on boto3, gRPC or in memory too. Under an
``IronCallbackHandler`` the handler's policy acts and is charged, and an own policy may still refuse. Not covered: what
is called on the provider's own client, such as ``model.root_client``.
"""

from __future__ import annotations

import copy
import hashlib
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel
from pydantic import PrivateAttr

from iron_adapters.langchain.by_name import chat_model_by_name
from iron_adapters.langchain.calls import ChatCall, admitted, reporting_usage
from iron_adapters.langchain.messages import Prompt
from iron_adapters.langchain.rebinding import ANSWERS
from iron_adapters.langchain.requests import LIMITS, request_of
from iron_adapters.langchain.stand_in import StandIn
from iron_adapters.marks import claim_async_iterator, claim_iterator, claimed, is_claimed
from iron_adapters.resolve import Governor
from iron_policy.document import Policy
from iron_policy.engine import PolicyEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator

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

    _policy: PolicyLike = PrivateAttr()
    _governor: Governor = PrivateAttr()
    _provider_name: str = PrivateAttr()
    _limit_name: str = PrivateAttr()
    _answers: Collection[str] = PrivateAttr(default=())

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
        self._policy = policy
        self._governor = governor
        held = self.wrapped
        self._provider_name = str(held._get_ls_params().get("ls_provider") or held._llm_type)
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

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], *tools: Any, **kwargs: Any) -> int:
        """Count tokens as the model does; it may ask its provider, so the texts are judged and rewritten first."""
        engine, scope = self._governor.engine_and_scope()
        prompt = Prompt(messages, {})
        judged = engine.judge(
            request_of(self._provider_name, self._get_invocation_params(), prompt), scope=scope
        )
        if (texts := judged.texts) is not None:
            messages, _ = prompt.rewritten(texts)
        with claimed():
            return self.wrapped.get_num_tokens_from_messages(messages, *tools, **kwargs)

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
            with claimed():
                result = self.wrapped._generate(to_send, **altered)
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
            with claimed():
                result = await self.wrapped._agenerate(to_send, **altered)
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
            yield from self.wrapped._stream(messages, stop, **kwargs)
            return
        with call.streamed() as stream:
            to_send, altered = call.arguments(self._limit_name)
            with claimed():
                chunks = reporting_usage(self.wrapped)._stream(to_send, **altered)
            with closing(claim_iterator(chunks)) as claimed_chunks:
                for released in stream.through(claimed_chunks):
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
            async for chunk in self.wrapped._astream(messages, stop, **kwargs):
                yield chunk
            return
        with call.streamed() as stream:
            to_send, altered = call.arguments(self._limit_name)
            with claimed():
                chunks = reporting_usage(self.wrapped)._astream(to_send, **altered)
            async with aclosing(claim_async_iterator(chunks)) as claimed_chunks:
                async for released in stream.through_async(claimed_chunks):
                    if run_manager:
                        await run_manager.on_llm_new_token(released.text, chunk=released)
                    yield released

    def _begin(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        kwargs: dict[str, Any],
        *,
        stream: bool = False,
    ) -> ChatCall | None:
        """Admit a call; return ``None`` where a seam further out already has."""
        answers = kwargs.pop(ANSWERS, self._answers)
        if is_claimed():
            return None
        prompt = Prompt(messages, {**kwargs, "stop": stop})
        params = self._get_invocation_params(stop=stop, **kwargs)
        request = request_of(self._provider_name, params, prompt, stream=stream)
        call = admitted(self._governor, request, own_policy=self._policy is not None)
        return ChatCall(call, prompt, answers=answers)

    # -- parity with the model -----------------------------------------------------------------------------

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        """Keep cached replies apart from those of other policies, and from ungoverned ones."""
        engine, _ = self._governor.engine_and_scope()
        policy = hashlib.blake2b(engine.policy.model_dump_json().encode(), digest_size=16).hexdigest()
        return f"{self.wrapped._get_llm_string(stop, **kwargs)}---iron:{policy}"

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> IronChatModel:
        return type(self)(wrapped=copy.deepcopy(self.wrapped, memo), policy=self._policy)

    def __reduce__(self) -> tuple[Any, ...]:
        policy = self._policy.policy if isinstance(self._policy, PolicyEngine) else self._policy
        if isinstance(policy, Policy):
            policy = policy.model_dump()
        return type(self).wrap, (self.wrapped, policy)
