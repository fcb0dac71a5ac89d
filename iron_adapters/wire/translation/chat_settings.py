"""A chat completion's settings as Anthropic's: limits, sampling, stops, effort, and who the user is.

Owns ranges and defaults. What a setting means for one model is in ``chat_models``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.wire.translation.chat_fields import check_keys, expect, refuse, refuse_shape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iron_adapters.wire.translation.chat_models import Claude

FIELDS = (
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "stop",
    "stream",
    "stream_options",
    "user",
    "safety_identifier",
    "metadata",
    "service_tier",
    "reasoning_effort",
    "prompt_cache_options",
)
DEFAULT_MAX_TOKENS = 4_096
"""Anthropic insists on a limit; where a chat completion has none, the answer gets this, and thinking its own."""
_BUDGETS: Mapping[str, int] = {"minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 16_384}
"""Tokens to think with, on models that take a budget and no effort."""
_LEAST_BUDGET = 1_024
_ROOM_TO_THINK = 16_384
"""What an answer without a limit gets besides, where the model decides how much it thinks."""
_TIERS = {"auto": "auto", "default": "standard_only"}


def sampling_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return temperature, nucleus and stops.

    Raises:
        Untranslatable: one is not what Claude takes.
    """
    found: dict[str, Any] = {}
    for key in ("temperature", "top_p"):
        if (value := document.get(key)) is not None:
            found[key] = _number(value, key)
    if found.get("temperature", 0) > 1:
        raise refuse("temperature", "Claude's goes from 0 to 1; choose one in that range")
    stop = document.get("stop")
    if type(stop) is str and stop:
        found["stop_sequences"] = [stop]
    elif stop:
        expect(stop, list, "stop", "a string or a list of strings")
        found["stop_sequences"] = [expect(one, str, f"stop[{n}]", "a string") for n, one in enumerate(stop)]
    return found


def identity_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return who the user is, as ``metadata``.

    Raises:
        Untranslatable: several users are named, or other metadata, which Anthropic does not keep.
    """
    metadata = document.get("metadata")
    if metadata:
        check_keys(expect(metadata, dict, "metadata", "an object"), ("user_id",), "metadata")
    given = {
        "user": document.get("user"),
        "safety_identifier": document.get("safety_identifier"),
        "metadata.user_id": (metadata or {}).get("user_id"),
    }
    named = {key: expect(value, str, key, "a string") for key, value in given.items() if value}
    if len(set(named.values())) > 1:
        raise refuse(list(named)[-1], "Anthropic knows one user of a request; name one")
    return {"metadata": {"user_id": next(iter(named.values()))}} if named else {}


def service_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the service tier; refuse other lifetimes of the cache.

    Raises:
        Untranslatable: Anthropic has no such tier, or lifetime.
    """
    cache = document.get("prompt_cache_options")
    if cache is not None:
        place = "prompt_cache_options"
        check_keys(expect(cache, dict, place, "an object"), ("mode",), place)
    tier = document.get("service_tier")
    if tier is None:
        return {}
    if type(tier) is not str or tier not in _TIERS:
        raise refuse("service_tier", "Anthropic has 'auto' and 'default'; leave it out")
    return {"service_tier": _TIERS[tier]}


def wants_usage(document: Mapping[str, Any]) -> bool:
    """Tell whether a stream is to end in its usage.

    Raises:
        Untranslatable: something else is asked of the stream.
    """
    options = document.get("stream_options")
    if options is None:
        return False
    expect(options, dict, "stream_options", "an object")
    if options.get("include_obfuscation"):
        raise refuse("stream_options.include_obfuscation", "Anthropic pads no streams; leave it out")
    check_keys(options, ("include_usage", "include_obfuscation"), "stream_options")
    return bool(options.get("include_usage"))


def limit_and_thinking(
    document: Mapping[str, Any], claude: Claude, *, forced: bool, resumed: bool
) -> dict[str, Any]:
    """Return the limit, how much to think, and with what effort.

    *forced* tells that the model must call a tool, which it cannot do while it thinks. *resumed* tells that tools'
    results came back without the thinking before the calls: with a budget, Claude cannot go on thinking then.

    Raises:
        Untranslatable: the model does not think as is asked, or has no room for it.
    """
    limit, effort = _limit(document), document.get("reasoning_effort")
    if effort is None:
        given = document.get("thinking")
        return {"max_tokens": DEFAULT_MAX_TOKENS + _room(given, claude) if limit is None else limit}
    expect(effort, str, "reasoning_effort", "a string")
    if document.get("thinking") is not None:
        raise refuse("reasoning_effort", "'thinking' says already how much to think; leave one of them out")
    if effort == "none":
        return {"max_tokens": limit or DEFAULT_MAX_TOKENS, **_no_thinking(claude)}
    if claude.thinking == "none":
        raise refuse("reasoning_effort", "this model does not think; leave it out")
    said = _effort(effort, claude) if claude.efforts else {}
    if (said and forced) or (claude.thinking == "budget" and resumed):
        return {"max_tokens": limit or DEFAULT_MAX_TOKENS, **said}
    if claude.thinking == "budget":
        return {**said, **_budget(document, effort, limit, forced=forced)}
    thinking = {"type": "adaptive"}
    return {"max_tokens": limit or DEFAULT_MAX_TOKENS + _ROOM_TO_THINK, "thinking": thinking, **said}


def _effort(effort: str, claude: Claude) -> dict[str, Any]:
    said = "low" if effort == "minimal" else effort
    if said not in claude.efforts:
        known = ", ".join(map(repr, claude.efforts))
        raise refuse("reasoning_effort", f"this model knows {known}; choose one of them")
    return {"output_config": {"effort": said}}


def _no_thinking(claude: Claude) -> dict[str, Any]:
    if claude.thinking == "always":
        raise refuse("reasoning_effort", "this model always thinks; ask for 'low'")
    return {"thinking": {"type": claude.quiet}} if claude.quiet else {}


def _budget(document: Mapping[str, Any], effort: str, limit: int | None, *, forced: bool) -> dict[str, Any]:
    if effort not in _BUDGETS:
        known = ", ".join(map(repr, _BUDGETS))
        raise refuse("reasoning_effort", f"this model knows 'none', {known}; choose one of them")
    if forced:
        raise refuse("reasoning_effort", "this model cannot think and be made to call a tool; leave one out")
    if document.get("temperature") not in (None, 1):
        raise refuse("temperature", "this model thinks at 1 only; leave it or 'reasoning_effort' out")
    budget = _BUDGETS[effort]
    if limit is None:
        return {
            "max_tokens": DEFAULT_MAX_TOKENS + budget,
            "thinking": {"type": "enabled", "budget_tokens": budget},
        }
    if limit <= _LEAST_BUDGET:
        raise refuse("reasoning_effort", f"the limit must be above {_LEAST_BUDGET} tokens for it; raise it")
    budget = min(budget, max(_LEAST_BUDGET, limit // 2))
    return {"max_tokens": limit, "thinking": {"type": "enabled", "budget_tokens": budget}}


def _room(thinking: Any, claude: Claude) -> int:
    """Return what thinking adds to an answer without a limit."""
    kind = thinking.get("type") if type(thinking) is dict else None
    if kind == "enabled":
        budget = thinking.get("budget_tokens")
        return budget if type(budget) is int and budget > 0 else 0
    thinks = kind == "adaptive" or (kind is None and claude.thinks_unasked)
    return _ROOM_TO_THINK if thinks else 0


def _limit(document: Mapping[str, Any]) -> int | None:
    given = {
        key: document[key] for key in ("max_completion_tokens", "max_tokens") if document.get(key) is not None
    }
    for key, value in given.items():
        if type(value) is not int or value < 1:
            raise refuse_shape(key, "a whole number above 0")
    if len(set(given.values())) > 1:
        raise refuse("max_tokens", "'max_completion_tokens' says another limit; leave one of them out")
    return next(iter(given.values()), None)


def _number(value: Any, place: str) -> float:
    if type(value) not in {int, float} or value < 0:
        raise refuse_shape(place, "a number that is not negative")
    number: float = value
    return number
