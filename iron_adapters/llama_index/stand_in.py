# ruff: noqa: SLF001 - a model's protected methods are its protocol
"""A model that stands in for another one: whatever is asked of it, the other answers.

Owns the delegation of everything that makes no call: metadata, prompts, how tools are offered and read. Knows no
policy; the calls themselves are its subclass's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.bridge.pydantic import Field
from llama_index.core.llms import LLM  # noqa: TC002 - pydantic reads it
from llama_index.core.llms.function_calling import FunctionCallingLLM

from iron_adapters.llama_index.requests import muted

if TYPE_CHECKING:
    from llama_index.core.base.llms.types import ChatResponse, LLMMetadata
    from llama_index.core.llms.llm import ToolSelection

_COPIED_UP = (
    "callback_manager", "rate_limiter", "system_prompt", "messages_to_prompt", "completion_to_prompt", "output_parser",
    "pydantic_program_mode", "query_wrapper_prompt",
)  # fmt: skip
"""What ``LLM`` itself acts on before it makes a call."""


class StandIn(FunctionCallingLLM):
    """Answer for *wrapped* in everything but its calls."""

    wrapped: LLM = Field(exclude=True)

    def __init__(self, wrapped: LLM) -> None:
        taken = {name: getattr(wrapped, name) for name in _COPIED_UP}
        held = muted(wrapped)
        held.rate_limiter = None  # the stand-in waits for it
        super().__init__(wrapped=held, **taken)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            wrapped = self.__dict__.get("wrapped")
            if wrapped is None or name.startswith("_"):
                raise
            return getattr(wrapped, name)

    @property
    def metadata(self) -> LLMMetadata:
        """Say of the model what it says of itself."""
        return self.wrapped.metadata

    def to_payload(self) -> dict[str, Any]:
        """Tell callbacks of the model, and that it is held."""
        return {**self.wrapped.to_payload(), "class_name": self.class_name()}

    def _prepare_chat_with_tools(  # noqa: PLR0917 - as it is in the class above
        self,
        tools: Any,
        user_msg: Any = None,
        chat_history: Any = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        history = None if chat_history is None else list(chat_history)  # integrations append to it
        return self._calls_functions()._prepare_chat_with_tools_compat(
            tools,
            user_msg=user_msg,
            chat_history=history,
            verbose=verbose,
            allow_parallel_tool_calls=allow_parallel_tool_calls,
            tool_required=tool_required,
            **kwargs,
        )

    def _validate_chat_with_tools_response(
        self, response: ChatResponse, tools: Any, allow_parallel_tool_calls: bool = False, **kwargs: Any
    ) -> ChatResponse:
        return self._calls_functions()._validate_chat_with_tools_response(
            response, tools, allow_parallel_tool_calls=allow_parallel_tool_calls, **kwargs
        )

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """Read tool calls as the model does."""
        return self._calls_functions().get_tool_calls_from_response(
            response, error_on_no_tool_call=error_on_no_tool_call, **kwargs
        )

    def _calls_functions(self) -> FunctionCallingLLM:
        if not isinstance(self.wrapped, FunctionCallingLLM):
            raise TypeError(f"{type(self.wrapped).__name__} calls no functions; use a ReActAgent with it")
        return self.wrapped
