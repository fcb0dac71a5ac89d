"""OpenAI's chat completions, as OpenAI and compatible servers speak them: where their texts are.

Owns the places of text in requests and whole replies. Streams are in ``openai_chat_stream``.
Reference: https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.wire.bodies import (
    UsageOnRequest,
    WireResponse,
    count_of,
    is_role,
    limit_of,
    model_of,
    other_models,
    plain_role,
    retry_count,
    role_of,
)
from iron_adapters.wire.json_bodies import dump, load_reply, load_request
from iron_adapters.wire.json_texts import JsonTexts
from iron_adapters.wire.known_keys import KNOWN_KEYS
from iron_adapters.wire.media import bound_of
from iron_adapters.wire.tool_schemas import tool_names, walk_schema, walk_sent_tools
from iron_adapters.wire.usage import openai_usage, word
from iron_policy.exceptions import WireError
from iron_policy.messages import ModelRequest, ToolCall

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iron_policy.messages import Role

_LIMITS = ("max_completion_tokens", "max_tokens")
_KNOWN_SETTINGS = frozenset({
    "model", "max_completion_tokens", "max_tokens", "stream", "stream_options", "temperature", "top_p", "n", "seed",
    "modalities", "audio", "logit_bias", "tool_choice", "function_call", "reasoning_effort", "service_tier", "verbosity", "store", "logprobs",
    "top_logprobs", "prompt_cache_retention", "prompt_cache_options", "parallel_tool_calls", "moderation",
})  # fmt: skip
REPLY_KEYS = frozenset({
    "id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint", "obfuscation",
})  # fmt: skip
"""What a reply says of itself."""
_READ_KEYS = frozenset({"index", "message", "logprobs"})
_CHOICE_KEYS = _READ_KEYS | {"finish_reason"}
_REASONS = ("stop", "length", "tool_calls", "content_filter", "function_call", None)
_TEXTUAL = frozenset({str, list, dict})
_NOTHING_WHEN_EMPTY = KNOWN_KEYS - {"audio"}
"""Keys of a message whose empty values need no look; replies are full of them."""


def read_request(body: bytes, headers: Mapping[str, str], provider_name: str) -> UsageOnRequest:
    """Read a request for a chat completion.

    Raises:
        WireError: it cannot be read.
    """
    document = load_request(body)
    texts = JsonTexts()
    for key, value in document.items():
        if key != "model" and (type(value) in _TEXTUAL or key not in _KNOWN_SETTINGS):
            _walk_top(texts, document, key)
    model = model_of(document)
    request = ModelRequest(
        provider_name=provider_name,
        model=model,
        texts=tuple(texts.texts),
        tool_names=tool_names(document.get("tools"), document.get("functions")),
        other_models=other_models(document),
        service_tier=word(document.get("service_tier")),
        parameter_names=tuple(document),
        max_tokens=limit_of(document, _LIMITS),
        choice_count=count_of(document, "n"),
        stream=bool(document.get("stream")),
        input_tokens_bound=None
        if "web_search_options" in document or "search" in model
        else bound_of(len(body), texts.media, model, provider_name),
        retry_count=retry_count(headers),
    )
    return UsageOnRequest(body, document, texts, request, limit_keys(provider_name))


def limit_keys(provider_name: str) -> tuple[str, ...]:
    """Return the keys of the output limit, the endpoint's own first.

    Every current model of OpenAI takes ``max_completion_tokens``, and some take nothing else; compatible servers
    may know ``max_tokens`` only.
    """
    return _LIMITS if provider_name == "openai" else _LIMITS[::-1]


def _walk_top(texts: JsonTexts, document: dict[str, Any], key: str) -> None:
    if key == "messages":
        walk_messages(texts, document[key])
    elif key in {"tools", "functions"}:
        walk_sent_tools(texts, document, key)
    elif key == "response_format":
        walk_format(texts, document, key, key)
    elif key == "metadata":
        texts.walk_values(document, key, "user", key)
    else:
        texts.walk_entry(document, key, "user", "")


def walk_format(texts: JsonTexts, container: dict[str, Any], key: str, place: str) -> None:
    """List what a format for structured output says."""
    if type(value := container[key]) is dict:
        walk_schema(texts, value, place)
    else:
        texts.walk(container, key, "schema", place)


def walk_messages(texts: JsonTexts, messages: Any) -> None:
    """List the texts of a conversation."""
    if type(messages) is not list:
        raise WireError("'messages' is no list")
    called: dict[str, str] = {}
    for index, message in enumerate(messages):
        if type(message) is not dict:
            texts.walk(messages, index, "user", f"messages[{index}]")
        elif (plain := plain_role(message)) is not None and plain != "tool":
            texts.add(message, "content", plain, f"messages[{index}].content")
        else:
            role = role_of(message, "user")
            tool_name = _answered_tool(message, called) if role == "tool" else None
            walk_message(texts, message, role, f"messages[{index}]", tool_name, called=called)


def _answered_tool(message: dict[str, Any], called: dict[str, str]) -> str | None:
    call_id = message.get("tool_call_id")
    return (called.get(call_id) if type(call_id) is str else None) or _name(message)


def walk_message(
    texts: JsonTexts,
    message: dict[str, Any],
    role: Role,
    place: str,
    tool_name: str | None = None,
    *,
    called: dict[str, str] | None = None,
) -> None:
    """List the texts of one message, which may be the result of *tool_name*.

    *called* takes the names of the tools it calls, by the call's id: a tool's result says only that.
    """
    for key, value in message.items():
        if key == "content" and type(value) is str:
            texts.add(message, key, role, f"{place}.content", tool_name)
        elif key == "tool_calls" and type(value) is list:
            _walk_tool_calls(texts, value, f"{place}.tool_calls", called)
        elif key == "function_call" and type(value) is dict:
            _walk_function(texts, value, f"{place}.function_call")
        elif value is not None and not (key == "role" and is_role(value)):
            if not value and key in _NOTHING_WHEN_EMPTY:
                continue
            if key == "audio":  # in a request, sound that the provider has kept
                texts.media.append({"type": "audio"})
            texts.walk_entry(message, key, role, place, tool_name)


def _walk_tool_calls(texts: JsonTexts, calls: list[Any], place: str, called: dict[str, str] | None) -> None:
    for index, call in enumerate(calls):
        if type(call) is not dict:
            texts.walk(calls, index, "assistant", f"{place}[{index}]")
            continue
        for key, value in call.items():
            if key in {"function", "custom"} and type(value) is dict:
                _walk_function(texts, value, f"{place}[{index}].{key}")
                if called is not None and type(call_id := call.get("id")) is str:
                    called[call_id] = _name(value) or ""
            else:
                texts.walk_entry(call, key, "assistant", f"{place}[{index}]")


def _walk_function(texts: JsonTexts, function: dict[str, Any], place: str) -> None:
    name = _name(function)
    for key in function:
        if key == "arguments":
            texts.walk_json(function, key, "assistant", f"{place}.arguments", name)
        elif key == "name":
            texts.walk_name(function, key, "assistant", place)
        else:
            texts.walk_entry(function, key, "assistant", place, name)


def _name(holder: dict[str, Any]) -> str | None:
    name = holder.get("name")
    return name if type(name) is str else None


def read_response(body: bytes) -> WireResponse:
    """Read a whole chat completion, or an error in its place.

    Raises:
        WireError: it cannot be read.
    """
    document, exact = load_reply(body)
    texts = JsonTexts()
    calls: list[ToolCall] = []
    reasons: list[str] = []
    for index, choice in enumerate(choices_of(texts, document)):
        _read_choice(texts, choice, index, calls, reasons)
    if not document.keys() <= REPLY_KEYS:
        texts.walk_rest(document, REPLY_KEYS, "assistant", "")
    return WireResponse(
        body,
        document,
        texts,
        exact=exact,
        tool_calls=calls,
        finish_reasons=reasons,
        usage=openai_usage(document.get("usage"), document.get("service_tier")),
    )


def choices_of(texts: JsonTexts, document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the choices of a reply; what is no choice is listed as text."""
    choices = document.get("choices")
    if type(choices) is not list:
        texts.walk(document, "choices", "assistant", "choices") if choices else None
        return []
    found = []
    for index, choice in enumerate(choices):
        if type(choice) is dict:
            found.append(choice)
        else:
            texts.walk(choices, index, "assistant", f"choices[{index}]")
    return found


def _read_choice(
    texts: JsonTexts, choice: dict[str, Any], index: int, calls: list[ToolCall], reasons: list[str]
) -> None:
    first = len(texts.texts)
    message = choice.get("message")
    if type(message) is dict:
        walk_message(texts, message, "assistant", f"choices[{index}].message")
        if "tool_calls" in message or "function_call" in message:
            calls.extend(tool_calls_of(message))
    reason = choice.get("finish_reason")
    if type(reason) is str:
        reasons.append(reason)
    if type(message) is not dict or reason not in _REASONS or not choice.keys() <= _CHOICE_KEYS:
        known = _READ_KEYS if type(message) is dict else _READ_KEYS - {"message"}
        texts.walk_rest(choice, known, "assistant", f"choices[{index}]")
    if choice.get("logprobs"):
        texts.when_changed(first, lambda: choice.update(logprobs=None))


def tool_calls_of(message: dict[str, Any]) -> list[ToolCall]:
    """Return the tool calls of an assistant's message, the deprecated ``function_call`` among them."""
    calls = []
    listed = message.get("tool_calls")
    for call in listed if type(listed) is list else ():
        if type(call) is dict:
            for key, said in (("function", "arguments"), ("custom", "input")):
                if type(function := call.get(key)) is dict:
                    calls.append(_tool_call(function, said, call.get("id")))
    if type(function := message.get("function_call")) is dict:
        calls.append(_tool_call(function, "arguments", None))
    return calls


def _tool_call(function: dict[str, Any], said: str, call_id: Any) -> ToolCall:
    arguments = function.get(said)
    return ToolCall(
        _name(function) or "",
        arguments if type(arguments) is str else dump(arguments).decode() if arguments else "",
        call_id if type(call_id) is str else None,
    )
