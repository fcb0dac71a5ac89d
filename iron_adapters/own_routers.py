"""Routers of this very process, and the proof towards one that a call is judged already.

Owns the nonces. A seam that acts on a call to one of these routers puts a nonce into its head; the router redeems it,
once, for what the seam has claimed. From any other process such a header is a number that nobody knows.
"""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, Any, Final

from iron_adapters.marks import claims_here

if TYPE_CHECKING:
    from iron_adapters.marks import Claim

PROOF_HEADER: Final = "x-iron-claim"
_LOCAL: Final = frozenset(("localhost", "127.0.0.1", "::1"))
_MOST_PROOFS: Final = 4096
"""Calls on their way at once; of more, the oldest are judged by the router too."""
_lock = threading.Lock()
_ports: dict[int, str] = {}
_proofs: dict[str, tuple[Claim, ...]] = {}


def open_router(port: int, host: str) -> None:
    """Note that a router of this process listens on *port* of *host*."""
    with _lock:
        _ports[port] = host


def close_router(port: int) -> None:
    """Note that it does no more."""
    with _lock:
        _ports.pop(port, None)


def with_proof(request: Any) -> Any:
    """Put a proof into *request*, where it goes to a router of this process and a seam here acts on it; return it."""
    if _ports and (nonce := proof_for(request.url.host, request.url.port)) is not None:
        request.headers[PROOF_HEADER] = nonce
    return request


def proof_for(host: str, port: int | None) -> str | None:
    """Return a new nonce for a call that is made here and now, ``None`` where it goes elsewhere or no seam acts on it."""
    if port is None or not _is_ours(host, port) or not (claims := claims_here()):
        return None
    nonce = secrets.token_hex(16)
    with _lock:
        _proofs[nonce] = claims
        if len(_proofs) > _MOST_PROOFS:
            del _proofs[next(iter(_proofs))]
    return nonce


def redeem(nonce: str | None) -> tuple[Claim, ...]:
    """Return what was claimed for the call that brings *nonce*, nothing for any other; it is good for once."""
    if nonce is None or not _proofs:
        return ()
    with _lock:
        return _proofs.pop(nonce, ())


def _is_ours(host: str, port: int) -> bool:
    own = _ports.get(port)
    return own is not None and (host == own or host in _LOCAL)
