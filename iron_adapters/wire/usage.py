"""What a reply says it used, in disjoint buckets.

Owns each dialect's way of counting: OpenAI's input includes what was read from and written to a cache, Anthropic's
does not. Knows no prices, and takes no reply's word for a negative or fractional count.
"""

from __future__ import annotations

from typing import Any

from iron_policy.messages import Usage


def openai_usage(usage: Any, service_tier: Any = None) -> Usage | None:
    """Read the usage of chat completions, completions, embeddings or responses; ``None`` where there is none.

    The tier stands beside it in the reply.
    """
    if type(usage) is not dict:
        return None
    counts = _counts(usage)
    total = counts.get("prompt_tokens") or counts.get("input_tokens", 0)
    output = counts.get("completion_tokens") or counts.get("output_tokens", 0)
    given = _counts(usage.get("prompt_tokens_details") or usage.get("input_tokens_details"))
    made = _counts(usage.get("completion_tokens_details") or usage.get("output_tokens_details"))
    if not given and not made:  # most replies: details are missing, or all nought
        return Usage(uncached_input_tokens=total, output_tokens=output, service_tier=word(service_tier))
    read = min(given.get("cached_tokens", 0), total)
    written = min(given.get("cache_write_tokens", 0), total - read)
    return Usage(
        uncached_input_tokens=total - read - written,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=written,
        output_tokens=output,
        reasoning_output_tokens=min(made.get("reasoning_tokens", 0), output),
        input_audio_tokens=min(given.get("audio_tokens", 0), total - read - written),
        output_audio_tokens=min(made.get("audio_tokens", 0), output),
        service_tier=word(service_tier),
    )


def anthropic_usage(usage: Any) -> Usage | None:
    """Read the usage of a message; ``None`` where there is none.

    Compaction runs of their own stand in ``iterations`` only, and are billed: they are added.
    """
    if type(usage) is not dict:
        return None
    counts = _counts(usage)
    for_an_hour = _counts(usage.get("cache_creation")).get("ephemeral_1h_input_tokens", 0)
    for run in _compactions(usage):
        for key, count in _counts(run).items():
            counts[key] = counts.get(key, 0) + count
        for_an_hour += _counts(run.get("cache_creation")).get("ephemeral_1h_input_tokens", 0)
    written = counts.get("cache_creation_input_tokens", 0)
    for_an_hour = min(for_an_hour, written)
    output = counts.get("output_tokens", 0)
    thinking = _counts(usage.get("output_tokens_details")).get("thinking_tokens", 0)
    return Usage(
        uncached_input_tokens=counts.get("input_tokens", 0),
        cache_read_input_tokens=counts.get("cache_read_input_tokens", 0),
        cache_creation_input_tokens=written - for_an_hour,
        cache_creation_1h_input_tokens=for_an_hour,
        output_tokens=output,
        reasoning_output_tokens=min(thinking, output),
        service_tier="fast" if usage.get("speed") == "fast" else word(usage.get("service_tier")),
    )


def overlaid(start: dict[str, Any], delta: Any) -> dict[str, Any]:
    """Return the usage of ``message_start`` under that of ``message_delta``, whose counts are cumulative."""
    if type(delta) is not dict:
        return start
    return {**start, **{key: value for key, value in delta.items() if value is not None}}


def _compactions(usage: dict[str, Any]) -> list[dict[str, Any]]:
    runs = usage.get("iterations")
    if type(runs) is not list:
        return []
    return [run for run in runs if type(run) is dict and run.get("type") == "compaction"]


def word(value: Any) -> str | None:
    """Return *value* where it is a string."""
    return value if type(value) is str else None


def _counts(usage: Any) -> dict[str, int]:
    """Return the counts of an object that are positive whole numbers."""
    if type(usage) is not dict:
        return {}
    return {key: value for key, value in usage.items() if type(value) is int and value > 0}
