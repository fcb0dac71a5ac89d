"""Refusals of a chat completion's fields, and the fields that have only one value Claude's dialect can say.

Owns which fields those are, and the remedies. Nothing is left out in silence: a field is translated, passed on, at a
value that changes nothing, or refused by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.wire.silent_values import is_word
from iron_policy.exceptions import Untranslatable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

PASSED = ("thinking", "top_k", "cache_control", "inference_geo", "speed")
"""Anthropic's own fields, which callers of Claude add to a chat completion: they pass as they are."""

_NEUTRAL: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "audio": ((), "Claude makes no sound"),
    "frequency_penalty": ((0,), "Claude has no penalties; leave it out"),
    "logit_bias": (({},), "Claude has no biases; leave it out"),
    "logprobs": ((False,), "Claude tells no probabilities; leave it out"),
    "modalities": ((["text"],), "Claude answers in text; leave it out"),
    "moderation": ((), "Anthropic moderates no requests on demand; leave it out"),
    "n": ((1,), "Claude gives one choice; send a request for each"),
    "prediction": ((), "Claude takes no predictions; leave it out"),
    "presence_penalty": ((0,), "Claude has no penalties; leave it out"),
    "prompt_cache_key": (("",), "Anthropic's cache has no keys; mark a content part with 'cache_control'"),
    "prompt_cache_retention": (
        ("in_memory",),
        "Anthropic's cache lasts as 'cache_control' says; mark a content part with it",
    ),
    "seed": ((), "Claude cannot repeat an answer; leave it out"),
    "store": ((False,), "Anthropic stores no answers; leave it out"),
    "top_logprobs": ((0,), "Claude tells no probabilities; leave it out"),
    "verbosity": (("medium",), "Claude has no such setting; ask for it in a message"),
    "web_search_options": ((), "its reply cannot be said in a chat completion; use '/v1/messages'"),
}
"""The values that change nothing, besides ``null``, and what to do about any other."""


def refuse(param: str, why: str) -> Untranslatable:
    """Return the error that names *param* and says *why* and what to do."""
    return Untranslatable(f"{param!r} cannot be said to Anthropic: {why}", param)


def refuse_shape(param: str, expected: str) -> Untranslatable:
    """Return the error for a field that is not even what OpenAI takes."""
    return Untranslatable(f"{param!r} must be {expected}", param)


def quoted(kind: Any) -> str:
    """Return a type's name for a message; what does not look like one may be anybody's text."""
    return repr(kind) if type(kind) is str and is_word(kind) else "this kind"


def check_neutral(document: Mapping[str, Any], translated: Collection[str]) -> None:
    """Refuse each field that is neither *translated*, passed on, nor at a value that changes nothing.

    Raises:
        Untranslatable: there is one.
    """
    for key, value in document.items():
        if value is None or key in translated or key in PASSED:
            continue
        if key not in _NEUTRAL:
            raise refuse(key, "nobody here knows this field; leave it out")
        neutral, remedy = _NEUTRAL[key]
        if value not in neutral:
            raise refuse(key, remedy)


def check_keys(value: Mapping[str, Any], known: Collection[str], place: str) -> None:
    """Refuse a key of *value*, at *place*, that is neither *known* nor ``null``.

    Raises:
        Untranslatable: there is one.
    """
    for key, inner in value.items():
        if inner is not None and key not in known:
            raise refuse(f"{place}.{key}", "Claude's dialect has no equal; leave it out")


def expect(value: Any, kind: type, place: str, expected: str) -> Any:
    """Return *value* if it is exactly of *kind*.

    Raises:
        Untranslatable: it is not.
    """
    if type(value) is not kind:
        raise refuse_shape(place, expected)
    return value
