"""Circuit breakers, one for each provider.

A breaker opens after so many failures within a window, stays open for a while, then lets a single call through
to probe. That call's outcome closes it or opens it again.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from iron_policy.exceptions import CircuitOpen

if TYPE_CHECKING:
    from collections.abc import Callable

    from iron_policy.document import Breaker as Settings


class Breakers:
    """The breakers of all providers under one policy."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[str, deque[float]] = {}
        self._closed_to: dict[str, float] = {}
        """When the next probe of an open provider may go."""

    def objection(self, provider_name: str) -> CircuitOpen | None:
        """Return the refusal of a call to *provider_name*, or let it through, as a probe if need be."""
        if provider_name not in self._closed_to:
            return None
        with self._lock:
            opens_at = self._closed_to.get(provider_name)
            now = self._clock()
            if opens_at is None:
                return None
            if now >= opens_at:
                self._closed_to[provider_name] = now + self._settings.cool_down_seconds
                return None
        return CircuitOpen(
            f"provider {provider_name!r} failed {self._settings.failures} times in "
            f"{self._settings.window_seconds:g} s; it is tried again in {opens_at - now:.1f} s"
        )

    def succeeded(self, provider_name: str) -> None:
        """Close the breaker of *provider_name*."""
        if provider_name in self._closed_to or provider_name in self._failures:
            with self._lock:
                self._closed_to.pop(provider_name, None)
                self._failures.pop(provider_name, None)

    def failed(self, provider_name: str) -> None:
        """Note a failure of *provider_name*; open its breaker when there are too many."""
        with self._lock:
            now = self._clock()
            times = self._failures.setdefault(provider_name, deque(maxlen=self._settings.failures))
            times.append(now)
            burst = len(times) == self._settings.failures and now - times[0] <= self._settings.window_seconds
            if burst or provider_name in self._closed_to:
                self._closed_to[provider_name] = now + self._settings.cool_down_seconds
