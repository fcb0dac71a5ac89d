"""Streamed replies of LangChain's chat models, chunk by chunk.

Owns the state of one stream: which texts are open, which tool calls have come, what was used. Knows no policy: what
may be released, the review says; which strings of a chunk are texts, ``pieces`` says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from iron_adapters.json_copies import copied
from iron_adapters.langchain.messages import ARGUMENTS, fields_of, walk_fields
from iron_adapters.langchain.pieces import (
    Path,
    Piece,
    alone,
    is_end,
    label_of,
    pieces_of,
    places_in,
    with_fields,
)
from iron_adapters.langchain.replies import finish_reason_of, model_of, normalised, parsed_anew
from iron_adapters.remaining_texts import RemainingTexts
from iron_adapters.wrapped_streams import PieceReview
from iron_policy.messages import Channel, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_core.messages.ai import UsageMetadata

    from iron_adapters.wire.streaming import TextReview


class ChunkReview(PieceReview[ChatGenerationChunk]):
    """Turn a model's chunks into those that the caller may see."""

    def __init__(self, review: TextReview, **how: Any) -> None:
        super().__init__(review, **how)
        self._open: dict[Path, tuple[Channel, Piece]] = {}
        self._calls: dict[Any, dict[str, str]] = {}
        self._provider: dict[str, str] = {}
        self._said: list[str] = []
        self._altered = False

    def feed(self, chunk: ChatGenerationChunk) -> Iterator[ChatGenerationChunk]:
        """Yield what the caller gets for *chunk*.

        Raises:
            PolicyDenied: the reply may not be handed on.
        """
        self._note(chunk)
        fields = copied(fields_of(chunk.message))
        pieces = list(pieces_of(fields))
        going_on = places_in(fields)
        if going_on or is_end(chunk):
            yield from self._close([path for path in self._open if path[:2] not in going_on])
        altered = [self._push(piece) for piece in pieces]
        altered.append(self._whole(fields, pieces))
        if (parsed := chunk.message.additional_kwargs.get("parsed")) is not None and self._altered:
            fields["additional_kwargs"]["parsed"] = parsed_anew(parsed, "".join(self._said))
            altered.append(True)
        yield with_fields(chunk, fields) if any(altered) else chunk

    def finish(self) -> Iterator[ChatGenerationChunk]:
        """Yield what was held back, at the end of the stream.

        Raises:
            PolicyDenied: the rest may not be handed on.
        """
        yield from self._close(list(self._open))
        for call in self._calls.values():
            self._review.tool_call(ToolCall(call["name"], call["args"], call["id"]))
        self._calls.clear()

    def _note(self, chunk: ChatGenerationChunk) -> None:
        message = chunk.message
        reported: UsageMetadata | None = getattr(message, "usage_metadata", None)
        # A structured answer's last chunk repeats the usage of the chunk before it.
        if reported and not (self.usage and "parsed" in message.additional_kwargs):
            self.usage = _sum(self.usage, normalised(reported))
        self.model = model_of(chunk, {}) or self.model
        if reason := finish_reason_of(chunk):
            self.finish_reasons = (reason,)
        if provider := message.response_metadata.get("model_provider"):
            self._provider = {"model_provider": provider}
        for call in getattr(message, "tool_call_chunks", ()):
            told = self._calls.setdefault(label_of(call), {"name": "", "args": "", "id": ""})
            told["name"] = told["name"] or call.get("name") or ""
            told["id"] = told["id"] or call.get("id") or ""
            told["args"] += call.get("args") or ""

    def _push(self, piece: Piece) -> bool:
        text: str = piece.container[piece.key]
        channel, _ = self._open.get(piece.path) or (self._channel(piece), None)
        self._open[piece.path] = (channel, piece)
        released = piece.container[piece.key] = self._review.push(channel, text)
        self._note_released(piece, released)
        self._altered = self._altered or released != text
        return released != text

    def _note_released(self, piece: Piece, text: str) -> None:
        if piece.path[0] == "content" and piece.key in {"content", "text"}:
            self._said.append(text)

    def _channel(self, piece: Piece) -> Channel:
        called = (
            self._calls.get(label_of(piece.labels[0])) if piece.labels and piece.key in ARGUMENTS else None
        )
        name = called["name"] if called else None
        place = ".".join(str(step[1] if isinstance(step, tuple) else step) for step in piece.path)
        in_json = piece.key in ARGUMENTS or (self._in_json and piece.path[0] == "content")
        return Channel(place, "assistant", self._reader(name), in_json)

    def _close(self, paths: list[Path]) -> Iterator[ChatGenerationChunk]:
        for path in paths:
            channel, piece = self._open.pop(path)
            if rest := self._review.finish(channel):
                self._note_released(piece, rest)
                message = AIMessageChunk(
                    **{"content": "", "response_metadata": dict(self._provider), **alone(piece, rest)}
                )
                yield ChatGenerationChunk(message=message)

    def _whole(self, fields: dict[str, Any], pieces: list[Piece]) -> bool:
        """Review what comes in one piece, such as citations and results of the provider's own tools."""
        done = {(id(piece.container), piece.key) for piece in pieces}
        texts = RemainingTexts(done, passed={"name"})
        rest = {key: value for key, value in fields.items() if key in {"content", "additional_kwargs"}}
        walk_fields(texts, rest, "assistant", "chunk")
        return bool(texts.texts) and texts.rewrite([self._review.whole(text) for text in texts.texts])


def _sum(before: Usage | None, more: Usage) -> Usage:
    if before is None:
        return more
    return Usage(**{name: getattr(before, name) + getattr(more, name) for name in Usage.__annotations__})
