"""Offsets in bytes and in characters.

Owns the one conversion between what RE2 counts and what findings say. Linear if asked in rising order.
"""

from __future__ import annotations

from iron_policy.detect.linear import encode


class Places:
    """Turns offsets in bytes into offsets in characters, reading each byte once.

    Args:
        text: the text.
        data: the same in UTF-8.
    """

    __slots__ = ("_ascii", "_byte", "_character", "_data", "_text")

    def __init__(self, text: str, data: bytes) -> None:
        self._ascii = len(text) == len(data)
        self._data = data
        self._text = text
        self._byte = self._character = 0

    def byte(self, character: int) -> int:
        """Return where *character* starts in bytes, and count on from there."""
        if not self._ascii:
            self._byte, self._character = len(encode(self._text[:character])), character
            return self._byte
        return character

    def character(self, byte: int) -> int:
        """Return which character starts at *byte*, not before the last one asked for."""
        if self._ascii:
            return byte
        self._character += len(self._data[self._byte : byte].decode("utf-8", "surrogatepass"))
        self._byte = byte
        return self._character
