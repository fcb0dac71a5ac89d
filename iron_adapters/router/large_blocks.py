"""Large blocks of memory: that what they took goes back to the system once they are let go of.

glibc asks the system for each block above a threshold, and gives it back whole. But each such block that is freed raises
the threshold, up to 32 MiB (mallopt(3), "dynamic mmap threshold"): from then on the next large body takes its place in
the heap, and leaves a hole there that seldom fits the one after it. A router's memory grows by that for hours.
"""

from __future__ import annotations

from typing import Final

_MMAP_THRESHOLD: Final = -3
"""``M_MMAP_THRESHOLD`` of glibc's ``malloc.h``."""
_BYTES: Final = 128 * 1024
"""The threshold that glibc starts with."""


def keep_large_blocks_apart() -> bool:
    """Hold the threshold where it starts, in all of this process; tell whether its allocator takes that (glibc's does)."""
    import ctypes  # takes 8 ms, for which no start of a router is to wait

    try:
        return bool(ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _BYTES))
    except (OSError, AttributeError, TypeError):  # Windows, macOS; another C library
        return False
