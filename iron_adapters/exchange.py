"""One HTTP exchange under a policy, without any HTTP: bytes in, bytes out.

Owns the way from a provider's request and reply to the engine's verdicts and back, and the bookkeeping of a call
that ends well, badly or half-way. Transports, the patch of httpx and the router are thin shells around it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from iron_adapters.wire import PASS, codec_for
from iron_policy.exceptions import EndpointNotAllowed, PolicyDenied, WireError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iron_adapters.wire import Codec, StreamRewriter, WireRequest
    from iron_policy.call import Call
    from iron_policy.engine import PolicyEngine
    from iron_policy.scope import Scope

_OK = range(200, 300)
_AT_FAULT = range(500, 600)
_TOO_MANY = 429


class Sent(NamedTuple):
    """What a client sends."""

    method: str
    path: str
    """The URL's path, without host and query."""
    headers: Mapping[str, str]
    """With lower-case names, or a mapping that does not care."""
    body: bytes
    provider_name: str | None = None
    """The upstream's name, where it is not the provider whose dialect it speaks."""
    charges: bool = True
    """False where a seam further out charges the same scope for the same call."""


class Exchange:
    """A request that was admitted, and what is still to happen to it."""

    def __init__(self, codec: Codec, wire: WireRequest, call: Call) -> None:
        self.codec = codec
        self.call = call
        self._wire = wire
        self.body = self._outgoing()

    @classmethod
    def begin(cls, engine: PolicyEngine, scope: Scope, sent: Sent) -> Exchange | None:
        """Judge one request.

        Returns:
            The exchange, whose ``body`` is to be sent; ``None`` where the request passes as it is.

        Raises:
            PolicyDenied: nothing may be sent.
            WireError: the body cannot be read, so nothing may be sent.
        """
        codec = codec_for(sent.method, sent.path)
        if codec is PASS:
            return None
        if codec is None:
            if not engine.enforces or engine.lets_pass(sent.path):
                return None
            raise EndpointNotAllowed(
                f"{sent.method} {sent.path!r} is no endpoint that can be judged; access.endpoints in the policy lets paths pass"
            )
        try:
            wire = codec.read_request(sent.body, sent.headers, sent.provider_name, path=sent.path)
        except WireError:
            if engine.enforces:
                raise
            return None
        return cls.admitted(engine, scope, codec, wire, charges=sent.charges)

    @classmethod
    def admitted(
        cls, engine: PolicyEngine, scope: Scope, codec: Codec, wire: WireRequest, *, charges: bool = True
    ) -> Exchange:
        """Judge a request that was read already, as somebody does who chooses where it goes.

        Raises:
            PolicyDenied: nothing may be sent.
        """
        request = wire.request if charges else wire.request._replace(billed=False)
        return cls(codec, wire, engine.admit(request, scope=scope))

    def reply(self, status: int, body: bytes) -> bytes:
        """Return a whole reply as the caller may see it, and settle the call.

        Raises:
            PolicyDenied: the reply may not be handed on.
            WireError: the reply cannot be read.
        """
        if status not in _OK:
            self.refused_by_provider(status)
            return body
        call = self.call
        try:
            wire = self.codec.read_response(body)
            response = wire.response
            try:
                texts = call.review(response)
            finally:
                call.settle(
                    response.usage,
                    model=response.model,
                    finish_reasons=response.finish_reasons,
                    pending=response.pending,
                )
            if texts is not None:
                wire.rewrite(texts)
            return wire.body()
        except BaseException as error:
            if isinstance(error, PolicyDenied):
                error.of_reply = True
            self._failed_here(error, sent=True)
            raise

    def stream(self, *, in_blocks: bool = False) -> StreamExchange:
        """Return what turns a streamed reply into the one that the caller may see; *in_blocks* for a translator."""
        rewriter = self.codec.stream(self.call, self._wire)
        rewriter.in_blocks = in_blocks
        return StreamExchange(self.call, rewriter)

    def refused_by_provider(self, status: int) -> None:
        """End a call that the provider answered with an error; it bills none of those."""
        self.call.fail(str(status), sent=False, provider_at_fault=status in _AT_FAULT or status == _TOO_MANY)

    def broke(self, error: BaseException, *, sent: bool) -> None:
        """End a call whose reply never came.

        A refusal by a policy further in says itself whether anything was sent, and is no fault of the provider.
        """
        if isinstance(error, PolicyDenied):
            self._failed_here(error, sent=error.of_reply)
            return
        self.call.fail(type(error).__name__, sent=sent, provider_at_fault=isinstance(error, Exception))

    def _outgoing(self) -> bytes:
        call, wire = self.call, self._wire
        try:
            if (texts := call.texts) is not None:
                wire.rewrite(texts)
            if call.request is not call.asked:
                if call.max_tokens is not None:
                    wire.set_max_tokens(call.max_tokens)
                if call.model is not None:
                    wire.set_model(call.model)
            wire.ask_for_usage()
            return wire.body()
        except BaseException as error:
            self._failed_here(error, sent=False)
            raise

    def _failed_here(self, error: BaseException, *, sent: bool) -> None:
        """End a call that went wrong on our side; one that has ended stays as it is."""
        self.call.fail(type(error).__name__, sent=sent, provider_at_fault=False)


class StreamExchange:
    """A streamed reply on its way to the caller."""

    def __init__(self, call: Call, rewriter: StreamRewriter) -> None:
        self._call = call
        self._rewriter = rewriter
        self.over = False
        """True when the stream was cut, or refused behind what was returned last: nothing more is to be read from the
        provider, and :meth:`finish` says which."""
        self._refusal: PolicyDenied | WireError | None = None

    def feed(self, data: bytes) -> bytes:
        """Take bytes from the provider; return those that the caller gets for them.

        Raises:
            PolicyDenied: the reply may not be handed on. The call is settled. Where the same bytes hold what may be,
                that is returned, and the refusal comes with :meth:`finish`.
            WireError: an event cannot be read; the same holds.
        """
        if self.over:
            return b""
        try:
            released = self._rewriter.feed(data)
        except (PolicyDenied, WireError) as error:
            if isinstance(error, PolicyDenied):
                error.of_reply = True
            self.close()
            if not self._rewriter.unsent:
                raise
            self._refusal, self.over = error, True
            return self._rewriter.unsent
        if self._call.cut_due:
            self.over = True
            released += self._rewriter.cut()
            self.close()
        return released

    def finish(self) -> bytes:
        """Return what was held back, at the stream's end, and settle the call.

        Raises:
            PolicyDenied: that may not be handed on, or what followed the bytes returned last.
            WireError: an event cannot be read.
        """
        try:
            if self._refusal is not None:
                raise self._refusal
            return b"" if self.over else self._rewriter.finish()
        finally:
            self.close()

    def close(self) -> None:
        """Settle the call, however its stream ended: what came is billed."""
        rewriter = self._rewriter
        self._call.settle(
            rewriter.usage,
            model=rewriter.model,
            finish_reasons=rewriter.finish_reasons,
            input_usage=rewriter.input_usage,
            pending=rewriter.pending,
        )

    def broke(self, error: BaseException) -> None:
        """Settle a call whose stream broke: the provider bills what it wrote."""
        del error
        self.close()
