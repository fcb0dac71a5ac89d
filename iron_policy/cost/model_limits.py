"""How many output tokens a model can produce at most, where the price table does not say.

Owns one small table of model families. Knows no price. A family that is missing has no limit here, and its
bound then falls back on the context window, which is higher and therefore safe.
"""

from __future__ import annotations

from typing import Final

# OpenAI: https://developers.openai.com/api/docs/models, one page per model, "max output tokens".
# Anthropic: https://platform.claude.com/docs/en/about-claude/models/overview, row "Max output". Claude 3.7 Sonnet
# reaches 128,000 under the beta header output-128k-2025-02-19, and a bound must cover that.
_MOST_OUTPUT: Final[dict[str, int]] = {
    "gpt-3.5-turbo": 4_096,
    "gpt-3.5-turbo-16k": 16_384,
    "gpt-4": 8_192,
    "gpt-4-32k": 32_768,
    "gpt-4-turbo": 4_096,
    "gpt-4-vision-preview": 4_096,
    "chatgpt-4o-latest": 16_384,
    "gpt-4o": 16_384,
    "gpt-4o-2024-05-13": 4_096,
    "gpt-4o:extended": 64_000,
    "gpt-4o-mini": 16_384,
    "gpt-4.1": 32_768,
    "gpt-4.1-mini": 32_768,
    "gpt-4.1-nano": 32_768,
    "gpt-4.5-preview": 16_384,
    "gpt-5": 128_000,
    "gpt-5-pro": 272_000,
    "gpt-5.1": 128_000,
    "gpt-5.2": 128_000,
    "gpt-5.3": 128_000,
    "gpt-5.4": 128_000,
    "gpt-5.5": 128_000,
    "gpt-5.6": 128_000,
    "gpt-6": 128_000,
    "gpt-6.1": 128_000,
    "gpt-6.2": 128_000,
    "gpt-oss": 131_072,
    "o1": 100_000,
    "o1-mini": 65_536,
    "o1-preview": 32_768,
    "o3": 100_000,
    "o4-mini": 100_000,
    "codex-mini": 100_000,
    "claude-2": 4_096,
    "claude-3-haiku": 4_096,
    "claude-3-sonnet": 4_096,
    "claude-3-opus": 4_096,
    "claude-3-5-haiku": 8_192,
    "claude-3-5-sonnet": 8_192,
    "claude-3-7-sonnet": 128_000,
    "claude-opus-4-0": 32_000,
    "claude-opus-4-1": 32_000,
    "claude-sonnet-4-0": 64_000,
    "claude-sonnet-4-5": 64_000,
    "claude-haiku-4-5": 64_000,
    "claude-opus-4-5": 64_000,
    "claude-opus-4-6": 128_000,
    "claude-opus-4-7": 128_000,
    "claude-opus-4-8": 128_000,
    "claude-sonnet-4-6": 128_000,
    "claude-fable-5": 128_000,
    "claude-opus-5": 128_000,
    "claude-sonnet-5": 128_000,
}

# `claude-opus-5-5` would otherwise count as a `claude-opus-5`: a later model is none of its family.
_UNLISTED: Final = ("claude-fable-5-", "claude-opus-5-", "claude-sonnet-5-")


def most_output_tokens(model: str) -> int | None:
    """Return the most output tokens per choice that *model* can produce, ``None`` where no source is known.

    *model* is an id of the price table; a leading vendor such as ``openai/`` is ignored.
    """
    name = model.lower().rpartition("/")[2]
    if name.startswith(_UNLISTED):
        return None
    while name:
        if name in _MOST_OUTPUT:
            return _MOST_OUTPUT[name]
        name = name.rpartition("-")[0]
    return None
