"""No test reaches beyond this machine: a guard on connections and on names.

Owns what may be connected to. Says nothing about HTTP. Loops that connect in C (uvloop's) still look names up here.
"""

import contextlib
import ipaddress
import socket
from unittest import mock

_LOCAL_NAMES = {"localhost", "", None}


class BeyondLoopbackError(RuntimeError):
    """A test tried to reach another machine."""


def is_local(host):
    """Return whether *host*, a name or an address, is this machine."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in _LOCAL_NAMES:
        return True
    try:
        address = ipaddress.ip_address(host)
        return (
            address.is_loopback or address.is_unspecified
        )  # the latter is this machine, too (RFC 1122, 3.2.1.3)
    except ValueError:
        return False


def _check(host):
    if not is_local(host):
        raise BeyondLoopbackError(
            f"a test tried to reach {host!r}; use the `double` or the `cassette` fixture"
        )


@contextlib.contextmanager
def loopback_only():
    """Refuse every connection, and every look-up of a name, that leads away from this machine."""
    connect, connect_ex, look_up = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def checked(method):
        def call(self, address):
            if self.family in {socket.AF_INET, socket.AF_INET6}:
                _check(address[0])
            return method(self, address)

        return call

    def checked_look_up(host, *args, **kwargs):
        _check(host)
        return look_up(host, *args, **kwargs)

    with (
        mock.patch.object(socket.socket, "connect", checked(connect)),
        mock.patch.object(socket.socket, "connect_ex", checked(connect_ex)),
        mock.patch.object(socket, "getaddrinfo", checked_look_up),
    ):
        yield
