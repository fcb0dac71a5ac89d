"""How the double counts tokens: pieces of text, never empty, never more than the bytes they are made of.

Owns the one function that cuts a text into tokens; a stream sends one token at a time, so what was sent can
be counted. Knows no tokenizer of any provider: the counts are made up, and the same on every machine.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

LETTERS_PER_TOKEN = 6
"""A longer word is cut into several tokens."""

MEDIA_TOKENS = 85
"""Tokens of an image, a recording or a file, whatever its size."""

_TOKEN = re.compile(rf"\s?\w{{1,{LETTERS_PER_TOKEN}}}|\s?[^\w\s]|\s")
_MEDIA_TYPES = frozenset(
    {"image", "image_url", "input_image", "input_audio", "file", "input_file", "document"}
)


def split_tokens(text: str) -> list[str]:
    """Cut *text* into tokens that join to it again: words of up to six letters, single signs, single blanks."""
    return _TOKEN.findall(text)


def count_tokens(text: str) -> int:
    """Return how many tokens *text* has: none for an empty one, at most one per character."""
    return len(split_tokens(text))


def count_input_tokens(prompt: Mapping[str, Any], body_bytes: int) -> int:
    """Return the input tokens of a request: those of every string in *prompt*, keys included.

    At least 1, and at most *body_bytes*, the size of the request's body in bytes.
    """
    return max(1, min(_within(prompt), body_bytes))


def _within(value: Any) -> int:
    if isinstance(value, str):
        return count_tokens(value)
    if isinstance(value, dict):
        if value.get("type") in _MEDIA_TYPES:
            return MEDIA_TOKENS
        return sum(count_tokens(key) + _within(item) for key, item in value.items())
    if isinstance(value, list):
        return sum(map(_within, value))
    return 0 if value is None else 1
