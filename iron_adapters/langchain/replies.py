"""Whole replies of LangChain's chat models: their texts, tool calls and usage, and a copy with new texts.

Owns the translation of ``usage_metadata`` into disjoint buckets. Knows no policy. Streams are in ``chunks``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration

from iron_adapters.json_copies import copied
from iron_adapters.langchain.messages import arguments_of, fields_of, walk_fields
from iron_adapters.wire.json_texts import JsonTexts
from iron_policy.exceptions import ContentBlocked
from iron_policy.messages import ModelResponse, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from langchain_core.messages import BaseMessage

    from iron_policy.messages import Text

_TIERS = ("", "priority_", "flex_")


class Reply:
    """The choices of one reply.

    Args:
        choices: the generations of one prompt.
        llm_output: what the model reports beside them.
        answers: tools that stand for the answer itself (structured output), so that the caller is their reader.
        in_json: whether the content was asked for as JSON.
    """

    def __init__(
        self,
        choices: Sequence[ChatGeneration],
        llm_output: Mapping[str, Any] | None = None,
        *,
        answers: Collection[str] = (),
        in_json: bool = False,
    ) -> None:
        self._choices = choices
        self._output = llm_output or {}
        self._answers = answers
        self._in_json = in_json
        self._fields = [fields_of(choice.message) for choice in choices]

    @property
    def response(self) -> ModelResponse:
        """What the engine reviews."""
        texts = tuple(map(self._as_read, self._walk(self._fields).texts))
        messages = [choice.message for choice in self._choices]
        return ModelResponse(
            model=next((name for choice in self._choices if (name := model_of(choice, self._output))), None),
            texts=texts,
            tool_calls=tuple(call for message in messages for call in tool_calls_of(message)),
            finish_reasons=tuple(reason for choice in self._choices if (reason := finish_reason_of(choice))),
            usage=usage_of([message for message in messages if isinstance(message, AIMessage)]),
        )

    def rewritten(self, texts: Sequence[str]) -> list[ChatGeneration]:
        """Return copies of the choices with *texts* in place of those listed."""
        fields: list[dict[str, Any]] = copied(self._fields)
        self._walk(fields).rewrite(texts)
        return [
            choice if new == old else _altered(choice, new)
            for choice, old, new in zip(self._choices, self._fields, fields, strict=True)
        ]

    def _as_read(self, text: Text) -> Text:
        if text.tool_name in self._answers:
            return text._replace(tool_name=None)
        return text._replace(in_json=True) if self._in_json and ".content" in text.place else text

    def _walk(self, fields: list[dict[str, Any]]) -> JsonTexts:
        texts = JsonTexts()
        for index, part in enumerate(fields):
            walk_fields(texts, part, "assistant", f"choices[{index}]")
        return texts


def _altered(choice: ChatGeneration, fields: dict[str, Any]) -> ChatGeneration:
    message = choice.message.model_copy(update=fields)
    if (parsed := message.additional_kwargs.get("parsed")) is not None:
        anew = parsed_anew(parsed, str(message.text))
        message.additional_kwargs = {**message.additional_kwargs, "parsed": anew}
    message.response_metadata = without_logprobs(message.response_metadata)
    return ChatGeneration(message=message, generation_info=without_logprobs(choice.generation_info))


def parsed_anew(parsed: Any, text: str) -> Any:
    """Return what *parsed*, a structured answer, is after its text has changed to *text*.

    Raises:
        ContentBlocked: *text* does not fit the schema any more.
    """
    try:
        if hasattr(parsed, "model_validate_json"):
            return parsed.model_validate_json(text)
        return json.loads(text)
    except ValueError:
        # The validator's own message would hold the text.
        raise ContentBlocked(
            "the answer, as the policy rewrites it, does not fit its schema any more"
        ) from None


def without_logprobs(info: Any) -> Any:
    """Return *info* without log probabilities, which repeat the text as the model wrote it."""
    return {key: value for key, value in info.items() if key != "logprobs"} if info else info


def tool_calls_of(message: BaseMessage) -> list[ToolCall]:
    """Return the tool calls that *message* asks for, broken ones among them."""
    broken = getattr(message, "invalid_tool_calls", ())
    return [
        ToolCall(call["name"], arguments_of(call), call["id"]) for call in getattr(message, "tool_calls", ())
    ] + [ToolCall(call["name"] or "", call["args"] or "", call["id"]) for call in broken]


def model_of(choice: ChatGeneration, output: Mapping[str, Any]) -> str | None:
    """Return the model that says it has answered, ``None`` where none does."""
    for source in (choice.message.response_metadata, choice.generation_info or {}, output):
        for key in ("model_name", "model"):
            if isinstance(name := source.get(key), str) and name:
                return name
    return None


def finish_reason_of(choice: ChatGeneration) -> str | None:
    """Return why the model stopped, ``None`` where it does not say."""
    for source in (choice.generation_info or {}, choice.message.response_metadata):
        for key in ("finish_reason", "stop_reason", "done_reason"):
            if isinstance(reason := source.get(key), str) and reason:
                return reason
    return None


def usage_of(messages: Sequence[AIMessage]) -> Usage | None:
    """Return what *messages*, the choices of one call, used; ``None`` where they report nothing.

    LangChain's input tokens include those read from and written to a cache. The choices of one call each report
    the whole of it.
    """
    reported = next((message.usage_metadata for message in messages if message.usage_metadata), None)
    return None if reported is None or is_cached(reported) else normalised(reported)


def is_cached(reported: Mapping[str, Any]) -> bool:
    """Tell whether a reply comes from LangChain's cache, so that nobody bills it."""
    return reported.get("total_cost") == 0


def normalised(reported: Mapping[str, Any]) -> Usage:
    """Return LangChain's ``usage_metadata`` in disjoint buckets."""
    given: Mapping[str, Any] = reported.get("input_token_details") or {}
    made: Mapping[str, Any] = reported.get("output_token_details") or {}
    total, output = reported.get("input_tokens") or 0, reported.get("output_tokens") or 0
    read = min(_sum(given, *(f"{tier}cache_read" for tier in _TIERS)), total)
    for_an_hour = min(_sum(given, "ephemeral_1h_input_tokens"), total - read)
    written = _sum(given, "ephemeral_5m_input_tokens", *(f"{tier}cache_creation" for tier in _TIERS))
    written = min(written, total - read - for_an_hour)
    uncached = total - read - written - for_an_hour
    return Usage(
        uncached_input_tokens=uncached,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=written,
        cache_creation_1h_input_tokens=for_an_hour,
        output_tokens=output,
        reasoning_output_tokens=min(_sum(made, *(f"{tier}reasoning" for tier in _TIERS)), output),
        input_audio_tokens=min(_sum(given, "audio"), uncached),
        output_audio_tokens=min(_sum(made, "audio"), output),
    )


def _sum(details: Mapping[str, Any], *keys: str) -> int:
    return sum(details.get(key) or 0 for key in keys)
