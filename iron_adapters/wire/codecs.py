"""Which endpoint speaks which dialect.

Owns the way from a method and a path to a codec. An endpoint that is not in the table has none: whoever asks fails
closed, because nobody here knows where its texts are or what it costs.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from iron_adapters.wire import (
    anthropic_messages,
    free,
    openai_chat,
    openai_completions,
    openai_embeddings,
    openai_responses,
    refusals,
)
from iron_adapters.wire.anthropic_stream import MessagesStream
from iron_adapters.wire.bodies import wants_json
from iron_adapters.wire.openai_chat_stream import ChatStream
from iron_adapters.wire.openai_responses_stream import ResponsesStream
from iron_policy.exceptions import WireError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from iron_adapters.wire.bodies import WireRequest, WireResponse
    from iron_adapters.wire.streaming import StreamRewriter, TextReview
    from iron_policy.exceptions import PolicyDenied

    _ReadRequest: TypeAlias = Callable[[bytes, Mapping[str, str], str], WireRequest]


_DEPLOYMENTS = "/deployments/"


class Codec:
    """One endpoint's dialect.

    Attributes:
        name: such as ``openai.chat``.
        provider_name: whose dialect it is.
    """

    __slots__ = (
        "_read_request",
        "_read_response",
        "_refuse",
        "_refuse_stream",
        "_stream",
        "name",
        "provider_name",
    )

    def __init__(
        self,
        name: str,
        read_request: _ReadRequest,
        read_response: Callable[[bytes], WireResponse],
        stream: type[StreamRewriter] | None = None,
        *,
        refuse: Callable[[PolicyDenied], bytes] = refusals.openai_body,
        refuse_stream: Callable[[PolicyDenied], bytes] = refusals.openai_event,
    ) -> None:
        self.name = name
        self.provider_name = name.partition(".")[0]
        self._read_request = read_request
        self._read_response = read_response
        self._stream = stream
        self._refuse = refuse
        self._refuse_stream = refuse_stream

    def __repr__(self) -> str:
        return f"Codec({self.name!r})"

    def read_request(
        self,
        body: bytes,
        headers: Mapping[str, str],
        provider_name: str | None = None,
        *,
        path: str = "",
    ) -> WireRequest:
        """Read a request, whose headers have lower-case names.

        *provider_name* is the upstream's name, where it is not the provider whose dialect it speaks. *path* is the
        URL's, decoded: it may name a deployment, which then chooses the model.

        Raises:
            WireError: it cannot be read, so it must not be sent.
        """
        try:
            wire = self._read_request(body, headers, provider_name or self.provider_name)
        except RecursionError:
            raise WireError("the body is nested too deeply") from None
        if _DEPLOYMENTS in path and (name := _deployment_of(path)) not in {"", wire.request.model}:
            wire.request = wire.request._replace(deployment_name=name)
        return wire

    def read_response(self, body: bytes) -> WireResponse:
        """Read a whole reply, also an error in its place.

        Raises:
            WireError: it cannot be read, so it must not be handed on.
        """
        try:
            return self._read_response(body)
        except RecursionError:
            raise WireError("the reply is nested too deeply") from None

    def stream(self, review: TextReview, request: WireRequest) -> StreamRewriter:
        """Return what rewrites the streamed reply to *request*.

        Raises:
            WireError: this endpoint does not stream.
        """
        if self._stream is None:
            raise WireError(f"the reply is a stream, and {self.name!r} has none: it cannot be read")
        rewriter = self._stream(review, hide_usage=request.hide_usage)
        rewriter.in_json = wants_json(request.document)
        return rewriter

    def refusal(self, denied: PolicyDenied) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body that refuse a request."""
        return denied.status_code, refusals.headers(denied), self._refuse(denied)

    def stream_refusal(self, denied: PolicyDenied) -> bytes:
        """Return the events that end a stream with a refusal."""
        return self._refuse_stream(denied)


def _deployment_of(path: str) -> str:
    """Return the deployment that *path* names, as Azure's does: ``/openai/deployments/NAME/chat/completions``."""
    return path.partition(_DEPLOYMENTS)[2].partition("/")[0]


class Pass(Enum):
    """What :func:`codec_for` returns for an endpoint that takes and gives no text, and costs nothing."""

    PASS = "pass"  # noqa: S105 - no word to enter by


PASS: Final = Pass.PASS

CHAT = Codec("openai.chat", openai_chat.read_request, openai_chat.read_response, ChatStream)
COMPLETIONS = Codec(
    "openai.completions",
    openai_completions.read_request,
    openai_completions.read_response,
    openai_completions.CompletionStream,
)
RESPONSES = Codec(
    "openai.responses",
    openai_responses.read_request,
    openai_responses.read_response,
    ResponsesStream,
    refuse_stream=refusals.responses_event,
)
EMBEDDINGS = Codec("openai.embeddings", openai_embeddings.read_request, openai_embeddings.read_response)
MODERATIONS = Codec("openai.moderations", free.read_moderation, free.read_response)
INPUT_TOKENS = Codec("openai.input_tokens", free.read_input_tokens, free.read_response)
MESSAGES = Codec(
    "anthropic.messages",
    anthropic_messages.read_request,
    anthropic_messages.read_response,
    MessagesStream,
    refuse=refusals.anthropic_body,
    refuse_stream=refusals.anthropic_event,
)
COUNT_TOKENS = Codec(
    "anthropic.count_tokens",
    free.read_count_tokens,
    free.read_response,
    refuse=refusals.anthropic_body,
    refuse_stream=refusals.anthropic_event,
)

_POSTED = (
    ("/chat/completions", CHAT),
    ("/completions", COMPLETIONS),
    ("/responses/input_tokens", INPUT_TOKENS),
    ("/responses", RESPONSES),
    ("/embeddings", EMBEDDINGS),
    ("/moderations", MODERATIONS),
    ("/messages/count_tokens", COUNT_TOKENS),
    ("/messages", MESSAGES),
)
ENDPOINTS: Final[Mapping[str, Literal["openai", "anthropic"]]] = {
    ending: "anthropic" if codec.provider_name == "anthropic" else "openai" for ending, codec in _POSTED
}
"""Every endpoint that takes a model's call, by how its path ends, and whose API it is; the longer of two comes first."""
_THREADS = "/threads/"


@lru_cache(maxsize=1024)  # bounded: paths come from callers, and some hold ids
def codec_for(method: str, path: str) -> Codec | Pass | None:
    """Return the codec of an endpoint.

    *path* is the URL's, without host; what stands before the endpoint's own name does not matter.

    Returns:
        A codec; ``PASS`` where neither text nor money is at stake; ``None`` where nobody knows.
    """
    path = path.partition("?")[0].rstrip("/")
    if method in {"GET", "HEAD"}:
        return PASS if path.endswith("/models") or "/models/" in path else None
    if method != "POST" or _THREADS in path:
        return None
    return next((codec for ending, codec in _POSTED if path.endswith(ending)), None)
