"""An error of OpenAI's, or of a server that is alike, said as Anthropic does.

Owns where the message is, and which kind of error it is. A body that is no JSON, such as a proxy's page, is not
handed on. Reference: https://docs.claude.com/en/api/errors
"""

from __future__ import annotations

import re
from typing import Any

from iron_adapters.wire.json_bodies import dump, load_reply
from iron_adapters.wire.sse import write_event
from iron_adapters.wire.translation.tables import ERRORS, ErrorWords, error_words
from iron_policy.exceptions import WireError

_STATUSES = range(400, 600)
_PAGE = re.compile(r"<\s*(?:!doctype|html|head|body)\b", re.IGNORECASE)
_QUOTA = "insufficient_quota"
"""OpenAI says it with 429, which clients try again; Anthropic has a status of its own for money."""
_BY_WORD = {words.openai: words for words in reversed(ERRORS)} | {
    words.code: words for words in ERRORS if words.code
}
"""The kinds of error by OpenAI's words, for where no status says it."""


def messages_error(status: int, body: bytes) -> tuple[int, bytes]:
    """Return the status and the body that say to Anthropic's clients what OpenAI's say with *status* and *body*."""
    try:
        document, _ = load_reply(body)
    except WireError:
        document = {}
    error = _error_of(document)
    words = _BY_WORD[_QUOTA] if _QUOTA in (error.get("code"), error.get("type")) else error_words(status)
    fallback = f"the provider answered with status {status} and no error that can be read"
    # Where neither table has the status, such as 502, it stays.
    status = words.status if status in {429, 503} else status
    return status, dump(_said(document, words, fallback))


def messages_error_event(document: dict[str, Any]) -> bytes:
    """Return the event for an error that stands in a stream, in place of its next chunk."""
    fallback = "the provider ended the stream with an error"
    return write_event(dump(_said(document, _words_alone(_error_of(document)), fallback)), "error")


def broken_event(message: str) -> bytes:
    """Return the event for a stream that cannot be brought to an end; *message* is ours."""
    return write_event(dump(_error("api_error", message)), "error")


def _error_of(document: dict[str, Any]) -> dict[str, Any]:
    """Return the error object; the document itself where a server writes the error's fields there."""
    error = document.get("error")
    return error if type(error) is dict else document


def _words_alone(error: dict[str, Any]) -> ErrorWords:
    """Return the words for an error that comes without a status; some servers give that as its ``code``."""
    code, kind = error.get("code"), error.get("type")
    if type(code) is int and code in _STATUSES:
        return error_words(code)
    found = [_BY_WORD[word] for word in (code, kind) if type(word) is str and word in _BY_WORD]
    return found[0] if found else error_words(500)


def _said(document: dict[str, Any], words: ErrorWords, fallback: str) -> dict[str, Any]:
    error = _error_of(document)
    found = [error.get("message"), document.get("error"), document.get("detail")]
    messages = [text for text in found if type(text) is str and text and not _PAGE.search(text)]
    said = _error(words.anthropic, messages[0] if messages else fallback)
    for key in ("param", "code"):
        if (value := error.get(key)) is not None:
            said["error"][key] = value
    return said


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}
