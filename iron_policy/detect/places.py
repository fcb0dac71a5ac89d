"""Offsets in bytes and in characters.

Owns the one conversion from what RE2 counts to what findings say. Linear, because it is asked in rising order.
"""

from __future__ import annotations


class Places:
    """Turns offsets in bytes into offsets in characters, reading each byte once.

    Args:
        text: the text.
        data: the same in UTF-8.
    """

    __slots__ = ("_ascii", "_byte", "_character", "_data")

    def __init__(self, text: str, data: bytes) -> None:
        self._ascii = len(text) == len(data)
        self._data = data
        self._byte = self._character = 0

    def character(self, byte: int) -> int:
        """Return which character starts at *byte*, not before the last one asked for."""
        if self._ascii:
            return byte
        self._character += len(self._data[self._byte : byte].decode("utf-8", "surrogatepass"))
        self._byte = byte
        return self._character
