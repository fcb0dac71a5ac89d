"""OpenAI's embeddings: texts in, numbers out.

Owns the places of text in a request; the reply has none. Token ids are refused: nobody can judge what they say.
Reference: https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.wire.bodies import WireRequest, WireResponse, model_of, retry_count
from iron_adapters.wire.json_bodies import load_reply, load_request
from iron_adapters.wire.json_texts import JsonTexts
from iron_adapters.wire.media import bound_of
from iron_adapters.wire.usage import openai_usage
from iron_policy.exceptions import WireError
from iron_policy.messages import ModelRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iron_policy.messages import Role

_UNREADABLE = "token ids cannot be judged: send text (with LangChain, OpenAIEmbeddings(check_embedding_ctx_length=False))"


def read_request(body: bytes, headers: Mapping[str, str], provider_name: str) -> WireRequest:
    """Read a request for embeddings.

    Raises:
        WireError: it cannot be read, or its input is token ids.
    """
    document = load_request(body)
    texts = JsonTexts()
    for key in document:
        if key == "input":
            walk_texts(texts, document, key, "document")
        elif key != "model":
            texts.walk_entry(document, key, "user", "")
    model = model_of(document)
    request = ModelRequest(
        provider_name=provider_name,
        operation_name="embeddings",
        model=model,
        texts=tuple(texts.texts),
        parameter_names=tuple(document),
        max_tokens=0,
        input_tokens_bound=bound_of(len(body), texts.media, model, provider_name),
        retry_count=retry_count(headers),
    )
    return WireRequest(body, document, texts, request)


def walk_texts(texts: JsonTexts, container: dict[str, Any], key: str, role: Role) -> None:
    """List an input of one text or several.

    Raises:
        WireError: it is token ids.
    """
    value = container[key]
    if type(value) is list:
        for item in value:
            if type(item) in {int, float} or (
                type(item) is list and any(type(leaf) is not str for leaf in item)
            ):
                raise WireError(_UNREADABLE)
    texts.walk(container, key, role, key)


def read_response(body: bytes) -> WireResponse:
    """Read the usage of a reply; its numbers are no text, and its bytes stay as they are.

    Raises:
        WireError: it cannot be read.
    """
    document, exact = load_reply(body)
    usage = openai_usage(document.get("usage"), makes_output=False)
    return WireResponse(body, document, JsonTexts(), exact=exact, usage=usage)
