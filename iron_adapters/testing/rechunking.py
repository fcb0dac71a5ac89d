"""Cutting a stream at arbitrary byte positions, as networks do, but the same every time.

Owns where the cuts are. Knows neither events nor sockets.
"""

from __future__ import annotations

import random

_SHORT, _LONG = 12, 300


class Rechunker:
    """Cuts what is fed into pieces of 1 to 300 bytes, half of them no longer than 12."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a seed must give the same cuts again
        self._held = b""
        self._size = self._next_size()

    def _next_size(self) -> int:
        return self._random.randint(1, self._random.choice((_SHORT, _LONG)))

    def feed(self, data: bytes) -> list[bytes]:
        """Return the pieces that are complete; the rest is held back for what comes next."""
        self._held += data
        pieces = []
        while len(self._held) >= self._size:
            pieces.append(self._held[: self._size])
            self._held = self._held[self._size :]
            self._size = self._next_size()
        return pieces

    def flush(self) -> list[bytes]:
        """Return what is held back."""
        held, self._held = self._held, b""
        return [held] if held else []
