"""One call of a LangChain chat model that is governed where it is made, from admission to settlement.

Owns what the sync and async ways of such a call share: the arguments to send, the reply as the caller may see it, and
the one end. Knows no policy and makes no call itself. Calls that the wire governs are in ``wire_calls``.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from iron_adapters.langchain.chunks import ChunkReview
from iron_adapters.langchain.pieces import end_of
from iron_adapters.langchain.rebinding import ANSWERS
from iron_adapters.langchain.replies import Reply
from iron_adapters.langchain.requests import LIMITS, wants_json
from iron_adapters.marks import (
    claim_async_iterator,
    claim_iterator,
    claimed,
    is_charged,
    is_claimed,
    live_mark,
)
from iron_adapters.transport import was_sent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Collection, Generator, Iterator
    from contextlib import AbstractContextManager

    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import ChatGenerationChunk, ChatResult

    from iron_adapters.langchain.chat_model import IronChatModel
    from iron_adapters.langchain.messages import Prompt
    from iron_adapters.resolve import Governor
    from iron_policy.call import Call
    from iron_policy.engine import PolicyEngine
    from iron_policy.scope import Scope

_AT_FAULT = range(500, 600)
_TOO_MANY = 429


def next_to_act(governor: Governor) -> tuple[PolicyEngine, Scope] | None:
    """Return what is to act on a call that is made here; ``None`` where nothing is, or nothing any more.

    The hooks that have marked the call come first, then the policy of *governor*. Of two, one that was named nowhere
    yields to one that was.
    """
    own, found = governor.explicit_engine, live_mark()
    while found is not None:
        yields = not found.explicit and own not in {None, found.engine}
        if not (found.over or yields or is_claimed(found.engine if found.explicit else None)):
            found.note_request()
            scope = found.engine.implicit_scope if is_charged(found.scope) else found.scope
            return found.engine, scope
        found = found.enclosing
    return None if is_claimed(own) else governor.engine_and_scope()


class ChatCall:
    """An admitted call.

    Args:
        call: the engine's side of it.
        prompt: what the caller asked to send.
        answers: tools that stand for the answer itself.
    """

    def __init__(self, call: Call, prompt: Prompt, *, answers: Collection[str] = ()) -> None:
        self.call = call
        self._prompt = prompt
        self._answers = answers
        self._how: dict[str, Any] = {"answers": answers, "in_json": wants_json(prompt.kwargs)}

    def arguments(self, limit_name: str) -> tuple[list[BaseMessage], dict[str, Any]]:
        """Return the messages and keywords to send.

        Args:
            limit_name: by what name the model takes its limit of output tokens.
        """
        call, prompt = self.call, self._prompt
        texts = call.texts
        messages, kwargs = (prompt.messages, prompt.kwargs) if texts is None else prompt.rewritten(texts)
        altered = dict(kwargs)
        if call.max_tokens is not None:
            named = [name for name in LIMITS if altered.get(name) is not None]
            altered |= dict.fromkeys(named or [limit_name], call.max_tokens)
        if call.model is not None:
            altered["model"] = call.model
        if self._answers:
            altered[ANSWERS] = self._answers
        return messages, altered

    def target(self, model: IronChatModel) -> BaseChatModel:
        """Return what to call: the governed model again, as another policy may have to act on the call too."""
        return model

    def acting(self) -> AbstractContextManager[None]:
        """Keep the same policy from acting again on what is called within the block."""
        return claimed(self.call.engine, self.call.scope)

    def steps(self, chunks: Iterator[ChatGenerationChunk]) -> Generator[ChatGenerationChunk]:
        """Yield *chunks*, each step of theirs as within :meth:`acting`."""
        return claim_iterator(chunks, self.call.engine, self.call.scope)

    def async_steps(self, chunks: AsyncIterator[ChatGenerationChunk]) -> AsyncGenerator[ChatGenerationChunk]:
        """Yield *chunks*, each step of theirs as within :meth:`acting`."""
        return claim_async_iterator(chunks, self.call.engine, self.call.scope)

    def reviewed(self, result: ChatResult) -> ChatResult:
        """Settle the call; return its reply as the caller may see it.

        Raises:
            PolicyDenied: the reply may not be handed on.
        """
        reply = Reply(result.generations, result.llm_output, **self._how)
        response = reply.response
        try:
            texts = self.call.review(response)
        finally:
            self.call.settle(response.usage, model=response.model, finish_reasons=response.finish_reasons)
        if texts is None:
            return result
        return result.model_copy(update={"generations": reply.rewritten(texts)})

    @contextmanager
    def streamed(self) -> Iterator[ChatStream]:
        """Return what turns the model's chunks into those that the caller may see; settle the call at the end."""
        review = ChunkReview(self.call, **self._how)
        stream = ChatStream(self.call, review)
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


class ChatStream:
    """A streamed reply on its way to the caller.

    Attributes:
        begun: whether anything has come from the model.
    """

    def __init__(self, call: Call, review: ChunkReview) -> None:
        self.begun = False
        self._call = call
        self._review = review

    def through(self, chunks: Iterator[ChatGenerationChunk]) -> Iterator[ChatGenerationChunk]:
        """Yield what the caller gets for *chunks*; stop reading where the stream is cut.

        Raises:
            PolicyDenied: the reply may not be handed on.
        """
        for chunk in chunks:
            yield from self._feed(chunk)
            if self._call.cut_due:
                yield from self._cut()
                return
        yield from self._review.finish()

    async def through_async(
        self, chunks: AsyncIterator[ChatGenerationChunk]
    ) -> AsyncIterator[ChatGenerationChunk]:
        """Yield what the caller gets for *chunks*, as :meth:`through` does."""
        async for chunk in chunks:
            for released in self._feed(chunk):
                yield released
            if self._call.cut_due:
                for released in self._cut():
                    yield released
                return
        for released in self._review.finish():
            yield released

    def _feed(self, chunk: ChatGenerationChunk) -> Iterator[ChatGenerationChunk]:
        self.begun = True
        return self._review.feed(chunk)

    def _cut(self) -> Iterator[ChatGenerationChunk]:
        yield from self._review.finish()
        yield end_of(self._call.request.provider_name)


def reporting_usage(model: BaseChatModel) -> BaseChatModel:
    """Return *model*, or a copy of it that asks for its streams' usage where nobody has decided about that."""
    if "stream_usage" in type(model).model_fields and getattr(model, "stream_usage", None) is None:
        return model.model_copy(update={"stream_usage": True})
    return model


def fail(call: Call, error: BaseException) -> None:
    """End a call whose reply never came, by what its error says of whether the provider has worked on it."""
    status = getattr(error, "status_code", None)
    if type(status) is int:
        at_fault = status in _AT_FAULT or status == _TOO_MANY
        call.fail(str(status), sent=False, provider_at_fault=at_fault)
        return
    sent = all(was_sent(cause) for cause in (error, error.__cause__) if cause is not None)
    call.fail(type(error).__name__, sent=sent, provider_at_fault=isinstance(error, Exception))
