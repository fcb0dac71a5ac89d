"""Compression of bodies and streams, as a client accepts it.

Owns the choice of an encoding and the flushing that lets a stream pass through one. Knows no HTTP server.
"""

from __future__ import annotations

import importlib
import zlib
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from iron_adapters.testing.settings import Compression

_GZIP_WINDOW = 31
"""zlib's number for the largest window with gzip's header and trailer."""


class Encoder(Protocol):
    """Compresses one body. What is fed can be read at once, as each piece is flushed."""

    name: str

    def feed(self, data: bytes) -> bytes:
        """Return what *data* becomes."""
        ...

    def finish(self) -> bytes:
        """Return the end of the body."""
        ...


class Gzip:
    """gzip, from the standard library."""

    name = "gzip"

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(wbits=_GZIP_WINDOW)

    def feed(self, data: bytes) -> bytes:
        """Return what *data* becomes."""
        return self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        """Return the end of the body."""
        return self._compressor.flush()


class Brotli:
    """br, where ``brotli`` is installed."""

    name = "br"

    def __init__(self) -> None:
        self._compressor: Any = importlib.import_module("brotli").Compressor()

    def feed(self, data: bytes) -> bytes:
        """Return what *data* becomes."""
        return bytes(self._compressor.process(data) + self._compressor.flush())

    def finish(self) -> bytes:
        """Return the end of the body."""
        return bytes(self._compressor.finish())


class Zstandard:
    """zstd, where ``zstandard`` is installed."""

    name = "zstd"

    def __init__(self) -> None:
        module = importlib.import_module("zstandard")
        self._flush_block = module.COMPRESSOBJ_FLUSH_BLOCK
        self._compressor: Any = module.ZstdCompressor().compressobj()

    def feed(self, data: bytes) -> bytes:
        """Return what *data* becomes."""
        return bytes(self._compressor.compress(data) + self._compressor.flush(self._flush_block))

    def finish(self) -> bytes:
        """Return the end of the body."""
        return bytes(self._compressor.flush())


_ENCODERS: tuple[Callable[[], Encoder], ...] = (Zstandard, Brotli, Gzip)


def encoder_for(accepted: str, wanted: Compression | None) -> Encoder | None:
    """Return an encoder that the header *accepted* allows and that *wanted* asks for, or ``None``."""
    names = {part.split(";")[0].strip().lower() for part in accepted.split(",")}
    for make in _ENCODERS:
        name = make.name  # type: ignore[attr-defined]  # each is a class with a name
        if wanted in {"best", name} and name in names:
            try:
                return make()
            except ImportError:
                continue
    return None
