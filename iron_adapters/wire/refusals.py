"""Refusals as the providers' own errors, so that every SDK understands them.

Owns the shapes: OpenAI's and Anthropic's, whole and within a stream, and the two bodies of the Iron Cage contract for
money. Knows no policy, and puts no content into a message.
"""

from __future__ import annotations

from math import ceil
from typing import Any

import orjson

from iron_adapters.wire.sse import write_event
from iron_policy.exceptions import (
    BudgetExceeded,
    IronError,
    PolicyDenied,
    RateLimited,
    Untranslatable,
    WireError,
)

_ANTHROPIC_TYPES = {
    402: "billing_error",
    403: "permission_error",
    429: "rate_limit_error",
    503: "api_error",
}

_PROBLEM_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_OWN_FAULT = 500
_CENT = 0.01
_NO_THREADS = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
"""At which Anthropic's client sends its whole conversation instead: its tool runner begins a thread by itself."""


def headers(denied: PolicyDenied) -> dict[str, str]:
    """Return the headers of a refusal; SDKs obey ``x-should-retry`` before all else."""
    found = {"content-type": "application/json", "x-should-retry": "false"}
    if isinstance(denied, RateLimited) and denied.retry_after_seconds > 0:
        found["retry-after"] = str(ceil(denied.retry_after_seconds))
    return found


def openai_error(denied: PolicyDenied) -> dict[str, Any]:
    """Return OpenAI's error object."""
    message, kind, code = _in_words(denied)
    return {"message": message, "type": kind, "param": None, "code": code, "iron": _facts(denied)}


def openai_body(denied: PolicyDenied) -> bytes:
    """Return the body of a refusal in OpenAI's shape."""
    return orjson.dumps({"error": openai_error(denied)})


def openai_event(denied: PolicyDenied) -> bytes:
    """Return the end of a chat's stream that is refused half-way."""
    return write_event(openai_body(denied)) + b"data: [DONE]\n\n"


def responses_event(denied: PolicyDenied) -> bytes:
    """Return the end of a response's stream that is refused half-way.

    ``error`` stands in it twice: as the API's own event has it, and nested, which the SDK raises.
    """
    error = openai_error(denied)
    event = {
        "type": "error",
        "code": error["code"],
        "message": error["message"],
        "param": None,
        "sequence_number": 0,
    }
    return write_event(orjson.dumps({**event, "error": error}), "error")


def anthropic_body(denied: PolicyDenied) -> bytes:
    """Return the body of a refusal in Anthropic's shape."""
    message, _, code = _in_words(denied)
    kind = _ANTHROPIC_TYPES.get(denied.status_code, "invalid_request_error")
    error = {"type": kind, "message": message, "code": code, "iron": _facts(denied)}
    return orjson.dumps({"type": "error", "error": error, "request_id": denied.call_id})


def anthropic_event(denied: PolicyDenied) -> bytes:
    """Return the end of a message's stream that is refused half-way."""
    return write_event(anthropic_body(denied), "error")


def problem(error: IronError, dialect: str) -> bytes:
    """Return the body of an error that is no refusal, in the shape of *dialect*."""
    status, message = error.status_code, str(error)
    if dialect == "anthropic":
        kind = _PROBLEM_TYPES.get(status, "api_error" if status >= _OWN_FAULT else "invalid_request_error")
        said: dict[str, Any] = {"type": kind, "message": message, "code": error.code}
        if isinstance(error, Untranslatable) and error.param == "thread":
            said["details"] = _NO_THREADS
        return orjson.dumps({"type": "error", "error": said | _unread(error)})
    kind = "server_error" if status >= _OWN_FAULT else "invalid_request_error"
    param = getattr(error, "param", "") or None
    said = {"message": message, "type": kind, "param": param, "code": error.code}
    return orjson.dumps({"error": said | _unread(error)})


def problem_event(error: IronError, dialect: str, endpoint: str) -> bytes:
    """Return the end of a stream that broke: an error, and no end that would look like a whole reply."""
    body = problem(error, dialect)
    if dialect == "anthropic":
        return write_event(body, "error")
    if endpoint != "/responses":
        return write_event(body)
    inner = {"code": error.code, "message": str(error), "param": None, "sequence_number": 0}
    return write_event(orjson.dumps({"type": "error", **inner, "error": inner}), "error")


def _in_words(denied: PolicyDenied) -> tuple[str, str, str]:
    """Return message, type and code; for money those of the Iron Cage contract."""
    if not isinstance(denied, BudgetExceeded):
        return denied.reason, "policy_denied", denied.code
    left = denied.limit_usd - denied.spent_usd - denied.held_usd
    if left > 0:
        # Four places are the contract's; below a cent they would say that there is more than there is.
        available = f"{left:.4f}" if left >= _CENT else f"{left:.8f}"
        message = f"Iron Cage insufficient budget for request. Available: ${available}. {denied.reason}"
        return message, "iron_cage_insufficient_budget", "insufficient_budget"
    message = (
        f"Iron Cage budget limit exceeded. Spent: ${denied.spent_usd:.2f}, Reserved: ${denied.held_usd:.2f}, "
        f"Limit: ${denied.limit_usd:.2f}. {denied.reason}"
    )
    return message, "iron_cage_budget_exceeded", "budget_exceeded"


def _unread(error: IronError) -> dict[str, Any]:
    """Return what it takes to raise *error* again, where it speaks of a body that cannot be read."""
    if not isinstance(error, WireError):
        return {}
    facts = {"code": error.code, "reason": str(error), "param": getattr(error, "param", "")}
    return {"iron": facts}


def _facts(denied: PolicyDenied) -> dict[str, Any]:
    """Return what it takes to raise *denied* again in the process that has asked: no text, but where it stood."""
    facts: dict[str, Any] = {
        "code": denied.code,
        "reason": denied.reason,
        "call_id": denied.call_id,
        "of_reply": denied.of_reply,
        "findings": [finding._asdict() for finding in denied.findings],
    }
    if isinstance(denied, BudgetExceeded):
        facts |= {
            "scope": denied.scope,
            "spent_usd": float(denied.spent_usd),
            "held_usd": float(denied.held_usd),
            "limit_usd": float(denied.limit_usd),
        }
    if isinstance(denied, RateLimited):
        facts["retry_after_seconds"] = denied.retry_after_seconds
    return facts
