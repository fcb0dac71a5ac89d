"""Anthropic's messages: where their texts are, block by block.

Owns the places of text in requests and whole replies. Streams are in ``anthropic_stream``.
Reference: https://docs.claude.com/en/api/messages

A thinking block is signed over its text. Where a request's is to be altered and an earlier turn holds it, the block
is left out, which the API allows. In the turn that still runs its tools the API insists on the block, so its text
is replaced: exact, and valid again, where that only undoes what the review of the reply had put in.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from iron_adapters.wire.bodies import (
    WireRequest,
    WireResponse,
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
from iron_adapters.wire.media import bound_of
from iron_adapters.wire.tool_schemas import tool_names, walk_schema, walk_sent_tools
from iron_adapters.wire.usage import anthropic_usage, word
from iron_policy.exceptions import WireError
from iron_policy.messages import ModelRequest, ToolCall

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iron_policy.messages import Role

_LIMITS = ("max_tokens",)
_MESSAGE_KEYS = frozenset({"id", "type", "role", "model", "usage", "content"})
_CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_CLIENT_TOOLS = ("bash_", "text_editor_", "computer_", "memory_", "browser_")
_TOOL_PROMPT_TOKENS = 1_000
"""The system prompt that tools bring has up to 530 tokens, a client tool of Anthropic's own up to 735 more
(platform.claude.com/docs/en/agents-and-tools/tool-use/overview, "Pricing")."""
_TOOLSET_TOKENS = 20_000
"""Toolsets bring dozens of definitions; nobody has published their size, so this is twice the largest known."""
_CITATION_TOKENS = 1_500
"""Citations bring a system prompt (some 650 tokens more than the texts, as recorded) and a mark for each sentence."""
_LEAST_THINKING = 1_024


class MessagesRequest(WireRequest):
    """A request for a message."""

    __slots__ = ()

    def set_max_tokens(self, max_tokens: int) -> None:
        """Ask for at most *max_tokens*; a thinking budget must stay below, so it gives way as far as it can."""
        super().set_max_tokens(max_tokens)
        if any(_raises(attempt, max_tokens) for attempt in _attempts(self.document)):
            self._set("fallbacks", [_held_to(attempt, max_tokens) for attempt in self.document["fallbacks"]])
        thinking = self.document.get("thinking")
        budget = thinking.get("budget_tokens") if type(thinking) is dict else None
        if type(budget) is int and budget >= max_tokens > _LEAST_THINKING:
            self._set("thinking", {**self.document["thinking"], "budget_tokens": max_tokens - 1})


def read_request(body: bytes, headers: Mapping[str, str], provider_name: str) -> MessagesRequest:
    """Read a request for a message.

    Raises:
        WireError: it cannot be read.
    """
    document = load_request(body)
    texts = JsonTexts()
    for key in document:
        if key != "model":
            _walk_top(texts, document, key)
    model = model_of(document)
    tools = document.get("tools")
    names = tool_names(tools)
    if document.get("mcp_servers") and "mcp" not in names:
        names += ("mcp",)
    request = ModelRequest(
        provider_name=provider_name,
        model=model,
        texts=tuple(texts.texts),
        tool_names=names,
        other_models=other_models(document),
        service_tier="fast" if _asks_for_speed(document) else word(document.get("service_tier")),
        parameter_names=tuple(document),
        max_tokens=_limit(document),
        stream=bool(document.get("stream")),
        input_tokens_bound=_bound(len(body), document, texts, model),
        retry_count=retry_count(headers),
    )
    return MessagesRequest(body, document, texts, request, _LIMITS)


def _attempts(document: dict[str, Any]) -> list[Any]:
    """Return what the request says of attempts with other models: each may have a limit and a speed of its own."""
    attempts = document.get("fallbacks")
    return attempts if type(attempts) is list else []


def _raises(attempt: Any, max_tokens: int) -> bool:
    return type(attempt) is dict and type(own := attempt.get("max_tokens")) is int and own > max_tokens


def _held_to(attempt: Any, max_tokens: int) -> Any:
    return {**attempt, "max_tokens": max_tokens} if _raises(attempt, max_tokens) else attempt


def _limit(document: dict[str, Any]) -> int | None:
    limit = limit_of(document, _LIMITS)
    for attempt in _attempts(document):
        if limit is not None and _raises(attempt, limit):
            limit = attempt["max_tokens"]
    return limit


def _asks_for_speed(document: dict[str, Any]) -> bool:
    return any(
        type(attempt) is dict and attempt.get("speed") == "fast"
        for attempt in (document, *_attempts(document))
    )


def _walk_top(texts: JsonTexts, document: dict[str, Any], key: str) -> None:
    value = document[key]
    if key == "messages":
        _walk_messages(texts, value)
    elif key == "system":
        texts.walk(document, key, "system", key)
    elif key == "tools":
        walk_sent_tools(texts, document, key)
    elif key in {"output_config", "output_format"} and type(value) is dict:
        walk_schema(texts, value, key)
    elif key == "mcp_servers" and type(value) is list:
        _walk_servers(texts, value)
    else:
        texts.walk_entry(document, key, "user", "")


def _walk_servers(texts: JsonTexts, servers: list[Any]) -> None:
    """List what is said of MCP servers, but for the credentials that Anthropic is to show them."""
    for index, server in enumerate(servers):
        if type(server) is not dict:
            texts.walk(servers, index, "schema", f"mcp_servers[{index}]")
            continue
        for key in server:
            if key != "authorization_token":
                texts.walk_entry(server, key, "schema", f"mcp_servers[{index}]")


def _walk_messages(texts: JsonTexts, messages: Any) -> None:
    if type(messages) is not list:
        raise WireError("'messages' is no list")
    called: dict[str, str] = {}
    for index, message in enumerate(messages):
        place = f"messages[{index}]"
        if type(message) is not dict:
            texts.walk(messages, index, "user", place)
            continue
        if (plain := plain_role(message)) is not None:
            texts.add(message, "content", plain, f"{place}.content")
            continue
        role = role_of(message, "user")
        for key, value in message.items():
            if key == "content" and type(value) is list:
                in_turn = role == "assistant" and index > _turn_start(messages)
                walk_blocks(texts, value, role, f"{place}.content", called, in_turn=in_turn)
            elif not (key == "role" and is_role(value)):
                texts.walk_entry(message, key, role, place)


def _turn_start(messages: list[Any]) -> int:
    """Return the number of the last message that the user, and not a tool, has said."""
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if type(message) is dict and message.get("role") == "user":
            content = message.get("content")
            if not (type(content) is list and any(_is_result(block) for block in content)):
                return index
    return -1


def _is_result(block: Any) -> bool:
    return type(block) is dict and str(block.get("type")).endswith("tool_result")


def walk_blocks(
    texts: JsonTexts,
    blocks: list[Any],
    role: Role,
    place: str,
    called: dict[str, str],
    *,
    in_turn: bool = True,
) -> None:
    """List the texts of a message's content.

    *called* takes the names of the tools called, by the call's id: a tool's result says only that. *in_turn* tells
    that thinking must stay, because the turn still runs or this is a reply.
    """
    for index, block in enumerate(blocks):
        where = f"{place}[{index}]"
        if type(block) is not dict:
            texts.walk(blocks, index, role, where)
            continue
        first = len(texts.texts)
        walk_block(texts, block, role, where, called)
        if block.get("type") == "thinking" and not in_turn:
            texts.when_changed(first, partial(_leave_out, blocks, block))


def _leave_out(blocks: list[Any], block: dict[str, Any]) -> None:
    """Remove a thinking block; the API wants at least one block, so the last one becomes plain text."""
    kept = [other for other in blocks if other is not block]
    blocks[:] = kept or [{"type": "text", "text": block["thinking"]}]


def walk_block(
    texts: JsonTexts, block: dict[str, Any], role: Role, place: str, called: dict[str, str]
) -> None:
    """List the texts of one block."""
    kind = str(block.get("type"))
    if kind == "text" and len(block) == 2 and type(block.get("text")) is str:  # noqa: PLR2004 - most blocks are these
        texts.add(block, "text", role, f"{place}.text")
    elif kind in _CALLS:
        name = str(block.get("name"))
        called[str(block.get("id"))] = name
        for key in block:
            if key == "input":
                texts.walk_values(block, key, role, f"{place}.{key}", name)
            elif key == "name":
                texts.walk_name(block, key, role, place)
            else:
                texts.walk_entry(block, key, role, place, name)
    elif kind.endswith("tool_result"):
        answered = called.get(str(block.get("tool_use_id")))
        for key in block:
            texts.walk_entry(block, key, "tool", place, answered)
    else:
        texts.walk_object(block, role, place)


def _bound(size: int, document: dict[str, Any], texts: JsonTexts, model: str) -> int | None:
    """Return the most input tokens, with what Anthropic adds for tools; ``None`` where it adds what it finds."""
    if any(
        document.get(key)
        for key in ("container", "mcp_servers", "context_management", "compaction", "thread")
    ):
        return None
    bound = bound_of(size, texts.media, model, "anthropic")
    tools = document.get("tools")
    added = [_added_by(tool) for tool in tools] if type(tools) is list else []
    if bound is None or None in added:
        return None
    bound += sum(filter(None, added)) + (_TOOL_PROMPT_TOKENS if tools else 0)
    return bound + size + _CITATION_TOKENS if any(map(_is_cited, texts.media)) else bound


def _is_cited(part: dict[str, Any]) -> bool:
    citations = part.get("citations")
    return type(citations) is dict and bool(citations.get("enabled"))


def _added_by(tool: Any) -> int | None:
    """Return how many tokens a tool adds to its definition; ``None`` for one that Anthropic runs itself."""
    kind = str(tool.get("type", "custom")) if type(tool) is dict else "custom"
    if kind in {"None", "custom"}:
        return 0
    if not kind.startswith(_CLIENT_TOOLS):
        return None
    return _TOOLSET_TOKENS if "toolset" in kind else _TOOL_PROMPT_TOKENS


def read_response(body: bytes) -> WireResponse:
    """Read a whole message, or an error in its place.

    Raises:
        WireError: it cannot be read.
    """
    document, exact = load_reply(body)
    texts = JsonTexts()
    content = document.get("content")
    blocks = content if type(content) is list else []
    walk_blocks(texts, blocks, "assistant", "content", {})
    walk_beside(texts, document)
    reason = document.get("stop_reason")
    return WireResponse(
        body,
        document,
        texts,
        exact=exact,
        tool_calls=[call for call in map(tool_call_of, blocks) if call is not None],
        finish_reasons=(reason,) if type(reason) is str else (),
        usage=anthropic_usage(document.get("usage")),
    )


def walk_beside(texts: JsonTexts, message: dict[str, Any]) -> None:
    """List what a message says besides its blocks."""
    if type(message.get("content")) is not list and message.get("content"):
        texts.walk(message, "content", "assistant", "content")
    texts.walk_rest(message, _MESSAGE_KEYS, "assistant", "")


def tool_call_of(block: Any) -> ToolCall | None:
    """Return what a block asks the caller to run; ``None`` where it asks nothing."""
    if type(block) is not dict or block.get("type") != "tool_use":
        return None
    return ToolCall(str(block.get("name")), dump(block.get("input", {})).decode(), str(block.get("id")))
