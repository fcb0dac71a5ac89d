"""Whose certificates are trusted: the system's authorities, or those in ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``.

Owns the fallback: where Python has no authorities of its system, those of certifi, which is Mozilla's list. And the look at
``SSL_CERT_FILE`` before anything is served: OpenSSL does not mind one that is not there, and then trusts nobody.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Final

_FILE: Final = "SSL_CERT_FILE"
_NAMED: Final = (_FILE, "SSL_CERT_DIR")


def trust() -> ssl.SSLContext:
    """Return how connections to providers are secured."""
    context = ssl.create_default_context()
    if not _knows_authorities(context):
        import certifi

        context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def refuse_useless_file() -> None:
    """Raise where ``SSL_CERT_FILE`` names a file without certificates, or none.

    Raises:
        ValueError: naming the variable and the file.
    """
    path = os.environ.get(_FILE)
    if not path:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except OSError as error:
        why = (
            "holds no certificate"
            if isinstance(error, ssl.SSLError)
            else f"cannot be read ({error.strerror})"
        )
        raise ValueError(
            f"{_FILE}: {path!r} {why}; name a file with authorities' certificates (PEM), or unset it"
        ) from None


def _knows_authorities(context: ssl.SSLContext) -> bool:
    """Tell whether somebody has named authorities. Those in a folder are read when one of them is looked for."""
    if any(os.environ.get(name) for name in _NAMED) or context.cert_store_stats()["x509_ca"]:
        return True
    folder = ssl.get_default_verify_paths().capath
    return folder is not None and any(Path(folder).iterdir())
