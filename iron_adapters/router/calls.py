"""One model call through the router: read, choose, judge, send, review, answer.

Owns the way of a call between its caller and its provider. What may pass, the engine decides; what a body says, the
codecs and translations know.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from iron_adapters.exchange import Exchange
from iron_adapters.providers import ProviderMismatch
from iron_adapters.router.bodies import compressed
from iron_adapters.router.faults import ProviderFault
from iron_adapters.router.headers import back, towards, without_key
from iron_adapters.router.paths import CHAT, MESSAGES
from iron_adapters.router.problems import last_event
from iron_adapters.router.reply import Answer
from iron_adapters.router.sending import (
    is_event_stream,
    problem_of,
    read_whole,
    refuse_redirect,
    unreadable,
)
from iron_adapters.run_header import ORIGIN_HEADER
from iron_adapters.wire import Codec, codec_for
from iron_policy.exceptions import BudgetExceeded, IronError, WireError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from iron_adapters.exchange import StreamExchange
    from iron_adapters.router.connections import Connections, ProviderReply
    from iron_adapters.router.keys import Access, Keys
    from iron_adapters.router.paths import Place
    from iron_adapters.router.reply import Reply
    from iron_adapters.router.sending import Patience
    from iron_adapters.router.upstreams import Upstream, Upstreams
    from iron_adapters.wire import WireRequest
    from iron_adapters.wire.translation import Translated
    from iron_policy.scope import Scope

Lend: TypeAlias = "Callable[[BudgetExceeded], Awaitable[bool]]"
"""Borrows more money for a call that was denied for want of it; tells whether there is more now."""

_REQUEST_ID_HERE = {("anthropic", b"x-request-id"): b"request-id", ("openai", b"request-id"): b"x-request-id"}
"""Under which name each SDK looks for the provider's id of a request."""
_log = logging.getLogger("iron.router")
_UNAUTHORIZED = 401
_OK = range(200, 300)


class Ask(NamedTuple):
    """What a caller asks for."""

    place: Place
    query: str
    headers: Mapping[str, str]
    body: bytes
    offered: str | None
    """The credential that the caller sent, where it is not the router's token."""
    scope: Scope


class Plan(NamedTuple):
    """Where a call goes, and in which words."""

    upstream: Upstream
    endpoint: str
    codec: Codec
    wire: WireRequest
    translated: Translated | None


class Calls:
    """Serves model calls over connections that they share."""

    def __init__(
        self,
        upstreams: Upstreams,
        keys: Keys,
        connections: Connections,
        patience: Patience,
        *,
        lend: Lend | None = None,
    ) -> None:
        self.keys = keys
        self.connections = connections
        self.patience = patience
        self._upstreams = upstreams
        self._lend = lend

    async def serve(self, ask: Ask, reply: Reply) -> None:
        """Answer one call through *reply*.

        Raises:
            IronError: nothing has been answered yet, and this is the answer.
        """
        plan = self._plan(ask)
        reply.upstream = plan.upstream.name
        access = await self.keys.access_to(plan.upstream, ask.offered)
        exchange = await self._admitted(ask, plan)
        reply.call_id = exchange.call.id
        reply.read_on_seconds = self.patience.after_hang_up(stream=plan.wire.request.stream)
        try:
            await _Sending(self, ask, plan, exchange, reply).send(access)
        except ProviderFault as fault:
            exchange.broke(fault, sent=fault.sent)
            raise problem_of(fault, plan.upstream.name) from None
        except WireError as error:  # the request was read before, so this is about the reply
            exchange.broke(error, sent=True)
            raise unreadable(error) from None
        except BaseException as error:
            exchange.broke(error, sent=True)  # ends nothing twice: a call that has ended stays as it is
            raise

    async def _admitted(self, ask: Ask, plan: Plan) -> Exchange:
        """Have *plan* judged; where only borrowed money is short, borrow more and ask again.

        Raises:
            PolicyDenied: nothing may be sent.
        """
        while True:
            try:
                return Exchange.admitted(ask.scope.engine, ask.scope, plan.codec, plan.wire)
            except BudgetExceeded as denied:
                if self._lend is None or not await self._lend(denied):
                    raise

    def _plan(self, ask: Ask) -> Plan:
        """Read what *ask* says and choose where it goes.

        Raises:
            IronError: it cannot be read, or nobody takes it.
        """
        place = ask.place
        codec = _codec(place.endpoint)
        wire = codec.read_request(ask.body, ask.headers)
        named = place.upstream
        if named is None and (origin := ask.headers.get(ORIGIN_HEADER)) is not None:
            named = self._upstreams.at(origin, place.dialect).name
        upstream = self._upstreams.choose(place.dialect, wire.request.model, named)
        if upstream.dialect == place.dialect:
            if upstream.name != wire.request.provider_name:
                wire.request = wire.request._replace(provider_name=upstream.name)
            return Plan(upstream, place.endpoint, codec, wire, None)
        translated = _translated(place, upstream, ask.body)
        endpoint = translated.path.removeprefix("/v1")
        codec = _codec(endpoint)
        wire = codec.read_request(translated.body, {**ask.headers, **translated.headers}, upstream.name)
        return Plan(upstream, endpoint, codec, wire, translated)


class _Sending:
    """One admitted call, on its way to the provider and back."""

    def __init__(self, calls: Calls, ask: Ask, plan: Plan, exchange: Exchange, reply: Reply) -> None:
        self._calls, self._ask, self._plan, self._exchange, self._reply = calls, ask, plan, exchange, reply
        self._key: str | None = None

    async def send(self, access: Access) -> None:
        """Send it, and pass the reply on: as it comes, where it is a stream."""
        exchange, plan = self._exchange, self._plan
        self._key = access.key
        url = access.upstream.url(plan.endpoint, exchange.call.request.model, self._ask.query)
        extra = None if plan.translated is None else plan.translated.headers
        headers = towards(access.upstream, access.key, self._ask.headers, extra)
        other = None
        client = self._calls.connections.to(access.upstream)
        async with client.request("POST", url, headers, exchange.body) as response:
            if response.status == _UNAUTHORIZED and (other := await self._another(access)):
                pass
            elif is_event_stream(response):
                await self._pass_on(response)
            else:
                self._refuse_redirect(response.status)
                body = await read_whole(response, self._calls.patience.most_reply_bytes)
                await self._answer(response, without_key(body, access.key))
        if other:
            await self.send(other)

    async def _another(self, access: Access) -> Access | None:
        """Return how to try again after the key of *access* was refused, if there is another way."""
        keys, upstream = self._calls.keys, self._plan.upstream
        other = None
        if access.key is not None and keys.rejected(upstream, access.key):
            other = await keys.access_to(upstream, self._ask.offered)
        if other is not None and other.key != access.key:
            return other
        if access.key is not None and access.key != self._ask.offered:
            _log.warning("%r refuses the router's own key (401): renew it", upstream.name)
        return None

    def _refuse_redirect(self, status: int) -> None:
        try:
            refuse_redirect(status)
        except IronError as error:
            self._exchange.broke(error, sent=False)
            raise

    async def _answer(self, response: ProviderReply, body: bytes) -> None:
        """Review a whole reply and hand it on."""
        status = response.status
        seen = self._exchange.reply(status, body)
        if (translated := self._plan.translated) is not None:
            if status in _OK:
                seen = translated.reply(seen)
            else:
                status, seen = translated.error(status, seen)
        headers = self._headers_back(response)
        if (smaller := compressed(seen, self._ask.headers.get("accept-encoding"))) is not None:
            seen = smaller
            headers.append((b"content-encoding", b"gzip"))
        await self._reply.whole(Answer(status, headers, seen))

    async def _pass_on(self, response: ProviderReply) -> None:
        """Review a stream and hand it on, piece by piece."""
        stream = self._exchange.stream(in_blocks=self._plan.translated is not None)
        pieces = self._pieces(response, stream)
        await self._reply.start(response.status, self._headers_back(response))
        try:
            async for piece in pieces:
                await self._reply.piece(piece)
        except (IronError, ProviderFault) as error:
            place = self._ask.place
            told = _told(error, self._plan.upstream.name)
            await self._reply.piece(last_event(told, place.dialect, place.endpoint))
        finally:
            stream.close()
        await self._reply.end()

    async def _pieces(self, response: ProviderReply, stream: StreamExchange) -> AsyncIterator[bytes]:
        """Yield what the caller gets of a stream."""
        back_again = None if self._plan.translated is None else self._plan.translated.stream()
        while chunk := await response.read():
            piece = stream.feed(chunk)
            if piece and back_again is not None:
                piece = back_again.feed(piece)
            if piece:
                yield piece
            if stream.over:
                break
        rest = stream.finish()
        if back_again is not None:
            rest = back_again.feed(rest) + back_again.finish()
        if rest:
            yield rest

    def _headers_back(self, response: ProviderReply) -> list[tuple[bytes, bytes]]:
        headers = back(response.headers, self._key)
        if self._plan.translated is not None:
            headers = [
                (_REQUEST_ID_HERE.get((self._ask.place.dialect, name), name), value)
                for name, value in headers
            ]
        return [*headers, (b"x-iron-call-id", self._exchange.call.id.encode())]


def _told(error: IronError | ProviderFault, upstream_name: str) -> IronError:
    """Return what *error* means to a caller in the middle of a stream."""
    if isinstance(error, ProviderFault):
        return problem_of(error, upstream_name)
    return unreadable(error) if isinstance(error, WireError) else error


@cache
def _codec(endpoint: str) -> Codec:
    codec = codec_for("POST", endpoint)
    if not isinstance(codec, Codec):
        raise TypeError(f"{endpoint} is in the list of paths and has no codec")
    return codec


def _translated(place: Place, upstream: Upstream, body: bytes) -> Translated:
    """Return *body* in the dialect of *upstream*.

    Raises:
        ProviderMismatch: this endpoint has no equal there.
        Untranslatable: something in it has none.
        WireError: it cannot be read.
    """
    from iron_adapters.wire.translation import chat_to_messages, messages_to_chat

    if place.endpoint == CHAT:
        return chat_to_messages(body)
    if place.endpoint == MESSAGES:
        return messages_to_chat(body)
    other = CHAT if place.dialect == "openai" else MESSAGES
    raise ProviderMismatch(
        f"{place.endpoint} has no equal at {upstream.name!r}, whose model this is; call /v1{other}, which is translated"
    )
