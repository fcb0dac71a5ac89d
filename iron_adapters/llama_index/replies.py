"""Whole replies of LlamaIndex's models: their texts, tool calls and usage, and a copy with new texts.

Owns where a reply repeats itself (``raw``, ``delta``, ``logprobs``) and where integrations report usage. Knows no
policy. Streams are in ``streams``.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from llama_index.core.base.llms.types import ChatResponse, CompletionResponse, ToolCallBlock

from iron_adapters.llama_index.messages import walk_fields
from iron_adapters.llama_index.plain import anew, plain, replacements
from iron_adapters.wire.json_texts import JsonTexts
from iron_adapters.wire.usage import anthropic_usage, openai_usage
from iron_policy.messages import ModelResponse, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from llama_index.core.base.llms.types import ChatMessage

REPEATS = ("raw", "delta", "logprobs")
"""Fields of a response that repeat what its message or text says."""

R = TypeVar("R", ChatResponse, CompletionResponse)


class Reply:
    """One whole reply.

    Args:
        response: what the model has returned.
        answers: tools that stand for the answer itself (structured output), so that the caller is their reader.
        in_json: whether the content was asked for as JSON.
    """

    def __init__(
        self,
        response: ChatResponse | CompletionResponse,
        *,
        answers: Collection[str] = (),
        in_json: bool = False,
    ) -> None:
        self._response = response
        self._answers = answers
        self._in_json = in_json
        self._fields: dict[str, Any] = plain(response, REPEATS)
        self._raw = plain(response.raw)
        self._said = replacements(self._fields, self._fields)

    @property
    def response(self) -> ModelResponse:
        """What the engine reviews."""
        texts = tuple(
            text._replace(tool_name=None) if text.tool_name in self._answers else text
            for text in self._walk(self._fields, [self._raw]).texts
        )
        reason = finish_reason_of(self._fields, self._raw)
        return ModelResponse(
            model=model_of(self._raw),
            texts=texts,
            tool_calls=tuple(tool_calls_of(getattr(self._response, "message", None))),
            finish_reasons=(reason,) if reason else (),
            usage=usage_of(self._fields, self._raw),
        )

    def rewritten(self, texts: Sequence[str]) -> Any:
        """Return a copy of the response with *texts* in place of those listed."""
        response, fields, raw = self._response, copy.deepcopy(self._fields), [copy.deepcopy(self._raw)]
        self._walk(fields, raw).rewrite(texts)
        said = replacements(self._fields, fields)
        altered = anew(response, self._fields | {}, fields) if fields != self._fields else response
        repeated = {
            "raw": anew(response.raw, self._raw, replaced(raw[0], said)),
            "delta": _content(altered) if response.delta else response.delta,
            "logprobs": None,
        }
        return altered.model_copy(update=repeated)

    def _walk(self, fields: dict[str, Any], raw: list[Any]) -> JsonTexts:
        texts = _Unsaid(self._said)
        for key, value in fields.items():
            if key == "message":
                walk_fields(texts, value, "assistant", key, in_json=self._in_json)
            elif key == "text":
                texts.add(fields, key, "assistant", key, None, self._in_json)
            else:
                texts.walk(fields, key, "assistant", key)
        texts.unsaid_only = True
        texts.walk(raw, 0, "assistant", "raw")
        return texts


class _Unsaid(JsonTexts):
    """List, once it is told to, only those texts of a document that were not said elsewhere."""

    def __init__(self, said: Collection[str]) -> None:
        super().__init__()
        self._said = said
        self.unsaid_only = False

    def add(self, container: Any, key: Any, *how: Any, **more: Any) -> None:
        if not (self.unsaid_only and container[key] in self._said):
            super().add(container, key, *how, **more)


def replaced(value: Any, said: dict[str, str]) -> Any:
    """Return plain *value* with its strings replaced by what has become of them."""
    if type(value) is str:
        return said.get(value, value)
    if type(value) is dict:
        return {key: replaced(item, said) for key, item in value.items()}
    return [replaced(item, said) for item in value] if type(value) is list else value


def _content(response: ChatResponse | CompletionResponse) -> str:
    return (response.message.content or "") if isinstance(response, ChatResponse) else response.text


def tool_calls_of(message: ChatMessage | None) -> Iterator[ToolCall]:
    """Yield the tool calls that *message* asks for."""
    if message is None:
        return
    calls = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    for block in calls:
        arguments = block.tool_kwargs
        written = arguments if isinstance(arguments, str) else orjson.dumps(arguments, default=str).decode()
        yield ToolCall(block.tool_name, written, block.tool_call_id)
    if not calls:
        yield from _legacy_calls(plain(message.additional_kwargs).get("tool_calls"))


def _legacy_calls(calls: Any) -> Iterator[ToolCall]:
    """Yield tool calls that an integration keeps beside the message's blocks."""
    for call in calls if type(calls) is list else ():
        if type(call) is dict:
            function = call.get("function") or call
            name, arguments = function.get("name") or call.get("tool_name"), function.get("arguments")
            if type(arguments) is not str:
                given = arguments or call.get("tool_kwargs") or call.get("input") or {}
                arguments = orjson.dumps(given, default=str).decode()
            yield ToolCall(str(name or ""), arguments, call.get("id"))


def model_of(raw: Any) -> str | None:
    """Return the model that says it has answered, ``None`` where none does."""
    name = raw.get("model") if type(raw) is dict else None
    return name if type(name) is str and name else None


def finish_reason_of(fields: dict[str, Any], raw: Any) -> str | None:
    """Return why the model stopped, ``None`` where it has not, or does not say."""
    message = fields.get("message") or {}
    sources = [message.get("additional_kwargs") or {}]
    if type(raw) is dict:
        sources += [raw, raw.get("delta"), *(raw.get("choices") or ())]
    for source in sources:
        for key in ("finish_reason", "stop_reason", "done_reason"):
            if type(source) is dict and type(reason := source.get(key)) is str and reason:
                return reason
    return None


def usage_of(fields: dict[str, Any], raw: Any) -> Usage | None:
    """Return what the reply says it used, ``None`` where it does not say."""
    reported = raw.get("usage") if type(raw) is dict else None
    if type(reported) is not dict or not any(reported.values()):
        reported = fields.get("additional_kwargs")
    if type(reported) is not dict:
        return None
    if "input_tokens" in reported and "input_tokens_details" not in reported:
        return anthropic_usage(reported)
    return openai_usage(reported) if {"prompt_tokens", "input_tokens"} & set(reported) else None
