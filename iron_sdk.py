"""The names of the Iron Cage SDK, in one screen."""

from iron_adapters.agent import BudgetConfig, ReliabilityConfig, SafetyConfig, protect_agent

__all__ = ["BudgetConfig", "ReliabilityConfig", "SafetyConfig", "protect_agent"]
