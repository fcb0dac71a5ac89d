"""The endpoints that answer without speaking: embeddings, moderations, and the counting of tokens.

Owns their shapes and their made-up results. A vector depends on its text alone.
"""

from __future__ import annotations

import array
import base64
import hashlib
import math
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from iron_adapters.testing.anthropic_request import count_prompt
from iron_adapters.testing.dialects import ANTHROPIC, OPENAI
from iron_adapters.testing.openai_reading import positive, required
from iron_adapters.testing.tokens import count_input_tokens
from iron_policy.messages import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iron_adapters.testing.dialects import Dialect
    from iron_adapters.testing.stamp import Stamp

FLAG_MARKER = "[flag]"
"""A text with this in it is flagged by moderation."""

_DIMENSIONS = {"text-embedding-3-large": 3072}
_DEFAULT_DIMENSIONS = 1536
_CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "sexual",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm/intent",
    "self-harm/instructions",
    "self-harm",
    "sexual/minors",
    "violence",
    "violence/graphic",
)


class Found(NamedTuple):
    """A result, and what it costs: nothing where ``usage`` is ``None``."""

    body: dict[str, Any]
    usage: Usage | None = None


class LookupEndpoint(Protocol):
    """An endpoint that answers in one piece, without a model speaking."""

    path: str
    dialect: Dialect

    def find(self, body: Mapping[str, Any], body_bytes: int, model: str, stamp: Stamp, /) -> Found:
        """Return the result for *body*, under the dated name *model*."""
        ...


class Embeddings:
    """``POST /v1/embeddings``: unit vectors, as floats or in base64, of texts or of token ids."""

    path = "/v1/embeddings"
    dialect: Dialect = OPENAI

    def find(self, body: Mapping[str, Any], body_bytes: int, model: str, _stamp: Stamp) -> Found:
        """Return a vector for each input."""
        inputs = _inputs(required(body, "input"))
        dimensions = positive(body, "dimensions") or _DIMENSIONS.get(model, _DEFAULT_DIMENSIONS)
        tokens = sum(count_input_tokens({"": item}, body_bytes) for item in inputs)
        in_base64 = body.get("encoding_format") == "base64"
        data = [
            {"object": "embedding", "index": index, "embedding": _vector(str(item), dimensions, in_base64)}
            for index, item in enumerate(inputs)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        result = {"object": "list", "data": data, "model": model, "usage": usage}
        return Found(result, Usage(uncached_input_tokens=tokens))


class Moderations:
    """``POST /v1/moderations``: every text is harmless, unless ``[flag]`` stands in it. Costs nothing."""

    path = "/v1/moderations"
    dialect: Dialect = OPENAI

    def find(self, body: Mapping[str, Any], _body_bytes: int, model: str, stamp: Stamp) -> Found:
        """Return one result for each input."""
        given = required(body, "input")
        inputs = given if isinstance(given, list) else [given]
        results = [_moderation(FLAG_MARKER in str(item)) for item in inputs]
        return Found({"id": f"modr-{stamp.name('moderation', 24)}", "model": model, "results": results})


class CountTokens:
    """``POST /v1/messages/count_tokens``: the input tokens that the same message would be billed for."""

    path = "/v1/messages/count_tokens"
    dialect: Dialect = ANTHROPIC

    def find(self, body: Mapping[str, Any], body_bytes: int, _model: str, _stamp: Stamp) -> Found:
        """Return the count."""
        return Found({"input_tokens": count_prompt(body, body_bytes)})


def _inputs(given: Any) -> list[Any]:
    """Return one item per vector: texts, or lists of token ids."""
    if isinstance(given, str) or isinstance(given[0], int):
        return [given]
    return list(given)


def _vector(text: str, dimensions: int, in_base64: bool) -> list[float] | str:
    numbers = array.array("h", hashlib.shake_256(text.encode()).digest(2 * dimensions))
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    vector = array.array("f", (number / length for number in numbers))
    return base64.b64encode(vector.tobytes()).decode() if in_base64 else vector.tolist()


def _moderation(flagged: bool) -> dict[str, Any]:
    hit = "violence"
    return {
        "flagged": flagged,
        "categories": {name: flagged and name == hit for name in _CATEGORIES},
        "category_scores": {name: 0.9 if flagged and name == hit else 0.0001 for name in _CATEGORIES},
        "category_applied_input_types": {name: ["text"] for name in _CATEGORIES},
    }
