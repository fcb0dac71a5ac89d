"""The wire seam: one piece of code for httpx and httpx2, sync and async, as a transport and under the patch.

Owns the shell around :class:`~iron_adapters.exchange.Exchange`: reading what a client sends, rebuilding it, decoding
and replacing what comes back. The async twin of a function differs from it by ``await``.
"""

from __future__ import annotations

import sys
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from iron_adapters.exchange import Exchange, Sent
from iron_adapters.marks import claim_here, give_back, is_claimed, live_mark
from iron_adapters.own_routers import with_proof
from iron_adapters.providers import provider_of
from iron_adapters.relay import RelayEngine
from iron_adapters.runtime_address import runtime_address
from iron_adapters.sdk_errors import in_sdk_terms, passes_errors_on, refusal_response, sdk_of
from iron_policy.exceptions import IronError, UpstreamError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from types import ModuleType

    from iron_adapters.exchange import StreamExchange
    from iron_adapters.resolve import Governor
    from iron_adapters.runtime_link import Link
    from iron_policy.engine import PolicyEngine
    from iron_policy.scope import Scope

_NEVER_SENT = (
    "ConnectError",
    "ConnectTimeout",
    "PoolTimeout",
    "UnsupportedProtocol",
    "ProxyError",
    "LocalProtocolError",
)
_REBUILT = ("content-length", "content-encoding", "transfer-encoding")


class Terms:
    """In whose terms a refusal is raised: the SDK's that has sent the request, and the framework's above it."""

    __slots__ = ("as_status", "own_terms")

    def __init__(self, *, as_status: bool, own_terms: Callable[[IronError], IronError] | None = None) -> None:
        self.as_status = as_status
        self.own_terms = own_terms

    def own_error(self, request: Any, error: IronError) -> IronError:
        """Return *error* as the SDK's own that sent *request*, and as the framework's above it."""
        if self.own_terms is not None:
            error = self.own_terms(error)
        return in_sdk_terms(error, sdk_of(request.headers), request, as_status=self.as_status)

    def refusal(self, request: Any, error: IronError) -> Any:
        """Raise *error* in the SDK's terms, or return what makes an SDK raise it that would disguise it else."""
        own = self.own_error(request, error)
        if passes_errors_on(sdk_of(request.headers)):
            raise own from None
        from iron_adapters.installation import surface_refusals

        surface_refusals()
        return refusal_response(own, request)


class Seam(Terms):
    """One HTTP request at a time, held to the policy of *engine* in *scope*."""

    __slots__ = ("charges", "engine", "scope")

    def __init__(
        self,
        engine: PolicyEngine,
        scope: Scope,
        *,
        as_status: bool,
        own_terms: Callable[[IronError], IronError] | None = None,
        charges: bool = True,
    ) -> None:
        super().__init__(as_status=as_status, own_terms=own_terms)
        self.charges = charges
        self.engine = engine
        self.scope = scope

    def send(self, request: Any, forward: Callable[[Any], Any]) -> Any:
        """Send *request* through *forward* if the policy admits it; return the reply that the caller may see."""
        content = request.read()
        try:
            exchange = self._begin(request, content)
        except IronError as error:
            return self.refusal(request, error)
        if exchange is None:
            return forward(request)
        claim = claim_here(self.engine, self.scope)
        try:
            response = forward(request if exchange.body is content else rebuilt(request, exchange.body))
            refuse_redirect(response)
            is_stream, is_encoded = shape_of(response)
            if is_stream:
                return self._with_stream(request, response, exchange)
            body = read_body(response, is_encoded=is_encoded)
        except UpstreamError as error:
            exchange.broke(error, sent=False)
            return self.refusal(request, error)
        except BaseException as error:
            exchange.broke(error, sent=was_sent(error))
            raise
        finally:
            give_back(claim)
        return self._with_body(request, response, exchange, body, is_encoded=is_encoded)

    async def send_async(self, request: Any, forward: Callable[[Any], Awaitable[Any]]) -> Any:
        """Send *request* through *forward* if the policy admits it; return the reply that the caller may see."""
        content = await request.aread()
        try:
            exchange = self._begin(request, content)
        except IronError as error:
            return self.refusal(request, error)
        if exchange is None:
            return await forward(request)
        claim = claim_here(self.engine, self.scope)
        try:
            response = await forward(request if exchange.body is content else rebuilt(request, exchange.body))
            refuse_redirect(response)
            is_stream, is_encoded = shape_of(response)
            if is_stream:
                return self._with_stream(request, response, exchange)
            body = await aread_body(response, is_encoded=is_encoded)
        except UpstreamError as error:
            exchange.broke(error, sent=False)
            return self.refusal(request, error)
        except BaseException as error:
            exchange.broke(error, sent=was_sent(error))
            raise
        finally:
            give_back(claim)
        return self._with_body(request, response, exchange, body, is_encoded=is_encoded)

    def _begin(self, request: Any, content: bytes) -> Exchange | None:
        url = request.url
        provider_name = provider_of(self.engine.policy, url.host, url.port, url.path)
        sent = Sent(request.method, url.path, request.headers, content, provider_name, self.charges)
        return Exchange.begin(self.engine, self.scope, sent)

    def _with_body(
        self, request: Any, response: Any, exchange: Exchange, body: bytes, *, is_encoded: bool
    ) -> Any:
        try:
            seen = exchange.reply(response.status_code, body)
        except IronError as error:
            return self.refusal(request, error)
        stream = module_of(response).ByteStream(seen)
        if seen is not body or is_encoded:
            return replaced(response, stream)
        response.stream = stream
        return response

    def _with_stream(self, request: Any, response: Any, exchange: Exchange) -> Any:
        http = module_of(response)
        cls = (
            stream_class(http)
            if isinstance(response.stream, http.SyncByteStream)
            else async_stream_class(http)
        )
        return replaced(response, cls(decoded(response), exchange.stream(), partial(self.own_error, request)))


def rebuilt(request: Any, body: bytes) -> Any:
    """Return *request* with *body* in place of its own."""
    headers = [
        (name, value) for name, value in request.headers.raw if name.decode("latin-1").lower() not in _REBUILT
    ]
    return type(request)(
        request.method, request.url, headers=headers, content=body, extensions=request.extensions
    )


def refuse_redirect(response: Any) -> None:
    """Raise for a reply that would send the request's body on to wherever it says.

    The client would follow with the request as its caller made it, texts and all. Providers do not redirect calls.

    Raises:
        UpstreamError: always for 307 and 308; the other redirects drop the body.
    """
    if response.status_code in (307, 308):
        raise UpstreamError(
            f"the provider redirects the call ({response.status_code}); it is not followed, because that would send "
            "the original texts on. If the address has moved, set base_url to the new one"
        )


def read_body(response: Any, *, is_encoded: bool) -> bytes:
    """Read a whole reply, decoded."""
    if is_encoded:
        whole: bytes = decoded(response).read()
        return whole
    try:
        return b"".join(response.stream)
    finally:
        response.stream.close()


async def aread_body(response: Any, *, is_encoded: bool) -> bytes:
    """Read a whole reply, decoded."""
    if is_encoded:
        whole: bytes = await decoded(response).aread()
        return whole
    try:
        return b"".join([data async for data in response.stream])
    finally:
        await response.stream.aclose()


def decoded(response: Any) -> Any:
    """Return a twin of *response* that decodes its stream, so that the headers of *response* may be changed."""
    return type(response)(
        response.status_code, headers=response.headers, stream=response.stream, extensions=response.extensions
    )


def replaced(response: Any, stream: Any) -> Any:
    """Return *response* with a decoded *stream* in place of its own."""
    response.stream = stream
    for name in _REBUILT:
        response.headers.pop(name, None)
    return response


def shape_of(response: Any) -> tuple[bool, bool]:
    """Tell whether *response* is a stream of server-sent events, and whether it is compressed; in one look at its headers."""
    is_stream = is_encoded = False
    for name, value in response.headers.raw:
        match name.lower():
            case b"content-type":
                is_stream = response.status_code < 300 and value.lower().startswith(b"text/event-stream")  # noqa: PLR2004
            case b"content-encoding":
                is_encoded = True
    return is_stream, is_encoded


def was_sent(error: BaseException) -> bool:
    """Tell whether the provider may have worked on a request that ended in *error*."""
    return type(error).__name__ not in _NEVER_SENT


def module_of(value: Any) -> ModuleType:
    """Return ``httpx`` or ``httpx2``, whichever *value* comes from."""
    return sys.modules[type(value).__module__.partition(".")[0]]


@cache
def stream_class(http: ModuleType) -> type[Any]:
    """Return the stream of *http* that passes a governed reply on."""

    class GovernedStream(http.SyncByteStream):  # type: ignore[name-defined, misc]  # the module is a parameter
        def __init__(
            self, decoder: Any, exchange: StreamExchange, own_error: Callable[[IronError], IronError]
        ) -> None:
            self._decoder, self._exchange, self._own_error = decoder, exchange, own_error

        def __iter__(self) -> Iterator[bytes]:
            exchange = self._exchange
            try:
                for data in self._decoder.iter_bytes():
                    if released := exchange.feed(data):
                        yield released
                    if exchange.over:
                        break
                if rest := exchange.finish():
                    yield rest
            except IronError as error:
                raise self._own_error(error) from None
            finally:
                self.close()

        def close(self) -> None:
            self._exchange.close()
            self._decoder.close()

    return GovernedStream


@cache
def async_stream_class(http: ModuleType) -> type[Any]:
    """Return the async stream of *http* that passes a governed reply on."""

    class GovernedAsyncStream(http.AsyncByteStream):  # type: ignore[name-defined, misc]  # the module is a parameter
        def __init__(
            self, decoder: Any, exchange: StreamExchange, own_error: Callable[[IronError], IronError]
        ) -> None:
            self._decoder, self._exchange, self._own_error = decoder, exchange, own_error

        async def __aiter__(self) -> AsyncIterator[bytes]:
            exchange = self._exchange
            try:
                async for data in self._decoder.aiter_bytes():
                    if released := exchange.feed(data):
                        yield released
                    if exchange.over:
                        break
                if rest := exchange.finish():
                    yield rest
            except IronError as error:
                raise self._own_error(error) from None
            finally:
                await self.aclose()

        async def aclose(self) -> None:
            self._exchange.close()
            await self._decoder.aclose()

    return GovernedAsyncStream


def seams_of(governor: Governor) -> tuple[Seam | None, Link | None]:
    """Return what acts on a call of a governed client: its policy, unless one further out does, then the runtime."""
    claimed = is_claimed(governor.explicit_engine)
    address = runtime_address()
    if claimed and address is None:
        return None, None
    engine, scope = governor.engine_and_scope()
    seam = None if claimed or isinstance(engine, RelayEngine) else Seam(engine, scope, as_status=True)
    if address is None:
        return seam, None
    from iron_adapters.runtime_link import Link

    marked = live_mark() if claimed else None
    own_terms = None if marked is None else marked.own_terms
    return seam, Link(address, scope, as_status=not claimed, own_terms=own_terms)


@cache
def transport_classes(http: ModuleType) -> tuple[type[Any], type[Any]]:
    """Return the sync and the async transport of *http* that hold every request to a policy."""

    class GovernedTransport(http.BaseTransport):  # type: ignore[name-defined, misc]  # the module is a parameter
        """Send what the policy admits through *wrapped*."""

        def __init__(self, governor: Governor, wrapped: Any) -> None:
            self.governor, self.wrapped = governor, wrapped

        def handle_request(self, request: Any) -> Any:
            seam, link = seams_of(self.governor)
            forward = self._direct if link is None else partial(link.send, forward=self._direct)
            return forward(request) if seam is None else seam.send(request, forward)

        def _direct(self, request: Any) -> Any:
            return self.wrapped.handle_request(with_proof(request))

        def close(self) -> None:
            self.wrapped.close()

    class GovernedAsyncTransport(http.AsyncBaseTransport):  # type: ignore[name-defined, misc]  # the module is a parameter
        """Send what the policy admits through *wrapped*."""

        def __init__(self, governor: Governor, wrapped: Any) -> None:
            self.governor, self.wrapped = governor, wrapped

        async def handle_async_request(self, request: Any) -> Any:
            seam, link = seams_of(self.governor)
            forward = self._direct if link is None else partial(link.send_async, forward=self._direct)
            return await (forward(request) if seam is None else seam.send_async(request, forward))

        def _direct(self, request: Any) -> Awaitable[Any]:
            sent: Awaitable[Any] = self.wrapped.handle_async_request(with_proof(request))
            return sent

        async def aclose(self) -> None:
            await self.wrapped.aclose()

    return GovernedTransport, GovernedAsyncTransport
