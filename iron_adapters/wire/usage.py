"""What a reply says it used, in disjoint buckets.

Owns each dialect's way of counting: OpenAI's input includes what was read from and written to a cache, Anthropic's
does not. Knows no prices, and takes no reply's word for a negative or fractional count.
"""

from __future__ import annotations

from typing import Any

from iron_policy.messages import Usage


def openai_usage(usage: Any) -> Usage | None:
    """Read the usage of chat completions, completions, embeddings or responses; ``None`` where there is none."""
    if type(usage) is not dict:
        return None
    given = _details(usage, "prompt_tokens_details", "input_tokens_details")
    made = _details(usage, "completion_tokens_details", "output_tokens_details")
    total = _count(usage, "prompt_tokens") or _count(usage, "input_tokens")
    read = min(_count(given, "cached_tokens"), total)
    written = min(_count(given, "cache_write_tokens"), total - read)
    output = _count(usage, "completion_tokens") or _count(usage, "output_tokens")
    return Usage(
        uncached_input_tokens=total - read - written,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=written,
        output_tokens=output,
        reasoning_output_tokens=min(_count(made, "reasoning_tokens"), output),
        input_audio_tokens=min(_count(given, "audio_tokens"), total - read - written),
        output_audio_tokens=min(_count(made, "audio_tokens"), output),
    )


def anthropic_usage(usage: Any) -> Usage | None:
    """Read the usage of a message; ``None`` where there is none.

    Compaction runs of their own stand in ``iterations`` only, and are billed: they are added.
    """
    if type(usage) is not dict:
        return None
    runs = [usage, *_compactions(usage)]
    written = sum(_count(run, "cache_creation_input_tokens") for run in runs)
    for_an_hour = sum(_count(_details(run, "cache_creation"), "ephemeral_1h_input_tokens") for run in runs)
    for_an_hour = min(for_an_hour, written)
    output = sum(_count(run, "output_tokens") for run in runs)
    thinking = _count(_details(usage, "output_tokens_details"), "thinking_tokens")
    return Usage(
        uncached_input_tokens=sum(_count(run, "input_tokens") for run in runs),
        cache_read_input_tokens=sum(_count(run, "cache_read_input_tokens") for run in runs),
        cache_creation_input_tokens=written - for_an_hour,
        cache_creation_1h_input_tokens=for_an_hour,
        output_tokens=output,
        reasoning_output_tokens=min(thinking, output),
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


def _details(usage: dict[str, Any], *keys: str) -> dict[str, Any]:
    for key in keys:
        if type(value := usage.get(key)) is dict:
            return value
    return {}


def _count(usage: dict[str, Any], key: str) -> int:
    value = usage.get(key)
    return value if type(value) is int and value > 0 else 0
