# ruff: noqa: SLF001 - our own kind
"""``IronLLM``: any LlamaIndex model, with every call of it held to a policy.

Usage::

    from iron_adapters.llama_index import IronLLM

    llm = IronLLM(model="gpt-4o-mini", policy={"budgets": [{"scope": "run", "limit_usd": 1.00}]})
    llm.complete("Write to jane@example.com")  # the provider reads <EMAIL_...>, the reply names her again
    agent = FunctionAgent(tools=[search], llm=IronLLM.wrap(any_llm, policy="policy.yaml"))

It stands in for the model it holds: the same callbacks, tools, streams, metadata and errors; only ``PolicyDenied`` is
new. It needs no HTTP, so it governs models on boto3, gRPC or in memory too. A stream is admitted when its first
response is asked for. Structured prediction goes by JSON Schema where the model's integration has OpenAI's way of
asking for it, else by function calling; streamed, always by function calling. Under an ``IronCallbackHandler`` with another policy both act and are charged. Instrumentation events (``get_dispatcher``) tell of a call twice: as it was made, and as it was sent.
Not covered: what is called on the provider's own client.
"""

from __future__ import annotations

from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms import LLM
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback

from iron_adapters.llama_index.asking import Asked
from iron_adapters.llama_index.by_name import llm_by_name
from iron_adapters.llama_index.stand_in import StandIn
from iron_adapters.llama_index.structured import answer_name, instance_of, schema_kwargs
from iron_adapters.resolve import Governor
from iron_adapters.wrapped_streams import each_async_step, each_step

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Generator, Sequence

    from llama_index.core.base.llms.types import ChatResponse, CompletionResponse

    from iron_adapters.resolve import PolicyLike


class IronLLM(StandIn):
    """Hold every call of a model to a policy.

    Args:
        model: the model's name: ``gpt-4o-mini``, ``claude-haiku-4-5``, ``anthropic/claude-haiku-4-5``.
        policy: a policy, its engine, a mapping, a path, or ``None``: the enclosing scope's, ``$IRON_POLICY``, the default.
        wrapped: a model to hold, instead of one by name.
        kwargs: what the model takes besides.

    Raises:
        PolicyError: *policy* is no policy.
        TypeError: neither *model* nor *wrapped* is given.
    """

    _governor: Governor = PrivateAttr()
    _answers: Collection[str] = PrivateAttr(default=())

    def __init__(
        self,
        model: str | None = None,
        *,
        policy: PolicyLike = None,
        wrapped: LLM | None = None,
        **kwargs: Any,
    ) -> None:
        governor = Governor(policy)
        if wrapped is None:
            if model is None:
                raise TypeError("IronLLM takes a model's name, or wrapped=")
            wrapped = llm_by_name(model, kwargs)
        super().__init__(wrapped)
        self._governor = governor

    @classmethod
    def wrap(cls, llm: LLM, policy: PolicyLike = None) -> IronLLM:
        """Return *llm*, governed.

        Raises:
            TypeError: *llm* is no model.
            PolicyError: *policy* is no policy.
        """
        if not isinstance(llm, LLM):
            raise TypeError(f"wrap() takes an LLM, not {type(llm).__name__}")
        return cls(wrapped=llm, policy=policy)

    @classmethod
    def class_name(cls) -> str:
        """Return the name by which callbacks know a model that is held."""
        return "IronLLM"

    # -- calls ---------------------------------------------------------------------------------------------

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Chat.

        Raises:
            PolicyDenied: nothing was sent, or the reply may not be handed on.
        """
        call = self._ask(messages, kwargs)
        with call.ended_on_error():
            with call.acting():
                response = call.llm.chat(call.messages, **call.kwargs)
            return call.reviewed(response)

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Chat, as :meth:`chat` does."""
        call = self._ask(messages, kwargs)
        with call.ended_on_error():
            with call.acting():
                response = await call.llm.achat(call.messages, **call.kwargs)
            return call.reviewed(response)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Complete a prompt, as :meth:`chat` chats."""
        call = self._ask([ChatMessage(content=prompt)], kwargs)
        with call.ended_on_error():
            with call.acting():
                response = call.llm.complete(call.prompt, formatted, **call.kwargs)
            return call.reviewed(response)

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Complete a prompt, as :meth:`chat` chats."""
        call = self._ask([ChatMessage(content=prompt)], kwargs)
        with call.ended_on_error():
            with call.acting():
                response = await call.llm.acomplete(call.prompt, formatted, **call.kwargs)
            return call.reviewed(response)

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Generator[ChatResponse]:
        """Chat, and yield the reply as it grows.

        Raises:
            PolicyDenied: nothing was sent, or the rest of the reply may not be handed on.
        """
        return self._stream(messages, kwargs, lambda call: call.llm.stream_chat(call.messages, **call.kwargs))

    @llm_completion_callback()
    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> Generator[CompletionResponse]:
        """Complete a prompt, as :meth:`stream_chat` chats."""
        return self._stream(
            [ChatMessage(content=prompt)],
            kwargs,
            lambda call: call.llm.stream_complete(call.prompt, formatted, **call.kwargs),
        )

    @llm_chat_callback()
    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> AsyncGenerator[ChatResponse]:
        """Chat, and yield the reply as it grows, as :meth:`stream_chat` does."""
        return self._astream(
            messages, kwargs, lambda call: call.llm.astream_chat(call.messages, **call.kwargs)
        )

    @llm_completion_callback()
    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> AsyncGenerator[CompletionResponse]:
        """Complete a prompt, as :meth:`stream_chat` chats."""
        return self._astream(
            [ChatMessage(content=prompt)],
            kwargs,
            lambda call: call.llm.astream_complete(call.prompt, formatted, **call.kwargs),
        )

    def _stream(self, messages: Sequence[ChatMessage], kwargs: dict[str, Any], ask: Any) -> Generator[Any]:
        call = self._ask(messages, kwargs, stream=True)
        with call.streamed() as stream:
            with call.acting():
                responses = ask(call)
            with closing(each_step(responses, call.acting)) as steps:
                yield from stream.through(steps)

    async def _astream(
        self, messages: Sequence[ChatMessage], kwargs: dict[str, Any], ask: Any
    ) -> AsyncGenerator[Any]:
        call = self._ask(messages, kwargs, stream=True)
        with call.streamed() as stream:
            with call.acting():
                responses = await ask(call)
            async with (
                aclosing(each_async_step(responses, call.acting)) as steps,
                aclosing(stream.through_async(steps)) as released,
            ):
                async for response in released:
                    yield response

    def _ask(self, messages: Sequence[ChatMessage], kwargs: dict[str, Any], *, stream: bool = False) -> Asked:
        return Asked(
            self,
            self._governor,
            messages,
            kwargs,
            answers=self._answers,
            stream=stream,
        )

    # -- structured prediction -----------------------------------------------------------------------------

    def structured_predict(
        self, output_cls: type[Any], prompt: Any, llm_kwargs: dict[str, Any] | None = None, **prompt_args: Any
    ) -> Any:
        """Predict an instance of *output_cls*; real values come back in it, as in any answer."""
        by_schema = schema_kwargs(self.wrapped, output_cls, llm_kwargs)
        if by_schema is None:
            answering = self._answering(output_cls)
            return StandIn.structured_predict(answering, output_cls, prompt, llm_kwargs, **prompt_args)
        messages = self._extend_messages(prompt.format_messages(**prompt_args))
        return instance_of(output_cls, self.chat(messages, **by_schema))

    async def astructured_predict(
        self, output_cls: type[Any], prompt: Any, llm_kwargs: dict[str, Any] | None = None, **prompt_args: Any
    ) -> Any:
        """Predict an instance of *output_cls*, as :meth:`structured_predict` does."""
        by_schema = schema_kwargs(self.wrapped, output_cls, llm_kwargs)
        if by_schema is None:
            answering = self._answering(output_cls)
            return await StandIn.astructured_predict(answering, output_cls, prompt, llm_kwargs, **prompt_args)
        messages = self._extend_messages(prompt.format_messages(**prompt_args))
        return instance_of(output_cls, await self.achat(messages, **by_schema))

    def stream_structured_predict(self, output_cls: type[Any], *args: Any, **kwargs: Any) -> Generator[Any]:
        """Predict an instance of *output_cls*, and yield it as it grows."""
        return StandIn.stream_structured_predict(self._answering(output_cls), output_cls, *args, **kwargs)

    async def astream_structured_predict(
        self, output_cls: type[Any], *args: Any, **kwargs: Any
    ) -> AsyncGenerator[Any]:
        """Predict an instance of *output_cls*, and yield it as it grows."""
        return await StandIn.astream_structured_predict(
            self._answering(output_cls), output_cls, *args, **kwargs
        )

    def _answering(self, output_cls: type[Any]) -> IronLLM:
        """Return this model for calls in which the tool that is named for *output_cls* is the answer itself."""
        answering = self.model_copy()
        answering._answers = (answer_name(output_cls),)
        return answering
