"""A call of a LangChain chat model as the engine sees it.

Owns how integrations name a call's parameters. Knows no policy and no texts: those come with the prompt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.call_keywords import choice_count_of, input_tokens_bound, max_tokens_of
from iron_adapters.wire.bodies import other_models
from iron_adapters.wire.tool_schemas import tool_names
from iron_policy.messages import ModelRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iron_adapters.langchain.messages import Prompt
    from iron_policy.messages import OperationName

LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_tokens_to_sample", "num_predict")
"""By what names integrations take the most output tokens."""

TEXTS = (
    "tools", "functions", "response_format", "output_config", "output_format", "text", "stop", "stop_sequences", "system",
    "instructions", "prediction", "metadata", "user", "extra_body", "model_kwargs",
)  # fmt: skip
"""Which of a model's parameters may hold texts that go to its provider."""

_SPREAD = ("model_kwargs", "extra_body")
"""Parameters whose entries become parameters of the request itself; the later one wins."""
_INTERNAL = frozenset({"_type", "model", "model_name", "stop", *_SPREAD})


def request_of(
    provider_name: str,
    params: Mapping[str, Any],
    prompt: Prompt,
    *,
    stream: bool = False,
    operation_name: OperationName = "chat",
) -> ModelRequest:
    """Return what the engine judges; *params* are as the model names them to callbacks (``invocation_params``)."""
    params = _spread(params)
    tier = params.get("service_tier")
    model = str(params.get("model") or params.get("model_name") or params.get("_type") or "unknown")
    return ModelRequest(
        provider_name=provider_name,
        operation_name=operation_name,
        model=model,
        texts=prompt.texts,
        tool_names=tool_names(params.get("tools")) + tool_names(params.get("functions")),
        other_models=other_models(params),
        service_tier=tier if isinstance(tier, str) else None,
        parameter_names=tuple(name for name in params if name not in _INTERNAL and params[name] is not None),
        max_tokens=max_tokens_of(params, LIMITS),
        choice_count=choice_count_of(params.get("n") or params.get("candidate_count")),
        stream=stream,
        input_tokens_bound=input_tokens_bound(
            provider_name,
            model,
            params,
            size=prompt.size,
            message_count=len(prompt.messages),
            media=prompt.media,
        ),
    )


def _spread(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return *params* as they stand in the request."""
    spread = dict(params)
    for name in _SPREAD:
        if isinstance(entries := params.get(name), dict):
            spread |= entries
    return spread
