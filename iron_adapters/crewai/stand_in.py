"""A CrewAI model that stands in for another one: whatever is asked of it, the other answers.

Owns the delegation of everything that makes no call: names, settings, sizes, counters. Knows no policy; the calls
themselves are its subclass's business.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from crewai.llms.base_llm import BaseLLM, call_stop_override, call_stream_override
from pydantic import Field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crewai.types.usage_metrics import UsageMetrics

_OWN = frozenset({"llm_type", "wrapped"})


class StandIn(BaseLLM):
    """Answer for *wrapped* in everything but its calls."""

    wrapped: BaseLLM = Field(exclude=True)

    def __init__(self, wrapped: BaseLLM) -> None:
        shared = {name: getattr(wrapped, name) for name in BaseLLM.model_fields if name not in _OWN}
        super().__init__(wrapped=wrapped, **shared)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a setting of the model on both, so that it is the one that its calls are made with."""
        super().__setattr__(name, value)
        if name not in _OWN and (name in BaseLLM.model_fields or name == "stop_sequences"):
            setattr(self.wrapped, name, value)

    def __getattr__(self, name: str) -> Any:
        try:
            return getattr(super(), "__getattr__")(name)  # noqa: B009 - pydantic hides it from type checkers
        except AttributeError:
            wrapped = self.__dict__.get("wrapped")
            if wrapped is None or name.startswith("_"):
                raise
            return getattr(wrapped, name)

    @contextmanager
    def as_overridden(self, wrapped: BaseLLM, *, stream: bool | None) -> Iterator[None]:
        """Let *wrapped* stop and stream as this model is told to for the call under way."""
        with ExitStack() as stack:
            stack.enter_context(call_stop_override(wrapped, self.stop_sequences))
            if stream is not None:
                stack.enter_context(call_stream_override(wrapped, stream))
            yield

    def supports_function_calling(self) -> bool:
        """Tell whether the model calls tools by itself; CrewAI has those that do not write their calls as text."""
        asked = getattr(self.wrapped, "supports_function_calling", None)
        return bool(asked()) if asked is not None else False

    def supports_stop_words(self) -> bool:
        """Tell whether the model heeds stop words."""
        return self.wrapped.supports_stop_words()

    def supports_multimodal(self) -> bool:
        """Tell whether the model takes more than text."""
        return self.wrapped.supports_multimodal()

    def get_context_window_size(self) -> int:
        """Return how many tokens the model can handle."""
        return self.wrapped.get_context_window_size()

    def get_token_usage_summary(self) -> UsageMetrics:
        """Return what the model has used since it was made."""
        return self.wrapped.get_token_usage_summary()

    def format_text_content(self, text: str) -> dict[str, Any]:
        """Format a text as the model takes it."""
        return self.wrapped.format_text_content(text)

    def get_file_uploader(self) -> Any:
        """Return the model's uploader. What it uploads is not judged."""
        return self.wrapped.get_file_uploader()

    def to_config_dict(self) -> dict[str, Any]:
        """Return the model's settings, without the policy: what is restored from them is to be wrapped anew."""
        return self.wrapped.to_config_dict()

    def _multimodal_formatter_name(self) -> str:
        return self.wrapped._multimodal_formatter_name()  # noqa: SLF001 - the model's own protocol

    def _effective_max_tokens(self) -> int | float | None:
        return self.wrapped._effective_max_tokens()  # noqa: SLF001 - the model's own protocol
