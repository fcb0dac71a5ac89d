"""What a failure of pyreqwest means: whether the provider may have got the request, and what went wrong.

Owns the reading of its causes. Its types mislead: a connection that the provider closes instead of an answer is a
``ConnectError`` too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pyreqwest.exceptions import PyreqwestError

_NOT_CONNECTED: Final = "client error (Connect)"
"""What reqwest names as the cause where there was no connection."""
_NEVER_SENT: Final = ("PoolTimeoutError", "BuilderError")


def was_sent(error: PyreqwestError) -> bool:
    """Tell whether the provider may have worked on a request that ended in *error*."""
    return type(error).__name__ not in _NEVER_SENT and _NOT_CONNECTED not in causes_of(error)


def innermost_cause(error: PyreqwestError) -> str:
    """Return what went wrong, such as ``Connection refused (os error 111)``; its type's name where no cause can be told."""
    return (causes_of(error) or [type(error).__name__])[-1]


def causes_of(error: PyreqwestError) -> list[str]:
    """Return the causes from the outermost in, less those that name a URL, which may hold a secret."""
    details: Any = getattr(error, "details", None) or {}
    causes = [cause["message"] for cause in details.get("causes") or ()]
    return [cause for cause in causes if "url (" not in cause and "://" not in cause]
