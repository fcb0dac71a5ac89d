"""OpenAI's legacy completions: a prompt in, texts out, whole or streamed.

Owns the places of text in them. Reference: https://platform.openai.com/docs/api-reference/completions
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from iron_adapters.wire.bodies import (
    UsageOnRequest,
    WireResponse,
    count_of,
    limit_of,
    model_of,
    other_models,
    retry_count,
)
from iron_adapters.wire.json_bodies import load_reply, load_request
from iron_adapters.wire.json_texts import JsonTexts
from iron_adapters.wire.openai_chat import REPLY_KEYS, choices_of
from iron_adapters.wire.openai_chat_stream import ChatStream
from iron_adapters.wire.openai_embeddings import walk_texts
from iron_adapters.wire.streaming import OpenText
from iron_adapters.wire.usage import openai_usage, word
from iron_policy.messages import Channel, ModelRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

_LIMITS = ("max_tokens",)
_CHOICE_KEYS = frozenset({"index", "logprobs"})


def read_request(body: bytes, headers: Mapping[str, str], provider_name: str) -> UsageOnRequest:
    """Read a request for a completion.

    Raises:
        WireError: it cannot be read, or its prompt is token ids.
    """
    document = load_request(body)
    texts = JsonTexts()
    for key in document:
        if key == "prompt":
            walk_texts(texts, document, key, "user")
        elif key != "model":
            texts.walk_entry(document, key, "user", "")
    prompt = document.get("prompt")
    prompts = max(len(prompt), 1) if type(prompt) is list else 1
    request = ModelRequest(
        provider_name=provider_name,
        operation_name="text_completion",
        model=model_of(document),
        texts=tuple(texts.texts),
        other_models=other_models(document),
        service_tier=word(document.get("service_tier")),
        parameter_names=tuple(document),
        max_tokens=limit_of(document, _LIMITS),
        choice_count=prompts * max(count_of(document, "n"), count_of(document, "best_of")),
        stream=bool(document.get("stream")),
        input_tokens_bound=len(body),
        retry_count=retry_count(headers),
    )
    return UsageOnRequest(body, document, texts, request, _LIMITS)


def read_response(body: bytes) -> WireResponse:
    """Read a whole completion.

    Raises:
        WireError: it cannot be read.
    """
    document, exact = load_reply(body)
    texts = JsonTexts()
    reasons = []
    for index, choice in enumerate(choices_of(texts, document)):
        first = len(texts.texts)
        texts.walk_rest(choice, _CHOICE_KEYS, "assistant", f"choices[{index}]")
        if type(reason := choice.get("finish_reason")) is str:
            reasons.append(reason)
        if choice.get("logprobs"):
            texts.when_changed(first, partial(choice.update, logprobs=None))
    texts.walk_rest(document, REPLY_KEYS, "assistant", "")
    usage = openai_usage(document.get("usage"), document.get("service_tier"))
    return WireResponse(body, document, texts, exact=exact, finish_reasons=reasons, usage=usage)


class CompletionStream(ChatStream):
    """The stream of a completion: chunks as in a chat, with ``text`` in place of ``delta``."""

    _object = "text_completion"
    _choice_keys = frozenset({"index", "text", "finish_reason", "logprobs"})

    def _take_text(self, choice: dict[str, Any]) -> dict[str, Any]:
        said, choice["text"] = choice.get("text"), ""
        return {"text": said} if said else {}

    def _rewrite_texts(self, number: int, choice: dict[str, Any]) -> bool:
        if type(choice.get("text")) is not str or not choice["text"]:
            return False
        return self._piece(choice, "text", number, ("text",))

    def _begin_text(self, number: int, path: tuple[Any, ...]) -> OpenText:
        del path
        return OpenText(Channel(f"choices[{number}].text"), lambda text: self._chunk(number, {"text": text}))

    def _choice(self, number: int, delta: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
        return {"text": "", "index": number, "logprobs": None, "finish_reason": finish_reason, **delta}
