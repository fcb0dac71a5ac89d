"""What a client asked for, without its dialect: the last turn, the tools, the form and the length of the answer.

Owns the values that the dialects make of a request and that the answer is made from. Knows no JSON of a provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

Endpoint: TypeAlias = Literal["chat", "responses", "completions", "messages"]
"""Where the client asked."""

ToolMode: TypeAlias = Literal["auto", "none", "required"]
"""Whether tools may, must not, or must be called."""


class Tool(NamedTuple):
    """A tool that the client offers."""

    name: str
    schema: Mapping[str, Any]
    """JSON Schema of its arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request to a model."""

    endpoint: Endpoint
    model: str
    """As the client names it."""
    user_text: str = ""
    """The text of the last user message."""
    tool_results: tuple[str, ...] = ()
    """Texts of the tool results that the conversation ends with; empty where a user speaks last."""
    called_tools: frozenset[str] = frozenset()
    """Names of the tools called earlier in the conversation."""
    tools: tuple[Tool, ...] = ()
    tool_mode: ToolMode = "auto"
    tool_name: str | None = None
    """The one tool that must be called, where the client names it."""
    parallel_tools: bool = True
    schema: Mapping[str, Any] | None = None
    """JSON Schema that the answer must be an instance of."""
    json_object: bool = False
    """True where any JSON object is wanted."""
    wants_reasoning: bool = False
    max_tokens: int | None = None
    stop_sequences: tuple[str, ...] = ()
    choice_count: int = 1
    stream: bool = False
    include_usage: bool = True
    """Whether a stream reports its usage."""
    input_tokens: int = 1
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The request as it was read."""

    def __post_init__(self) -> None:
        """Hold the caller's values to their types.

        Raises:
            TypeError: one of them is of another, which no provider takes.
        """
        texts = (self.model, self.user_text, *self.tool_results, *self.stop_sequences, *self._tool_names())
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("a text is no string")
        if not all(isinstance(tool.schema, Mapping) for tool in self.tools):
            raise TypeError("the schema of a tool is no object")
        if not isinstance(self.schema, Mapping | None) or type(self.choice_count) is not int:
            raise TypeError("the schema of the answer is no object, or n is no number")
        if self.max_tokens is not None and type(self.max_tokens) is not int:
            raise TypeError("the limit of tokens is no number")

    def _tool_names(self) -> tuple[str, ...]:
        return tuple(tool.name for tool in self.tools)
