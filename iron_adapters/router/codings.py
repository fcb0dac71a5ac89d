"""Codings of bodies (RFC 9110, section 8.4.1): gzip, deflate, br and zstd, undone piece by piece.

Owns how much may come out of a piece, so that a few bytes cannot fill the memory.
"""

from __future__ import annotations

import zlib
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

GZIP_WINDOW: Final = 31
_ZLIB_WINDOW: Final = 15
_WIDEST_ZSTD: Final = 1 << 27
_EXTRAS: Final = {"br": "brotli", "zstd": "zstandard"}


class UnknownCoding(Exception):  # noqa: N818 - what it is
    """Nobody here can undo this coding; the message says which can be undone, or what to install."""


class TooLarge(Exception):  # noqa: N818 - what it is
    """More came out of a piece than may."""


class Decoder(Protocol):
    """Undoes one coding of one body."""

    def feed(self, data: bytes, most: int) -> bytes:
        """Return what *data* stands for.

        Raises:
            TooLarge: it is more than *most* bytes.
            ValueError: this is not what the coding's name says.
        """

    def is_whole(self) -> bool:
        """Tell whether the body has come to its end, and nothing follows it."""


def decoder(name: str) -> Decoder | None:
    """Return what undoes the coding *name*, ``None`` where there is nothing to undo.

    Raises:
        UnknownCoding: it is none of those known here.
    """
    name = name.strip().lower()
    if name in {"", "identity"}:
        return None
    make = _DECODERS.get(name)
    if make is None:
        raise UnknownCoding(
            f"content-encoding: {name[:40]!r} is not known here; send gzip, deflate, zstd or br, or no coding"
        )
    return make()


@cache
def accepted() -> str:
    """Return what to say in ``accept-encoding``: the codings that can be undone here."""
    return ", ".join(["gzip", "deflate", *(name for name, module in _EXTRAS.items() if find_spec(module))])


class _Zlib:
    def __init__(self, window: int) -> None:
        self._decoder = zlib.decompressobj(window)

    def feed(self, data: bytes, most: int) -> bytes:
        try:
            decoded = self._decoder.decompress(data, most + 1)
        except zlib.error as error:
            raise ValueError("not gzip or deflate") from error
        if self._decoder.unused_data:  # it keeps all that follows the end
            raise ValueError("more than gzip or deflate")
        return _checked(decoded, most)

    def is_whole(self) -> bool:
        return self._decoder.eof


class _Deflate(_Zlib):
    """RFC 9110 means zlib by this name; some send raw deflate, which shows in the first piece."""

    def __init__(self) -> None:
        super().__init__(_ZLIB_WINDOW)
        self._began = False

    def feed(self, data: bytes, most: int) -> bytes:
        began, self._began = self._began, True
        try:
            return super().feed(data, most)
        except ValueError:
            if began:
                raise
            self._decoder = zlib.decompressobj(-_ZLIB_WINDOW)
            return super().feed(data, most)


class _Brotli:
    def __init__(self) -> None:
        self._brotli = _extra("brotli")
        self._decoder = self._brotli.Decompressor()

    def feed(self, data: bytes, most: int) -> bytes:
        try:
            decoded: bytes = self._decoder.process(data, output_buffer_limit=most + 1)
        except self._brotli.error as error:
            raise ValueError("not brotli") from error
        return _checked(decoded, most)

    def is_whole(self) -> bool:
        return bool(self._decoder.is_finished())


class _Zstd:
    def __init__(self) -> None:
        self._zstandard = _extra("zstandard")
        decompressor = self._zstandard.ZstdDecompressor(max_window_size=_WIDEST_ZSTD)
        self._out = _Bounded()
        self._decoder = decompressor.stream_writer(self._out, closefd=False)

    def feed(self, data: bytes, most: int) -> bytes:
        self._out.begin(most)
        try:
            self._decoder.write(data)
        except self._zstandard.ZstdError as error:
            raise ValueError("not zstd") from error
        return self._out.taken()

    def is_whole(self) -> bool:
        return True  # its writer does not tell; a body that is cut short is no JSON


class _Bounded:
    """Takes what a decoder writes, up to a bound."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._room = 0

    def begin(self, most: int) -> None:
        self._parts, self._room = [], most

    def write(self, data: bytes) -> int:
        self._room -= len(data)
        if self._room < 0:
            raise TooLarge
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        return b"".join(self._parts)


def _checked(decoded: bytes, most: int) -> bytes:
    if len(decoded) > most:
        raise TooLarge
    return decoded


def _extra(name: str) -> Any:
    try:
        return __import__(name)
    except ImportError:
        raise UnknownCoding(f'{name} is missing here: pip install "iron-adapters[compression]"') from None


_DECODERS: Final[Mapping[str, Callable[[], Decoder]]] = {
    "gzip": lambda: _Zlib(GZIP_WINDOW),
    "x-gzip": lambda: _Zlib(GZIP_WINDOW),
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _Zstd,
}
