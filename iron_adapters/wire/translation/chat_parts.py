"""The parts of a chat message's content as Anthropic's blocks: text, images, files, and marks for the cache.

Owns one part at a time. Knows no roles and no order of messages.
"""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any

from iron_adapters.wire.translation.chat_fields import check_keys, expect, quoted, refuse, refuse_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MARKS = ("cache_control", "prompt_cache_breakpoint")
_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
"""What Claude can look at (https://docs.claude.com/en/docs/build-with-claude/vision)."""
_WHOLE_DETAILS = ("auto", "high", None)
"""Claude always looks closely; anything else would cost another number of tokens than was asked for."""
_LIFETIMES = {None: {}, "30m": {"ttl": "1h"}}
"""Anthropic's cache keeps for 5 minutes, or for an hour, which covers the half hour that OpenAI promises."""


def blocks_of(content: Any, place: str) -> list[dict[str, Any]]:
    """Return *content*, a string or a list of parts, as blocks; empty texts, which Anthropic refuses, say nothing.

    Raises:
        Untranslatable: a part has no equal.
    """
    if content is None:
        return []
    if type(content) is str:
        return [text_block(content)] if content.strip() else []
    parts = expect(content, list, place, "a string or a list of content parts")
    blocks = (block_of(part, f"{place}[{index}]") for index, part in enumerate(parts))
    return [block for block in blocks if block["type"] != "text" or block["text"].strip()]


def text_block(text: str) -> dict[str, Any]:
    """Return a block of text."""
    return {"type": "text", "text": text}


def block_of(part: Any, place: str) -> dict[str, Any]:
    """Return one part as a block.

    Raises:
        Untranslatable: it has no equal.
    """
    expect(part, dict, place, "a content part")
    kind = part.get("type")
    reader = _READERS.get(kind) if type(kind) is str else None
    if reader is None:
        raise refuse(f"{place}.type", f"Claude takes no {quoted(kind)}; say it in text")
    return marked(reader(part, place), part, place)


def marked(block: dict[str, Any], holder: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return *block* with the mark for the cache that *holder* has.

    Raises:
        Untranslatable: the cache is to keep longer than Anthropic's does.
    """
    if holder.get("cache_control") is not None:
        return {**block, "cache_control": holder["cache_control"]}
    given = holder.get("prompt_cache_breakpoint")
    if given is None:
        return block
    where = f"{place}.prompt_cache_breakpoint"
    check_keys(expect(given, dict, where, "an object"), ("mode", "ttl"), where)
    ttl = given.get("ttl")
    if ttl is not None and ttl not in tuple(_LIFETIMES):
        raise refuse(f"{where}.ttl", "Anthropic's cache keeps for an hour at most; leave it out")
    return {**block, "cache_control": {"type": "ephemeral", **_LIFETIMES[ttl]}}


def _text(part: dict[str, Any], place: str) -> dict[str, Any]:
    check_keys(part, ("type", "text", *_MARKS), place)
    return text_block(expect(part.get("text"), str, f"{place}.text", "a string"))


def _refusal(part: dict[str, Any], place: str) -> dict[str, Any]:
    check_keys(part, ("type", "refusal"), place)
    return text_block(expect(part.get("refusal"), str, f"{place}.refusal", "a string"))


def _image(part: dict[str, Any], place: str) -> dict[str, Any]:
    check_keys(part, ("type", "image_url", *_MARKS), place)
    where = f"{place}.image_url"
    image = expect(part.get("image_url"), dict, where, "an object with a 'url'")
    check_keys(image, ("url", "detail"), where)
    if image.get("detail") not in _WHOLE_DETAILS:
        raise refuse(
            f"{where}.detail", "Claude has one way of looking; leave it out, or send a smaller image"
        )
    url = expect(image.get("url"), str, f"{where}.url", "a string")
    if url.startswith(("https://", "http://")):
        return {"type": "image", "source": {"type": "url", "url": url}}
    media_type, data = _from_data_url(url, f"{where}.url")
    if media_type not in _IMAGES:
        raise refuse(f"{where}.url", "Claude looks at JPEG, PNG, GIF and WebP only; convert the image")
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


def _file(part: dict[str, Any], place: str) -> dict[str, Any]:
    check_keys(part, ("type", "file", *_MARKS), place)
    where = f"{place}.file"
    file = expect(part.get("file"), dict, where, "an object")
    if file.get("file_id") is not None:
        raise refuse(f"{where}.file_id", "the file lies with OpenAI; send it as 'file_data'")
    check_keys(file, ("file_data", "filename"), where)
    data = expect(file.get("file_data"), str, f"{where}.file_data", "a data: URL")
    title = file.get("filename")
    block = {"type": "document", "source": _document(data, f"{where}.file_data")}
    return block if title is None else {**block, "title": expect(title, str, f"{where}.filename", "a string")}


def _document(url: str, place: str) -> dict[str, Any]:
    media_type, data = _from_data_url(url, place)
    if media_type == "application/pdf":
        return {"type": "base64", "media_type": media_type, "data": data}
    if not media_type.startswith("text/"):
        raise refuse(place, "Claude reads PDF and plain text only; convert the file")
    try:
        text = b64decode(data, validate=True).decode()
    except ValueError:
        text = None
    if text is None:
        raise refuse_shape(place, "UTF-8 text in base64")
    return {"type": "text", "media_type": "text/plain", "data": text}


def _from_data_url(url: str, place: str) -> tuple[str, str]:
    head, found, data = url.partition(";base64,")
    if not found or not head.startswith("data:"):
        raise refuse_shape(place, "an http(s) URL of an image, or a data: URL with base64")
    return head[5:].partition(";")[0].lower(), data


def _thinking(part: dict[str, Any], place: str) -> dict[str, Any]:
    """Return thinking as Anthropic signed it: such blocks come back as they went out."""
    keys = ("data",) if part["type"] == "redacted_thinking" else ("thinking", "signature")
    check_keys(part, ("type", "index", *keys), place)
    said = {key: expect(part.get(key), str, f"{place}.{key}", "the string that came back") for key in keys}
    return {"type": part["type"], **said}


_READERS: Mapping[str, Callable[[dict[str, Any], str], dict[str, Any]]] = {
    "text": _text,
    "refusal": _refusal,
    "image_url": _image,
    "file": _file,
    "thinking": _thinking,
    "redacted_thinking": _thinking,
}
