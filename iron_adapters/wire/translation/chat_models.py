"""What Claude's models can be asked for, where that decides how a request is put.

Owns one table of model families. A model that is not in it is taken for one of the newest, since what Anthropic adds
has stayed.

Sources: https://platform.claude.com/docs/en/build-with-claude/effort, .../adaptive-thinking and .../structured-outputs,
each under "supported models".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

Thinking: TypeAlias = Literal["none", "budget", "adaptive", "always"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claude:
    """What a family of models can be asked for.

    Attributes:
        thinking: not at all, with a budget of tokens, as much as the model finds right, or always so.
        efforts: what ``output_config.effort`` can be.
        structured: whether answers and tools' arguments can be held to a JSON Schema.
    """

    thinking: Thinking
    efforts: tuple[str, ...] = ()
    structured: bool = True


_TO_HIGH = ("low", "medium", "high")
_ALL = (*_TO_HIGH, "xhigh", "max")
_PLAIN = Claude(thinking="none", structured=False)
_FIRST_THINKERS = Claude(thinking="budget", structured=False)
_FOUR_SIX = Claude(thinking="adaptive", efforts=(*_TO_HIGH, "max"))
_NEWEST = Claude(thinking="adaptive", efforts=_ALL)

_FAMILIES: tuple[tuple[tuple[str, ...], Claude], ...] = (
    (("claude-fable", "claude-mythos"), Claude(thinking="always", efforts=_ALL)),
    (("claude-opus-4-6", "claude-sonnet-4-6"), _FOUR_SIX),
    (("claude-opus-4-5",), Claude(thinking="budget", efforts=_TO_HIGH)),
    (("claude-sonnet-4-5", "claude-haiku-4-5"), Claude(thinking="budget")),
    (("claude-opus-4-0", "claude-opus-4-1", "claude-opus-4-2025", "claude-4-opus"), _FIRST_THINKERS),
    (("claude-sonnet-4-0", "claude-sonnet-4-2025", "claude-4-sonnet", "claude-3-7"), _FIRST_THINKERS),
    (("claude-3", "claude-2", "claude-1", "claude-instant"), _PLAIN),
)


@lru_cache(maxsize=256)
def claude_of(model: str) -> Claude:
    """Return what *model* can be asked for; what stands before ``claude`` is a vendor's or a region's name."""
    name = model.lower()
    name = name[max(name.find("claude"), 0) :]
    for prefixes, claude in _FAMILIES:
        if name.startswith(prefixes):
            return claude
    return _NEWEST
