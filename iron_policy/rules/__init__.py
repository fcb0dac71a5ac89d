"""Pure judgements on one request: pass it on, alter a copy, or refuse it.

A rule has no clock, no I/O and no memory. Order is the order of a tuple. Money, rates and counts are metered
outside, by the engine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from iron_policy.exceptions import PolicyDenied
from iron_policy.messages import ModelRequest

Rule: TypeAlias = Callable[[ModelRequest], ModelRequest | PolicyDenied]
"""Pass the request on, return an altered copy, or return the refusal."""
