"""Server-sent events as the double sends them: the bytes of each, and how many output tokens it carries.

Owns the two ways of writing an event. Knows no endpoint.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson


class Event(NamedTuple):
    """One event of a stream."""

    data: bytes
    tokens: int = 0
    """Output tokens that it carries."""
    reasoning_tokens: int = 0
    """Share of ``tokens`` that is reasoning."""


DONE = Event(b"data: [DONE]\n\n")
"""OpenAI's end of a stream."""


def data_event(payload: dict[str, Any], tokens: int = 0, reasoning_tokens: int = 0) -> Event:
    """Return an event of one ``data:`` line, as in OpenAI's chat completions."""
    return Event(b"data: %b\n\n" % orjson.dumps(payload), tokens, reasoning_tokens)


def named_event(
    payload: dict[str, Any], *, padding: int = 0, tokens: int = 0, reasoning_tokens: int = 0
) -> Event:
    """Return an event whose ``event:`` line repeats the payload's type, with *padding* blanks before its last brace."""
    body = orjson.dumps(payload)
    padded = body[:-1] + b" " * padding + b"}"
    return Event(b"event: %b\ndata: %b\n\n" % (payload["type"].encode(), padded), tokens, reasoning_tokens)
