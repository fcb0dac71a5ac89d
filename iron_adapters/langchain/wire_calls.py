"""One call of a LangChain chat model that the wire governs, and what the wire cannot know of it.

Owns the mark under which such a call is made, in each step of a stream; the fallback for a call that never comes by
the wire; and the tools that stand for the answer itself, whose arguments the caller reads. Knows no policy.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

from iron_adapters.langchain.calls import ChatCall
from iron_adapters.langchain.chunks import ChunkReview
from iron_adapters.langchain.replies import Reply
from iron_adapters.langchain.stand_in import StandIn
from iron_adapters.marks import Mark, live_mark, mark
from iron_adapters.watched_calls import unseen
from iron_policy.detect import Scanner
from iron_policy.redact import StreamWindow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Iterator

    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import ChatGenerationChunk, ChatResult

    from iron_adapters.langchain.chat_model import IronChatModel
    from iron_adapters.langchain.messages import Prompt
    from iron_adapters.resolve import Governor
    from iron_policy.messages import Channel, ModelRequest, Text, ToolCall
    from iron_policy.redact import Vault

ON_THE_WIRE = frozenset({"openai-chat", "azure-openai-chat", "anthropic-chat", "openai", "azure"})
"""Kinds of models (``_llm_type``) that speak through httpx or httpx2, at endpoints that the wire can read."""

_INTEGRATIONS = frozenset({"langchain_openai", "langchain_anthropic"})
_CALLS = ("_generate", "_agenerate", "_stream", "_astream")


def calls_by_wire(model: BaseChatModel) -> bool:
    """Tell whether every call of *model* is known to come by the wire: a class of one's own may call elsewhere."""
    if isinstance(model, StandIn):
        return calls_by_wire(model.wrapped)
    return model._llm_type in ON_THE_WIRE and all(  # noqa: SLF001 - a chat model's protected methods are its protocol
        getattr(type(model), name).__module__.partition(".")[0] in _INTEGRATIONS for name in _CALLS
    )


@contextmanager
def under_mark(marked: Mark) -> Iterator[None]:
    """Make the calls within the block calls of *marked*."""
    token = mark.set(marked)
    try:
        yield
    finally:
        mark.reset(token)


def mark_for(governor: Governor) -> tuple[Mark, bool]:
    """Return the mark for a call that *governor* governs, and whether it is a new one: one that is there may do."""
    own, above = governor.explicit_engine, live_mark()
    if above is not None and (own is None or own is above.engine):
        return above, False
    engine, scope = governor.engine_and_scope()
    return Mark(engine, scope, explicit=own is not None, enclosing=above), True


class WireCall:
    """A call under way that the wire judges, alters, cuts and charges.

    Args:
        governor: whose policy it is.
        request: the call, as far as LangChain tells.
        prompt: what the caller asked to send.
        answers: tools that stand for the answer itself.

    Raises:
        PolicyDenied: it would be refused on the wire.
    """

    def __init__(
        self, governor: Governor, request: ModelRequest, prompt: Prompt, *, answers: Collection[str] = ()
    ) -> None:
        self._mark, self._is_own = mark_for(governor)
        self._seen_before = self._mark.requests_seen
        self._judged = self._mark.engine.judge(request, scope=self._mark.scope)
        self._prompt = prompt
        self._how = answers
        self.answers = Answers(self._mark.scope.vault, answers) if answers else None

    def arguments(self, _limit_name: str) -> tuple[list[BaseMessage], dict[str, Any]]:
        """Return the messages and keywords as they came."""
        return self._prompt.messages, dict(self._prompt.kwargs)

    def target(self, model: IronChatModel) -> BaseChatModel:
        """Return what to call: every policy that applies is kept on the wire."""
        return model.wrapped

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Have the wire govern what is called within the block."""
        with under_mark(self._mark):
            yield

    def reviewed(self, result: ChatResult) -> ChatResult:
        """Return the reply as the caller may see it.

        Raises:
            PolicyDenied: the call never came by the wire, and its reply may not be handed on.
        """
        if not self.was_seen:
            return self.unseen().reviewed(result)
        if not self.answers:
            return result
        reply = Reply(result.generations, result.llm_output)
        texts = [self.answers.whole(text) for text in reply.response.texts]
        return result.model_copy(update={"generations": reply.rewritten(texts)})

    @contextmanager
    def streamed(self) -> Iterator[WireStream]:
        """Return what hands the chunks on; the mark is over at the end."""
        with self.ended_on_error():
            yield WireStream(self)

    @contextmanager
    def ended_on_error(self) -> Iterator[None]:
        """End the mark after the block, where it is this call's own; the wire has ended the call itself."""
        try:
            yield
        finally:
            if self._is_own:
                self._mark.over = True

    @property
    def was_seen(self) -> bool:
        """Whether the call has come by the wire."""
        return self._mark.requests_seen > self._seen_before

    def unseen(self) -> ChatCall:
        """Return the call, to be charged from what its reply reports: it has not come by the wire.

        Raises:
            GovernanceFailed: it has sent what the policy rewrites.
        """
        return ChatCall(unseen(self._judged), self._prompt, answers=self._how)


class WireStream:
    """A streamed reply on its way from the wire to the caller."""

    def __init__(self, call: WireCall) -> None:
        self._call = call
        self._review = ChunkReview(call.answers) if call.answers else None

    def through(self, chunks: Iterator[ChatGenerationChunk]) -> Iterator[ChatGenerationChunk]:
        """Yield what the caller gets for *chunks*.

        Raises:
            PolicyDenied: the call never came by the wire, and its reply may not be handed on.
        """
        for chunk in chunks:
            if not self._call.was_seen:
                with self._call.unseen().streamed() as stream:
                    yield from stream.through(chain((chunk,), chunks))
                return
            yield from self._feed(chunk)
        yield from self._finish()

    async def through_async(
        self, chunks: AsyncIterator[ChatGenerationChunk]
    ) -> AsyncIterator[ChatGenerationChunk]:
        """Yield what the caller gets for *chunks*, as :meth:`through` does."""
        async for chunk in chunks:
            if not self._call.was_seen:
                with self._call.unseen().streamed() as stream:
                    async for released in stream.through_async(_chained(chunk, chunks)):
                        yield released
                return
            for released in self._feed(chunk):
                yield released
        for released in self._finish():
            yield released

    def _feed(self, chunk: ChatGenerationChunk) -> Iterable[ChatGenerationChunk]:
        return (chunk,) if self._review is None else self._review.feed(chunk)

    def _finish(self) -> Iterable[ChatGenerationChunk]:
        return () if self._review is None else self._review.finish()


class Answers:
    """The review of what the wire hands on: in the arguments of tools that are the answer, values take their place again.

    Args:
        vault: whose stand-ins they are.
        names: those tools.
    """

    def __init__(self, vault: Vault, names: Collection[str]) -> None:
        self._vault = vault
        self._names = names
        self._windows: dict[Channel, StreamWindow] = {}

    def push(self, channel: Channel, text: str) -> str:
        """Take a piece of a text; return what may be released now."""
        if channel.tool_name not in self._names:
            return text
        window = self._windows.get(channel)
        if window is None:
            window = self._windows[channel] = StreamWindow(
                scanner=_NOTHING, action_of={}, vault=self._vault, restore=True, in_json=channel.in_json
            )
        return window.push(text)

    def finish(self, channel: Channel) -> str:
        """Return the rest of a text that has ended."""
        window = self._windows.pop(channel, None)
        return "" if window is None else window.finish()

    def whole(self, text: Text) -> str:
        """Return a whole text."""
        if text.tool_name not in self._names:
            return text.text
        return self._vault.restore(text.text, in_json=text.in_json)

    def tool_call(self, call: ToolCall) -> None:
        """Leave tool calls alone: the wire has judged them."""


_NOTHING = Scanner(())


async def _chained(
    first: ChatGenerationChunk, rest: AsyncIterator[ChatGenerationChunk]
) -> AsyncIterator[ChatGenerationChunk]:
    yield first
    async for chunk in rest:
        yield chunk
