"""One governed call of a LlamaIndex model, from admission to settlement.

Owns what the sync and async ways of a call share: the reply as the caller may see it, and the one end. Knows no policy
and makes no call itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.llama_index.replies import Reply
from iron_adapters.llama_index.streams import StreamReview
from iron_adapters.wrapped_calls import ended_on_error, reviewed
from iron_adapters.wrapped_streams import streamed

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import AbstractContextManager

    from iron_adapters.wrapped_streams import WrappedStream
    from iron_policy.call import Call


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
        texts = reviewed(self.call, reply.response)
        return response if texts is None else reply.rewritten(texts)

    def streamed(self) -> AbstractContextManager[WrappedStream[Any]]:
        """Return what turns the model's responses into those that the caller may see; settle the call at the end."""
        return streamed(self.call, StreamReview(self.call, **self._how))

    def ended_on_error(self) -> AbstractContextManager[None]:
        """End the call if the block fails; a call that was settled stays as it is."""
        return ended_on_error(self.call)
