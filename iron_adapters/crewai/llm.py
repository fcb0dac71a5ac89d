"""``IronLLM``: any CrewAI model, with every call of it held to a policy.

Usage::

    from iron_adapters.crewai import IronLLM

    llm = IronLLM(model="openai/gpt-4o-mini", policy={"budgets": [{"scope": "run", "limit_usd": 1.00}]})
    agent = Agent(role="Writer", goal="...", backstory="...", llm=llm)  # the provider reads <EMAIL_...>, the crew jane@example.com
    governed = IronLLM.wrap(any_llm, policy="policy.yaml")

It stands in for the model it holds: tools, streams, structured answers, stop words and counters stay; only
``PolicyDenied`` is new, which is CrewAI's ``HookAborted`` too. A model whose calls go through the OpenAI or Anthropic SDK, or
through litellm in their dialects, is governed on the wire, events of streams included. Any other is governed here: it is
asked for its answer whole, and a stream of it comes in one piece. Under ``IronHooks`` with another policy
both are carried out on the wire; off it, the hooks' is, and its own judges too. Tools that the crew runs are the hooks' business: ``IronLLM`` alone refuses a call that offers
one the policy denies, and a reply that asks for one.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from crewai import LLM
from crewai.hooks.llm_hooks import model_call_hooks_already_dispatched, model_call_hooks_dispatched
from crewai.llms.base_llm import BaseLLM, llm_call_context
from pydantic import PrivateAttr

from iron_adapters.crewai.calls import Asked, governed_call, governed_count
from iron_adapters.crewai.refusals import in_own_terms
from iron_adapters.crewai.stand_in import StandIn
from iron_adapters.marks import is_claimed
from iron_adapters.resolve import Governor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

    from iron_adapters.crewai.calls import GovernedCall
    from iron_adapters.resolve import PolicyLike


class IronLLM(StandIn):
    """Hold every call of a CrewAI model to a policy.

    Args:
        model: the model's name, as ``crewai.LLM`` takes it: ``openai/gpt-4o-mini``, ``anthropic/claude-haiku-4-5``.
        policy: a policy, its engine, a mapping, a path, or ``None``: the enclosing scope's, ``$IRON_POLICY``, the default.
        wrapped: a model to hold, instead of one by name.
        kwargs: what ``crewai.LLM`` takes besides.

    Raises:
        PolicyError: *policy* is no policy.
    """

    _governor: Governor = PrivateAttr()

    def __init__(
        self,
        model: str | None = None,
        *,
        policy: PolicyLike = None,
        wrapped: BaseLLM | None = None,
        **kwargs: Any,
    ) -> None:
        governor = Governor(policy)
        super().__init__(LLM(model=model or "", **kwargs) if wrapped is None else wrapped)
        self._governor = governor

    @classmethod
    def wrap(cls, llm: BaseLLM, policy: PolicyLike = None) -> IronLLM:
        """Return *llm*, governed.

        Raises:
            TypeError: *llm* is no CrewAI model.
            PolicyError: *policy* is no policy.
        """
        if not isinstance(llm, BaseLLM):
            raise TypeError(f"wrap() takes a crewai BaseLLM, not {type(llm).__name__}")
        return cls(wrapped=llm, policy=policy)

    def call(  # noqa: PLR0917 - CrewAI's own signature
        self,
        messages: str | list[Any],
        tools: list[dict[str, Any]] | None = None,
        callbacks: list[Any] | None = None,
        available_functions: dict[str, Any] | None = None,
        from_task: Any = None,
        from_agent: Any = None,
        response_model: type[BaseModel] | None = None,
    ) -> Any:
        """Call the model under the policy.

        Raises:
            PolicyDenied: the call was refused, or its reply.
        """
        asked = Asked(
            messages, tools, response_model, stream=self._effective_stream(), agent=from_agent, task=from_task
        )
        with self._governed(asked, available_functions) as call:
            call.replied(call.llm.call(call.messages, callbacks=callbacks, **call.keywords))
        return call.reply

    async def acall(  # noqa: PLR0917 - CrewAI's own signature
        self,
        messages: str | list[Any],
        tools: list[dict[str, Any]] | None = None,
        callbacks: list[Any] | None = None,
        available_functions: dict[str, Any] | None = None,
        from_task: Any = None,
        from_agent: Any = None,
        response_model: type[BaseModel] | None = None,
    ) -> Any:
        """Call the model under the policy, as :meth:`call` does."""
        asked = Asked(
            messages, tools, response_model, stream=self._effective_stream(), agent=from_agent, task=from_task
        )
        with self._governed(asked, available_functions) as call:
            call.replied(await call.llm.acall(call.messages, callbacks=callbacks, **call.keywords))
        return call.reply

    def get_input_tokens_count(
        self,
        messages: str | list[Any],
        tools: list[dict[str, Any]] | None = None,
        response_model: type[BaseModel] | None = None,
    ) -> int:
        """Count tokens as the model does; it may ask its provider, so the texts are judged and rewritten first.

        Raises:
            PolicyDenied: the provider must not see them.
        """
        asked = Asked(messages, tools, response_model, stream=False)
        with in_own_terms(), governed_count(self._governor, self.wrapped, asked) as call:
            return call.llm.get_input_tokens_count(call.messages, call.tools, response_model)

    @contextmanager
    def _governed(self, asked: Asked, functions: dict[str, Any] | None) -> Iterator[GovernedCall]:
        """Have the hooks see the call, unless CrewAI has done so; then the policy; then the hooks see the reply."""
        tells_hooks = not (
            is_claimed(self._governor.explicit_engine) or model_call_hooks_already_dispatched()
        )
        if tells_hooks:
            self._invoke_before_llm_call_hooks(asked.messages, asked.agent)
        governed = governed_call(self._governor, self.wrapped, asked)
        with in_own_terms(), model_call_hooks_dispatched(), governed as call:
            call.functions = call.governed_functions(functions)
            with self.as_overridden(call.llm, stream=call.stream):
                yield call
        if call.whole and asked.stream and isinstance(call.reply, str):
            with llm_call_context():
                self._emit_stream_chunk_event(chunk=call.reply, from_task=asked.task, from_agent=asked.agent)
        if tells_hooks and isinstance(call.reply, str):
            call.reply = self._invoke_after_llm_call_hooks(asked.messages, call.reply, asked.agent)
