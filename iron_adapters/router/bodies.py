"""Bodies of requests as they come in, and of replies as they go out: how large, how long, how compressed.

Owns the limits of size and the codings. Both are counted after decoding, so that a small body cannot become a large
one.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from typing import TYPE_CHECKING, Any, Final

from iron_adapters.router.codings import GZIP_WINDOW, TooLarge, UnknownCoding, decoder
from iron_adapters.router.problems import NotServed
from iron_adapters.router.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iron_adapters.router.asgi import Receive

SLOWEST_BYTES_PER_SECOND: Final = 1024
"""A body may come as slowly as this, once its first seconds are over; the slowest modem was quicker."""
_WORTH_COMPRESSING: Final = 32 * 1024
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
    body = _here_already(receive)
    if body is None:
        body = await _awaited(receive, most_bytes, idle_seconds)
    coding = headers.get("content-encoding")
    return body if coding is None else _decoded(body, coding, most_bytes)


def _here_already(receive: Receive) -> bytes | None:
    """Return the body where nothing has to be awaited, as with nearly all: neither a timer nor a message is made."""
    turn = getattr(receive, "__self__", None)
    return turn.whole_body() if isinstance(turn, Turn) else None


def is_left(receive: Receive) -> bool:
    """Tell whether the caller hung up before the answer was whole."""
    turn = getattr(receive, "__self__", None)
    return isinstance(turn, Turn) and turn.disconnected and not turn.complete


async def _awaited(receive: Receive, most_bytes: int, idle_seconds: float) -> bytes:
    try:
        async with asyncio.timeout(idle_seconds) as patience:
            message = await receive()
            body = _part(message)
            if message.get("more_body"):
                body = await _rest(body, receive, most_bytes, idle_seconds, patience)
            return body
    except TimeoutError:
        raise NotServed(
            408,
            "timeout",
            f"the body came too slowly: {idle_seconds:g} seconds without any of it, or less than "
            f"{SLOWEST_BYTES_PER_SECOND} bytes in a second",
        ) from None


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
    try:
        undoing = decoder(coding)
        if undoing is None:
            return body
        decoded = undoing.feed(body, most_bytes)
    except UnknownCoding as error:
        raise NotServed(415, "unsupported_encoding", str(error)) from None
    except TooLarge:
        raise _too_large(most_bytes) from None
    except ValueError as error:
        raise _not_coded(coding) from error
    if not undoing.is_whole():
        raise _not_coded(coding)
    return decoded


def _not_coded(coding: str) -> NotServed:
    name = coding.strip().lower()
    return NotServed(400, "bad_encoding", f"the body is not what content-encoding says: {name}")


def compressed(body: bytes, accepted: str | None) -> bytes | None:
    """Return *body* in gzip where that is worth it and the caller takes it, else ``None``."""
    if accepted is None or len(body) < _WORTH_COMPRESSING or not _takes_gzip(accepted):
        return None
    encoder = zlib.compressobj(_FAST, zlib.DEFLATED, GZIP_WINDOW)
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
