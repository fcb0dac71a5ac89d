"""A ``completion`` call that goes to a runtime: where to, what it tells of itself, and the refusals it brings back.

Owns what differs from a call to the provider itself. Does no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from iron_adapters.completions.targets import Address
from iron_adapters.marks import live_mark
from iron_adapters.own_routers import PROOF_HEADER, proof_for
from iron_adapters.runtime_link import Listening, destination, drawn_on
from iron_adapters.runtime_runs import note_end, note_link
from iron_adapters.told_refusals import refusal_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from iron_adapters.completions.targets import Target
    from iron_adapters.runtime_address import RuntimeAddress
    from iron_policy.exceptions import IronError
    from iron_policy.scope import Scope

_CREDENTIALS = frozenset(("authorization", "x-api-key"))


@dataclass(frozen=True, slots=True)
class LinkedCall:
    """One call on its way to the runtime at *address*, on behalf of *scope*."""

    address: RuntimeAddress
    scope: Scope
    own_terms: Callable[[IronError], IronError] | None = None

    @classmethod
    def here(cls, address: RuntimeAddress, scope: Scope) -> Self:
        """Return what a call is that is made here and now."""
        marked = live_mark()
        return cls(address, drawn_on(scope), None if marked is None else marked.own_terms)

    def redirected(self, target: Target) -> Target:
        """Return *target* at the runtime.

        Raises:
            EndpointNotAllowed: the runtime does not serve it.
        """
        parts = urlsplit(target.address.url)
        origin = f"{parts.scheme}://{parts.netloc}"
        at_runtime = self.address.is_at(parts.scheme, target.address.host, target.address.port)
        going = destination(self.address, self.scope, "POST", parts.path, None if at_runtime else origin)
        path = parts.path if at_runtime else self.address.path + going.path
        query = f"?{parts.query}" if parts.query else ""
        server = self.address.url.removesuffix(self.address.path) if self.address.path else self.address.url
        address = Address(f"{server}{path}{query}", self.address.host, self.address.port)
        kept = {
            name: value
            for name, value in target.headers.items()
            if not (going.replaces_key and name in _CREDENTIALS)
        }
        return replace(target, address=address, headers={**kept, **going.headers})

    def answered(self) -> None:
        """Note that the runtime has answered, so that it knows of the run."""
        note_link(self.address, self.scope)

    def refusal(self, body: bytes) -> IronError | None:
        """Return the refusal that an error's *body* tells of, if it does."""
        return self.in_own_terms(refusal_in(body))

    def in_own_terms(self, refusal: IronError | None) -> IronError | None:
        """Return *refusal* as the framework's own that has marked the call."""
        return refusal if refusal is None or self.own_terms is None else self.own_terms(refusal)

    def ended(self) -> None:
        """Note that the call has ended."""
        note_end(self.scope)

    def listening(self) -> Listening:
        """Return what hears a refusal in a stream."""
        return Listening(partial(note_end, self.scope))


def with_proof(target: Target) -> Target:
    """Return *target* with a proof, where it is a router of this process."""
    nonce = proof_for(target.address.host, target.address.port)
    if nonce is None:
        return target
    headers: Mapping[str, str] = {**target.headers, PROOF_HEADER: nonce}
    return replace(target, headers=headers)
