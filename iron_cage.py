"""The names of Iron Cage, in one screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.agent import BudgetConfig, ReliabilityConfig, SafetyConfig, protect_agent
from iron_adapters.runtime import AgentRuntime, Runtime

if TYPE_CHECKING:
    from iron_adapters.completions import acompletion, completion
    from iron_adapters.router import LlmRouter

__all__ = [
    "AgentRuntime",
    "BudgetConfig",
    "LlmRouter",
    "ReliabilityConfig",
    "Runtime",
    "SafetyConfig",
    "acompletion",
    "completion",
    "protect_agent",
]
_FROM_AN_EXTRA = ("LlmRouter", "acompletion", "completion")
"""Looked up when they are asked for: what they need may not be installed."""


def __getattr__(name: str) -> Any:
    if name not in _FROM_AN_EXTRA:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import iron_adapters

    return getattr(iron_adapters, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
