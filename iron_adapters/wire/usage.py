"""What a reply says it used, in disjoint buckets.

Owns each dialect's way of counting: OpenAI's input includes what was read from and written to a cache, Anthropic's
does not. Knows no prices. A usage without sane counts of input and output is none at all: the estimate is charged
then, because servers that do not count send noughts, nothing, or nonsense.
"""

from __future__ import annotations

from typing import Any

from iron_policy.messages import Usage

_MOST = 1_000_000_000
"""No call used more tokens than this; a larger count is nonsense."""


def openai_usage(usage: Any, service_tier: Any = None, *, makes_output: bool = True) -> Usage | None:
    """Read the usage of chat completions, completions, embeddings or responses; ``None`` where there is none.

    The tier stands beside it in the reply. Embeddings make no output, and tell of none.
    """
    if type(usage) is not dict:
        return None
    total, output = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not (
        type(total) is int and type(output) is int and 0 < total <= _MOST and 0 < output <= _MOST
    ):  # nearly never
        total = _count(total, usage.get("input_tokens"))
        output = _count(output, usage.get("output_tokens")) if makes_output else 0
    if total is None or output is None or not total + output:
        return None
    given = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    made = usage.get("completion_tokens_details") or usage.get("output_tokens_details")
    given = _counts(given) if type(given) is dict and any(given.values()) else {}
    made = _counts(made) if type(made) is dict and any(made.values()) else {}
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


_CACHE_COUNTS = ("cache_read_input_tokens", "cache_creation_input_tokens")


def anthropic_usage(usage: Any) -> Usage | None:
    """Read the usage of a message; ``None`` where there is none.

    Compaction runs of their own stand in ``iterations`` only, and are billed: they are added.
    """
    if type(usage) is not dict:
        return None
    if not _is_sane(usage):
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


def _is_sane(usage: dict[str, Any]) -> bool:
    """Tell whether Anthropic's counts are all there and can be true."""
    given = [usage.get("input_tokens"), usage.get("output_tokens")]
    given += [count for key in _CACHE_COUNTS if (count := usage.get(key)) is not None]
    counts = [whole_number(count) for count in given]
    return None not in counts and any(counts)


def _compactions(usage: dict[str, Any]) -> list[dict[str, Any]]:
    runs = usage.get("iterations")
    if type(runs) is not list:
        return []
    return [run for run in runs if type(run) is dict and run.get("type") == "compaction"]


def word(value: Any) -> str | None:
    """Return *value* where it is a string."""
    return value if type(value) is str else None


def whole_number(value: Any) -> int | None:
    """Return a count, also where it is written as ``200.0``; ``None`` where it cannot be one."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= _MOST else None


def _count(value: Any, under_other_name: Any) -> int | None:
    return whole_number(value or (value if under_other_name is None else under_other_name))


def _counts(usage: Any) -> dict[str, int]:
    """Return the counts of an object that are positive and sane."""
    if type(usage) is not dict:
        return {}
    return {key: count for key, value in usage.items() if (count := whole_number(value))}
