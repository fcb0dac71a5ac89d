"""Errors of the router itself, in the words of the API that the caller speaks.

Owns status, body and headers of everything that no provider said. The bodies of refusals stand in ``wire.refusals``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from iron_adapters.router.reply import Answer
from iron_adapters.wire import refusals
from iron_policy.exceptions import IronError, PolicyDenied, UpstreamError

if TYPE_CHECKING:
    from iron_adapters.providers import Dialect

_RETRY_HELPS = frozenset((408, 502, 503, 504))


class NotServed(IronError):  # noqa: N818 - what the router says
    """A request that HTTP has a status of its own for. With 405 goes which methods there are (RFC 9110, section 15.5.6)."""

    def __init__(self, status_code: int, code: str, message: str, *, allow: str | None = None) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.code = code
        self.allow = allow


class TimedOut(UpstreamError):  # noqa: N818 - what happened
    """The provider did not answer in time."""

    status_code = 504
    code = "upstream_timeout"


def answer_to(error: IronError, dialect: Dialect) -> Answer:
    """Return *error* as a reply."""
    if isinstance(error, PolicyDenied):
        write = refusals.anthropic_body if dialect == "anthropic" else refusals.openai_body
        return Answer(error.status_code, _as_bytes(refusals.headers(error)), write(error))
    headers = {"content-type": "application/json"}
    if error.status_code not in _RETRY_HELPS:
        headers["x-should-retry"] = "false"
    if isinstance(error, NotServed) and error.allow is not None:
        headers["allow"] = error.allow
    body = refusals.problem(error, dialect)
    return Answer(error.status_code, _as_bytes(headers), body)


def last_event(error: IronError, dialect: Dialect, endpoint: str) -> bytes:
    """Return *error* as the end of a stream that has begun."""
    if isinstance(error, PolicyDenied):
        if dialect == "anthropic":
            return refusals.anthropic_event(error)
        if endpoint == "/responses":
            return refusals.responses_event(error)
        return refusals.openai_event(error)
    return refusals.problem_event(error, dialect, endpoint)


def _as_bytes(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]
