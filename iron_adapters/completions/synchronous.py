"""``completion``: one call, waited for. Its async twin differs by ``await``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self, overload

from iron_adapters.completions.calls import Options, is_event_stream, prepare
from iron_adapters.completions.clients import reading, settling, sync_client

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pyreqwest.client import SyncClient
    from pyreqwest.request import SyncStreamRequest
    from pyreqwest.response import SyncResponseBodyReader

    from iron_adapters.completions.calls import PreparedCall
    from iron_adapters.completions.incoming import Incoming
    from iron_adapters.completions.replies import Completion, CompletionChunk
    from iron_adapters.resolve import PolicyLike


@overload
def completion(
    model: str,
    messages: Iterable[Any],
    temperature: float | None = None,
    max_tokens: int | None = None,
    base_url: str | None = None,
    stream: Literal[False] | None = None,
    additional_params: str | Mapping[str, Any] | None = None,
    api_key: str | None = None,
    *,
    extra_headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
    policy: PolicyLike = None,
    **parameters: Any,
) -> Completion: ...
@overload
def completion(
    model: str,
    messages: Iterable[Any],
    temperature: float | None = None,
    max_tokens: int | None = None,
    base_url: str | None = None,
    *,
    stream: Literal[True],
    additional_params: str | Mapping[str, Any] | None = None,
    api_key: str | None = None,
    extra_headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
    policy: PolicyLike = None,
    **parameters: Any,
) -> CompletionStream: ...
@overload
def completion(
    model: str,
    messages: Iterable[Any],
    temperature: float | None = None,
    max_tokens: int | None = None,
    base_url: str | None = None,
    stream: bool | None = None,
    additional_params: str | Mapping[str, Any] | None = None,
    api_key: str | None = None,
    *,
    extra_headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
    policy: PolicyLike = None,
    **parameters: Any,
) -> Completion | CompletionStream: ...
def completion(  # noqa: PLR0917 - RiteLLM's order
    model: str,
    messages: Iterable[Any],
    temperature: float | None = None,
    max_tokens: int | None = None,
    base_url: str | None = None,
    stream: bool | None = None,
    additional_params: str | Mapping[str, Any] | None = None,
    api_key: str | None = None,
    *,
    extra_headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
    policy: PolicyLike = None,
    **parameters: Any,
) -> Completion | CompletionStream:
    """Ask *model*, under the policy that is in force here.

    Args:
        model: ``openai/...``, ``anthropic/...``, or the name of one of the policy's ``upstreams`` and its model.
        messages: as OpenAI's chat endpoint takes them, whichever provider is asked.
        temperature: passed on.
        max_tokens: passed on.
        base_url: where the provider is; else the policy's upstream, else ``OPENAI_BASE_URL`` or ``ANTHROPIC_BASE_URL``.
        stream: ``True`` returns the reply in chunks, as they come.
        additional_params: further parameters, as a JSON object in a string, or as a mapping.
        api_key: else ``OPENAI_API_KEY`` or ``ANTHROPIC_API_KEY``.
        extra_headers: sent besides; one of the same name as ours replaces it.
        timeout: how many seconds the whole call may take, its stream included; else 600 seconds of silence end it.
        policy: as everywhere; ``None`` is the enclosing run's, else ``$IRON_POLICY``, else the default. Give an engine or
            a ``Policy`` of yours, and not a dict, where calls are to share a budget: a dict is a policy of its own each time.
        **parameters: every other parameter of the endpoint, such as ``tools``; ``None`` leaves one out.

    Raises:
        ValueError: an argument is wrong, such as a model without a known prefix; nothing was sent.
        PolicyDenied: the policy refuses the call or its reply.
        Untranslatable: the provider has no equal for a parameter; nothing was sent.
        ProviderError: the provider answered with an error.
        UpstreamError: the provider could not be reached, or its reply broke off.
        WireError: the reply cannot be read.
    """
    options = Options(base_url, api_key, additional_params, extra_headers, timeout, policy)
    given = {"temperature": temperature, "max_tokens": max_tokens, **parameters}
    client = sync_client()
    call = prepare(model, messages, stream=bool(stream), parameters=given, options=options)
    if stream:
        return _open(client, call)
    with settling(call):
        request = call.fill(client.post(call.target.address.url), stream=False)
        response = request.build().send()
        body = bytes(response.bytes())
    return call.completion(response, body)


def _open(client: SyncClient, call: PreparedCall) -> CompletionStream:
    """Return the reply to *call* as a stream once its head is there."""
    with settling(call):
        request = call.fill(client.post(call.target.address.url), stream=True).build_streamed()
        response = request.__enter__()
        if is_event_stream(response):
            return CompletionStream(call.incoming(), request, response.body_reader)
        try:
            body = bytes(response.bytes())
        finally:
            request.__exit__(None, None, None)
    raise call.not_streamed(response, body)


class CompletionStream:
    """The chunks of a streamed reply. Closing it early settles the call with what came.

    ::

        with completion("openai/gpt-4o-mini", messages, stream=True) as chunks:
            for chunk in chunks:
                ...
    """

    def __init__(
        self, incoming: Incoming, request: SyncStreamRequest, reader: SyncResponseBodyReader
    ) -> None:
        self._incoming = incoming
        self._request: SyncStreamRequest | None = request
        self._reader = reader

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> CompletionChunk:
        try:
            while (chunk := self._incoming.next()) is None:
                if self._incoming.ended:
                    raise StopIteration
                self._read()
        except BaseException:
            self.close()
            raise
        return chunk

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading, and settle the call."""
        self._incoming.drop()
        request, self._request = self._request, None
        if request is not None:
            request.__exit__(None, None, None)

    def _read(self) -> None:
        with reading(self._incoming.provider):
            data = self._reader.read_chunk()
        self._incoming.take(None if data is None else bytes(data))
