"""A call of a CrewAI model as the engine sees it, and which models are known to reach the wire.

Owns what CrewAI's model classes call their parameters. Knows no policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.call_keywords import choice_count_of, input_tokens_bound
from iron_adapters.crewai.stand_in import StandIn
from iron_policy.messages import ModelRequest

if TYPE_CHECKING:
    from iron_adapters.crewai.messages import Prompt

LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""By what names model classes take the most output tokens."""

_PARAMETERS = (
    "temperature", "top_p", "max_tokens", "max_completion_tokens", "max_output_tokens", "seed", "frequency_penalty",
    "presence_penalty", "n", "logprobs", "top_logprobs", "reasoning_effort", "stop",
)  # fmt: skip
_OVER_HTTPX = frozenset({
    "crewai.llms.providers.openai.completion.OpenAICompletion",
    "crewai.llms.providers.anthropic.completion.AnthropicCompletion",
})  # fmt: skip
"""Classes that speak through httpx, at endpoints that the wire can read; what derives from them does so too."""
_CALLS = frozenset({"call", "acall"})
_LITELLM_OVER_HTTPX = frozenset({
    "openai", "anthropic", "azure", "groq", "deepseek", "mistral", "openrouter", "xai", "perplexity", "together_ai",
    "fireworks_ai", "hosted_vllm", "litellm_proxy", "lm_studio", "custom_openai",
})  # fmt: skip
"""Providers to which litellm speaks one of the wire's dialects, through httpx or its aiohttp transport beneath httpx."""


def reaches_seam(llm: Any) -> bool:
    """Tell whether calls of *llm* come by what can rewrite them: the wire, or an ``IronLLM``."""
    return isinstance(llm, StandIn) or reaches_wire(llm)


def reaches_wire(llm: Any) -> bool:
    """Tell whether *llm* is known to make its calls where the wire sees and understands them."""
    if isinstance(llm, StandIn):
        return reaches_wire(llm.wrapped)
    if getattr(llm, "is_litellm", False):
        return provider_of(llm) in _LITELLM_OVER_HTTPX
    for cls in type(llm).__mro__:
        if f"{cls.__module__}.{cls.__qualname__}" in _OVER_HTTPX:
            return True
        if not cls.__module__.startswith("crewai.") and not _CALLS.isdisjoint(cls.__dict__):
            return False  # what a class of somebody's own does in its calls, nobody knows
    return False


def provider_of(llm: Any) -> str:
    """Return the name of the provider that *llm* calls, as far as it says so."""
    provider = getattr(llm, "provider", None)
    if getattr(llm, "is_litellm", False) and "/" in model_of(llm, whole=True):
        return model_of(llm, whole=True).partition("/")[0]
    return str(provider or "unknown")


def model_of(llm: Any, *, whole: bool = False) -> str:
    """Return the name of the model behind *llm*, less its provider's unless it is to be *whole*."""
    model = str(getattr(llm, "model", None) or llm or "unknown")
    return model if whole else model.removeprefix(f"{provider_of(llm)}/")


def limit_of(llm: Any) -> int | None:
    """Return the most output tokens that *llm* asks for, ``None`` where it sets no limit."""
    limits = [getattr(llm, name, None) for name in LIMITS]
    return max((int(limit) for limit in limits if isinstance(limit, int | float) and limit > 0), default=None)


def limit_name(llm: Any) -> str:
    """Return by what name *llm* takes the most output tokens."""
    return next((name for name in LIMITS if getattr(llm, name, None)), LIMITS[0])


def request_of(llm: Any, prompt: Prompt, *, stream: bool = False) -> ModelRequest:
    """Return what the engine judges of a call of *llm*."""
    provider_name, model = provider_of(llm), model_of(llm)
    return ModelRequest(
        provider_name=provider_name,
        model=model,
        texts=prompt.texts,
        tool_names=prompt.tool_names,
        parameter_names=tuple(name for name in _PARAMETERS if getattr(llm, name, None)),
        max_tokens=limit_of(llm),
        choice_count=choice_count_of(getattr(llm, "n", None)),
        stream=stream,
        input_tokens_bound=_bound(provider_name, model, prompt),
    )


def _bound(provider_name: str, model: str, prompt: Prompt) -> int | None:
    if prompt.has_files:
        return None
    count = len(prompt.messages)
    return input_tokens_bound(
        provider_name, model, {}, size=prompt.size, message_count=count, media=prompt.media
    )
