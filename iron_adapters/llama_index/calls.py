"""One governed call of a LlamaIndex model, from admission to settlement.

Owns what the sync and async ways of a call share: the reply as the caller may see it, and the one end. Knows no policy
and makes no call itself.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from iron_adapters.llama_index.replies import Reply
from iron_adapters.llama_index.streams import StreamReview
from iron_adapters.marks import is_charged, is_claimed, live_mark
from iron_adapters.transport import was_sent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator

    from iron_adapters.resolve import Governor
    from iron_policy.call import Call
    from iron_policy.engine import PolicyEngine
    from iron_policy.scope import Scope

_AT_FAULT = range(500, 600)
_TOO_MANY = 429


def next_to_act(governor: Governor) -> tuple[PolicyEngine, Scope] | None:
    """Return what is to act on a call that is made here; ``None`` where nothing is, or nothing any more.

    The hook that has marked the call comes first, then the policy of *governor*. Of two, one that was named nowhere
    yields to one that was.
    """
    own, marked = governor.explicit_engine, live_mark()
    if marked is not None and (marked.explicit or own is None or own is marked.engine):
        if not is_claimed(marked.engine if marked.explicit else None):
            marked.note_request()
            return marked.engine, marked.engine.implicit_scope if is_charged(marked.scope) else marked.scope
        if own is None:
            return None
    return None if is_claimed(own) else governor.engine_and_scope()


class GovernedCall:
    """An admitted call.

    Args:
        call: the engine's side of it.
        answers: tools that stand for the answer itself.
        in_json: whether the content was asked for as JSON.
    """

    def __init__(self, call: Call, *, answers: Collection[str] = (), in_json: bool = False) -> None:
        self.call = call
        self._how: dict[str, Any] = {"answers": answers, "in_json": in_json}

    def reviewed(self, response: Any) -> Any:
        """Settle the call; return its reply as the caller may see it.

        Raises:
            PolicyDenied: the reply may not be handed on.
        """
        reply = Reply(response, **self._how)
        told = reply.response
        try:
            texts = self.call.review(told)
        finally:
            self.call.settle(told.usage, model=told.model, finish_reasons=told.finish_reasons)
        return response if texts is None else reply.rewritten(texts)

    @contextmanager
    def streamed(self) -> Iterator[GovernedStream]:
        """Return what turns the model's responses into those that the caller may see; settle the call at the end."""
        review = StreamReview(self.call, **self._how)
        stream = GovernedStream(self.call, review)
        try:
            yield stream
        except BaseException as error:
            if not stream.begun:
                fail(self.call, error)
            raise
        finally:
            self.call.settle(review.usage, model=review.model, finish_reasons=review.finish_reasons)

    @contextmanager
    def ended_on_error(self) -> Iterator[None]:
        """End the call if the block fails; a call that was settled stays as it is."""
        try:
            yield
        except BaseException as error:
            fail(self.call, error)
            raise


class GovernedStream:
    """A streamed reply on its way to the caller.

    Attributes:
        begun: whether anything has come from the model.
    """

    def __init__(self, call: Call, review: StreamReview) -> None:
        self.begun = False
        self._call = call
        self._review = review

    def through(self, responses: Iterator[Any]) -> Iterator[Any]:
        """Yield what the caller gets for *responses*; stop reading where the stream is cut.

        Raises:
            PolicyDenied: the reply may not be handed on.
        """
        for response in responses:
            self.begun = True
            yield self._review.feed(response)
            if self._call.cut_due:
                break
        yield from self._review.finish()

    async def through_async(self, responses: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Yield what the caller gets for *responses*, as :meth:`through` does."""
        async for response in responses:
            self.begun = True
            yield self._review.feed(response)
            if self._call.cut_due:
                break
        for response in self._review.finish():
            yield response


def fail(call: Call, error: BaseException) -> None:
    """End a call whose reply never came, by what its error says of whether the provider has worked on it."""
    status = getattr(error, "status_code", None)
    if type(status) is int:
        call.fail(str(status), sent=False, provider_at_fault=status in _AT_FAULT or status == _TOO_MANY)
        return
    sent = all(was_sent(cause) for cause in (error, error.__cause__) if cause is not None)
    call.fail(type(error).__name__, sent=sent, provider_at_fault=isinstance(error, Exception))
