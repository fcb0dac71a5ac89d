"""Bodies of requests as they come in, and of replies as they go out: how large, how long, how compressed.

Owns the limits of size and the codings. Both are counted after decoding, so that a small body cannot become a large
one.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from typing import TYPE_CHECKING, Any, Final

from iron_adapters.router.problems import NotServed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import Receive

SLOWEST_BYTES_PER_SECOND: Final = 1024
"""A body may come as slowly as this, once its first seconds are over; the slowest modem was quicker."""
_WORTH_COMPRESSING: Final = 32 * 1024
_GZIP_WINDOW: Final = 31
_ZLIB_WINDOW: Final = 15
_FAST: Final = 1
_NEVER: Final = re.compile(r"q=0(?:\.0*)?")


class HungUp(Exception):  # noqa: N818 - what the caller did
    """The caller has closed the connection; there is nobody to answer."""


async def read_body(
    receive: Receive, headers: Mapping[str, str], *, most_bytes: int, idle_seconds: float
) -> bytes:
    """Return a request's whole body, decoded.

    Raises:
        NotServed: it is too large (413), too slow (408), or in a coding that is not known here (415).
        HungUp: the caller is gone.
    """
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length) > most_bytes:
        raise _too_large(most_bytes)
    try:
        async with asyncio.timeout(idle_seconds) as patience:
            message = await receive()
            body: bytes = _part(message)
            if message.get("more_body"):
                body = await _rest(body, receive, most_bytes, idle_seconds, patience)
    except TimeoutError:
        raise NotServed(
            408,
            "timeout",
            f"the body came too slowly: {idle_seconds:g} seconds without any of it, or less than "
            f"{SLOWEST_BYTES_PER_SECOND} bytes in a second",
        ) from None
    coding = headers.get("content-encoding")
    return body if coding is None else _decoded(body, coding, most_bytes)


async def _rest(
    first: bytes, receive: Receive, most_bytes: int, idle_seconds: float, patience: asyncio.Timeout
) -> bytes:
    parts, size, more = [first], len(first), True
    time = asyncio.get_running_loop().time
    began = time()
    while more:
        earned = size / SLOWEST_BYTES_PER_SECOND
        patience.reschedule(min(time(), began + earned) + idle_seconds)
        message = await receive()
        parts.append(_part(message))
        size += len(parts[-1])
        if size > most_bytes:
            raise _too_large(most_bytes)
        more = message.get("more_body", False)
    return b"".join(parts)


def _part(message: Any) -> bytes:
    if message["type"] == "http.disconnect":
        raise HungUp
    part: bytes = message.get("body", b"")
    return part


def _decoded(body: bytes, coding: str, most_bytes: int) -> bytes:
    name = coding.strip().lower()
    if name in {"", "identity"}:
        return body
    decode = _DECODERS.get(name)
    if decode is None:
        raise NotServed(
            415,
            "unsupported_encoding",
            f"content-encoding: {name[:40]!r} is not known here; send gzip, deflate, zstd or br, or no coding",
        )
    try:
        return decode(body, most_bytes)
    except (zlib.error, ValueError, EOFError) as error:
        raise NotServed(400, "bad_encoding", f"the body is not what content-encoding says: {name}") from error


def _inflate(body: bytes, most_bytes: int) -> bytes:
    for window in (_ZLIB_WINDOW, -_ZLIB_WINDOW):  # RFC 9110 means zlib; some clients send raw deflate
        try:
            return _unzip(body, most_bytes, window)
        except zlib.error:
            continue
    raise ValueError("not deflate")


def _gunzip(body: bytes, most_bytes: int) -> bytes:
    return _unzip(body, most_bytes, _GZIP_WINDOW)


def _unzip(body: bytes, most_bytes: int, window: int) -> bytes:
    decoder = zlib.decompressobj(window)
    whole = decoder.decompress(body, most_bytes + 1)
    if len(whole) > most_bytes:
        raise _too_large(most_bytes)
    if not decoder.eof or decoder.unused_data:
        raise ValueError("cut short, or something follows it")
    return whole


def _unbrotli(body: bytes, most_bytes: int) -> bytes:
    brotli = _extra("brotli")
    decoder = brotli.Decompressor()
    try:
        whole: bytes = decoder.process(body, output_buffer_limit=most_bytes + 1)
    except brotli.error as error:
        raise ValueError("not brotli") from error
    if len(whole) > most_bytes:
        raise _too_large(most_bytes)
    if not decoder.is_finished():
        raise ValueError("cut short")
    return whole


def _unzstd(body: bytes, most_bytes: int) -> bytes:
    zstandard = _extra("zstandard")
    try:
        with zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(
            body, read_across_frames=True
        ) as reader:
            whole: bytes = reader.read(most_bytes + 1)
    except zstandard.ZstdError as error:
        raise ValueError("not zstd") from error
    if len(whole) > most_bytes:
        raise _too_large(most_bytes)
    return whole


def _extra(name: str) -> Any:
    try:
        return __import__(name)
    except ImportError:
        raise NotServed(
            415, "unsupported_encoding", f'{name} is missing here: pip install "iron-adapters[compression]"'
        ) from None


_DECODERS: Final[Mapping[str, Callable[[bytes, int], bytes]]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _inflate,
    "br": _unbrotli,
    "zstd": _unzstd,
}


def compressed(body: bytes, accepted: str | None) -> bytes | None:
    """Return *body* in gzip where that is worth it and the caller takes it, else ``None``."""
    if accepted is None or len(body) < _WORTH_COMPRESSING or not _takes_gzip(accepted):
        return None
    encoder = zlib.compressobj(_FAST, zlib.DEFLATED, _GZIP_WINDOW)
    return encoder.compress(body) + encoder.flush()


def _takes_gzip(accepted: str) -> bool:
    for part in accepted.lower().split(","):
        name, _, weight = part.replace(" ", "").partition(";")
        if name in {"gzip", "x-gzip"}:
            return not _NEVER.fullmatch(weight)
    return False


def _too_large(most_bytes: int) -> NotServed:
    return NotServed(
        413,
        "request_too_large",
        f"the body is larger than {most_bytes} bytes; the router's limit is --max-body-mb, or max_body_bytes",
    )
