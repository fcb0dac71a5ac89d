"""What a callback is told of a call, and the mark that it leaves for the wire.

Owns which models are known to reach the wire, and the end of a call of any other: such a call can be refused and
metered, not rewritten. Knows no policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import EventPayload

from iron_adapters.llama_index.messages import Prompt
from iron_adapters.llama_index.replies import Reply
from iron_adapters.llama_index.requests import request_of
from iron_adapters.marks import Mark
from iron_adapters.watched_calls import stand_back, unreachable, unseen
from iron_adapters.wrapped_calls import fail, reviewed
from iron_policy.messages import ModelRequest, Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from iron_policy.call import Call

_ON_THE_WIRE: Mapping[str, str] = {
    "openai_llm": "openai",
    "openai_responses_llm": "openai",
    "azure_openai_llm": "openai",
    "OpenAILike": "openai",
    "OpenAIEmbedding": "openai",
    "AzureOpenAIEmbedding": "openai",
    "OpenAILikeEmbedding": "openai",
    "Anthropic_LLM": "anthropic",
}
"""Classes (``class_name()``) that speak through httpx, at endpoints that the wire can read, and to whom."""
WRAPPER = "IronLLM.wrap(llm)"
"""What governs a model that a callback cannot govern."""

_GOVERNED = frozenset({"IronLLM", "IronEmbedding"})


@dataclass(slots=True, kw_only=True)
class CallMark(Mark):
    """The mark of one event.

    A call of a model that is not known to reach the wire is admitted here, until a request within it is governed itself.
    """

    event_id: str
    judged: Call
    reaches_wire: bool
    admitted: Call | None = None

    @property
    def embeds(self) -> bool:
        """Whether it is a call for embeddings."""
        return self.judged.asked.operation_name == "embeddings"

    def note_request(self) -> None:
        """Count a request; what is governed itself is not to be charged here too."""
        Mark.note_request(self)
        self.stand_back()

    def stand_back(self) -> None:
        """Charge nothing: a call within this one is governed itself."""
        if self.admitted is not None:
            stand_back(self.admitted)

    def replied(self, response: Any) -> None:
        """See that the call was governed; settle it where it was admitted here.

        Raises:
            PolicyDenied: the reply is not handed on.
        """
        if self.requests_seen or (self.admitted is None and response is None):
            return
        call = self.admitted or self._unseen()
        if response is None:
            call.settle(None)
            return
        if reviewed(call, Reply(response).response) is not None:
            raise unreachable("the reply needs rewriting", WRAPPER)

    def embedded(self, chunks: Sequence[str]) -> None:
        """Judge and charge what was embedded off the wire; a callback is told of it only now.

        Raises:
            PolicyDenied: the embeddings are not handed on.
        """
        if self.requests_seen or self.reaches_wire:
            return  # where nothing was requested, all of it came from a cache
        self.judged = self.engine.judge(embedding_request(self.judged.asked, chunks), scope=self.scope)
        self._unseen().settle(None)

    def broke(self, error: BaseException) -> None:
        """End a call that failed or was broken off; what came of a stream is billed."""
        if self.admitted is not None and isinstance(error, GeneratorExit):
            self.admitted.settle(None)
        elif self.admitted is not None:
            fail(self.admitted, error)

    def _unseen(self) -> Call:
        wrapper = "IronEmbedding.wrap(model)" if self.embeds else WRAPPER
        return unseen(self.judged, f"; use {wrapper}")


def reaches_wire(model: Mapping[str, Any]) -> bool:
    """Tell whether a model is known to reach the wire, or to be governed where it makes its calls."""
    class_name, name = str(model.get("class_name")), str(model.get("model_name"))
    if (
        class_name == "Anthropic_LLM"
    ):  # on Bedrock and Vertex it has other names, and endpoints that nobody reads
        return name.startswith("claude") and "@" not in name
    return class_name in _ON_THE_WIRE or class_name in _GOVERNED


def llm_told_of(payload: Mapping[str, Any], model: Mapping[str, Any]) -> ModelRequest:
    """Return what a callback is told of a model's call, as the engine sees it."""
    told = payload.get(EventPayload.MESSAGES)
    messages = [ChatMessage(content=payload[EventPayload.PROMPT])] if told is None else list(told)
    kwargs = dict(payload.get(EventPayload.ADDITIONAL_KWARGS) or {})
    for name in ("prompt", "formatted"):
        kwargs.pop(name, None)
    limit = model.get("num_output")  # -1 where there is none
    params = {
        "model": model.get("model_name"),
        "max_tokens": limit if limit and limit > 0 else None,
        **kwargs,
    }
    return request_of(_provider(model), params, Prompt(messages, kwargs, {}))


def embedding_told_of(model: Mapping[str, Any]) -> ModelRequest:
    """Return what a callback is told of an embedding's call: the model, and no text."""
    return ModelRequest(
        provider_name=_provider(model),
        operation_name="embeddings",
        model=str(model.get("model_name") or "unknown"),
    )


def embedding_request(request: ModelRequest, texts: Sequence[str]) -> ModelRequest:
    """Return *request* with the *texts* to embed."""
    return request._replace(
        texts=tuple(Text(text, "document", f"input[{index}]") for index, text in enumerate(texts)),
        input_tokens_bound=sum(len(text.encode(errors="replace")) + 1 for text in texts),
    )


def _provider(model: Mapping[str, Any]) -> str:
    name = str(model.get("class_name") or "unknown")
    return _ON_THE_WIRE.get(name, name)
