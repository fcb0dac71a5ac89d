"""How OpenAI and Anthropic say what is not the answer: error bodies, headers, keys, and errors within a stream.

Owns the two dialects' manners. Knows no endpoint.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from iron_adapters.testing.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iron_adapters.testing.stamp import Stamp

BAD_KEY = "bad-key"
"""The one key that both dialects refuse."""

_SERVER_ERROR = "The server had an error while processing your request. Sorry about that!"
_FIRST_SERVER_ERROR = 500
_RATE_LIMIT = 429


class Dialect(Protocol):
    """The manners of one provider."""

    name: str

    def check_caller(self, headers: Mapping[str, str]) -> None:
        """Raise :class:`Problem` for a missing or bad key, or a missing version."""
        ...

    def error_body(self, problem: Problem, stamp: Stamp, /) -> bytes:
        """Return the JSON body that says *problem*."""
        ...

    def headers(self, stamp: Stamp, input_tokens: int) -> dict[str, str]:
        """Return the headers of every reply: its id and the rate limits."""
        ...

    def error_headers(self, problem: Problem) -> dict[str, str]:
        """Return the headers that a reply with *problem* has besides."""
        ...

    def unknown_model(self, model: str) -> Problem:
        """Return the problem of a model that does not exist."""
        ...

    def fault_message(self, status: int) -> tuple[str, str | None]:
        """Return the message and the code of an injected *status*."""
        ...


class OpenAIDialect:
    """As api.openai.com."""

    name = "openai"

    def check_caller(self, headers: Mapping[str, str]) -> None:
        """Want ``Authorization: Bearer …`` with any key but the bad one."""
        key = headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not key:
            raise Problem(
                401,
                "You didn't provide an API key. You need to provide your API key in an Authorization header.",
            )
        if key == BAD_KEY:
            help_text = "You can find your API key at https://platform.openai.com/account/api-keys."
            raise Problem(401, f"Incorrect API key provided: {BAD_KEY}. {help_text}", code="invalid_api_key")

    def error_body(self, problem: Problem, _stamp: Stamp) -> bytes:
        """Say *problem* as ``{"error": {message, type, param, code}}``."""
        return orjson.dumps({"error": self.error(problem)})

    def error(self, problem: Problem) -> dict[str, Any]:
        """Return the inner object of an error body."""
        return {
            "message": problem.message,
            "type": self._type(problem),
            "param": problem.param,
            "code": problem.code,
        }

    @staticmethod
    def _type(problem: Problem) -> str:
        if problem.status == _RATE_LIMIT:
            return problem.code if problem.code == "insufficient_quota" else "tokens"
        return "server_error" if problem.status >= _FIRST_SERVER_ERROR else "invalid_request_error"

    def headers(self, stamp: Stamp, input_tokens: int) -> dict[str, str]:
        """Name the request and the limits; resets are Go durations."""
        return {
            "x-request-id": stamp.request_id,
            "openai-version": "2020-10-01",
            "openai-processing-ms": "7",
            "x-ratelimit-limit-requests": "10000",
            "x-ratelimit-limit-tokens": "2000000",
            "x-ratelimit-remaining-requests": "9999",
            "x-ratelimit-remaining-tokens": str(max(0, 2_000_000 - input_tokens)),
            "x-ratelimit-reset-requests": "6ms",
            "x-ratelimit-reset-tokens": "0s",
        }

    def error_headers(self, problem: Problem) -> dict[str, str]:
        """Name when to come back, where the problem says so."""
        return _retry_after(problem)

    def unknown_model(self, model: str) -> Problem:
        """Refuse as chat and embeddings do: 404 ``model_not_found``."""
        message = f"The model `{model}` does not exist or you do not have access to it."
        return Problem(404, message, code="model_not_found")

    def fault_message(self, status: int) -> tuple[str, str | None]:
        """Say a rate limit by its numbers, anything else as the server's error."""
        if status == _RATE_LIMIT:
            limit = "Limit 30000, Used 30000, Requested 890. Please try again in 1s."
            return f"Rate limit reached on tokens per min (TPM): {limit}", "rate_limit_exceeded"
        return _SERVER_ERROR, None


class AnthropicDialect:
    """As api.anthropic.com."""

    name = "anthropic"
    _types = {  # noqa: RUF012 - a table, never written
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        413: "request_too_large",
        429: "rate_limit_error",
        529: "overloaded_error",
    }
    _messages = {  # noqa: RUF012 - a table, never written
        429: "This request would exceed your account's rate limit. Please try again later.",
        529: "Overloaded",
    }

    def check_caller(self, headers: Mapping[str, str]) -> None:
        """Want a key in ``x-api-key`` or ``Authorization``, and ``anthropic-version``."""
        key = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not key:
            raise Problem(401, "x-api-key header is required")
        if key == BAD_KEY:
            raise Problem(401, "invalid x-api-key")
        if "anthropic-version" not in headers:
            raise Problem(400, "anthropic-version: header is required")

    def error_body(self, problem: Problem, stamp: Stamp) -> bytes:
        """Say *problem* as ``{"type": "error", "error": {type, message}, "request_id"}``."""
        inner: dict[str, Any] = {"type": self.error_type(problem.status), "message": problem.message}
        if problem.details is not None:
            inner["details"] = problem.details
        return orjson.dumps({"type": "error", "error": inner, "request_id": stamp.request_id})

    def error_type(self, status: int) -> str:
        """Return the type of an error with *status*."""
        default = "api_error" if status >= _FIRST_SERVER_ERROR else "invalid_request_error"
        return self._types.get(status, default)

    def headers(self, stamp: Stamp, input_tokens: int) -> dict[str, str]:
        """Name the request and the limits; resets are times in RFC 3339."""
        reset = datetime.fromtimestamp(stamp.time + 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        limits = {"requests": 4000, "tokens": 2_400_000, "input-tokens": 2_000_000, "output-tokens": 400_000}
        used = {"requests": 1, "tokens": input_tokens, "input-tokens": input_tokens}
        headers = {"request-id": stamp.request_id}
        for what, limit in limits.items():
            headers[f"anthropic-ratelimit-{what}-limit"] = str(limit)
            headers[f"anthropic-ratelimit-{what}-remaining"] = str(max(0, limit - used.get(what, 0)))
            headers[f"anthropic-ratelimit-{what}-reset"] = reset
        return headers

    def error_headers(self, problem: Problem) -> dict[str, str]:
        """Say whether to try again, and when."""
        again = problem.status == _RATE_LIMIT or problem.status >= _FIRST_SERVER_ERROR
        return {"x-should-retry": "true" if again else "false", **_retry_after(problem)}

    def unknown_model(self, model: str) -> Problem:
        """Refuse with 404 and the model's name."""
        return Problem(404, f"model: {model}")

    def fault_message(self, status: int) -> tuple[str, str | None]:
        """Say what the API says of *status*."""
        return self._messages.get(status, "Internal server error"), None


def _retry_after(problem: Problem) -> dict[str, str]:
    if problem.retry_after_seconds is None:
        return {}
    return {"retry-after": f"{problem.retry_after_seconds:g}"}


OPENAI = OpenAIDialect()
ANTHROPIC = AnthropicDialect()
