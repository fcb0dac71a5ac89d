"""A call of a model that never reaches the wire, as a callback sees it: it can be refused and metered, not rewritten.

Owns the judgement of such a call's reply, streamed or whole, and its one end. Knows no policy.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk

from iron_adapters.langchain.chunks import ChunkReview
from iron_adapters.langchain.replies import Reply, is_cached
from iron_adapters.watched_calls import remedy, stand_back, unreachable
from iron_adapters.wire.usage import openai_usage
from iron_adapters.wrapped_calls import fail
from iron_policy.exceptions import BudgetExceeded, ContentBlocked
from iron_policy.messages import Channel, Usage

if TYPE_CHECKING:
    from langchain_core.outputs import LLMResult

    from iron_policy.call import Call
    from iron_policy.messages import Text, ToolCall

WRAPPER = "IronChatModel.wrap(model)"
"""What governs a model that a callback cannot govern."""

_CACHED = (
    "the reply in LangChain's cache needs rewriting, which a callback cannot do; keep the cache apart from ungoverned "
    f"calls, or use {WRAPPER}"
)


class Watched:
    """An admitted call whose texts can only pass as they are."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._review = _AsItIs(call)
        self._chunks = ChunkReview(self._review)
        self._streams = False

    def feed(self, piece: ChatGenerationChunk | str) -> None:
        """Judge a piece of a streamed reply.

        Raises:
            PolicyDenied: the stream must end here.
        """
        self._streams = True
        if isinstance(piece, str):
            self._review.push(_COMPLETION, piece)
        else:
            for _ in self._chunks.feed(piece):
                pass
        if self._call.cut_due:
            raise BudgetExceeded(f"the stream has brought what its budget affords; {remedy(WRAPPER)}")

    def end(self, response: LLMResult) -> None:
        """Settle the call, and judge its reply.

        Raises:
            PolicyDenied: the reply may not be handed on as it is.
        """
        if is_cached_reply(response):
            self._call.settle(Usage())
            review_cached(self._call, response)
            return
        reply = Reply(chat_generations(response), response.llm_output).response
        usage = reply.usage or openai_usage((response.llm_output or {}).get("token_usage"))
        try:
            if self._streams:
                self._review.finish(_COMPLETION)
                for _ in self._chunks.finish():
                    pass
            elif self._call.review(reply) is not None:
                raise unreachable("the reply needs rewriting", WRAPPER)
        finally:
            self._call.settle(usage, model=reply.model, finish_reasons=reply.finish_reasons)

    def broke(self, error: BaseException) -> None:
        """End a call that failed or was broken off; what came of a stream is billed."""
        if self._streams:
            chunks = self._chunks
            self._call.settle(chunks.usage, model=chunks.model, finish_reasons=chunks.finish_reasons)
        else:
            fail(self._call, error)

    def stand_back(self) -> None:
        """Charge nothing: a call within this one is governed itself."""
        stand_back(self._call)


_COMPLETION = Channel("completion")


class _AsItIs:
    """Review texts that cannot be altered: what would be, is refused."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._held: defaultdict[Channel, str] = defaultdict(str)

    def push(self, channel: Channel, text: str) -> str:
        """Take a piece of a text; return it."""
        held = self._held[channel] + text
        released = self._call.push(channel, text)
        if not held.startswith(released):
            raise unreachable("the reply needs rewriting", WRAPPER)
        self._held[channel] = held[len(released) :]
        return text

    def finish(self, channel: Channel) -> str:
        """End a text; nothing of it was held back."""
        if self._call.finish(channel) != self._held.pop(channel, ""):
            raise unreachable("the reply needs rewriting", WRAPPER)
        return ""

    def whole(self, text: Text) -> str:
        """Return a whole text."""
        if self._call.whole(text) != text.text:
            raise unreachable("the reply needs rewriting", WRAPPER)
        return text.text

    def tool_call(self, call: ToolCall) -> None:
        """Judge a complete tool call."""
        self._call.tool_call(call)


def review_cached(call: Call, response: LLMResult) -> None:
    """Judge a reply from LangChain's cache: another policy, or none, may have let it in.

    The caller's own values, which stand in it again, are judged as the stand-ins that the model has written.

    Raises:
        PolicyDenied: the reply may not be handed on as it is.
    """
    reply = Reply(chat_generations(response), response.llm_output).response
    find = call.engine.content.scanner.scan
    own = {
        text.text[found.start : found.end]: found.kind
        for text in call.asked.texts
        for found in find(text.text)
    }
    written = reply.texts
    for value, kind in own.items():
        token = call.scope.vault.token_for(kind, value)
        written = tuple(text._replace(text=text.text.replace(value, token)) for text in written)
    seen = call.review(reply._replace(texts=written)) or tuple(text.text for text in written)
    if any(
        new not in {old.text, told.text} for new, old, told in zip(seen, reply.texts, written, strict=True)
    ):
        call.engine.refuse(call, ContentBlocked(_CACHED))


def chat_generations(response: LLMResult) -> list[ChatGeneration]:
    """Return the choices that *response* tells of; a completion's text stands as a message's."""
    return [
        choice if isinstance(choice, ChatGeneration) else ChatGeneration(message=AIMessage(choice.text))
        for choices in response.generations
        for choice in choices
    ]


def is_cached_reply(response: LLMResult) -> bool:
    """Tell whether *response* comes from LangChain's cache, so that nothing was sent."""
    reported = (getattr(choice.message, "usage_metadata", None) for choice in chat_generations(response))
    return any(is_cached(usage) for usage in reported if usage)
