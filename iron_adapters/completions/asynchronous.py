"""``acompletion``: one call, awaited. Its sync twin differs by ``await``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self, overload

from iron_adapters.completions.calls import Options, is_event_stream, prepare
from iron_adapters.completions.clients import async_client, reading, settling

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pyreqwest.client import Client
    from pyreqwest.request import StreamRequest
    from pyreqwest.response import ResponseBodyReader

    from iron_adapters.completions.calls import PreparedCall
    from iron_adapters.completions.incoming import Incoming
    from iron_adapters.completions.replies import Completion, CompletionChunk
    from iron_adapters.resolve import PolicyLike


@overload
async def acompletion(
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
    timeout: float | None = None,  # noqa: ASYNC109 - a promised name, and the client's own limit
    policy: PolicyLike = None,
    **parameters: Any,
) -> Completion: ...
@overload
async def acompletion(
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
    timeout: float | None = None,  # noqa: ASYNC109 - a promised name, and the client's own limit
    policy: PolicyLike = None,
    **parameters: Any,
) -> AsyncCompletionStream: ...
@overload
async def acompletion(
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
    timeout: float | None = None,  # noqa: ASYNC109 - a promised name, and the client's own limit
    policy: PolicyLike = None,
    **parameters: Any,
) -> Completion | AsyncCompletionStream: ...
async def acompletion(  # noqa: PLR0917 - RiteLLM's order
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
    timeout: float | None = None,  # noqa: ASYNC109 - a promised name, and the client's own limit
    policy: PolicyLike = None,
    **parameters: Any,
) -> Completion | AsyncCompletionStream:
    """Ask *model*, under the policy that is in force here: :func:`~iron_adapters.completion`, awaited.

    Its arguments and errors are those of ``completion``; with ``stream=True`` it returns an async iterator.
    """
    options = Options(base_url, api_key, additional_params, extra_headers, timeout, policy)
    given = {"temperature": temperature, "max_tokens": max_tokens, **parameters}
    client = async_client()
    call = prepare(model, messages, stream=bool(stream), parameters=given, options=options)
    if stream:
        return await _open(client, call)
    with settling(call):
        request = call.fill(client.post(call.target.address.url), stream=False)
        response = await request.build().send()
        body = bytes(await response.bytes())
    return call.completion(response, body)


async def _open(client: Client, call: PreparedCall) -> AsyncCompletionStream:
    """Return the reply to *call* as a stream once its head is there."""
    with settling(call):
        request = call.fill(client.post(call.target.address.url), stream=True).build_streamed()
        response = await request.__aenter__()
        if is_event_stream(response):
            return AsyncCompletionStream(call.incoming(), request, response.body_reader)
        try:
            body = bytes(await response.bytes())
        finally:
            await request.__aexit__(None, None, None)
    raise call.not_streamed(response, body)


class AsyncCompletionStream:
    """The chunks of a streamed reply. Closing it early settles the call with what came.

    ::

        async with await acompletion("openai/gpt-4o-mini", messages, stream=True) as chunks:
            async for chunk in chunks:
                ...
    """

    def __init__(self, incoming: Incoming, request: StreamRequest, reader: ResponseBodyReader) -> None:
        self._incoming = incoming
        self._request: StreamRequest | None = request
        self._reader = reader

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> CompletionChunk:
        try:
            while (chunk := self._incoming.next()) is None:
                if self._incoming.ended:
                    raise StopAsyncIteration
                await self._read()
        except BaseException:
            await self.close()
            raise
        return chunk

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop reading, and settle the call."""
        self._incoming.drop()
        request, self._request = self._request, None
        if request is not None:
            await request.__aexit__(None, None, None)

    async def _read(self) -> None:
        with reading(self._incoming.provider):
            data = await self._reader.read_chunk()
        self._incoming.take(None if data is None else bytes(data))
