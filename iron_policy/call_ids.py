"""Ids of calls: 128 random bits each, which nobody can guess and no two processes share.

Owns the supply. The system is asked for many at a time, because what runs after each system call runs slower for a
while: of a call's cost in this process, asking for every id was six parts in a hundred.
"""

from __future__ import annotations

import os
from collections import deque
from typing import Final

_AT_A_TIME: Final = 256
_BYTES: Final = 16

_ready: Final[deque[str]] = deque()


def new_call_id() -> str:
    """Return 32 hex digits that were never returned before."""
    try:
        return _ready.pop()  # one step, so that no two threads get the same
    except IndexError:
        digits = os.urandom(_BYTES * _AT_A_TIME).hex()
        width = 2 * _BYTES
        first, *rest = (digits[start : start + width] for start in range(0, len(digits), width))
        _ready.extend(rest)
        return first


# A child process must not give out what its parent has in store.
os.register_at_fork(after_in_child=_ready.clear)
