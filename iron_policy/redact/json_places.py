"""Where a raw piece of JSON has a value outside of any string, so that a stand-in for it needs quotes.

Owns the one question whether a string is open. Parses nothing else: pieces of a stream are no whole JSON.
"""

from __future__ import annotations

import re
from typing import Final

_MARK: Final = re.compile(r'\\.|"', re.DOTALL)
_NUMBER: Final = re.compile(r"[0-9][0-9.]*")


class JsonPlace:
    """How far a raw JSON text has been read.

    Attributes:
        in_string: whether a string is open here.
    """

    __slots__ = ("_rest", "in_string")

    def __init__(self) -> None:
        self.in_string = False
        self._rest = ""

    def read(self, text: str) -> None:
        """Take the next piece."""
        text = self._rest + text
        end = 0
        for mark in _MARK.finditer(text):
            end = mark.end()
            if mark.group() == '"':
                self.in_string = not self.in_string
        self._rest = "\\" if text.endswith("\\", end) else ""

    def quoted(self, standin: str, value: str) -> str:
        """Return what is to stand here for *value*: a bare number's stand-in becomes a string of its own."""
        return standin if self.in_string or not _NUMBER.fullmatch(value) else f'"{standin}"'
