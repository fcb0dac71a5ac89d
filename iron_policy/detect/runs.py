"""Where a number in running text can begin and end.

Owns the neighbours of a run of digits. Knows no number.
"""

from __future__ import annotations

import re
from typing import Final

from iron_policy.detect.shapes import is_escape, is_word

REACH: Final = 40
"""The longest number looked for, in characters."""

_NO_DIGIT: Final = re.compile(r"\D+")
_PART_NUMBER: Final = re.compile(r"-[A-Za-z0-9]{1,2}(?:[^A-Za-z0-9]|$)")


def begins(text: str, begin: int) -> bool:
    """Say whether a number can begin at *begin*: not in the middle of a word or of a decimal fraction."""
    if begin == 0:
        return True
    previous = text[begin - 1]
    if is_word(previous):
        return is_escape(text, begin - 1)
    if previous in ".,":
        return not (begin > 1 and text[begin - 2].isdigit())
    return previous not in "_#"


def ends(text: str, end: int) -> bool:
    """Say whether a number can end at *end*: no digit or letter goes on, also behind a point or dash."""
    if end >= len(text):
        return True
    following = text[end]
    if is_word(following) or following == "_":
        return False
    if following in "./" or (following == "-" and end + 1 < len(text)):
        goes_on = end + 1 < len(text) and text[end + 1].isdigit()
        return not goes_on and not _PART_NUMBER.match(text, end)
    return True


def digits_of(number: str) -> str:
    """Return the digits of *number* alone."""
    return _NO_DIGIT.sub("", number)
