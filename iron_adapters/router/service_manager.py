"""Telling systemd how far a service is (sd_notify(3)): one datagram to the socket that ``NOTIFY_SOCKET`` names."""

from __future__ import annotations

import socket
from contextlib import suppress


def tell_service_manager(address: str | None, state: str) -> None:
    """Send *state*, such as ``READY=1``, to *address*. Without one there is no such manager, and nobody to tell."""
    if not address or address[0] not in "/@" or not hasattr(socket, "AF_UNIX"):
        return
    name = "\0" + address[1:] if address[0] == "@" else address
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as telling:
        telling.connect(name)
        telling.sendall(state.encode())
