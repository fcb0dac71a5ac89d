"""What one call of an :class:`~iron_adapters.llama_index.IronLLM` hands to the model it holds.

Owns the step between admission and the model: the arguments as the policy has altered them, or as they were where a
seam further out governs the call. Makes no call itself.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from iron_adapters.call_keywords import wants_json
from iron_adapters.llama_index.calls import GovernedCall
from iron_adapters.llama_index.messages import Prompt
from iron_adapters.llama_index.requests import (
    as_the_engine_says,
    asking_for_usage,
    muted,
    params_of,
    provider_of_class,
    request_of,
)
from iron_adapters.marks import claimed
from iron_adapters.wrapped_calls import ended_on_error, next_to_act

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator, Sequence

    from llama_index.core.base.llms.types import ChatMessage

    from iron_adapters.llama_index.stand_in import StandIn
    from iron_adapters.resolve import Governor
    from iron_policy.call import Call


class Asked:
    """A call that was admitted, or one that a seam further out already governs.

    Args:
        stand_in: the governed model: asked again where another policy has to act as well.
        governor: whose policy.
        messages: the prompt.
        kwargs: the keywords of the call.
        answers: tools that stand for the answer itself.
        stream: whether the reply is to be streamed.

    Attributes:
        llm: the model to ask, or a copy of it with another limit.
        messages: what to send.
        kwargs: what to send beside it.

    Raises:
        PolicyDenied: nothing may be sent.
    """

    def __init__(
        self,
        stand_in: StandIn,
        governor: Governor,
        messages: Sequence[ChatMessage],
        kwargs: dict[str, Any],
        *,
        answers: Collection[str] = (),
        stream: bool = False,
    ) -> None:
        llm = stand_in.wrapped
        self.llm: Any = llm
        self.messages, self.kwargs = list(messages), kwargs
        self._governed: GovernedCall | None = None
        self._claim: tuple[Any, ...] = ()
        acting = next_to_act(governor)
        if acting is None:
            return
        prompt = Prompt(messages, kwargs, getattr(llm, "additional_kwargs", None) or {})
        provider_name = provider_of_class(type(llm).__module__)
        request = request_of(provider_name, params_of(llm, kwargs), prompt, stream=stream)
        engine, scope = self._claim = acting
        call = engine.admit(request, scope=scope)
        self._governed = GovernedCall(call, answers=answers, in_json=wants_json(kwargs))
        with ended_on_error(call):
            self._alter(call, prompt)
            with self.acting():
                if next_to_act(governor) is not None:
                    self.llm = muted(stand_in.model_copy(update={"wrapped": self.llm, "rate_limiter": None}))
        if stream:
            self.kwargs = asking_for_usage(llm, self.kwargs)

    @property
    def prompt(self) -> str:
        """The one text to complete."""
        return self.messages[0].content or ""

    def acting(self) -> AbstractContextManager[None]:
        """Keep the policy that acts from acting again on what is called within the block."""
        return claimed(*self._claim) if self._claim else nullcontext()

    def reviewed(self, response: Any) -> Any:
        """Return the reply as the caller may see it; see :meth:`GovernedCall.reviewed`."""
        return response if self._governed is None else self._governed.reviewed(response)

    def ended_on_error(self) -> AbstractContextManager[None]:
        """End the call if the block fails."""
        return nullcontext() if self._governed is None else self._governed.ended_on_error()

    @contextmanager
    def streamed(self) -> Iterator[Any]:
        """Return what turns the model's responses into those that the caller may see."""
        if self._governed is None:
            yield _AsTheyAre()
            return
        with self._governed.streamed() as stream:
            yield stream

    def _alter(self, call: Call, prompt: Prompt) -> None:
        own = None
        if (texts := call.texts) is not None:
            self.messages, self.kwargs, own = prompt.rewritten(texts)
        self.llm, self.kwargs = as_the_engine_says(self.llm, call, self.kwargs, own)


class _AsTheyAre:
    """Pass a stream on that a seam further out governs."""

    @staticmethod
    def through(responses: Iterator[Any]) -> Iterator[Any]:
        """Yield *responses*."""
        yield from responses

    @staticmethod
    async def through_async(responses: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Yield *responses*."""
        async for response in responses:
            yield response
