# ruff: noqa: SLF001 - how an integration asks for a schema is known to itself only
"""Structured prediction of a model that is held: by the same method as the model's own, as far as there are methods.

Owns the choice between asking for a JSON Schema, as OpenAI's integration does, and function calling, as LlamaIndex does
for all others. The calls themselves are the model's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llama_index.core.base.llms.types import ChatResponse
    from llama_index.core.llms import LLM


def schema_kwargs(
    held: LLM, output_cls: type[Any], llm_kwargs: dict[str, Any] | None
) -> dict[str, Any] | None:
    """Return the keywords by which *held* asks for *output_cls*, ``None`` where it knows no schemas."""
    knows = getattr(held, "_should_use_structure_outputs", None)
    if knows is None or not knows():
        return None
    kwargs: dict[str, Any] = held._prepare_schema(dict(llm_kwargs or {}), output_cls)
    return kwargs


def instance_of(output_cls: type[Any], response: ChatResponse) -> Any:
    """Return the instance of *output_cls* that *response* writes down."""
    return output_cls.model_validate_json(response.message.content or "")


def answer_name(output_cls: type[Any]) -> str:
    """Return the name of the tool that LlamaIndex makes of *output_cls*."""
    return str(output_cls.model_json_schema().get("title", output_cls.__name__))
