"""Anthropic's errors as OpenAI's: whole, and within a stream.

Owns the shape. The words are in ``tables``. A body that is no error of Anthropic's, such as a proxy's page, is not
handed on.
"""

from __future__ import annotations

from typing import Any

from iron_adapters.wire.json_bodies import dump, load_reply
from iron_adapters.wire.sse import write_event
from iron_adapters.wire.translation.tables import error_words
from iron_policy.exceptions import WireError

_STATUSES = {529: 503}
"""OpenAI's own status where Anthropic has one that no other client knows; OpenAI's SDK retries either."""
_OURS = frozenset({"budget_exceeded", "insufficient_budget"})
DONE = b"data: [DONE]\n\n"


def error_reply(status: int, body: bytes) -> tuple[int, bytes]:
    """Return an error of Anthropic's with the status and the body that a caller of OpenAI expects."""
    try:
        document, _ = load_reply(body)
    except WireError:
        document = {}
    return _STATUSES.get(status, status), dump({"error": _error(status, document)})


def error_event(document: dict[str, Any]) -> bytes:
    """Return the end of a stream in which Anthropic sent an error."""
    return write_event(dump({"error": _error(500, document)})) + DONE


def _error(status: int, document: dict[str, Any]) -> dict[str, Any]:
    error = document.get("error")
    error = error if type(error) is dict else {}
    kind, message = error.get("type"), error.get("message")
    words = error_words(status, kind)
    if type(message) is not str:
        message = f"Anthropic answered with status {status}, and with no error that can be read"
    said = {
        "message": message,
        "type": words.openai,
        "param": None,
        "code": _code(kind, message) or words.code,
    }
    return {**said, **_of_ours(error)}


def _code(kind: Any, message: str) -> str | None:
    """Return the codes that clients act on, and which Anthropic tells by its message only."""
    if kind == "not_found_error" and "model" in message:
        return "model_not_found"
    if kind == "invalid_request_error" and message.startswith("prompt is too long"):
        return "context_length_exceeded"
    return None


def _of_ours(error: dict[str, Any]) -> dict[str, Any]:
    """Return what a refusal of the policy says besides, in the words it has for callers of OpenAI."""
    code = error.get("code")
    if type(code) is not str or "iron" not in error:
        return {}
    kind = f"iron_cage_{code}" if code in _OURS else "policy_denied"
    return {"type": kind, "code": code, "iron": error["iron"]}
