"""The router as an ASGI application: who is let in, which paths there are, and what happens to an error.

Owns the order in which a request is met. Calls stand in ``calls``; all else that is served is small and stands here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from iron_adapters.router.asgi import live
from iron_adapters.router.bodies import HungUp, is_left, read_body
from iron_adapters.router.callers import Callers
from iron_adapters.router.calls import Ask, Calls
from iron_adapters.router.connections import Connections
from iron_adapters.router.listing import AskModels, Listing
from iron_adapters.router.paths import Paths, dialect_of
from iron_adapters.router.problems import NotServed, answer_to
from iron_adapters.router.protocol import REPLY
from iron_adapters.router.reply import Answer, Reply
from iron_adapters.router.run_pages import RUNS_PATH, answer_about
from iron_adapters.router.runs import Runs, note_end
from iron_adapters.router.sending import Patience
from iron_adapters.wire.codecs import ENDPOINTS
from iron_policy.exceptions import GovernanceFailed, IronError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager

    from iron_adapters.providers import Dialect
    from iron_adapters.proxies import Proxy
    from iron_adapters.router.asgi import Receive, Scope, Send
    from iron_adapters.router.calls import Lend
    from iron_adapters.router.doors import Doors
    from iron_adapters.router.keys import Keys
    from iron_adapters.router.paths import Place
    from iron_adapters.router.request_log import RequestLog
    from iron_adapters.router.upstreams import Upstreams
    from iron_policy.engine import PolicyEngine
    from iron_policy.scope import Scope as RunScope

_log = logging.getLogger("iron.router")
_ONCE: Final = frozenset((
    b"host", b"content-length", b"authorization", b"x-api-key", b"content-type", b"x-iron-agent", b"x-iron-path",
    b"x-iron-user",
))  # fmt: skip
_GREETING: Final = Answer(200, [(b"content-type", b"text/plain; charset=utf-8")], b"LlmRouter OK\n")
_NOT_ASKED: Final = Answer(405, [(b"allow", b"GET, HEAD")], b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the router takes from callers."""

    most_body_bytes: int = 64 * 1024 * 1024
    body_idle_seconds: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Everything that a router is made of.

    Attributes:
        engine: carries the policy out.
        scope: what all calls draw on.
        upstreams: where calls can go.
        keys: what they go with.
        doors: who may call.
        limits: what is taken from callers.
        proxy: through which calls over TLS go.
        patience: how long a provider is waited for.
        lend: borrows money for a call that was denied for want of it.
        services: what runs as long as the server does, started in this order and ended in the other.
        log: told of each request, if anybody wants to know.
        keeps_runs: whether runs of callers in other processes are kept; not where several workers serve, which
            share none.
    """

    engine: PolicyEngine
    scope: RunScope
    upstreams: Upstreams
    keys: Keys
    doors: Doors
    limits: Limits = field(default_factory=Limits)
    proxy: Proxy | None = None
    patience: Patience = field(default_factory=Patience)
    lend: Lend | None = None
    services: tuple[AbstractAsyncContextManager[Any], ...] = ()
    log: RequestLog | None = None
    keeps_runs: bool = True


class Router:
    """The application, as ASGI has it: model calls, and a few pages beside them."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._runs = Runs(setting.scope) if setting.keeps_runs else None
        self._callers = Callers(setting.scope, self._runs)
        self._paths = Paths(upstream.name for upstream in setting.upstreams)
        self._calls: Calls | None = None
        self._listing: Listing | None = None
        self._pages: dict[bytes, Callable[[], Answer]] = {b"/": lambda: _GREETING, b"/health": self._health}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; nothing that goes wrong with it leaves here."""
        if scope["type"] != "http":
            await live(self._life(), receive, send)
            return
        reply = scope[REPLY] = Reply(send)
        began = time.perf_counter()
        raw_path: bytes = scope["raw_path"]
        headers: dict[str, str] = {}
        place = self._paths.call(raw_path)
        try:
            headers = _headers(scope)
            if (page := self._pages.get(raw_path)) is not None:
                self._setting.doors.check_origin(headers)
                await reply.whole(page() if scope["method"] in {"GET", "HEAD"} else _NOT_ASKED)
            else:
                await self._meet(scope, receive, reply, headers, place=place)
        except IronError as error:
            reply.call_id = reply.call_id or getattr(error, "call_id", None)
            await _tell(reply, error, place.dialect if place else dialect_of(raw_path, headers))
        except (HungUp, asyncio.CancelledError):
            _end_quietly()
        except Exception as error:  # noqa: BLE001 - the router's edge: a traceback may hold texts, and the caller needs an answer
            _log.error("a request failed with %s, which is a fault of the router", type(error).__name__)
            failed = GovernanceFailed(f"the router failed with {type(error).__name__}; nothing more was sent")
            await _tell(reply, failed, place.dialect if place else "openai")
        finally:
            del scope[REPLY]  # else both hold each other, and wait for the collector
            if self._setting.log is not None:
                self._setting.log.write(
                    scope, reply, time.perf_counter() - began, known=place is not None, left=is_left(receive)
                )

    async def _meet(
        self,
        scope: Scope,
        receive: Receive,
        reply: Reply,
        headers: dict[str, str],
        *,
        place: Place | None,
    ) -> None:
        """Let a request in, read it, and have it served."""
        setting, raw_path = self._setting, scope["raw_path"]
        offered = setting.doors.check(headers)
        if place is None:
            if raw_path.startswith(RUNS_PATH):
                await reply.whole(await answer_about(self._runs, scope))
            else:
                await self._about_models(scope, reply, headers, offered)
            return
        _refuse_form(scope["method"], headers)
        body = await read_body(
            receive,
            headers,
            most_bytes=setting.limits.most_body_bytes,
            idle_seconds=setting.limits.body_idle_seconds,
        )
        run = self._callers.scope_of(place.endpoint, headers, body)
        query = scope["query_string"].decode("latin-1")
        ask = Ask(place, query, headers, body, offered, run)
        if self._calls is None:
            raise NotServed(503, "not_ready", "the router is not ready")
        try:
            await self._calls.serve(ask, reply)
        finally:
            note_end(run)

    async def _about_models(
        self, scope: Scope, reply: Reply, headers: dict[str, str], offered: str | None
    ) -> None:
        """Answer what models there are; every other path is none of ours."""
        raw_path, method = scope["raw_path"], scope["method"]
        asked = self._paths.models(raw_path)
        if asked is None or self._listing is None:
            raise NotServed(404, "not_found", _no_such_path(raw_path))
        if method not in {"GET", "HEAD"}:
            raise NotServed(405, "method_not_allowed", "models are asked for with GET", allow="GET, HEAD")
        query = scope["query_string"].decode("latin-1")
        ask = AskModels(dialect_of(raw_path, headers), *asked, query, headers, offered)
        await reply.whole(await self._listing.answer(ask))

    @asynccontextmanager
    async def _life(self) -> AsyncIterator[None]:
        """Open what outlives a request, and close it when the last one has ended."""
        setting = self._setting
        async with AsyncExitStack() as stack:
            to_upstreams = Connections(setting.patience, setting.upstreams, setting.proxy)
            connections = await stack.enter_async_context(to_upstreams)
            for service in setting.services:
                await stack.enter_async_context(service)
            self._calls = Calls(
                setting.upstreams, setting.keys, connections, setting.patience, lend=setting.lend
            )
            self._listing = Listing(setting.engine, setting.upstreams, setting.keys, connections)
            yield
            self._calls = self._listing = None

    def _health(self) -> Answer:
        """Tell whether calls can be served: healthy is one that has a key for some upstream."""
        setting = self._setting
        ready = any(setting.keys.has(upstream) for upstream in setting.upstreams)
        told = {"status": "healthy" if ready else "no provider key"}
        return Answer(200 if ready else 503, [(b"content-type", b"application/json")], orjson.dumps(told))


def _no_such_path(raw_path: bytes) -> str:
    """Return what to do about a path that is not served, without repeating it."""
    if raw_path.startswith(b"/v1/v1/"):
        return "the path begins with /v1 twice: leave it out of the base URL, because this client adds it"
    served = ", ".join(f"/v1{endpoint}" for endpoint in ENDPOINTS)
    return f"this router does not serve this path. It serves {served} and /v1/models"


async def _tell(reply: Reply, error: IronError, dialect: Dialect) -> None:
    """Answer with *error*; where a reply has begun, break it off, so that nobody takes it for whole."""
    if reply.begun:
        raise ConnectionAbortedError
    answer = answer_to(error, dialect)
    if reply.call_id is not None:
        answer.headers.append((b"x-iron-call-id", reply.call_id.encode()))
    await reply.whole(answer)


def _headers(scope: Scope) -> dict[str, str]:
    """Return the request's headers, each name once.

    Raises:
        NotServed: one that decides something is there twice, so that two readers could differ about it.
    """
    pairs: Sequence[tuple[bytes, bytes]] = scope["headers"]
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs}
    return headers if len(headers) == len(pairs) else _merged(pairs)


def _merged(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name in headers:
            if raw_name in _ONCE:
                raise NotServed(400, "duplicate_header", f"the header {name!r} is there twice")
            value = f"{headers[name]}, {value}"
        headers[name] = value
    return headers


def _refuse_form(method: str, headers: dict[str, str]) -> None:
    """Raise for what a page of another site can send without asking: a simple request (Fetch standard, CORS).

    Raises:
        NotServed: it is no POST of JSON.
    """
    if method != "POST":
        raise NotServed(405, "method_not_allowed", "this path takes POST", allow="POST")
    if headers.get("transfer-encoding", "chunked").strip().lower() != "chunked":
        raise NotServed(400, "bad_transfer_encoding", "transfer-encoding: send chunked, or a content-length")
    if (kind := headers.get("content-type", "")) == "application/json":
        return
    content_type, _, parameters = kind.lower().partition(";")
    if content_type.strip() != "application/json":
        raise NotServed(415, "unsupported_media_type", "send content-type: application/json")
    if "charset" in parameters and parameters.replace('"', "").strip() != "charset=utf-8":
        raise NotServed(
            415, "unsupported_charset", "JSON is UTF-8 (RFC 8259, section 8.1): leave charset away"
        )


def _end_quietly() -> None:
    """End the task as usual although it was cancelled: the caller has hung up, and nobody is left to answer."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
