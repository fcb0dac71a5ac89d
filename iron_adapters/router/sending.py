"""The way to the provider: how a request is sent, how its reply is read, and what errors mean.

Owns time limits and the size of replies. pyreqwest does the HTTP (1.1 and 2, TLS, decompression), in compiled code. Redirects are not followed: the key and the texts stay with the address that was configured.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pyreqwest.exceptions import PyreqwestError, RequestTimeoutError

from iron_adapters.client_faults import causes_of, innermost_cause
from iron_adapters.router.problems import TimedOut
from iron_policy.exceptions import UpstreamError, WireError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pyreqwest.client import Client
    from pyreqwest.request import StreamRequest
    from pyreqwest.response import Response

_CERTIFICATE: Final = "invalid peer certificate"
_DISTRUSTED: Final = {
    "UnknownIssuer": "no authority known here has issued it; name a file with that authority's certificate in SSL_CERT_FILE",
    "not valid for name": "it is for another host than base_url names",
    "expired": "it has expired",
}
"""What rustls says of certificates, and what that means."""
_OK: Final = range(200, 300)
_ANSWERS: Final = range(200, 600)
_REDIRECTS: Final = range(300, 400)
_EVENT_STREAM: Final = "text/event-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the router waits for a provider, in seconds, and how much it takes from it."""

    connect_seconds: float = 10.0
    read_seconds: float = 600.0
    """Between two reads. Models that think write nothing for minutes."""
    read_on_seconds: float = 5.0
    """How long a stream is read on whose caller has hung up. Most end within it and tell what they cost; one that does
    not is closed, which stops the provider, and is charged by what it wrote."""
    most_reply_bytes: int = 256 * 1024 * 1024
    connections: int = 1000

    def after_hang_up(self, *, stream: bool) -> float:
        """Return how long to read on. A whole reply is billed whole, whether somebody waits for it or not."""
        return self.read_on_seconds if stream else self.read_seconds


def request_to(
    client: Client, method: str, url: str, headers: list[tuple[str, str]], body: bytes
) -> StreamRequest:
    """Return a request, to be entered with ``async with``: leaving it early stops the provider."""
    # Without this limit of nothing, a stream is handed out only when a whole buffer of it has come.
    builder = client.request(method, url).headers(headers).body_bytes(body).streamed_read_buffer_limit(0)
    return builder.build_streamed()


def is_event_stream(response: Response) -> bool:
    """Tell whether *response* is a stream of server-sent events, and no error."""
    return response.status in _OK and (response.get_header("content-type") or "").lower().startswith(
        _EVENT_STREAM
    )


async def chunks(response: Response) -> AsyncIterator[bytes]:
    """Yield a streamed reply as the socket gives it.

    Raises:
        UpstreamError: it broke, or nothing came for too long.
    """
    reader = response.body_reader
    task = asyncio.current_task()
    while True:
        try:
            chunk = await reader.read_chunk()
        except PyreqwestError as error:
            raise problem_of(error) from None
        if task is not None and task.cancelling():
            # A read that has something at once returns it to a task that was cancelled, and the wish to end is lost.
            raise asyncio.CancelledError
        if chunk is None:
            return
        yield bytes(chunk)


async def read_whole(response: Response, most_bytes: int) -> bytes:
    """Return a whole reply, decoded.

    Raises:
        UpstreamError: it broke.
        WireError: it is larger than *most_bytes*: nothing that a model writes is.
    """
    length = response.get_header("content-length")  # gone where the reply is decoded on its way
    if length is not None and length.isdigit() and int(length) <= most_bytes:
        return bytes(await response.bytes())
    parts, size = [], 0
    async for part in chunks(response):
        parts.append(part)
        size += len(part)
        if size > most_bytes:
            raise WireError(f"the provider's reply is larger than {most_bytes} bytes")
    return b"".join(parts)


def refuse_redirect(response: Response) -> None:
    """Raise for a reply that sends the request elsewhere, or has a status that HTTP has no range for.

    Raises:
        UpstreamError: always for those.
    """
    if response.status not in _ANSWERS:
        raise UpstreamError(f"the provider answered with status {response.status}, which is none")
    if response.status in _REDIRECTS:
        raise UpstreamError(
            f"the provider redirects the call ({response.status}); it is not followed. If the address has moved, "
            "set the upstream's base_url to the new one"
        )


def problem_of(error: PyreqwestError) -> UpstreamError:
    """Return what *error* means to a caller. Its own text may hold addresses with what is in them, so it is not told."""
    kind = type(error).__name__
    if isinstance(error, RequestTimeoutError):
        return TimedOut(f"the provider did not answer in time ({kind})")
    if (fault := next((told for told in causes_of(error) if _CERTIFICATE in told), None)) is not None:
        return UpstreamError(_distrust(fault))
    return UpstreamError(
        f"the provider could not be reached, or the connection broke ({innermost_cause(error)})"
    )


def _distrust(fault: str) -> str:
    reason = next((why for name, why in _DISTRUSTED.items() if name in fault), "it cannot be verified")
    return f"the provider's certificate is not trusted: {reason}"


def unreadable(error: WireError) -> UpstreamError:
    """Return what *error* means to a caller whose own request could be read: not that request is at fault."""
    return UpstreamError(f"the provider's reply is not handed on: {error}")
