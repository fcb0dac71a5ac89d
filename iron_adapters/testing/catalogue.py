"""The models that the double knows, and the dated name that each answers under.

Owns the two lists and the replies of ``GET /v1/models``. A name that stands in no list does not exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

OPENAI_MODELS: Mapping[str, str] = {
    "gpt-3.5-turbo": "gpt-3.5-turbo-0125",
    "gpt-3.5-turbo-instruct": "gpt-3.5-turbo-instruct:20230824-v2",
    "gpt-4": "gpt-4-0613",
    "gpt-4-turbo": "gpt-4-turbo-2024-04-09",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
    "gpt-4.1-nano": "gpt-4.1-nano-2025-04-14",
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-5": "gpt-5-2025-08-07",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "gpt-5-nano": "gpt-5-nano-2025-08-07",
    "gpt-5.1": "gpt-5.1-2025-11-13",
    "gpt-5.2": "gpt-5.2-2025-12-11",
    "gpt-5.4": "gpt-5.4-2026-03-05",
    "gpt-5.4-nano": "gpt-5.4-nano-2026-03-17",
    "gpt-5.5": "gpt-5.5-2026-04-23",
    "gpt-5.6": "gpt-5.6-sol",
    "gpt-5.6-luna": "gpt-5.6-luna",
    "gpt-5.6-terra": "gpt-5.6-terra",
    "o1": "o1-2024-12-17",
    "o3": "o3-2025-04-16",
    "o3-mini": "o3-mini-2025-01-31",
    "o4-mini": "o4-mini-2025-04-16",
    "omni-moderation-latest": "omni-moderation-latest",
    "text-embedding-3-large": "text-embedding-3-large",
    "text-embedding-3-small": "text-embedding-3-small",
    "text-embedding-ada-002": "text-embedding-ada-002-v2",
}

ANTHROPIC_MODELS: Mapping[str, str] = {
    "claude-3-5-haiku-latest": "claude-3-5-haiku-20241022",
    "claude-3-7-sonnet-latest": "claude-3-7-sonnet-20250219",
    "claude-3-haiku-20240307": "claude-3-haiku-20240307",
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
    "claude-opus-4-0": "claude-opus-4-20250514",
    "claude-opus-4-1": "claude-opus-4-1-20250805",
    "claude-opus-4-5": "claude-opus-4-5-20251101",
    "claude-opus-4-6": "claude-opus-4-6",
    "claude-opus-4-8": "claude-opus-4-8",
    "claude-opus-5": "claude-opus-5",
    "claude-sonnet-4-0": "claude-sonnet-4-20250514",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
    "claude-sonnet-4-6": "claude-sonnet-4-6",
    "claude-sonnet-5": "claude-sonnet-5",
}

_MODEL_TIME = 1_735_689_600
"""When every model of the double was made: 2025-01-01, in epoch seconds."""


def dated_name(model: str, models: Mapping[str, str]) -> str | None:
    """Return the name that *model* answers under, or ``None`` where there is no such model."""
    if model in models:
        return models[model]
    return model if model in models.values() else None


def openai_model(name: str) -> dict[str, Any]:
    """Return one model as OpenAI describes it."""
    return {"id": name, "object": "model", "created": _MODEL_TIME, "owned_by": "system"}


def anthropic_model(name: str) -> dict[str, Any]:
    """Return one model as Anthropic describes it."""
    title = name.replace("-", " ").title()
    return {"type": "model", "id": name, "display_name": title, "created_at": "2025-01-01T00:00:00Z"}


def openai_models(models: Mapping[str, str]) -> dict[str, Any]:
    """Return the list of *models* in OpenAI's shape."""
    return {"object": "list", "data": [openai_model(name) for name in sorted({*models, *models.values()})]}


def anthropic_models(models: Mapping[str, str]) -> dict[str, Any]:
    """Return the list of *models* in Anthropic's shape, as one page."""
    names = sorted(set(models.values()))
    return {
        "data": [anthropic_model(name) for name in names],
        "has_more": False,
        "first_id": names[0] if names else None,
        "last_id": names[-1] if names else None,
    }
