"""OpenAI's responses: where their texts are, item by item.

Owns the places of text in requests and whole replies. A reply repeats much of its request (instructions, tools,
metadata): that is no text of the model and stays as it is. Streams are in ``openai_responses_stream``.
Reference: https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.wire.bodies import (
    WireRequest,
    WireResponse,
    is_role,
    limit_of,
    model_of,
    other_models,
    retry_count,
    role_of,
)
from iron_adapters.wire.json_bodies import dump, load_reply, load_request
from iron_adapters.wire.json_texts import JsonTexts
from iron_adapters.wire.media import bound_of
from iron_adapters.wire.openai_chat import walk_format
from iron_adapters.wire.tool_schemas import tool_names, walk_sent_tools, walk_tools
from iron_adapters.wire.usage import openai_usage, word
from iron_policy.messages import ModelRequest, ToolCall

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iron_policy.messages import Role

_LIMITS = ("max_output_tokens",)
_ECHOED = frozenset({
    "id", "object", "created_at", "completed_at", "status", "model", "output", "usage", "service_tier", "instructions",
    "tools", "tool_choice", "metadata", "text", "reasoning", "previous_response_id", "prompt", "prompt_cache_key", "user",
    "safety_identifier", "truncation", "temperature", "top_p", "max_output_tokens", "max_tool_calls", "top_logprobs",
    "background", "store", "conversation", "parallel_tool_calls", "presence_penalty", "frequency_penalty", "billing",
    "prompt_cache_retention", "moderation_details",
})  # fmt: skip
"""What a reply says of itself, and repeats of its request."""
_ADDED_BY_TOOLS = {"function": 0, "custom": 0, "namespace": 0, "local_shell": 2_000, "apply_patch": 2_000}
"""Input tokens that a tool adds to its definition (some 600 as recorded); others bring what they find."""
_CALLED = {
    "function_call": "arguments",
    "custom_tool_call": "input",
    "mcp_approval_request": "arguments",
    "local_shell_call": "action",
    "shell_call": "action",
    "computer_call": "action",
    "apply_patch_call": "operation",
}
"""Items that ask the caller to run something, and the key that says what."""


def read_request(body: bytes, headers: Mapping[str, str], provider_name: str) -> WireRequest:
    """Read a request for a response.

    Raises:
        WireError: it cannot be read.
    """
    document = load_request(body)
    texts = JsonTexts()
    for key in document:
        if key != "model":
            _walk_top(texts, document, key)
    model = model_of(document)
    request = ModelRequest(
        provider_name=provider_name,
        model=model,
        texts=tuple(texts.texts),
        tool_names=tool_names(document.get("tools")),
        other_models=other_models(document),
        service_tier=word(document.get("service_tier")),
        parameter_names=tuple(document),
        max_tokens=limit_of(document, _LIMITS),
        stream=bool(document.get("stream")),
        input_tokens_bound=_bound(len(body), document, texts, model, provider_name),
        retry_count=retry_count(headers),
        conversation_id=_conversation(document),
    )
    return WireRequest(body, document, texts, request, _LIMITS)


def _walk_top(texts: JsonTexts, document: dict[str, Any], key: str) -> None:
    if key == "input":
        walk_items(texts, document, key, "user")
    elif key == "instructions":
        texts.walk(document, key, "system", key)
    elif key == "tools":
        walk_sent_tools(texts, document, key)
    elif key == "text":
        walk_format(texts, document, key, key)
    elif key == "metadata":
        texts.walk_values(document, key, "user", key)
    else:
        texts.walk_entry(document, key, "user", "")


def _bound(
    size: int, document: dict[str, Any], texts: JsonTexts, model: str, provider_name: str
) -> int | None:
    """Return the most input tokens; ``None`` where the provider adds stored turns, templates or what it finds."""
    if any(
        document.get(key) for key in ("previous_response_id", "conversation", "prompt", "context_management")
    ):
        return None
    bound = bound_of(size, texts.media, model, provider_name)
    tools = document.get("tools")
    for tool in tools if type(tools) is list else ():
        added = _ADDED_BY_TOOLS.get(str(tool.get("type"))) if type(tool) is dict else None
        bound = None if bound is None or added is None else bound + added
    return bound


def _conversation(document: dict[str, Any]) -> str | None:
    conversation = document.get("conversation")
    if type(conversation) is dict:
        conversation = conversation.get("id")
    return conversation if type(conversation) is str else None


def walk_items(texts: JsonTexts, container: dict[str, Any], key: str, role: Role) -> None:
    """List the texts of a string or a list of items. *role* is whose an item of unknown type is."""
    items = container[key]
    if type(items) is not list:
        texts.walk(container, key, role, key)
        return
    called: dict[str, str] = {}
    for index, item in enumerate(items):
        if type(item) is dict:
            walk_item(texts, item, f"{key}[{index}]", role, called)
        else:
            texts.walk(items, index, role, f"{key}[{index}]")


def walk_item(
    texts: JsonTexts, item: dict[str, Any], place: str, role: Role, called: dict[str, str] | None = None
) -> None:
    """List the texts of one item.

    *called* takes the names of the tools called, by the call's id: a tool's result says only that.
    """
    if item.get("type") == "item_reference":
        texts.media.append(item)
    role, tool_name = _speaker(item, role, called if called is not None else {})
    for key, value in item.items():
        if key == "arguments" and value is not None:
            texts.walk_json(item, key, role, f"{place}.{key}", tool_name)
        elif key == "tools":
            walk_tools(texts, item, key, f"{place}.{key}")
        elif key == "name" and tool_name is not None:
            texts.walk_name(item, key, role, place)
        elif not (key == "role" and is_role(value)):
            texts.walk_entry(item, key, role, place, tool_name)


def _speaker(item: dict[str, Any], role: Role, called: dict[str, str]) -> tuple[Role, str | None]:
    """Return who says an item's texts, and the tool it calls or whose result it is."""
    kind = item.get("type")
    if type(kind) is not str or kind == "message":
        return role_of(item, role), None
    if kind == "reasoning":
        return "assistant", None
    call_id = item.get("call_id")
    if kind.endswith("_output"):
        return "tool", called.get(call_id) if type(call_id) is str else None
    if kind.endswith(("_call", "_request")):
        name = name_of(item)
        if type(call_id) is str:
            called[call_id] = name
        return "assistant", name
    return role, None


def name_of(item: dict[str, Any]) -> str:
    """Return the name of the tool that an item calls; a built-in one goes by its type."""
    name = item.get("name")
    return name if type(name) is str else str(item.get("type", "")).removesuffix("_call")


def tool_call_of(item: dict[str, Any]) -> ToolCall | None:
    """Return what an item asks the caller to run; ``None`` where it asks nothing."""
    key = _CALLED.get(str(item.get("type")))
    if key is None:
        return None
    said = item.get(key)
    call_id = item.get("call_id") or item.get("id")
    return ToolCall(
        name_of(item),
        said if type(said) is str else dump(said).decode(),
        call_id if type(call_id) is str else None,
    )


def walk_output(texts: JsonTexts, response: dict[str, Any]) -> None:
    """List what the model said in a response, and what went wrong."""
    if type(response.get("output")) is list:
        walk_items(texts, response, "output", "assistant")
    elif response.get("output"):
        texts.walk(response, "output", "assistant", "output")
    texts.walk_rest(response, _ECHOED, "assistant", "")


def reason_of(response: dict[str, Any]) -> str | None:
    """Return why a response ended."""
    details = response.get("incomplete_details")
    reason = details.get("reason") if type(details) is dict else None
    reason = reason or response.get("status")
    return reason if type(reason) is str else None


def is_pending(response: dict[str, Any]) -> bool:
    """Tell whether a response is still to be made, in the background."""
    return response.get("status") in ("queued", "in_progress")


def read_response(body: bytes) -> WireResponse:
    """Read a whole response, or an error in its place.

    Raises:
        WireError: it cannot be read.
    """
    document, exact = load_reply(body)
    texts = JsonTexts()
    walk_output(texts, document)
    output = document.get("output")
    items = [item for item in output if type(item) is dict] if type(output) is list else []
    calls = [call for call in map(tool_call_of, items) if call is not None]
    reason = reason_of(document)
    return WireResponse(
        body,
        document,
        texts,
        exact=exact,
        tool_calls=calls,
        finish_reasons=(reason,) if reason else (),
        usage=openai_usage(document.get("usage"), document.get("service_tier")),
        pending=is_pending(document),
    )
