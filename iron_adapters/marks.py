"""Marks and claims: how seams that see one call agree on which of them acts.

A *mark* is left by a framework's hook: this call belongs to that engine and scope, let the wire act on it. A
*claim* is laid by a seam that enforces: the seams below it stand aside, so that a call is judged and charged once.
Both are context variables, so they follow a call into tasks and threads that copy their context.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator

    from iron_policy.engine import PolicyEngine
    from iron_policy.exceptions import IronError
    from iron_policy.scope import Scope

T = TypeVar("T")


@dataclass(slots=True)
class Mark:
    """One framework call, on its way to the wire."""

    engine: PolicyEngine
    scope: Scope
    enclosing: Mark | None = None
    """The mark of the call within which this one is made."""
    requests_seen: int = 0
    """How many requests of this call, or of calls within it, were governed."""
    over: bool = False
    """True when the call has ended: a mark may outlive it in contexts that its end did not reach."""
    own_terms: Callable[[IronError], IronError] | None = None
    """Makes a refusal on the wire one that the framework above lets pass, where it would retry any other."""

    def note_request(self) -> None:
        """Count a request that is governed on behalf of this mark."""
        self.requests_seen += 1
        if self.enclosing is not None:
            self.enclosing.note_request()


mark: ContextVar[Mark | None] = ContextVar("iron_mark", default=None)
_claimed: ContextVar[bool] = ContextVar("iron_claimed", default=False)


def live_mark() -> Mark | None:
    """Return the mark of the innermost call that is under way here, ``None`` where no call is marked."""
    found = mark.get()
    while found is not None and found.over:
        found = found.enclosing
    return found


def is_claimed() -> bool:
    """Tell whether a seam further out already governs the call that is being made here."""
    return _claimed.get()


def claim_here() -> Token[bool]:
    """Claim every call that is made from here until :func:`give_back`."""
    return _claimed.set(True)


def give_back(claim: Token[bool]) -> None:
    """End a claim."""
    _claimed.reset(claim)


@contextmanager
def claimed() -> Iterator[None]:
    """Claim every call that is made within the ``with`` block."""
    claim = claim_here()
    try:
        yield
    finally:
        give_back(claim)


def claim_iterator(items: Iterator[T]) -> Generator[T]:
    """Yield *items*, claiming each step of theirs and nothing that the consumer does between. Closing it closes them."""
    try:
        while True:
            with claimed():
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()


async def claim_async_iterator(items: AsyncIterator[T]) -> AsyncGenerator[T]:
    """Yield *items*, claiming each step of theirs and nothing that the consumer does between. Closing it closes them."""
    try:
        while True:
            with claimed():
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    return
            yield item
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()
