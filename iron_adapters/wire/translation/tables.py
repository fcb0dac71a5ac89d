"""What both directions of translation say alike: why an answer ended, what it used, and what went wrong.

Owns the pairs of words. Knows no request and no stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

FINISH_REASONS: Mapping[str, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",  # the turn is not complete, which of OpenAI's words only this one says
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""OpenAI's ``finish_reason`` by Anthropic's ``stop_reason``."""

STOP_REASONS: Mapping[str, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
"""Anthropic's ``stop_reason`` by OpenAI's ``finish_reason``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorWords:
    """One kind of error in both providers' words.

    Attributes:
        status: the HTTP status that goes with it.
        anthropic: Anthropic's ``error.type``.
        openai: OpenAI's ``error.type``.
        code: OpenAI's ``error.code``.
    """

    status: int
    anthropic: str
    openai: str
    code: str | None = None


ERRORS = (
    ErrorWords(status=400, anthropic="invalid_request_error", openai="invalid_request_error"),
    ErrorWords(
        status=401, anthropic="authentication_error", openai="invalid_request_error", code="invalid_api_key"
    ),
    ErrorWords(status=402, anthropic="billing_error", openai="insufficient_quota", code="insufficient_quota"),
    ErrorWords(
        status=403,
        anthropic="permission_error",
        openai="invalid_request_error",
        code="insufficient_permissions",
    ),
    ErrorWords(status=404, anthropic="not_found_error", openai="invalid_request_error"),
    ErrorWords(
        status=413, anthropic="request_too_large", openai="invalid_request_error", code="request_too_large"
    ),
    ErrorWords(
        status=429, anthropic="rate_limit_error", openai="rate_limit_error", code="rate_limit_exceeded"
    ),
    ErrorWords(status=500, anthropic="api_error", openai="server_error"),
    ErrorWords(status=504, anthropic="timeout_error", openai="server_error", code="timeout"),
    ErrorWords(status=529, anthropic="overloaded_error", openai="server_error", code="overloaded"),
)
"""Sources: https://docs.claude.com/en/api/errors and https://platform.openai.com/docs/guides/error-codes"""

_BY_TYPE = {words.anthropic: words for words in ERRORS}
_BY_STATUS = {words.status: words for words in ERRORS} | {503: _BY_TYPE["overloaded_error"]}


def error_words(status: int, anthropic_type: object = None) -> ErrorWords:
    """Return the words for an error, by Anthropic's type where that is known, else by its HTTP *status*."""
    found = _BY_TYPE.get(anthropic_type) if type(anthropic_type) is str else None
    by_class = _BY_TYPE["api_error" if status >= 500 else "invalid_request_error"]  # noqa: PLR2004 - a status class
    return found or _BY_STATUS.get(status, by_class)


def chat_usage(usage: Any) -> dict[str, Any] | None:
    """Return Anthropic's *usage* in OpenAI's buckets, whose prompt includes what a cache held; ``None`` for none."""
    if type(usage) is not dict:
        return None
    read, written = _count(usage, "cache_read_input_tokens"), _count(usage, "cache_creation_input_tokens")
    prompt = _count(usage, "input_tokens") + read + written
    completion = _count(usage, "output_tokens")
    said: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
    }
    made = usage.get("output_tokens_details")
    if type(made) is dict and "thinking_tokens" in made:
        said["completion_tokens_details"] = {"reasoning_tokens": _count(made, "thinking_tokens")}
    return said


def messages_usage(usage: Any) -> dict[str, Any] | None:
    """Return OpenAI's *usage* in Anthropic's buckets, whose input excludes what a cache held; ``None`` for none."""
    if type(usage) is not dict:
        return None
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    given, made = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    read = min(_count(given, "cached_tokens"), prompt)
    written = min(_count(given, "cache_write_tokens"), prompt - read)
    said: dict[str, Any] = {
        "input_tokens": prompt - read - written,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        "output_tokens": completion,
    }
    if type(made) is dict and type(made.get("reasoning_tokens")) is int:
        said["output_tokens_details"] = {"thinking_tokens": _count(made, "reasoning_tokens")}
    return said


def _count(counts: Any, key: str) -> int:
    value = counts.get(key) if type(counts) is dict else None
    return value if type(value) is int and value > 0 else 0
