"""The keywords of a call that frameworks hand on to a provider's endpoint as they are.

Owns which of them hold texts and which are settings, how many tokens and answers they ask for, and what lets nobody
bound the input. Knows no policy, and not by what names a framework's own models take them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.wire.media import bound_of
from iron_adapters.wire.tool_schemas import walk_schema, walk_tools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from iron_adapters.wire.json_texts import JsonTexts

SETTINGS = frozenset({
    "model", "stream", "stream_options", "temperature", "top_p", "top_k", "n", "seed", "max_tokens",
    "max_completion_tokens", "max_output_tokens", "tool_choice", "parallel_tool_calls", "strict", "modalities",
    "logit_bias", "reasoning_effort", "service_tier", "verbosity", "store", "logprobs", "top_logprobs", "thinking",
    "betas", "extra_headers", "previous_response_id", "include", "truncation", "cache_control",
})  # fmt: skip
"""Keywords that hold no text."""

TOOLS = frozenset({"tools", "functions"})
"""Keywords that offer tools."""

_SCHEMAS = frozenset({"response_format", "output_config", "output_format"})
_FOREIGN_INPUT = (
    "previous_response_id",
    "conversation",
    "prompt",
    "container",
    "mcp_servers",
    "web_search_options",
)
_OWN_TOOLS = frozenset({None, "function", "custom"})
_BYTES_PER_MESSAGE = 64
"""More than the role, the separators and the identifiers of a message make, in any provider's format."""


def walk_keyword(texts: JsonTexts, kwargs: dict[str, Any], key: str) -> None:
    """List the texts of one keyword."""
    if key in TOOLS:
        walk_tools(texts, kwargs, key, key)
    elif key in _SCHEMAS and type(kwargs[key]) is dict:
        walk_schema(texts, kwargs[key], key)
    else:
        texts.walk(kwargs, key, "user", key)


def max_tokens_of(params: Mapping[str, Any], names: Iterable[str]) -> int | None:
    """Return the most output tokens that a call asks for by any of *names*, ``None`` where it sets no limit."""
    limits = [limit for name in names if type(limit := params.get(name)) is int and limit > 0]
    return max(limits, default=None)


def choice_count_of(count: Any) -> int:
    """Return how many answers a call asks for, given what it says of it."""
    return count if type(count) is int and count > 0 else 1


def wants_json(kwargs: Mapping[str, Any]) -> bool:
    """Tell whether a call asks for its content as JSON."""
    output = kwargs.get("output_config")
    return bool(
        kwargs.get("response_format")
        or kwargs.get("output_format")
        or (isinstance(output, dict) and output.get("format"))
    )


def input_tokens_bound(
    provider_name: str,
    model: str,
    params: Mapping[str, Any],
    *,
    size: Callable[[], int],
    message_count: int,
    media: Sequence[dict[str, Any]],
) -> int | None:
    """Return the most input tokens that a call can have, ``None`` where nobody can tell.

    Args:
        provider_name: who is called.
        model: which of its models.
        params: the parameters of the call: some bring input that nobody sees here.
        size: counts at least as many bytes as its texts, tools and schemas have in a body.
        message_count: how many messages it sends.
        media: its parts that may bring images, sound or files.
    """
    if any(params.get(name) for name in _FOREIGN_INPUT) or any(
        type(tool) is dict and tool.get("type") not in _OWN_TOOLS for tool in params.get("tools") or ()
    ):
        return None
    return bound_of(size() + _BYTES_PER_MESSAGE * (message_count + 1), media, model, provider_name)
