"""Everything that touches a framework, an SDK or a socket. Importing it imports none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iron_adapters.agent import BudgetConfig, ReliabilityConfig, SafetyConfig, carry, protect_agent
    from iron_adapters.client import govern
    from iron_adapters.completions import acompletion, completion
    from iron_adapters.installation import install, uninstall
    from iron_adapters.router import LlmRouter
    from iron_adapters.runtime import AgentRuntime, Runtime

__all__ = [
    "AgentRuntime",
    "BudgetConfig",
    "LlmRouter",
    "ReliabilityConfig",
    "Runtime",
    "SafetyConfig",
    "acompletion",
    "carry",
    "completion",
    "govern",
    "install",
    "protect_agent",
    "uninstall",
]

_HOMES = {
    "AgentRuntime": "iron_adapters.runtime",
    "BudgetConfig": "iron_adapters.agent_settings",
    "LlmRouter": "iron_adapters.router",
    "ReliabilityConfig": "iron_adapters.agent_settings",
    "Runtime": "iron_adapters.runtime",
    "SafetyConfig": "iron_adapters.agent_settings",
    "acompletion": "iron_adapters.completions",
    "carry": "iron_adapters.agent",
    "completion": "iron_adapters.completions",
    "govern": "iron_adapters.client",
    "install": "iron_adapters.installation",
    "protect_agent": "iron_adapters.agent",
    "uninstall": "iron_adapters.installation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'iron_adapters' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
