"""The names of Iron Cage, in one screen."""

from iron_adapters.agent import BudgetConfig, ReliabilityConfig, SafetyConfig, protect_agent
from iron_adapters.runtime import AgentRuntime, Runtime

__all__ = ["AgentRuntime", "BudgetConfig", "ReliabilityConfig", "Runtime", "SafetyConfig", "protect_agent"]
