"""What keeps callers from overrunning a provider, and a failing provider from holding callers up."""

from iron_policy.reliability.breaker import Breakers
from iron_policy.reliability.rates import RateMeter

__all__ = ["Breakers", "RateMeter"]
