"""What Claude's models can be asked for, where that decides how a request is put.

Owns one table of model families. A model that is not in it is taken for one of the newest, since what Anthropic adds
has stayed.

Sources: https://platform.claude.com/docs/en/build-with-claude/effort, .../adaptive-thinking and .../structured-outputs,
each under "supported models", and "What's new" of each model at https://platform.claude.com/docs/en/models.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

Thinking: TypeAlias = Literal["none", "budget", "adaptive", "default", "always"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claude:
    """What a family of models can be asked for.

    Attributes:
        thinking: never; with a budget of tokens; as much as it finds right, when asked to; so unless asked not to; so
            always.
        efforts: what ``output_config.effort`` can be.
        quiet: the ``thinking.type`` that keeps it from thinking, where leaving it out does not.
        structured: whether answers and tools' arguments can be held to a JSON Schema.
        forced: whether it can be made to call a tool.
    """

    thinking: Thinking
    efforts: tuple[str, ...] = ()
    quiet: str | None = None
    structured: bool = True
    forced: bool = True

    @property
    def thinks_unasked(self) -> bool:
        """Whether it thinks where nothing is said about that."""
        return self.thinking in {"default", "always"}


_TO_HIGH = ("low", "medium", "high")
_ALL = (*_TO_HIGH, "xhigh", "max")
_FIRST_THINKERS = Claude(thinking="budget", structured=False)
_NEWEST = Claude(thinking="always", efforts=_ALL, forced=False)

_FAMILIES: tuple[tuple[tuple[str, ...], Claude], ...] = (
    (("claude-3-7", "claude-4-opus", "claude-4-sonnet"), _FIRST_THINKERS),
    (("claude-opus-4-0", "claude-opus-4-1", "claude-opus-4-2025"), _FIRST_THINKERS),
    (("claude-sonnet-4-0", "claude-sonnet-4-2025"), _FIRST_THINKERS),
    (("claude-3", "claude-2", "claude-1", "claude-instant"), Claude(thinking="none", structured=False)),
    (("claude-sonnet-4-5", "claude-haiku-4-5"), Claude(thinking="budget")),
    (("claude-opus-4-5",), Claude(thinking="budget", efforts=_TO_HIGH)),
    (("claude-opus-4-6", "claude-sonnet-4-6"), Claude(thinking="adaptive", efforts=(*_TO_HIGH, "max"))),
    (("claude-opus-4-7", "claude-opus-4-8"), Claude(thinking="adaptive", efforts=_ALL)),
    (("claude-opus-5-5", "claude-fable-5-", "claude-mythos-5-"), _NEWEST),
    (("claude-fable", "claude-mythos"), Claude(thinking="always", efforts=_ALL)),
    (("claude-sonnet-5-5",), Claude(thinking="default", efforts=_ALL, quiet="between_tools", forced=False)),
    (
        ("claude-opus-5", "claude-sonnet-5", "claude-haiku-5"),
        Claude(thinking="default", efforts=_ALL, quiet="disabled"),
    ),
)
"""The first family that fits counts."""


@lru_cache(maxsize=256)
def claude_of(model: str) -> Claude:
    """Return what *model* can be asked for; what stands before ``claude`` is a vendor's or a region's name."""
    name = model.lower()
    name = name[max(name.find("claude"), 0) :]
    for prefixes, claude in _FAMILIES:
        if name.startswith(prefixes):
            return claude
    return _NEWEST
