"""What goes wrong with the control plane, and what of its words may be repeated.

::

    IronError
    └── ControlPlaneError      it could not be reached, refused, or answered nonsense
        └── ProviderMismatch   it hands out another provider's key (also a ``providers.ProviderMismatch``)

Owns the errors and the cleaning of a server's text. No message, representation or cause holds a token or a key.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from iron_adapters import providers
from iron_policy.exceptions import IronError

if TYPE_CHECKING:
    from collections.abc import Mapping

_LATER: Final = frozenset({401, 408, 429})
_SERVER_ERROR: Final = 500
_CODE: Final = re.compile(r"[A-Za-z_]{1,40}")
# A server may repeat what it was sent, and nobody can tell a secret from a long word: so long words are left out.
_LONG_WORD: Final = re.compile(r"sk-\S+|[A-Za-z0-9_+/=.\-]{24,}")
_LONGEST_TEXT: Final = 200


class ControlPlaneError(IronError):
    """The control plane could not be reached, refused, or answered nonsense.

    Attributes:
        status: the HTTP status that it answered with; ``None`` where there was no answer.
        plane_code: its own word for it, such as ``NO_PROVIDER_ASSIGNED``; empty where it gave none.
        outage: whether it is the server that fails, so that what it said before still holds: no answer, an answer
            that is none, 408, 429 or 5xx. Otherwise it has answered, and the answer is no.
        status_code: 503 for an outage, else 502.
    """

    status_code = 502
    code = "control_plane_failed"

    def __init__(
        self, message: str, *, status: int | None = None, plane_code: str = "", outage: bool = True
    ) -> None:
        super().__init__(message)
        self.status = status
        self.plane_code = plane_code
        self.outage = outage
        self.status_code = 503 if outage else type(self).status_code


class ProviderMismatch(ControlPlaneError, providers.ProviderMismatch):  # noqa: N818 - what it tells
    """The control plane has no key for this provider, but one for another: it is not used."""

    status_code = 400
    code = "provider_mismatch"

    def __init__(self, message: str, *, status: int | None = None, plane_code: str = "") -> None:
        super().__init__(message, status=status, plane_code=plane_code, outage=False)


def refusal(what: str, status: int, reply: Mapping[str, Any] | None, token: str) -> ControlPlaneError:
    """Return the error that an answer other than 2xx stands for.

    Args:
        what: what was asked for, such as ``a provider key``.
        status: the HTTP status.
        reply: the body, ``None`` where it is no JSON object. Its error is flat (``{"error": text, "code"}``), nested
            (``{"error": {"code", "message"}}``) or the other way round (``{"error": code, "message": text}``).
        token: what must not be repeated.
    """
    text, code = _words(reply or {})
    code = code if _CODE.fullmatch(code) and code != token else ""
    said = _cleaned(text, token) if text else "without a reason that can be read"
    outage = status in {408, 429} or status >= _SERVER_ERROR
    return ControlPlaneError(
        f"the control plane did not give {what}: status {status}, {said}{f' ({code})' if code else ''}",
        status=status,
        plane_code=code,
        outage=outage,
    )


def worth_repeating(error: ControlPlaneError) -> bool:
    """Tell whether the same request may succeed later: an outage, or a token that is not valid just now (401)."""
    return error.outage or error.status in _LATER


def _words(reply: Mapping[str, Any]) -> tuple[str, str]:
    error = reply.get("error")
    if isinstance(error, dict):
        text, code = error.get("message"), error.get("code")
    elif "message" in reply:
        text, code = reply["message"], error
    else:
        text, code = error, reply.get("code")
    return (text if isinstance(text, str) else ""), (code if isinstance(code, str) else "")


def _cleaned(text: str, token: str) -> str:
    if token:
        text = text.replace(token, "…")
    text = _LONG_WORD.sub("…", text[: 10 * _LONGEST_TEXT])
    return "".join(letter if letter.isprintable() else " " for letter in text)[:_LONGEST_TEXT]
