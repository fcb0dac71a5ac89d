"""CrewAI under a policy: hooks for a whole process or block, and a model that is governed itself."""

from __future__ import annotations

try:
    import crewai.hooks.dispatch  # noqa: F401 - hooks that can stop a call came with it
except ModuleNotFoundError as error:
    raise ImportError(
        'iron_adapters.crewai needs crewai 1.15 or newer: pip install "iron-adapters[crewai]"'
    ) from error

from iron_adapters.crewai.hooks import IronHooks
from iron_adapters.crewai.llm import IronLLM

__all__ = ["IronHooks", "IronLLM"]
