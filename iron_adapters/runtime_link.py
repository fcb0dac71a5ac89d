"""The link to a runtime: calls are sent there, with word of the run they belong to, and its refusals raised here.

Owns the way of a request to the runtime and of its answer back. Judges nothing: the runtime does. Nothing is ever sent
to a provider from here, whatever happens to the runtime.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from iron_adapters.marks import claims_here
from iron_adapters.providers import OFFICIAL_URLS
from iron_adapters.run_header import ORIGIN_HEADER, RUN_HEADER, written
from iron_adapters.runtime_address import token_of_agent
from iron_adapters.runtime_runs import note_end, note_link, token_of
from iron_adapters.told_refusals import MARK, refusal_in
from iron_adapters.transport import (
    Terms,
    aread_body,
    async_stream_class,
    decoded,
    module_of,
    read_body,
    refuse_redirect,
    replaced,
    shape_of,
    stream_class,
)
from iron_adapters.wire.codecs import ENDPOINTS
from iron_adapters.wire.sse import EventParser
from iron_policy.exceptions import EndpointNotAllowed, IronError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from iron_adapters.runtime_address import RuntimeAddress
    from iron_policy.scope import Scope

_OFFICIAL: Final = {url.partition("//")[2].removesuffix("/v1"): name for name, url in OFFICIAL_URLS.items()}
_MADE_ANEW: Final = frozenset((b"host", b"content-length", b"transfer-encoding"))
_CREDENTIALS: Final = frozenset((b"authorization", b"x-api-key", b"api-key"))
_NO_CONNECTION: Final = frozenset(("ConnectError", "ConnectTimeout"))
_ERRORS: Final = 400
_LONGEST_REFUSAL: Final = 1024 * 1024
_ENDS: Final = (b"\n\n", b"\r\n\r\n")


class Destination(NamedTuple):
    """Where a call goes at the runtime."""

    path: str
    headers: dict[str, str]
    """What tells the runtime of the call, the credential included."""
    replaces_key: bool
    """Whether the caller's own key stays here."""


class Link(Terms):
    """One HTTP request at a time, sent to the runtime at *address* on behalf of *scope*."""

    __slots__ = ("_address", "_scope")

    def __init__(
        self,
        address: RuntimeAddress,
        scope: Scope,
        *,
        as_status: bool,
        own_terms: Callable[[IronError], IronError] | None = None,
    ) -> None:
        super().__init__(as_status=as_status, own_terms=own_terms)
        self._address = address
        self._scope = scope

    def send(self, request: Any, forward: Callable[[Any], Any]) -> Any:
        """Send *request* to the runtime through *forward*; return its answer, or raise the refusal that it is."""
        scope = drawn_on(self._scope)
        content = request.read()
        try:
            response = forward(self._to_runtime(request, content, scope))
            note_link(self._address, scope)
            refuse_redirect(response)
            is_stream, is_encoded = shape_of(response)
            if is_stream:
                return self._with_stream(request, response, scope)
            note_end(scope)
            if response.status_code < _ERRORS:
                return response
            body = read_body(response, is_encoded=is_encoded)
        except IronError as error:
            return self.refusal(request, error)
        except Exception as error:  # of httpx or httpx2, neither of which may be there to be named
            if type(error).__name__ not in _NO_CONNECTION:
                raise
            return self.refusal(request, self._address.unreachable(type(error).__name__))
        return self._refused(request, response, body)

    async def send_async(self, request: Any, forward: Callable[[Any], Awaitable[Any]]) -> Any:
        """Send *request* to the runtime through *forward*; return its answer, or raise the refusal that it is."""
        scope = drawn_on(self._scope)
        content = await request.aread()
        try:
            response = await forward(self._to_runtime(request, content, scope))
            note_link(self._address, scope)
            refuse_redirect(response)
            is_stream, is_encoded = shape_of(response)
            if is_stream:
                return self._with_stream(request, response, scope)
            note_end(scope)
            if response.status_code < _ERRORS:
                return response
            body = await aread_body(response, is_encoded=is_encoded)
        except IronError as error:
            return self.refusal(request, error)
        except Exception as error:  # of httpx or httpx2, neither of which may be there to be named
            if type(error).__name__ not in _NO_CONNECTION:
                raise
            return self.refusal(request, self._address.unreachable(type(error).__name__))
        return self._refused(request, response, body)

    def _to_runtime(self, request: Any, content: bytes, scope: Scope) -> Any:
        """Return *request* as the runtime gets it.

        Raises:
            EndpointNotAllowed: the runtime does not serve this endpoint.
        """
        url, address = request.url, self._address
        path = url.raw_path.partition(b"?")[0].decode("ascii")
        if address.is_at(url.scheme, url.host, url.port):
            going = Destination(path, *_told(address, scope, None))
        else:
            going = destination(address, scope, request.method, path, _origin(url))
            going = going._replace(path=address.path + going.path)
        dropped = _MADE_ANEW | _CREDENTIALS if going.replaces_key else _MADE_ANEW
        headers = [pair for pair in request.headers.raw if pair[0].lower() not in dropped]
        headers += [(name.encode(), value.encode("ascii")) for name, value in going.headers.items()]
        target = type(url)(scheme=address.scheme, host=address.host, port=address.port, path=going.path)
        return type(request)(
            request.method,
            target.copy_with(query=url.query or None),
            headers=headers,
            content=content,
            extensions=request.extensions,
        )

    def _refused(self, request: Any, response: Any, body: bytes) -> Any:
        """Raise the refusal that *body* tells of; hand on every other error as it came."""
        refusal = refusal_in(body)
        if refusal is not None:
            return self.refusal(request, refusal)
        return replaced(response, module_of(response).ByteStream(body))

    def _with_stream(self, request: Any, response: Any, scope: Scope) -> Any:
        http = module_of(response)
        is_sync = isinstance(response.stream, http.SyncByteStream)
        cls: Any = stream_class(http) if is_sync else async_stream_class(http)
        listening = Listening(partial(note_end, scope))
        return replaced(response, cls(decoded(response), listening, partial(self.own_error, request)))


class Listening:
    """A stream that passes as it comes, until an event of it tells of a refusal."""

    def __init__(self, ended: Callable[[], object]) -> None:
        self._ended: Callable[[], object] | None = ended
        self._open = b""
        self.refusal: IronError | None = None
        """What the runtime has said instead of the rest."""
        self.over = False
        """True once the refusal has come: nothing more is to be read."""

    def feed(self, data: bytes) -> bytes:
        """Take what has come; return what the caller gets of it: all that is before a refusal."""
        began = len(self._open)
        whole = self._open + data
        if MARK in whole:
            before = self._before_refusal(whole)
            if self.refusal is not None:
                self.over = True
                return whole[began:before]
        end = max(whole.rfind(mark) + len(mark) if mark in whole else 0 for mark in _ENDS)
        # An event that is longer than any refusal is none, and need not be kept.
        self._open = whole[end:] if len(whole) - end <= _LONGEST_REFUSAL else b""
        return data

    def finish(self) -> bytes:
        """Return nothing, at the stream's end.

        Raises:
            IronError: the runtime has refused the rest.
        """
        if self.refusal is not None:
            raise self.refusal
        return b""

    def close(self) -> None:
        """Note that the stream has ended. More than once is the same as once."""
        ended, self._ended = self._ended, None
        if ended is not None:
            ended()

    def _before_refusal(self, whole: bytes) -> int:
        """Look for the refusal among the events of *whole*; return where it begins."""
        start = 0
        for event in EventParser().feed(whole):
            if event.data is not None and (refusal := refusal_in(event.data)) is not None:
                self.refusal = refusal
                break
            start += len(event.raw)
        return start


def drawn_on(scope: Scope) -> Scope:
    """Return what a call that is made here draws on: what a policy further out has charged, else *scope*."""
    return next((claim.scope for claim in claims_here() if claim.scope is not None), scope)


def destination(
    address: RuntimeAddress, scope: Scope, method: str, path: str, origin: str | None
) -> Destination:
    """Return where a call goes that was made for *path* of *origin*.

    The providers themselves go by their names. Every other server the runtime must know by its address, because a call
    that is meant for one must not end at another.

    Raises:
        EndpointNotAllowed: the runtime does not serve this endpoint.
    """
    endpoint = _endpoint(method, path)
    if endpoint is None:
        raise EndpointNotAllowed(
            f"{method} {path!r} is no endpoint that the runtime of IRON_RUNTIME_URL serves, so nothing was sent"
        )
    name = _OFFICIAL.get((origin or "").partition("//")[2])
    prefix = "" if name is None else f"/{name}"
    headers, replaces_key = _told(address, scope, None if name else origin)
    return Destination(f"{prefix}/v1{endpoint}", headers, replaces_key)


def _endpoint(method: str, path: str) -> str | None:
    if method == "GET" and (path.endswith("/models") or "/models/" in path):
        return path[path.rindex("/models") :] if path.endswith("/models") else path[path.index("/models/") :]
    if method != "POST":
        return None
    return next((endpoint for endpoint in ENDPOINTS if path.rstrip("/").endswith(endpoint)), None)


def _told(address: RuntimeAddress, scope: Scope, origin: str | None) -> tuple[dict[str, str], bool]:
    """Return the headers that tell the runtime of a call, and whether they hold a credential."""
    headers = {RUN_HEADER: written(scope)}
    if origin is not None:
        headers[ORIGIN_HEADER] = origin
    token = address.token or token_of(scope) or token_of_agent()
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    return headers, token is not None


def _origin(url: Any) -> str:
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{url.scheme}://{host}" + ("" if url.port is None else f":{url.port}")
