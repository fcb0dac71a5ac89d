"""A provider double for tests: OpenAI's and Anthropic's endpoints on a loopback socket, without a network.

Owns the public names of this package. It has no part in governance, and nothing else of the product uses it.
"""

from __future__ import annotations

from iron_adapters.testing.asked import Asked
from iron_adapters.testing.double import ProviderDouble
from iron_adapters.testing.faults import (
    Fault,
    cut_off,
    dropped,
    error_event,
    malformed,
    out_of_quota,
    overloaded,
    rate_limited,
    server_error,
    slow_start,
    stalled,
    without_usage,
)
from iron_adapters.testing.replies import Reply, ToolUse
from iron_adapters.testing.tokens import count_tokens

__all__ = [
    "Asked",
    "Fault",
    "ProviderDouble",
    "Reply",
    "ToolUse",
    "count_tokens",
    "cut_off",
    "dropped",
    "error_event",
    "malformed",
    "out_of_quota",
    "overloaded",
    "rate_limited",
    "server_error",
    "slow_start",
    "stalled",
    "without_usage",
]
