"""What the double can be told to say: a text, calls of tools, reasoning, and what of its input was cached.

Owns the values of a script. Knows no dialect: the same reply is said as OpenAI or as Anthropic would say it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, NamedTuple, TypeAlias

import orjson

Arguments: TypeAlias = Mapping[str, Any] | str
"""Arguments of a tool call: an object, or the JSON text to send as it stands, be it broken."""


class ToolUse(NamedTuple):
    """One call of a tool that the double asks for."""

    name: str
    arguments: Arguments = ""

    @property
    def json_text(self) -> str:
        """The arguments as JSON text, without escapes for letters outside ASCII."""
        if isinstance(self.arguments, str):
            return self.arguments or "{}"
        return orjson.dumps(self.arguments).decode()


@dataclass(frozen=True, slots=True)
class Reply:
    """One scripted answer."""

    text: str = ""
    _: KW_ONLY
    tool_calls: tuple[ToolUse, ...] = ()
    """Several of them are parallel calls."""
    reasoning: str = ""
    """A thinking block (Anthropic), a reasoning summary (Responses), or hidden reasoning tokens (chat)."""
    cache_read_tokens: int = 0
    """Share of the input tokens that is reported as read from a cache; capped at the input tokens."""
    cache_creation_tokens: int = 0
    """Share of the input tokens that is reported as written to a cache; capped at what is left of them."""
