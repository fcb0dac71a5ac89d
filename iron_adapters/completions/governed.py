"""One call under every policy that applies to it, without any HTTP: bytes in, bytes out.

Owns the order of those policies, which is the wire's: from the outermost in on the way out, and back. Exchanges do the
rest.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from iron_adapters.completions.linked import with_proof
from iron_adapters.exchange import Exchange, Sent
from iron_adapters.installation import next_seam
from iron_adapters.marks import claim_here, give_back, is_charged, is_claimed
from iron_adapters.relay import RelayEngine
from iron_adapters.resolve import unnamed_engine
from iron_adapters.transport import Seam
from iron_policy.exceptions import IronError
from iron_policy.scope import current_scope

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from iron_adapters.completions.targets import Target
    from iron_adapters.exchange import StreamExchange
    from iron_policy.engine import PolicyEngine
    from iron_policy.scope import Scope


class Layer(NamedTuple):
    """What one policy makes of the call."""

    seam: Seam
    exchange: Exchange


class Governed:
    """A call that every policy has admitted; ``body`` is to be sent."""

    def __init__(self, layers: Sequence[Layer], body: bytes) -> None:
        self.layers = tuple(layers)
        self.body = body

    def reply(self, status: int, body: bytes) -> bytes:
        """Return a whole reply as the caller may see it, and settle the call.

        Raises:
            PolicyDenied: the reply may not be handed on.
            WireError: the reply cannot be read.
        """
        try:
            for layer in reversed(self.layers):
                with _in_its_terms(layer.seam):
                    body = layer.exchange.reply(status, body)
        except BaseException as error:
            self._give_up(error, sent=True)
            raise
        return body

    def stream(self) -> GovernedStream:
        """Return what turns a streamed reply into the one that the caller may see."""
        return GovernedStream([(layer.seam, layer.exchange.stream()) for layer in reversed(self.layers)])

    def proved(self, target: Target) -> Target:
        """Return *target* with a proof that the call is judged, where it goes to a router of this process."""
        claims = [claim_here(layer.seam.engine, layer.seam.scope) for layer in self.layers]
        try:
            return with_proof(target)
        finally:
            for claim in reversed(claims):
                give_back(claim)

    def refused_by_provider(self, status: int) -> None:
        """End a call that the provider answered with an error."""
        for layer in self.layers:
            layer.exchange.refused_by_provider(status)

    def broke(self, error: BaseException, *, sent: bool) -> None:
        """End a call whose reply never came."""
        for layer in self.layers:
            layer.exchange.broke(error, sent=sent)

    def _give_up(self, error: BaseException, *, sent: bool) -> None:
        """End what has not ended, for a reason that is none of the provider's."""
        for layer in self.layers:
            layer.exchange.call.fail(type(error).__name__, sent=sent, provider_at_fault=False)


class GovernedStream:
    """A streamed reply on its way through every policy."""

    def __init__(self, streams: Sequence[tuple[Seam, StreamExchange]]) -> None:
        self._streams = streams

    @property
    def over(self) -> bool:
        """True when the stream was cut: nothing more is to be read from the provider."""
        return any(stream.over for _, stream in self._streams)

    def feed(self, data: bytes) -> bytes:
        """Take bytes from the provider; return those that the caller gets for them.

        Raises:
            PolicyDenied: the reply may not be handed on. The call is settled.
        """
        with self._settling():
            for seam, stream in self._streams:
                with _in_its_terms(seam):
                    data = stream.feed(data)
            return data

    def finish(self) -> bytes:
        """Return what was held back, at the stream's end, and settle the call."""
        with self._settling():
            rest = b""
            for seam, stream in self._streams:
                with _in_its_terms(seam):
                    rest = stream.feed(rest) + stream.finish()
            return rest

    def close(self) -> None:
        """Settle the call, however its stream ended: what came is billed."""
        for _, stream in self._streams:
            stream.close()

    @contextmanager
    def _settling(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise


def govern_call(engine: PolicyEngine | None, target: Target, body: bytes) -> Governed:
    """Judge a call that is made here and now by every policy that applies.

    Args:
        engine: the policy that the call was given, if it was; else the enclosing run's, else the default.
        target: where it goes.
        body: in the provider's dialect.

    Raises:
        PolicyDenied: nothing may be sent.
        WireError: the body cannot be read, so nothing may be sent.
    """
    governed = Governed((), body)
    claims = []
    try:
        while (seam := next_seam(engine) or _own_seam(engine)) is not None:
            governed = _with_layer(governed, seam, target)
            claims.append(claim_here(seam.engine, seam.scope))
    finally:
        for claim in reversed(claims):
            give_back(claim)
    return governed


def own_scope(engine: PolicyEngine | None) -> tuple[PolicyEngine, Scope]:
    """Return what governs a call that was given *engine*, besides the policies around it.

    The enclosing run is drawn on, unless another policy acts on the call already and charges it. Outside any run, all
    calls under one engine are one run.
    """
    scope = current_scope()
    if scope is None or (engine is not None and is_charged(scope)):
        engine = engine or unnamed_engine()
        return engine, engine.implicit_scope
    return engine or scope.engine, scope


def _own_seam(engine: PolicyEngine | None) -> Seam | None:
    if is_claimed(engine):
        return None
    acting, scope = own_scope(engine)
    return None if isinstance(acting, RelayEngine) else Seam(acting, scope, as_status=False)


def _with_layer(governed: Governed, seam: Seam, target: Target) -> Governed:
    provider_name = target.provider_name(seam.engine.policy)
    sent = Sent("POST", target.path, target.headers, governed.body, provider_name, seam.charges)
    try:
        with _in_its_terms(seam):
            exchange = Exchange.begin(seam.engine, seam.scope, sent)
    except BaseException as error:
        governed._give_up(error, sent=False)  # noqa: SLF001 - our own kind
        raise
    if exchange is None:
        return governed
    return Governed((*governed.layers, Layer(seam, exchange)), exchange.body)


@contextmanager
def _in_its_terms(seam: Seam) -> Iterator[None]:
    """Raise a refusal as the framework's own whose hook has marked the call."""
    try:
        yield
    except IronError as error:
        if seam.own_terms is None:
            raise
        raise seam.own_terms(error) from None
