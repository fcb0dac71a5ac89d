"""The shapes of LangChain's message chunks: which of their strings are pieces of a longer text.

Owns where each kind of block keeps such a piece, and how to write a chunk that carries one piece and nothing else, so
that it merges with the chunks before it. Knows no policy and holds no state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from iron_adapters.langchain.messages import ARGUMENTS
from iron_adapters.langchain.replies import finish_reason_of, without_logprobs

if TYPE_CHECKING:
    from collections.abc import Iterator

Path = tuple[Any, ...]
_PIECES = ARGUMENTS | {"text", "thinking", "reasoning", "refusal", "reasoning_content"}
_LABELS = ("type", "index")
"""What a block needs beside its text, to be merged with the blocks before it."""


class Piece(NamedTuple):
    """A piece of a text: the container and key that hold it, and the way there, with blocks by their index."""

    container: Any
    key: Any
    path: Path
    labels: tuple[dict[str, Any], ...]


def is_end(chunk: ChatGenerationChunk) -> bool:
    """Tell whether *chunk* ends the stream or reports on it, so that what was held back must come before it."""
    message = chunk.message
    return bool(
        finish_reason_of(chunk)
        or getattr(message, "usage_metadata", None)
        or getattr(message, "chunk_position", None) == "last"
        or "parsed" in message.additional_kwargs
    )


def ends_of(provider_name: str) -> Iterator[ChatGenerationChunk]:
    """Yield the last chunk of a stream that ends early, as if the model had come to its output limit."""
    anthropic = provider_name == "anthropic"
    reported = {"stop_reason": "max_tokens"} if anthropic else {"finish_reason": "length"}
    message = AIMessageChunk(content="", response_metadata=reported, chunk_position="last")
    yield ChatGenerationChunk(message=message)


def pieces_of(fields: dict[str, Any]) -> Iterator[Piece]:
    """Yield the pieces of text in the fields of a chunk's message."""
    content = fields.get("content")
    if type(content) is str:
        yield Piece(fields, "content", ("content",), ())
    for block in content if type(content) is list else ():
        if type(block) is dict:
            yield from _pieces_of_block(block)
    for call in fields.get("tool_call_chunks", ()):
        if call.get("args"):
            labels = {"type": "tool_call_chunk", "name": None, "id": None, "index": call.get("index")}
            yield Piece(call, "args", ("tool_call_chunks", ("#", label_of(call)), "args"), (labels,))
    kwargs = fields.get("additional_kwargs", {})
    for key, value in kwargs.items():
        if key in _PIECES and type(value) is str and value:
            yield Piece(kwargs, key, ("additional_kwargs", key), ())
        elif key == "function_call" and type(value) is dict and value.get("arguments"):
            yield Piece(value, "arguments", ("additional_kwargs", key, "arguments"), ())


def places_in(fields: dict[str, Any]) -> set[Path]:
    """Return the beginnings of the paths that a chunk goes on with, also where it brings no text: a text elsewhere has ended."""
    content = fields.get("content")
    blocks = content if type(content) is list else ()
    places: set[Path] = {("content", ("#", label_of(block))) for block in blocks if type(block) is dict}
    places |= {("tool_call_chunks", ("#", label_of(call))) for call in fields.get("tool_call_chunks", ())}
    places |= {("additional_kwargs", key) for key in fields.get("additional_kwargs", ())}
    return places | {("content",)} if type(content) is str else places


def _pieces_of_block(block: dict[str, Any]) -> Iterator[Piece]:
    labels = {key: block[key] for key in _LABELS if key in block}
    way = ("content", ("#", label_of(block)))
    for key, value in block.items():
        if key in _PIECES and type(value) is str and value:
            yield Piece(block, key, (*way, key), (labels,))
    for part in summary if type(summary := block.get("summary")) is list else ():
        if type(part) is dict and part.get("text"):
            inner = {key: part[key] for key in _LABELS if key in part}
            yield Piece(part, "text", (*way, "summary", ("#", label_of(part)), "text"), (labels, inner))


def label_of(block: Any) -> Any:
    """Return what tells a block from others of its stream: its index, or its id where it comes whole."""
    index = block.get("index")
    return block.get("id") if index is None else index


def alone(piece: Piece, text: str) -> dict[str, Any]:
    """Return the fields of a message that carries *text* where *piece* stood, and nothing else."""
    value: Any = text
    labels = list(piece.labels)
    for step in reversed(piece.path):
        value = [{**labels.pop(), **value}] if isinstance(step, tuple) else {step: value}
    fields: dict[str, Any] = value
    return fields


def with_fields(chunk: ChatGenerationChunk, fields: dict[str, Any]) -> ChatGenerationChunk:
    """Return a copy of *chunk* with *fields* in its message, and its tool calls read anew."""
    message = chunk.message
    if getattr(message, "tool_call_chunks", None):
        anew = {**dict(message), **fields, "tool_calls": [], "invalid_tool_calls": []}
        message = type(message).model_validate(anew)
    else:
        message = message.model_copy(update=fields)
    return ChatGenerationChunk(message=message, generation_info=without_logprobs(chunk.generation_info))
