"""Which strings in a body say nothing: words of closed sets, ids the provider gave, what it sealed, encoded media.

Owns the shapes. A key alone proves nothing, since anybody can write anything under it: a string is silent only where
it looks like what its key announces. Everything else is a text.
"""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Any

WORDS = frozenset({
    "type", "object", "role", "status", "phase", "detail", "format", "execution", "media_type", "mime_type", "mimeType",
    "index", "mode", "syntax", "service_tier", "reasoning_effort", "effort", "verbosity", "truncation", "tool_choice",
    "function_call", "modalities", "include", "encoding_format", "voice", "ttl", "speed", "betas", "inference_geo",
    "prompt_cache_retention", "search_context_size", "require_approval", "stop_reason", "finish_reason", "contentEncoding",
    "contentMediaType", "server_name", "server_label", "generate_summary", "allowed_callers", "display",
})  # fmt: skip
"""Keys whose strings, or lists of such, are choices of a closed set."""

IDS = frozenset({
    "id", "call_id", "tool_call_id", "tool_use_id", "tool_id", "item_id", "file_id", "response_id", "container_id",
    "approval_request_id", "caller_id", "vector_store_id", "vector_store_ids", "approval_id", "session_id",
    "previous_response_id", "container", "conversation", "file_ids", "skill_id", "request_id", "connector_id",
})  # fmt: skip
"""Keys whose strings are ids."""

SEALED = frozenset({
    "signature", "encrypted_content", "encrypted_index", "encrypted_stdout", "obfuscation", "thought_signature",
})  # fmt: skip
"""Keys whose strings only the provider can read."""

IDENTIFIERS = WORDS | IDS | SEALED
"""Keys whose strings are names given by the provider, choices of a closed set, or sealed by the provider."""

ENCODED = frozenset({
    "data", "file_data", "b64_json", "base64", "image_url", "url", "file_url", "image", "blob", "partial_image_b64",
    "result",
})  # fmt: skip
"""Keys that may hold encoded bytes, as base64 or as a ``data:`` URL, in place of text."""

SILENT = IDENTIFIERS | ENCODED

_MEDIA_KEYS = frozenset({"b64_json", "partial_image_b64", "file_data", "image"})
_WORD = re.compile(
    r"(?:[a-z]{1,24}\d{0,8}|\d{1,4}[a-z]{0,2})(?:[._+/-](?:[a-z]{1,24}\d{0,8}|\d{8}|\d{1,2}))*"
)
_ID = re.compile(
    r"(?:call|toolu|srvtoolu|mcptoolu|msg|rs|fc|fco|ctc|ctco|ws|fs|ig|ci|cu|cuo|mcp|mcpr|mcpa|mcpl|lsh|lsho|sh|sho|ap|apo"
    r"|resp|conv|item|file|cntr|container|vs|chatcmpl|cmpl|gen|asst|thread|run|lc|step|req|at|skill|pmpt|part|cmp)"
    r"[_-][A-Za-z0-9_-]{1,512}"
    r"|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{1,6}|[A-Za-z][A-Za-z0-9]{0,11}|[a-z]{1,12}_[A-Za-z0-9]{1,6}"
)
_MEDIA_TYPE = re.compile(
    r"(?:image|audio|video)/[a-z0-9.+-]{1,64}|application/(?:pdf|zip|msword|octet-stream|rtf|vnd\.[a-z0-9.+-]{1,96})"
)
_TEXT_TYPE = re.compile(r"text/[a-z0-9.+-]{1,64}|application/(?:json|xml|yaml|x-yaml|javascript)")
_SOUNDS = frozenset(
    {"wav", "mp3", "flac", "opus", "aac", "ogg", "pcm16", "g711_ulaw", "g711_alaw", "m4a", "webm"}
)
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\r\n"
_SEAL = _BASE64 + b"-_"
_LEAST = 64
"""Base64 that is shorter could as well be a name or a key; as a text it is judged, and passes."""


def is_word(text: str) -> bool:
    """Tell whether *text* is a word such as ``input_text``, ``image/png`` or ``web_search_20250305``."""
    return _WORD.fullmatch(text) is not None


def is_silent(part: dict[str, Any], key: str, value: str) -> bool:
    """Tell whether the string *value* under *key* of *part*, one of ``SILENT``, says nothing."""
    if key in WORDS:
        return is_word(value)
    if key in IDS:
        return _ID.fullmatch(value) is not None
    if key in SEALED:
        return _is_base64(value, _SEAL) or is_word(value)
    return is_encoded(part, key, value)


def is_encoded(part: dict[str, Any], key: str, value: str) -> bool:
    """Tell whether ``part[key]`` is media in base64, alone or as a ``data:`` URL, rather than text."""
    if value.startswith("data:"):
        media_type, _, encoded = value[5:].partition(";base64,")
        media_type = media_type.partition(";")[0]
        return _MEDIA_TYPE.fullmatch(media_type) is not None and _is_base64(encoded, _BASE64)
    if len(value) < _LEAST:
        return False
    if key == "data" and part.get("type") == "redacted_thinking":
        return _is_base64(value, _SEAL)
    return _is_media(part, key) and _is_base64(value, _BASE64)


def text_within(part: dict[str, Any], key: str, value: str) -> tuple[str, str] | None:
    """Return what ``part[key]`` says in base64, and what stands before that; ``None`` where it says nothing so."""
    head, found, encoded = value.partition(";base64,")
    if found and head.startswith("data:"):
        media_type, head = head[5:].partition(";")[0], head + found
    else:
        media_type, head, encoded = str(_declared(part)), "", value
    if key not in ENCODED or part.get("type") == "text" or not _TEXT_TYPE.fullmatch(media_type):
        return None
    try:
        return b64decode(encoded, validate=True).decode(), head
    except ValueError:
        return None


def _declared(part: dict[str, Any]) -> Any:
    return part.get("media_type") or part.get("mime_type") or part.get("mimeType")


def _is_media(part: dict[str, Any], key: str) -> bool:
    """Tell whether *part* announces that its *key* is media."""
    declared = _declared(part)
    if declared is not None:
        return _MEDIA_TYPE.fullmatch(str(declared)) is not None
    kind = part.get("type")
    if key in _MEDIA_KEYS:
        return kind != "text"
    if key == "data":
        return kind == "base64" or "transcript" in part or str(part.get("format")) in _SOUNDS
    return key == "result" and kind == "image_generation_call"


def _is_base64(value: str, alphabet: bytes) -> bool:
    return len(value) >= _LEAST and value.isascii() and not value.encode().translate(None, alphabet)


def is_sound(value: str) -> bool:
    """Tell whether *value* can be a piece of sound in base64."""
    return value.isascii() and not value.encode().translate(None, _BASE64)
