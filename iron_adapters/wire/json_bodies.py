"""JSON bodies as bytes: reading them so that no string can hide, writing them so that no number changes.

Owns the limits of what is read (requests: UTF-8, one value to a key, at most 254 levels) and the exactness of what is
written back. Knows no dialect and no text. No error here has a body in it or behind it: what failed to parse is told
after the parser's own exception, which holds the body, is gone.
"""

from __future__ import annotations

from typing import Any

import orjson

from iron_policy.exceptions import WireError

_LONG_INTEGER = b"0" * 20
"""orjson reads integers of 64 bits, which have up to 20 digits; a longer one becomes a float."""
_UNREADABLE = object()
_DIGITS = bytes(ord("0") if chr(code).isdigit() else ord(" ") for code in range(128)) + b" " * 128


def load_request(body: bytes) -> dict[str, Any]:
    """Read a request's body.

    Raises:
        WireError: it is no JSON object in UTF-8, is nested deeper than 254 levels, or has a key twice, so that the
            provider might read another text than the one that is judged here.
    """
    document = _parsed(body)
    if document is _UNREADABLE:
        raise WireError(_why_unreadable(body))
    if type(document) is not dict:
        raise WireError("the body is no JSON object")
    if not keeps_every_string(body, document):
        raise WireError("the body has an object with the same key twice: send each key once")
    return document


def load_reply(body: bytes, what: str = "the reply") -> tuple[dict[str, Any], bool]:
    """Read what a provider sent as leniently as its SDK does, also halves of surrogate pairs.

    Returns:
        The document, and whether the very bytes may be handed on: a key given twice hides its first value from whoever
        judges the document, and may show it to the caller.

    Raises:
        WireError: *body* is no JSON object, or is nested deeper than 254 levels.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = _UNREADABLE
    if type(document) is dict:
        return document, keeps_every_string(body, document, what)
    if document is _UNREADABLE:
        document = _parsed_leniently(body)
    if document is _UNREADABLE:
        raise WireError(f"{what} is no JSON that can be read")
    if type(document) is not dict:
        raise WireError(f"{what} is no JSON object")
    return document, False


def holds_json(text: str) -> bool:
    """Tell whether *text* is a JSON object or list."""
    try:
        return type(orjson.loads(text)) in {dict, list}
    except orjson.JSONDecodeError:
        return False


def _parsed(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return _UNREADABLE


def _why_unreadable(raw: bytes) -> str:
    """Return where *raw* is no JSON. The parser's own words go away with its exception."""
    if not raw.strip():
        return "the body is empty: send a JSON object"
    try:
        orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        where = f" (line {error.lineno}, column {error.colno})" if error.pos else ""
    return f"the body is no JSON that can be read{where}: send UTF-8, without NaN or infinity"


def _parsed_leniently(raw: bytes) -> Any:
    import json  # only here: no provider's reply has needed it yet

    try:
        return json.loads(raw)
    except ValueError:
        return _UNREADABLE


def keeps_every_string(raw: bytes, document: Any, what: str = "the body") -> bool:
    r"""Tell whether *document*, read from *raw*, still has every string of it: a key given twice loses its first value.

    Every string costs two quotes. What is written for *document* has those of *raw*, and one for each ``\u0022``;
    a lost key makes it fewer, and nothing else can make it more.

    Raises:
        WireError: *document* is nested deeper than 254 levels.
    """
    try:
        written = orjson.dumps(document)
    except orjson.JSONEncodeError:
        raise WireError(f"{what} is nested too deeply: use at most 254 levels") from None
    if written == raw:  # what SDKs write, compactly: far quicker than counting
        return True
    quotes = raw.count(b'"')
    if b"\\" in raw and b"\\u0022" in raw:
        # Not those behind a backslash of their own: they are a word.
        quotes += raw.replace(b"\\\\", b"").count(b"\\u0022")
    return written.count(b'"') == quotes


def dump(document: Any) -> bytes:
    """Write *document* compactly, also integers of more than 64 bits and halves of surrogate pairs."""
    try:
        return orjson.dumps(document)
    except orjson.JSONEncodeError:
        import json  # only here: three in a million bodies have such

        return json.dumps(document, separators=(",", ":")).encode()


def restore_long_integers(document: Any, raw: bytes) -> None:
    """Put integers of more than 64 bits back into *document*, which was read from *raw* and has still its shape."""
    if _LONG_INTEGER not in raw.translate(_DIGITS):
        return
    exact = _parsed_leniently(raw)
    if exact is _UNREADABLE:
        raise WireError("the body has a number with too many digits to be kept exact")
    _copy_integers(document, exact)


def _copy_integers(document: Any, exact: Any) -> None:
    pairs = enumerate(exact) if type(exact) is list else exact.items()
    for key, value in pairs:
        if type(value) is int and type(document[key]) is float:
            document[key] = value
        elif type(value) in {dict, list}:
            _copy_integers(document[key], value)
