"""Calendar windows in UTC: when a budget starts anew.

Owns the calendar. Knows no money and reads no clock: time comes as epoch seconds.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

Window: TypeAlias = Literal["minute", "hour", "day", "week", "month"]
"""How long a budget lasts. Days turn at midnight UTC, weeks on Monday (ISO 8601), months on the first."""

_DAY: Final = 86_400
_SECONDS: Final = {"minute": 60, "hour": 3_600, "day": _DAY, "week": 7 * _DAY}
_FIRST_MONDAY: Final = 4 * _DAY  # the epoch, 1970-01-01, was a Thursday


def next_turn(window: Window, epoch: float) -> float:
    """Return when the *window* that holds *epoch* ends and the next begins, in epoch seconds."""
    if window == "month":
        now = datetime.fromtimestamp(epoch, UTC)
        year, month = (now.year, now.month + 1) if now.month < 12 else (now.year + 1, 1)  # noqa: PLR2004 - months
        return datetime(year, month, 1, tzinfo=UTC).timestamp()
    seconds = _SECONDS[window]
    offset = _FIRST_MONDAY if window == "week" else 0
    return ((epoch - offset) // seconds + 1) * seconds + offset
