"""Endpoints that cost nothing: counting tokens, moderation, lists of models.

Owns which they are. Their texts leave all the same, so they are listed and rewritten like any other; nothing is held
or charged. Where no text leaves and none returns, the request passes as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from iron_adapters.wire import anthropic_messages, openai_responses
from iron_adapters.wire.bodies import WireRequest, WireResponse, model_of, retry_count
from iron_adapters.wire.json_bodies import load_reply, load_request
from iron_adapters.wire.json_texts import JsonTexts
from iron_adapters.wire.openai_embeddings import walk_texts
from iron_policy.messages import ModelRequest

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_count_tokens(body: bytes, headers: Mapping[str, str], provider_name: str) -> WireRequest:
    """Read a request to count a message's tokens.

    Raises:
        WireError: it cannot be read.
    """
    return _unbilled(anthropic_messages.read_request(body, headers, provider_name))


def read_input_tokens(body: bytes, headers: Mapping[str, str], provider_name: str) -> WireRequest:
    """Read a request to count a response's tokens.

    Raises:
        WireError: it cannot be read.
    """
    return _unbilled(openai_responses.read_request(body, headers, provider_name))


def _unbilled(wire: WireRequest) -> WireRequest:
    wire.request = wire.request._replace(billed=False, max_tokens=0)
    return wire


def read_moderation(body: bytes, headers: Mapping[str, str], provider_name: str) -> WireRequest:
    """Read a request for moderation.

    Raises:
        WireError: it cannot be read.
    """
    document = load_request(body)
    texts = JsonTexts()
    for key in document:
        if key == "input":
            walk_texts(texts, document, key, "user")
        elif key != "model":
            texts.walk_entry(document, key, "user", "")
    request = ModelRequest(
        provider_name=provider_name,
        model=model_of(document, "omni-moderation-latest"),
        texts=tuple(texts.texts),
        parameter_names=tuple(document),
        max_tokens=0,
        input_tokens_bound=len(body),
        retry_count=retry_count(headers),
        billed=False,
    )
    return WireRequest(body, document, texts, request)


def read_response(body: bytes) -> WireResponse:
    """Read a reply that has numbers only.

    Raises:
        WireError: it cannot be read.
    """
    document, exact = load_reply(body)
    return WireResponse(body, document, JsonTexts(), exact=exact)
