"""The providers' wire formats, as pure functions on JSON: where texts are, what a call used, how to refuse.

Owns every fact about OpenAI's and Anthropic's bodies and streams. Does no I/O, decides nothing, and knows no SDK.

::

    codec = codec_for("POST", "/v1/chat/completions")
    wire = codec.read_request(body, headers)      # wire.request.texts, .tool_names, .max_tokens, ...
    wire.rewrite(texts)                           # as many as were listed, in their order
    send(wire.body())                             # the very bytes that came, where nothing changed
"""

from __future__ import annotations

from iron_adapters.wire.bodies import WireRequest, WireResponse
from iron_adapters.wire.codecs import PASS, Codec, Pass, codec_for
from iron_adapters.wire.streaming import StreamRewriter, TextReview
from iron_policy.messages import Channel

__all__ = [
    "PASS",
    "Channel",
    "Codec",
    "Pass",
    "StreamRewriter",
    "TextReview",
    "WireRequest",
    "WireResponse",
    "codec_for",
]
