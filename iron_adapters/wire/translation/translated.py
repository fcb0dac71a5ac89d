"""What a translation is: one call said in another provider's dialect, and its replies said back.

Owns the protocol between the two dialects' translators and whoever sends. Does no I/O and decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class StreamTranslator(Protocol):
    """A streamed reply on its way from the provider's dialect into the caller's."""

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the provider's stream, cut anywhere; return those that the caller gets for them.

        Raises:
            WireError: the stream cannot be read.
        """

    def finish(self) -> bytes:
        """Return what is still due when the provider's stream has ended: a well-formed end where it brought one."""


class Translated(Protocol):
    """One request in the provider's dialect, and the way back for its replies."""

    path: str
    """Where the provider takes it, such as ``/v1/messages``."""
    body: bytes
    headers: Mapping[str, str]
    """Headers that the provider needs besides, with lower-case names."""

    def reply(self, body: bytes) -> bytes:
        """Return a whole successful reply in the caller's dialect.

        Raises:
            WireError: it cannot be read, or holds what the caller's dialect cannot say.
        """

    def error(self, status: int, body: bytes) -> tuple[int, bytes]:
        """Return a provider's error with the status and in the dialect that the caller expects."""

    def stream(self) -> StreamTranslator:
        """Return what turns the streamed reply into the caller's dialect."""
