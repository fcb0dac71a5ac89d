"""One call of a LangChain chat model that is governed where it is made, from admission to settlement.

Owns what the sync and async ways of such a call share: the arguments to send, the reply as the caller may see it, and
the one end. Knows no policy and makes no call itself. Calls that the wire governs are in ``wire_calls``.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from iron_adapters.call_keywords import wants_json
from iron_adapters.langchain.chunks import ChunkReview
from iron_adapters.langchain.pieces import ends_of
from iron_adapters.langchain.rebinding import ANSWERS
from iron_adapters.langchain.replies import Reply
from iron_adapters.langchain.requests import LIMITS
from iron_adapters.marks import claimed
from iron_adapters.wrapped_calls import ended_on_error, reviewed
from iron_adapters.wrapped_streams import streamed

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import AbstractContextManager

    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import ChatGenerationChunk, ChatResult

    from iron_adapters.langchain.chat_model import IronChatModel
    from iron_adapters.langchain.messages import Prompt
    from iron_adapters.wrapped_streams import WrappedStream
    from iron_policy.call import Call


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

    def reviewed(self, result: ChatResult) -> ChatResult:
        """Settle the call; return its reply as the caller may see it.

        Raises:
            PolicyDenied: the reply may not be handed on.
        """
        reply = Reply(result.generations, result.llm_output, **self._how)
        texts = reviewed(self.call, reply.response)
        if texts is None:
            return result
        return result.model_copy(update={"generations": reply.rewritten(texts)})

    def streamed(self) -> AbstractContextManager[WrappedStream[ChatGenerationChunk]]:
        """Return what turns the model's chunks into those that the caller may see; settle the call at the end."""
        ending = partial(ends_of, self.call.request.provider_name)
        return streamed(self.call, ChunkReview(self.call, **self._how), ending)

    def ended_on_error(self) -> AbstractContextManager[None]:
        """End the call if the block fails; a call that was settled stays as it is."""
        return ended_on_error(self.call)


def reporting_usage(model: BaseChatModel) -> BaseChatModel:
    """Return *model*, or a copy of it that asks for its streams' usage where nobody has decided about that."""
    if "stream_usage" in type(model).model_fields and getattr(model, "stream_usage", None) is None:
        return model.model_copy(update={"stream_usage": True})
    return model
