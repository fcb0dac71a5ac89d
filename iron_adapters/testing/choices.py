"""From a reply to what is sent: cut at stop sequences and at the token limit, as tokens that can be counted.

Owns the shape of one choice and its usage. Pure; knows no dialect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from iron_adapters.testing.tokens import count_tokens, split_tokens
from iron_policy.messages import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from iron_adapters.testing.asked import Asked
    from iron_adapters.testing.replies import Reply, ToolUse

Finish: TypeAlias = Literal["stop", "length", "tools", "stop_sequence"]
"""Why a choice ends."""


class Called(NamedTuple):
    """One tool call as it is sent."""

    name: str
    arguments: tuple[str, ...]
    """JSON text, one token each."""

    @property
    def tokens(self) -> int:
        """Tokens of its name and its arguments."""
        return count_tokens(self.name) + len(self.arguments)

    @property
    def json_text(self) -> str:
        """The arguments as one text."""
        return "".join(self.arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One choice: its tokens and why it ends."""

    reasoning: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    tool_calls: tuple[Called, ...] = ()
    finish: Finish = "stop"
    stop_sequence: str | None = None

    @property
    def tokens(self) -> int:
        """Output tokens, at least 1, as every provider counts an end."""
        return max(1, len(self.reasoning) + len(self.text) + sum(call.tokens for call in self.tool_calls))

    @property
    def whole_text(self) -> str:
        """The text as one piece."""
        return "".join(self.text)

    @property
    def whole_reasoning(self) -> str:
        """The reasoning as one piece."""
        return "".join(self.reasoning)


def choices_of(reply: Reply, asked: Asked) -> tuple[Choice, ...]:
    """Return as many choices as *asked* wants; from the second on, their texts end in their number."""
    return tuple(
        _choice(reply, asked, f" ({number + 1})" if number and reply.text else "")
        for number in range(asked.choice_count)
    )


def usage_of(reply: Reply, choices: Sequence[Choice], asked: Asked) -> Usage:
    """Return what the call uses, in disjoint buckets."""
    read = min(reply.cache_read_tokens, asked.input_tokens)
    written = min(reply.cache_creation_tokens, asked.input_tokens - read)
    return Usage(
        uncached_input_tokens=asked.input_tokens - read - written,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=written,
        output_tokens=sum(choice.tokens for choice in choices),
        reasoning_output_tokens=sum(len(choice.reasoning) for choice in choices),
    )


def _choice(reply: Reply, asked: Asked, suffix: str) -> Choice:
    text, stop_sequence = _stopped(reply.text + suffix, asked.stop_sequences)
    calls = () if stop_sequence else reply.tool_calls
    whole = Choice(
        reasoning=tuple(split_tokens(reply.reasoning)),
        text=tuple(split_tokens(text)),
        tool_calls=tuple(_called(call) for call in calls),
        finish="stop_sequence" if stop_sequence else "tools" if calls else "stop",
        stop_sequence=stop_sequence,
    )
    return whole if asked.max_tokens is None else _within(whole, asked.max_tokens)


def _called(call: ToolUse) -> Called:
    return Called(call.name, tuple(split_tokens(call.json_text)))


def _stopped(text: str, sequences: tuple[str, ...]) -> tuple[str, str | None]:
    """Cut *text* before the first of *sequences* in it."""
    found = [(text.index(sequence), sequence) for sequence in sequences if sequence and sequence in text]
    if not found:
        return text, None
    place, sequence = min(found)
    return text[:place], sequence


def _within(choice: Choice, room: int) -> Choice:
    """Cut *choice* to *room* tokens: first its reasoning counts, then its text, then its tool calls."""
    if choice.tokens <= room:
        return choice
    reasoning = choice.reasoning[:room]
    room -= len(reasoning)
    text = choice.text[:room]
    room -= len(text)
    calls = []
    for call in choice.tool_calls:
        room -= count_tokens(call.name)
        if room < 0:
            break
        calls.append(call._replace(arguments=call.arguments[:room]))
        room -= len(calls[-1].arguments)
    return Choice(reasoning=reasoning, text=text, tool_calls=tuple(calls), finish="length")
