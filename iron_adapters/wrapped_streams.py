"""A streamed reply of a framework's model that is governed where it is called, piece by piece.

Owns the way from the model's pieces to the caller's, the cut, the one end of the call, and what is in force in each
step of a stream. Knows no framework: what a piece is and what of it may be seen, its review says.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

from iron_adapters.wrapped_calls import fail

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Callable,
        Collection,
        Generator,
        Iterable,
        Iterator,
    )
    from contextlib import AbstractContextManager

    from iron_adapters.wire.streaming import TextReview
    from iron_policy.call import Call
    from iron_policy.messages import Usage

T = TypeVar("T")


class PieceReview(ABC, Generic[T]):
    """Turn a model's pieces into those that the caller may see; its subclasses say what a piece is.

    Args:
        review: what judges and alters the texts.
        answers: tools that stand for the answer itself, so that the caller is their reader.
        in_json: whether the content was asked for as JSON.

    Attributes:
        usage: what the stream reported so far.
        model: the model that says it has answered.
        finish_reasons: why it stopped.
    """

    def __init__(self, review: TextReview, *, answers: Collection[str] = (), in_json: bool = False) -> None:
        self.usage: Usage | None = None
        self.model: str | None = None
        self.finish_reasons: tuple[str, ...] = ()
        self._review = review
        self._answers = answers
        self._in_json = in_json

    @abstractmethod
    def feed(self, piece: T) -> Iterator[T]:
        """Yield what the caller gets for *piece*.

        Raises:
            PolicyDenied: the reply may not be handed on.
        """

    @abstractmethod
    def finish(self) -> Iterator[T]:
        """Yield what was held back, at the end of the stream.

        Raises:
            PolicyDenied: the rest may not be handed on.
        """

    def _reader(self, tool_name: str | None) -> str | None:
        """Return the tool that reads the arguments for *tool_name*, ``None`` where the caller does."""
        return None if tool_name in self._answers else tool_name


class WrappedStream(Generic[T]):
    """A streamed reply on its way to the caller.

    Args:
        call: the engine's side of it.
        review: what alters its pieces.
        ending: returns what follows the last piece of a stream that is cut.

    Attributes:
        begun: whether anything has come from the model.
    """

    def __init__(self, call: Call, review: PieceReview[T], ending: Callable[[], Iterable[T]] = tuple) -> None:
        self.begun = False
        self._call = call
        self._review = review
        self._ending = ending

    def through(self, pieces: Iterator[T]) -> Generator[T]:
        """Yield what the caller gets for *pieces*; stop reading where the stream is cut.

        Raises:
            PolicyDenied: the reply may not be handed on.
        """
        for piece in pieces:
            yield from self._feed(piece)
            if self._call.cut_due:
                yield from self._cut()
                return
        yield from self._review.finish()

    async def through_async(self, pieces: AsyncIterator[T]) -> AsyncGenerator[T]:
        """Yield what the caller gets for *pieces*, as :meth:`through` does."""
        async for piece in pieces:
            for released in self._feed(piece):
                yield released
            if self._call.cut_due:
                for released in self._cut():
                    yield released
                return
        for released in self._review.finish():
            yield released

    def _feed(self, piece: T) -> Iterator[T]:
        self.begun = True
        return self._review.feed(piece)

    def _cut(self) -> Iterator[T]:
        yield from self._review.finish()
        yield from self._ending()


@contextmanager
def streamed(
    call: Call, review: PieceReview[T], ending: Callable[[], Iterable[T]] = tuple
) -> Iterator[WrappedStream[T]]:
    """Return the stream of *call*; settle the call after the block, or end it where nothing has come."""
    stream = WrappedStream(call, review, ending)
    try:
        yield stream
    except BaseException as error:  # a stream that is cancelled ends too
        if not stream.begun:
            fail(call, error)
        raise
    finally:
        call.settle(review.usage, model=review.model, finish_reasons=review.finish_reasons)


def each_step(pieces: Iterator[T], acting: Callable[[], AbstractContextManager[object]]) -> Generator[T]:
    """Yield *pieces*, with *acting* around each step of theirs and nothing that the consumer does between.

    Closing it closes them.
    """
    try:
        while True:
            with acting():
                try:
                    piece = next(pieces)
                except StopIteration:
                    return
            yield piece
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()


async def each_async_step(
    pieces: AsyncIterator[T], acting: Callable[[], AbstractContextManager[object]]
) -> AsyncGenerator[T]:
    """Yield *pieces*, as :func:`each_step` does."""
    try:
        while True:
            with acting():
                try:
                    piece = await anext(pieces)
                except StopAsyncIteration:
                    return
            yield piece
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()
