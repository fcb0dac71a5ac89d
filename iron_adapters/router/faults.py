"""What went wrong between the router and a provider, whichever client found out.

Owns what is told of it: never an address with what is in it, a header or a text.
"""

from __future__ import annotations

import os
import socket
import ssl
from typing import Final

_DISTRUSTED: Final = {
    "unknown": "no authority known here has issued it; name a file with that authority's certificate in SSL_CERT_FILE",
    "host": "it is for another host than base_url names",
    "expired": "it has expired",
}
_REASONS: Final = {
    10: "expired",
    **dict.fromkeys((18, 19, 20, 21), "unknown"),
    **dict.fromkeys((62, 64), "host"),
}
"""By OpenSSL's number of what is wrong (X509_V_ERR_…, in x509_vfy.h)."""


class ProviderFault(Exception):  # noqa: N818 - not an error of the router's
    """A call whose reply did not come, or not whole. Its message is for the caller.

    Attributes:
        sent: whether the provider may have worked on the call.
        timed_out: whether it was waited for too long.
    """

    sent = True
    timed_out = False


class RequestFault(ProviderFault):
    """The request could not be written."""

    sent = False


class ConnectError(ProviderFault):
    """There was no connection."""

    sent = False


class ConnectTimeout(ConnectError):  # noqa: N818 - what HTTP clients call it
    """A connection, or a free one, was waited for too long."""

    timed_out = True


class ReadError(ProviderFault):
    """The connection broke."""


class ReadTimeout(ReadError):  # noqa: N818 - what HTTP clients call it
    """Nothing came for too long."""

    timed_out = True


class ReplyFault(ProviderFault):
    """What came is no reply."""


def distrusted(reason: str) -> str:
    """Return what to say of a certificate that is not trusted, by the word for the reason."""
    why = _DISTRUSTED.get(reason, "it cannot be verified")
    return f"the provider's certificate is not trusted: {why}"


def broken(cause: str) -> str:
    """Return what to say of a connection that did not come about or did not last."""
    return f"the provider could not be reached, or the connection broke ({cause})"


def not_connected(error: OSError | UnicodeError) -> ConnectError:
    """Return what it means that no connection came about."""
    if isinstance(error, TimeoutError):
        return ConnectTimeout("the provider did not answer in time (connect)")
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConnectError(distrusted(_REASONS.get(error.verify_code, "")))
    return ConnectError(broken(cause_of(error)))


def cause_of(error: BaseException) -> str:
    """Return what the system calls *error*, such as ``Connection refused``; its type's name where it has no word."""
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or 'handshake failed').replace('_', ' ').lower()}"
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return type(error).__name__
