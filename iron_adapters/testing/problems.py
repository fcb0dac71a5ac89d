"""What goes wrong, before any dialect says it: a status, and what is the matter.

Owns the one exception that ends an exchange with an error body. The dialects turn it into theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Problem(Exception):  # noqa: N818 - part of a reply, not a failure of the double
    """An error that the provider would answer with.

    Attributes:
        status: HTTP status.
        message: what the body says.
        code: OpenAI's ``code``, such as ``model_not_found``.
        param: OpenAI's ``param``.
        details: Anthropic's ``details``, where there are any.
        retry_after_seconds: sent as ``retry-after`` where it is not ``None``.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        details: Mapping[str, Any] | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.details = details
        self.retry_after_seconds = retry_after_seconds
        super().__init__(message)
