"""What a provider says instead of a reply, as an exception.

Owns which of its words may stand in a message: codes, never sentences, because those may echo the prompt.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from iron_policy.exceptions import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable

_CODE = re.compile(r"[A-Za-z][\w.-]{0,63}")
_REQUEST_IDS = ("x-request-id", "request-id")


class ProviderError(UpstreamError):
    """The provider answered with an error; it bills none.

    Attributes:
        status_code: the HTTP status, 502 where a stream failed after a good one.
        code: the provider's code or type, such as ``rate_limit_exceeded``.
        body: its error object, in OpenAI's shape and with its own words, which may hold content; ``None`` where there was none.
        retry_after_seconds: how long it asks to wait, if it does.
        request_id: what it calls the request.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int = 502,
        code: str | None = None,
        body: dict[str, Any] | None = None,
        retry_after_seconds: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.code = code or UpstreamError.code
        self.body = body
        self.retry_after_seconds = retry_after_seconds
        self.request_id = request_id


def error_of_reply(
    provider: str, status: int, body: bytes, header: Callable[[str], str | None]
) -> ProviderError:
    """Return the error that a provider's reply with *status* stands for; *header* looks one up."""
    found = _error_object(body)
    code = code_in(found)
    return ProviderError(
        f"{provider!r} answered {status}{f' ({code})' if code else ''}; its own words are in this error's body",
        status_code=status,
        code=code,
        body=found,
        retry_after_seconds=_seconds(header("retry-after")),
        request_id=next((value for name in _REQUEST_IDS if (value := header(name))), None),
    )


def error_of_event(provider: str, found: dict[str, Any]) -> ProviderError:
    """Return the error that a stream brought half-way."""
    code = code_in(found)
    return ProviderError(
        f"{provider!r} failed in the middle of its stream{f' ({code})' if code else ''}; "
        "its own words are in this error's body",
        code=code,
        body=found,
    )


def code_in(error: dict[str, Any] | None) -> str | None:
    """Return an error's code, else its type, where it is a plain word."""
    for key in ("code", "type"):
        word = (error or {}).get(key)
        if type(word) is str and _CODE.fullmatch(word):
            return word
    return None


def _error_object(body: bytes) -> dict[str, Any] | None:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    error = document.get("error", document) if type(document) is dict else None
    if type(error) is str:
        return {"message": error}
    return error if type(error) is dict else None


def _seconds(value: str | None) -> float | None:
    """Read ``retry-after`` where it counts seconds; as a date it is left to whoever wants it."""
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None
