"""Rates: at most so many requests or tokens of a scope in any window.

What was let through within a thousandth of a window is kept as one, under the time of its last: so a limit is never
passed, may bind for a thousandth of its window longer than it must, and takes a bounded memory whatever passes.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from iron_policy.exceptions import RateLimited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from iron_policy.document import RateLimit

_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
_MOST_NAMES = 100_000
_GRAINS = 1000
"""Into how many parts a window is cut."""


class _Grain:
    """What was let through at one time, or nearly."""

    __slots__ = ("amount", "began", "last")

    def __init__(self, now: float) -> None:
        self.began = self.last = now
        self.amount = 0


class _Window:
    """What one scope used of one limit within its window of so many seconds."""

    __slots__ = ("_grain_seconds", "total", "used")

    def __init__(self, seconds: float) -> None:
        self.used: deque[_Grain] = deque()
        self.total = 0
        self._grain_seconds = seconds / _GRAINS

    def forget(self, before: float) -> None:
        while self.used and self.used[0].last <= before:
            self.total -= self.used.popleft().amount

    def add(self, now: float, amount: int) -> None:
        grain = self.used[-1] if self.used else None
        if grain is None or now - grain.began > self._grain_seconds:
            grain = _Grain(now)
            self.used.append(grain)
        elif now > grain.last:
            grain.last = now
        grain.amount += amount
        self.total += amount


class RateMeter:
    """All rate limits of one policy, over all scopes.

    Attributes:
        counts_tokens: whether any limit is on tokens; else nobody needs to count or correct them.
    """

    def __init__(self, limits: Iterable[RateLimit], clock: Callable[[], float]) -> None:
        self._limits = tuple(limits)
        # What `objection` needs of each limit, taken from the document once: its fields cost more to read.
        self._bounds = tuple(
            (limit.scope, _SECONDS[limit.window], limit.requests is None, limit.requests or limit.tokens or 0)
            for limit in self._limits
        )
        self.counts_tokens = any(limit.tokens is not None for limit in self._limits)
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[tuple[int, str], _Window] = {}

    def objection(self, name_of: Callable[[str], str | None], tokens: int) -> RateLimited | None:
        """Count one request of *tokens* on every limit that applies, or on none and return the refusal.

        Args:
            name_of: gives the name of a scope here (``"agent"`` -> ``"billing"``), ``None`` where it does not apply.
            tokens: an upper bound of the input tokens.
        """
        now = self._clock()
        due: list[tuple[_Window, int]] = []
        with self._lock:
            for index, (scope, seconds, of_tokens, most) in enumerate(self._bounds):
                name = name_of(scope)
                if name is None:
                    continue
                window = self._windows.get((index, name)) or self._begin(index, name)
                oldest = now - seconds
                if window.used and window.used[0].last <= oldest:
                    window.forget(oldest)
                amount = tokens if of_tokens else 1
                if window.total + amount > most:
                    return self._refusal(self._limits[index], window, now)
                due.append((window, amount))
            for window, amount in due:
                window.add(now, amount)
        return None

    def correct(self, name_of: Callable[[str], str | None], tokens: int) -> None:
        """Add the *tokens* that a call used beyond what was counted for it (fewer, if negative)."""
        now = self._clock()
        with self._lock:
            for index, (scope, _, of_tokens, _) in enumerate(self._bounds):
                if of_tokens and (name := name_of(scope)) is not None:
                    window = self._windows.get((index, name)) or self._begin(index, name)
                    window.add(now, tokens)

    def _begin(self, index: int, name: str) -> _Window:
        if len(self._windows) > _MOST_NAMES:
            self._windows = {key: window for key, window in self._windows.items() if window.used}
        window = self._windows[index, name] = _Window(self._bounds[index][1])
        return window

    def _refusal(self, limit: RateLimit, window: _Window, now: float) -> RateLimited:
        oldest = window.used[0].last if window.used else now
        seconds = _SECONDS[limit.window]
        # A sum of floats can be a little more than its parts.
        wait = min(seconds, max(0.0, oldest + seconds - now))
        what = f"{limit.requests} requests" if limit.requests is not None else f"{limit.tokens} tokens"
        return RateLimited(
            f"limit of {what} per {limit.window} for scope {limit.scope!r} is used up; try again in {wait:.1f} s",
            retry_after_seconds=wait,
        )
