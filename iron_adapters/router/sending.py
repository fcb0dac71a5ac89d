"""The way to the provider: how its reply is read, and what its faults mean to a caller.

Owns time limits and the size of replies. Redirects are not followed: the key and the texts stay with the address that
was configured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from iron_adapters.router.problems import TimedOut
from iron_policy.exceptions import UpstreamError, WireError

if TYPE_CHECKING:
    from iron_adapters.router.connections import ProviderReply
    from iron_adapters.router.faults import ProviderFault

_OK: Final = range(200, 300)
_ANSWERS: Final = range(200, 600)
_REDIRECTS: Final = range(300, 400)
_EVENT_STREAM: Final = b"text/event-stream"


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


def is_event_stream(reply: ProviderReply) -> bool:
    """Tell whether *reply* is a stream of server-sent events, and no error."""
    return reply.status in _OK and (reply.header(b"content-type") or b"").lower().startswith(_EVENT_STREAM)


async def read_whole(reply: ProviderReply, most_bytes: int) -> bytes:
    """Return a whole reply, decoded.

    Raises:
        ProviderFault: it broke.
        WireError: it is larger than *most_bytes*: nothing that a model writes is.
    """
    parts, size = [], 0
    while part := await reply.read():
        parts.append(part)
        size += len(part)
        if size > most_bytes:
            raise WireError(f"the provider's reply is larger than {most_bytes} bytes")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def refuse_redirect(status: int) -> None:
    """Raise for a reply that sends the request elsewhere, or has a status that HTTP has no range for.

    Raises:
        UpstreamError: always for those.
    """
    if status not in _ANSWERS:
        raise UpstreamError(f"the provider answered with status {status}, which is none")
    if status in _REDIRECTS:
        raise UpstreamError(
            f"the provider redirects the call ({status}); it is not followed. If the address has moved, "
            "set the upstream's base_url to the new one"
        )


def problem_of(fault: ProviderFault, upstream_name: str) -> UpstreamError:
    """Return what *fault* of an upstream means to a caller."""
    return (TimedOut if fault.timed_out else UpstreamError)(f"{upstream_name!r}: {fault}")


def unreadable(error: WireError) -> UpstreamError:
    """Return what *error* means to a caller whose own request could be read: not that request is at fault."""
    return UpstreamError(f"the provider's reply is not handed on: {error}")
