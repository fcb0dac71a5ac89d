"""A conversation in Anthropic's messages, said in OpenAI's: system prompt, turns, and the blocks in them.

Owns which block becomes which part or message. Every text stays as it is, word for word. Two things are left out
openly: ``cache_control``, because OpenAI's caches need no marks, and thinking of earlier turns, which Anthropic lets a
client leave out and chat completions have no place for: OpenAI's models do not get their own back either.
Reference: https://docs.claude.com/en/api/messages, https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.wire.json_bodies import dump
from iron_adapters.wire.translation.messages_fields import Fields, items
from iron_policy.exceptions import Untranslatable

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn, TypeAlias

    _PartOf: TypeAlias = Callable[[Fields], list[dict[str, Any]]]

_THINKING = frozenset({"thinking", "redacted_thinking"})
_SERVER_BLOCKS = frozenset(
    """
    server_tool_use web_search_tool_result web_fetch_tool_result code_execution_tool_result
    bash_code_execution_tool_result text_editor_code_execution_tool_result tool_search_tool_result mcp_tool_use
    mcp_tool_result container_upload tool_reference compaction tool_addition tool_removal browser_state
    """.split()  # noqa: SIM905 - one to a line would be a page
)
_PDF = "application/pdf"
_CITATIONS = "its citations have no equal there; leave them out"
TOOL_FAILED = "The tool failed:"
"""What a tool's message begins with where Anthropic's has ``is_error``, for which OpenAI's has no field."""


def chat_messages(request: Fields) -> list[dict[str, Any]]:
    """Take ``system`` and ``messages`` of *request*; return the messages of a chat.

    Raises:
        Untranslatable: a message or a block has no equal.
    """
    said = _system(request.take("system"), "system")
    turns = items(request.take("messages"), "messages")
    for place, turn in turns:
        said += _turn(Fields(turn, place))
    if turns and turns[-1][1].get("role") == "assistant":
        raise Untranslatable(
            "the last message is the assistant's, to be gone on with, and OpenAI's models start a new one: end with a user's",
            turns[-1][0],
        )
    return said


def _turn(message: Fields) -> list[dict[str, Any]]:
    role = message.take("role")
    content = message.take("content")
    place = f"{message.place}.content"
    if content == []:
        message.wrong("content", "says nothing: leave the message out")
    if role == "user":
        said = _user(content, place)
    elif role == "assistant":
        said = _assistant(content, place)
    elif role == "system":
        said = _system(content, place)
    else:
        message.wrong("role", "must be user, assistant or system")
    message.done()
    return said


def _system(content: Any, place: str) -> list[dict[str, Any]]:
    if content is None or content == "":
        return []
    parts = _parts(content, place, {"text": _text})
    return [{"role": "system", "content": _joined(parts)}] if parts else []


# -- the user's turn -------------------------------------------------------------------------------------------


def _user(content: Any, place: str) -> list[dict[str, Any]]:
    """Return the results of tools, which OpenAI wants right behind the calls, and then what the user says."""
    if type(content) is str:
        return [{"role": "user", "content": content}]
    results: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    for block_place, value in items(content, place):
        block = Fields(value, block_place)
        kind = block.kind()
        if kind == "tool_result":
            results.append(_tool_result(block))
        else:
            parts += _part(block, kind, _PARTS)
    return [*results, {"role": "user", "content": _joined(parts)}] if parts else results


def _tool_result(block: Fields) -> dict[str, Any]:
    block.leave_out("cache_control")
    content = block.take("content")
    call_id = block.need("tool_use_id", str)
    failed = block.maybe("is_error", bool)
    place = f"{block.place}.content"
    parts = [] if content is None else _parts(content, place, _PARTS)
    for part in parts:
        if part["type"] != "text":
            raise Untranslatable(
                f"{place!r} cannot be said in OpenAI's chat completions, whose tools answer in text only: "
                "put images and files into the user's message, behind the result",
                place,
            )
    block.done()
    if failed:
        parts.insert(0, _text_part(TOOL_FAILED))
    return {"role": "tool", "tool_call_id": call_id, "content": _joined(parts)}


# -- the assistant's turn --------------------------------------------------------------------------------------


def _assistant(content: Any, place: str) -> list[dict[str, Any]]:
    if type(content) is str:
        return [{"role": "assistant", "content": content}]
    parts: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    for block_place, value in items(content, place):
        block = Fields(value, block_place)
        kind = block.kind()
        if kind == "tool_use":
            calls.append(_tool_call(block))
        elif kind not in _THINKING:
            parts += _part(block, kind, {"text": _text})
    if not parts and not calls:
        return []
    said: dict[str, Any] = {"role": "assistant", "content": _joined(parts) if parts else None}
    return [{**said, "tool_calls": calls}] if calls else [said]


def _tool_call(block: Fields) -> dict[str, Any]:
    block.leave_out("cache_control")
    block.only("caller", ({"type": "direct"},), "only calls of the model's own can be said; leave it out")
    arguments = dump(block.need("input", dict)).decode()
    function = {"name": block.need("name", str), "arguments": arguments}
    call = {"id": block.need("id", str), "type": "function", "function": function}
    block.done()
    return call


# -- blocks ----------------------------------------------------------------------------------------------------


def _parts(content: Any, place: str, kinds: dict[str, _PartOf]) -> list[dict[str, Any]]:
    if type(content) is str:
        return [_text_part(content)]
    parts = []
    for block_place, value in items(content, place):
        block = Fields(value, block_place)
        parts += _part(block, block.kind(), kinds)
    return parts


def _part(block: Fields, kind: str, kinds: dict[str, _PartOf]) -> list[dict[str, Any]]:
    block.leave_out("cache_control")
    part_of = kinds.get(kind)
    if part_of is None:
        _refuse_kind(block, kind)
    parts = part_of(block)
    block.done()
    return parts


def _refuse_kind(block: Fields, kind: str) -> NoReturn:
    if kind in _SERVER_BLOCKS:
        block.refuse("type", f"a block {kind!r} is of Anthropic alone; leave it out")
    if kind in _PARTS or kind in {"tool_use", "tool_result"} | _THINKING:
        block.refuse("type", f"a block {kind!r} has no equal in this place")
    block.refuse("type", "it is no kind of block that is known here")


def _text(block: Fields) -> list[dict[str, Any]]:
    block.only("citations", ([],), _CITATIONS)
    return [_text_part(block.need("text", str))]


def _image(block: Fields) -> list[dict[str, Any]]:
    block.only("transformations", ({},), "leave it out")
    source = _source(block)
    kind = source.kind()
    if kind == "base64":
        url = f"data:{source.need('media_type', str)};base64,{source.need('data', str)}"
    elif kind == "url":
        url = source.need("url", str)
    else:
        source.refuse("type", "an image must be given as base64 or by its URL")
    source.done()
    return [{"type": "image_url", "image_url": {"url": url}}]


def _document(block: Fields) -> list[dict[str, Any]]:
    _without_citations(block)
    heading = [block.maybe("title", str), block.maybe("context", str)]
    source = _source(block)
    kind = source.kind()
    if kind == "base64":
        source.only("media_type", (_PDF,), f"a document in base64 must be {_PDF!r}")
        data = f"data:{_PDF};base64,{source.need('data', str)}"
        parts = [{"type": "file", "file": {"filename": "document.pdf", "file_data": data}}]
    elif kind == "text":
        source.leave_out("media_type")
        parts = [_text_part(source.need("data", str))]
    elif kind == "content":
        parts = _parts(source.take("content"), f"{source.place}.content", {"text": _text, "image": _image})
    else:
        source.refuse("type", "a document must be given as base64 or as text")
    source.done()
    return [*(_text_part(text) for text in heading if text), *parts]


def _search_result(block: Fields) -> list[dict[str, Any]]:
    _without_citations(block)
    heading = [block.need("source", str), block.need("title", str)]
    texts = _parts(block.take("content"), f"{block.place}.content", {"text": _text})
    return [*map(_text_part, heading), *texts]


def _source(block: Fields) -> Fields:
    source = block.fields("source")
    if source is None:
        block.wrong("source", "is missing: it must be an object")
    return source


def _without_citations(block: Fields) -> None:
    block.only("citations", ({}, {"enabled": False}), _CITATIONS)


_PARTS: dict[str, _PartOf] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
}
"""What a user's blocks become."""


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _joined(parts: list[dict[str, Any]]) -> Any:
    """Return a lone text as a string, which servers that are only alike to OpenAI's understand best."""
    if not parts:
        return ""
    if len(parts) == 1 and parts[0]["type"] == "text":
        return parts[0]["text"]
    return parts
