"""How many input tokens a picture, a sound or a file can cost, without opening it.

Owns one sourced table of upper bounds. Knows no prices. A bound of ``None`` means that only the model's context
window bounds it: files that the provider stores or fetches, and PDFs, whose pages are counted as text and as images
and whose text is compressed, so that their size says nothing.

Sources:
    OpenAI, "Images and vision" (developers.openai.com/api/docs/guides/images-vision): an image is at most eight
    tiles of 512 pixels, at 2,833 + 5,667 a tile for gpt-4o-mini and less for all others; or at most 1,536 patches,
    at 2.46 tokens a patch for gpt-4.1-nano and less for all others. Models since gpt-5.4 take up to 10,000 patches at
    1.2 (detail ``original`` or ``auto``), and 2,500 at ``high``. For gpt-6 without a detail, 14,364 tokens were
    measured for 12 megapixels (huggingface.co/datasets/JOHNISKING/image-token-cost), so no cap is known: the bound
    here covers 50 megapixels.
    Anthropic, "Vision" (platform.claude.com/docs/en/build-with-claude/vision): about 1,600 tokens an image, and up
    to 4,784 on models that see 2,576 pixels.
    OpenAI, "Audio" (input is ten tokens a second); no codec in use needs less than a thousand bytes a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_GPT_4O_MINI_LOW = 2_833
_GPT_4O_MINI = 2_833 + 8 * 5_667
_UP_TO_1536_PATCHES = 3_800
_BOUNDED_DETAIL = 6_500
"""Detail ``low`` or ``high`` on a model we do not know; compatible servers charge up to 6,404 (docs.together.ai)."""
_ANY_DETAIL = 60_000
_ANTHROPIC_IMAGE = 5_000
_AUDIO_BYTES_PER_TOKEN = 50
_SMALL_IMAGES = (
    "gpt-4",
    "chatgpt-4o",
    "o1",
    "o3",
    "o4",
    "gpt-5-",
    "gpt-5.1",
    "gpt-5.2",
    "gpt-5.3",
    "computer-use",
)
_TEXT = ("data:text/", "data:application/json", "data:;base64")


def bound_of(body_bytes: int, media: Iterable[dict[str, Any]], model: str, provider_name: str) -> int | None:
    """Return the most input tokens that a body of *body_bytes* bytes with *media* in it can cost.

    A tokenizer makes at most one token of a byte. Encoded media count by the table above instead.
    """
    total = body_bytes
    for part in media:
        encoded = _encoded(part)
        tokens = _tokens(part, encoded, model, provider_name)
        if tokens is None:
            return None
        total += tokens - len(encoded)
    return total


def _tokens(part: dict[str, Any], encoded: str, model: str, provider_name: str) -> int | None:
    kind = part.get("type")
    if kind in _IMAGES:
        return _image_tokens(part, model, provider_name)
    if kind in {"input_audio", "audio"}:
        return len(encoded) // _AUDIO_BYTES_PER_TOKEN + 100 if encoded else None
    if kind == "search_result" or (kind == "document" and _is_open(part.get("source"))):
        return 0
    return len(encoded) if encoded.startswith(_TEXT) else None


_IMAGES = frozenset({"image", "image_url", "input_image", "computer_screenshot", "image_file"})


def _is_open(source: Any) -> bool:
    """Tell whether an Anthropic document stands in the body as text, where its bytes are counted."""
    return type(source) is dict and str(source.get("type")) in {"text", "content"}


def _image_tokens(part: dict[str, Any], model: str, provider_name: str) -> int:
    if provider_name == "anthropic" or model.startswith("claude"):
        return _ANTHROPIC_IMAGE
    holder = part.get("image_url")
    detail = (holder if type(holder) is dict else part).get("detail")
    if model.startswith("gpt-4o-mini"):
        return _GPT_4O_MINI_LOW if detail == "low" else _GPT_4O_MINI
    if model.startswith(_SMALL_IMAGES) or model == "gpt-5":
        return _UP_TO_1536_PATCHES
    return _BOUNDED_DETAIL if str(detail) in {"low", "high"} else _ANY_DETAIL


def _encoded(part: dict[str, Any]) -> str:
    """Return the encoded bytes of a part, ``""`` where it has none, such as behind a web address."""
    for key in ("image_url", "source", "file", "input_audio", "file_data"):
        value = part.get(key)
        if type(value) is dict:
            value = value.get("url") or value.get("data") or value.get("file_data")
            if key == "source" and part["source"].get("type") != "base64":
                continue
        if type(value) is str and not value.startswith(("http://", "https://")):
            return value
    return ""
