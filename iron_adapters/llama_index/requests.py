"""A call of a LlamaIndex model as the engine sees it, and the model as the engine wants it called.

Owns how integrations name a call's parameters, and which of them let the model's own word beat the call's. Knows no
policy and no texts: those come with the prompt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.callbacks import CallbackManager

from iron_adapters.call_keywords import choice_count_of, input_tokens_bound, max_tokens_of
from iron_adapters.llama_index.plain import plain
from iron_adapters.wire.tool_schemas import tool_names
from iron_policy.messages import ModelRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llama_index.core.base.llms.base import BaseLLM

    from iron_adapters.llama_index.messages import Prompt
    from iron_policy.call import Call
    from iron_policy.messages import OperationName

LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "num_predict")
"""By what names integrations take the most output tokens."""

_PROVIDERS = {"openai_like": "openai", "azure_openai": "openai"}
_SDK_FAMILIES = ("llama_index.llms.openai.", "llama_index.llms.anthropic.", "llama_index.llms.azure_openai.")


def request_of(
    provider_name: str,
    params: Mapping[str, Any],
    prompt: Prompt,
    *,
    stream: bool = False,
    operation_name: OperationName = "chat",
) -> ModelRequest:
    """Return what the engine judges; *params* are those of the call and the model's own."""
    model = str(params.get("model") or "unknown")
    return ModelRequest(
        provider_name=provider_name,
        operation_name=operation_name,
        model=model,
        texts=prompt.texts,
        tool_names=tool_names(plain(params.get("tools"))) + tool_names(params.get("functions")),
        parameter_names=tuple(
            name for name, value in params.items() if name != "model" and value is not None
        ),
        max_tokens=max_tokens_of(params, LIMITS),
        choice_count=choice_count_of(params.get("n")),
        stream=stream,
        input_tokens_bound=input_tokens_bound(
            provider_name,
            model,
            params,
            size=prompt.size,
            message_count=len(prompt.given.messages),
            media=prompt.media,
        ),
    )


def params_of(llm: BaseLLM, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a call: the model's own, and *kwargs*."""
    if _is_of(llm, *_SDK_FAMILIES):
        made = getattr(llm, "_get_all_kwargs", None) or getattr(llm, "_get_model_kwargs", None)
        if made is not None:
            return dict(made(**kwargs))
    named = {name: getattr(llm, name, None) for name in ("temperature", *LIMITS)}
    own = getattr(llm, "additional_kwargs", None) or {}
    return {"model": llm.metadata.model_name, **named, **own, **kwargs}


def provider_of_class(module: str) -> str:
    """Return the provider that an integration in *module* speaks to."""
    parts = module.split(".")
    name = parts[2] if len(parts) > 2 and parts[0] == "llama_index" else parts[0]  # noqa: PLR2004 - llama_index.llms.<name>
    return _PROVIDERS.get(name, name)


def asking_for_usage(llm: BaseLLM, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return *kwargs* so that a stream of *llm* reports its usage, where nobody has decided about that."""
    speaks_chat = any(
        cls.__name__ == "OpenAI" and cls.__module__.startswith(_SDK_FAMILIES[0]) for cls in type(llm).__mro__
    )
    if not speaks_chat or "stream_options" in {**getattr(llm, "additional_kwargs", {}), **kwargs}:
        return kwargs
    return {**kwargs, "stream_options": {"include_usage": True}}


def as_the_engine_says(
    llm: BaseLLM, call: Call, kwargs: dict[str, Any], own: dict[str, Any] | None
) -> tuple[BaseLLM, dict[str, Any]]:
    """Return *llm*, or a copy of it, and *kwargs*, with the model and the limit that the engine has set.

    The copy is needed because a model's own limit, name and ``additional_kwargs`` beat those of a call.
    """
    update: dict[str, Any] = {}
    fields, kwargs = type(llm).model_fields, dict(kwargs)
    own = dict(getattr(llm, "additional_kwargs", None) or {}) if own is None else own
    if call.max_tokens is not None:
        limit = call.max_tokens
        own |= dict.fromkeys([name for name in LIMITS if name in own], limit)
        named = [name for name in LIMITS if name in fields][:1]
        update |= dict.fromkeys(named, limit)
        kwargs |= dict.fromkeys(
            [name for name in LIMITS if name in kwargs] or ([] if named else [LIMITS[0]]), limit
        )
    if call.model is not None:
        own.pop("model", None)
        kwargs.pop("model", None)
        (update if "model" in fields else kwargs)["model"] = call.model
    if "additional_kwargs" in fields and own != getattr(llm, "additional_kwargs", None):
        update["additional_kwargs"] = own
    return (copied(llm, update) if update else llm), kwargs


def muted(llm: BaseLLM) -> BaseLLM:
    """Return a copy of *llm* that tells no callbacks of its calls: who stands in for it does."""
    silent = CallbackManager([])
    silent.set_handlers([])  # without handlers it would take those of the process
    return copied(llm, {"callback_manager": silent})


def copied(llm: BaseLLM, update: dict[str, Any]) -> BaseLLM:
    """Return a copy of *llm* that shares its clients."""
    if getattr(llm, "reuse_client", False):
        for name in ("_get_client", "_get_aclient"):
            if (client := getattr(llm, name, None)) is not None:
                client()
    return llm.model_copy(update=update)


def _is_of(llm: BaseLLM, *modules: str) -> bool:
    return any(cls.__module__.startswith(modules) for cls in type(llm).__mro__)
