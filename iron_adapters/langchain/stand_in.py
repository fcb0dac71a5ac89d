# ruff: noqa: SLF001 - a chat model's protected methods are its protocol
"""A chat model that stands in for another one: whatever is asked of it, the other answers.

Owns the delegation of everything that makes no call: names, parameters, profile, token counts, the choice between
streaming and not. Knows no policy; the calls themselves are its subclass's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from langchain_core.language_models import BaseChatModel
from pydantic import Field

from iron_adapters.langchain.rebinding import ANSWERS, rebound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.language_models.base import LangSmithParams
    from langchain_core.messages import AIMessage
    from langchain_core.runnables import Runnable

_COPIED_UP = (
    "callbacks", "tags", "metadata", "cache", "rate_limiter", "verbose", "disable_streaming", "output_version", "profile",
)  # fmt: skip
"""What ``BaseChatModel`` itself acts on before it calls ``_generate``."""


class StandIn(BaseChatModel):
    """Answer for *wrapped* in everything but its calls."""

    wrapped: BaseChatModel = Field(exclude=True)

    _stream_chat_model_events: ClassVar[None] = None
    """A model's own events would pass us by; without them LangChain makes events of ``_stream``."""
    _astream_chat_model_events: ClassVar[None] = None

    def __init__(self, wrapped: BaseChatModel) -> None:
        super().__init__(wrapped=wrapped, **{name: getattr(wrapped, name) for name in _COPIED_UP})

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)  # type: ignore[misc]  # pydantic hides it from type checkers
        except AttributeError:
            wrapped = self.__dict__.get("wrapped")
            if wrapped is None or name.startswith("_"):
                raise
            return getattr(wrapped, name)

    def bind_tools(self, *tools: Any, **kwargs: Any) -> Runnable[Any, AIMessage]:
        """Bind tools as the model does."""
        runnable: Runnable[Any, AIMessage] = rebound(
            self.wrapped.bind_tools(*tools, **kwargs), self.wrapped, self
        )
        return runnable

    def with_structured_output(self, *schema: Any, **kwargs: Any) -> Runnable[Any, Any]:
        """Structure the output as the model does, by the same methods."""
        runnable: Runnable[Any, Any] = rebound(
            self.wrapped.with_structured_output(*schema, **kwargs), self.wrapped, self
        )
        return runnable

    def get_token_ids(self, text: str) -> list[int]:
        """Return the tokens of *text* as the model counts them."""
        return self.wrapped.get_token_ids(text)

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Tell LangChain not to serialize: a policy's engine belongs to its process."""
        return False

    @property
    def _llm_type(self) -> str:
        return self.wrapped._llm_type

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        return self.wrapped._identifying_params

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        return self.wrapped._get_invocation_params(stop=stop, **_without_answers(kwargs))

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        return self.wrapped._get_ls_params(stop=stop, **_without_answers(kwargs))

    def _combine_llm_outputs(self, llm_outputs: list[dict[str, Any] | None], /) -> dict[str, Any]:
        return self.wrapped._combine_llm_outputs(llm_outputs)

    def _streaming_disabled(self, **kwargs: Any) -> bool:
        return self.wrapped._streaming_disabled(**kwargs)

    def _should_stream(self, *, async_api: bool, **kwargs: Any) -> bool:
        return self.wrapped._should_stream(async_api=async_api, **kwargs)

    def _should_use_protocol_streaming(self, *, async_api: bool, **kwargs: Any) -> bool:
        model = type(self.wrapped)
        streams = model._stream is not BaseChatModel._stream or (
            async_api and model._astream is not BaseChatModel._astream
        )
        return streams and super()._should_use_protocol_streaming(async_api=async_api, **kwargs)


def _without_answers(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in kwargs.items() if key != ANSWERS}
