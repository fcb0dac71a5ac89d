"""The stream of a message: blocks that start, go on in deltas, and stop.

Owns which delta carries which text, and the cumulative usage. What was held back goes into a delta before its block
stops; thinking ends before its signature.
Reference: https://docs.claude.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from iron_adapters.wire.anthropic_messages import walk_beside, walk_block
from iron_adapters.wire.json_bodies import dump
from iron_adapters.wire.known_keys import below
from iron_adapters.wire.silent_values import SILENT, is_word
from iron_adapters.wire.sse import write_event
from iron_adapters.wire.streaming import OpenText, StreamRewriter, number_at
from iron_adapters.wire.usage import anthropic_usage, overlaid
from iron_policy.messages import Channel, ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable

    from iron_adapters.wire.json_texts import JsonTexts
    from iron_adapters.wire.streaming import TextReview

_DELTAS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "input_json_delta": "partial_json",
    "compaction_delta": "content",
}
"""The kinds of delta that go on with a text, and the key of their piece of it."""
_DELTA_KEYS = frozenset({"type", "index", "delta"})
_USUAL_KEYS = 3
_WHOLE_DELTAS = frozenset({"citations_delta", "signature_delta"})
_ENDS = frozenset({"content_block_stop", "message_delta", "message_stop"})
_CHARACTERS_PER_TOKEN = 4
"""English prose has about four characters to a token; only for what a stream that was cut says of itself."""
_CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})


class MessagesStream(StreamRewriter):
    """The stream of a message."""

    def __init__(self, review: TextReview, *, hide_usage: bool = False) -> None:
        super().__init__(review, hide_usage=hide_usage)
        self._started = False
        self._usage: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._arguments: dict[int, list[str]] = {}
        self._given: dict[int, str] = {}

    def _rewrite(self, document: dict[str, Any]) -> tuple[bytes, bool] | None:
        kind, index = str(document.get("type")), number_at(document, "index")
        if kind == "content_block_delta" and type(document.get("delta")) is dict:
            return self._delta(index, document)
        if kind == "content_block_start" and type(document.get("content_block")) is dict:
            return b"", self._start_block(index, document["content_block"]) | self._beside(
                document, "content_block"
            )
        if kind == "message_start" and type(document.get("message")) is dict:
            return b"", self._start(document["message"]) | self._beside(document, "message")
        if kind in _ENDS:
            return self._end(kind, index, document), self._beside(document, "usage")
        if kind == "error" or document.get("error"):
            self.error = True
        return b"", self._whole(lambda texts: texts.walk_object(document, "assistant", kind))

    def _beside(self, document: dict[str, Any], own: str) -> bool:
        """Review what an event says besides what its kind has."""
        known = {"type", "index", own}
        if document.keys() <= known:
            return False
        return self._whole(lambda texts: texts.walk_rest(document, known, "assistant", ""))

    def _end(self, kind: str, index: int, document: dict[str, Any]) -> bytes:
        if kind == "content_block_stop":
            return self._stop_block(index)
        if kind == "message_delta":
            self._take_reason(document)
        return self._at_end()

    # -- the message ---------------------------------------------------------------------------------------

    def _start(self, message: dict[str, Any]) -> bool:
        self._started = True
        if type(model := message.get("model")) is str:
            self.model = model
        self._usage = overlaid({}, message.get("usage"))
        self._report(anthropic_usage(self._usage), whole=False)
        return self._whole(partial(_walk_content, message))

    def _take_reason(self, document: dict[str, Any]) -> None:
        usage = document.get("usage")
        self._usage = overlaid(self._usage, usage)
        told = type(usage) is dict and "output_tokens" in usage
        self._report(anthropic_usage(self._usage), whole=told)
        delta = document.get("delta")
        if type(delta) is dict and type(reason := delta.get("stop_reason")) is str:
            self._reasons[0] = reason

    # -- its blocks ----------------------------------------------------------------------------------------

    def _start_block(self, index: int, block: dict[str, Any]) -> bool:
        self._blocks[index] = block
        kind = str(block.get("type"))
        if kind in _CALLS:
            self._given[index] = dump(block.get("input") or {}).decode()
        field = {"text": "text", "thinking": "thinking"}.get(kind)
        if field is not None and type(text := block.get(field)) is str and text:
            block[field] = self._piece(index, f"{field}_delta", text)
            beside = self._whole(partial(_walk_beside, block, field))
            return beside or bool(block[field] != text)
        return self._whole(partial(_walk_block, block, index))

    def _delta(self, index: int, document: dict[str, Any]) -> tuple[bytes, bool]:
        delta = document["delta"]
        kind = str(delta.get("type"))
        before = self._close(index) if kind == "signature_delta" else b""
        field, changed = _DELTAS.get(kind), False
        if len(document) > _USUAL_KEYS:
            changed = self._whole(lambda texts: texts.walk_rest(document, _DELTA_KEYS, "assistant", ""))
        for key, text in delta.items():
            if key == field and type(text) is str:
                if kind == "input_json_delta" and text:
                    self._arguments.setdefault(index, []).append(text)
                delta[key] = self._piece(index, kind, text) if text else text
            elif type(text) is str and text and kind not in _WHOLE_DELTAS and key not in SILENT:
                begin = partial(self._begin, index, kind, key)
                delta[key] = self._push((index, kind, key), text, begin)
            elif key != "type" or not is_word(kind):
                changed |= self._whole(partial(_walk_entry, delta, key, index))
            changed |= delta[key] is not text
        return before, changed

    def _piece(self, index: int, kind: str, text: str) -> str:
        return self._push(index, text, partial(self._begin, index, kind, _DELTAS[kind]))

    def _begin(self, index: int, kind: str, field: str) -> OpenText:
        is_call = kind == "input_json_delta"
        in_json = is_call or (self.in_json and kind == "text_delta")
        name = str(self._blocks.get(index, {}).get("name")) if is_call else None
        place = below(f"content[{index}]", "input" if is_call else field)

        def event(text: str) -> bytes:
            delta = {"type": kind, field: text}
            return _event({"type": "content_block_delta", "index": index, "delta": delta})

        return OpenText(Channel(place, "assistant", name, in_json), event)

    def _stop_block(self, index: int) -> bytes:
        rest = self._close_all(key for key in list(self._open) if key == index or _is_of(key, index))
        block = self._blocks.pop(index, {})
        given = self._given.pop(index, "{}")  # some servers give the arguments at once, and no deltas
        said = "".join(self._arguments.pop(index, ())) or given
        if block.get("type") == "tool_use":
            self.review.tool_call(ToolCall(str(block.get("name")), said, str(block.get("id"))))
        return rest

    # -- ends ----------------------------------------------------------------------------------------------

    def _at_end(self) -> bytes:
        return b"".join([self._stop_block(index) for index in list(self._blocks)]) + self._close_all()

    def _end_early(self) -> Iterable[bytes]:
        if not self._started:
            yield _event({"type": "message_start", "message": _empty_message(self.model)})
        for index in list(self._blocks):
            yield self._close_all(key for key in list(self._open) if key == index or _is_of(key, index))
            yield _event({"type": "content_block_stop", "index": index})
        self._reasons[0] = "max_tokens"
        delta = {"stop_reason": "max_tokens", "stop_sequence": None}
        usage = {"output_tokens": self.output_characters // _CHARACTERS_PER_TOKEN}
        yield _event({"type": "message_delta", "delta": delta, "usage": usage})
        yield _event({"type": "message_stop"})


def _empty_message(model: str | None) -> dict[str, Any]:
    usage = {"input_tokens": 0, "output_tokens": 0}
    message = {"id": "msg_iron", "type": "message", "role": "assistant", "content": [], "model": model or ""}
    return {**message, "stop_reason": None, "stop_sequence": None, "usage": usage}


def _event(document: dict[str, Any]) -> bytes:
    return write_event(dump(document), document["type"])


def _walk_content(message: dict[str, Any], texts: JsonTexts) -> None:
    texts.walk(message, "content", "assistant", "content") if type(message.get("content")) is list else None
    walk_beside(texts, message)


def _is_of(key: Any, index: int) -> bool:
    return type(key) is tuple and key[0] == index


def _walk_entry(delta: dict[str, Any], key: str, index: int, texts: JsonTexts) -> None:
    texts.walk_entry(delta, key, "assistant", f"content[{index}]")


def _walk_block(block: dict[str, Any], index: int, texts: JsonTexts) -> None:
    walk_block(texts, block, "assistant", f"content[{index}]", {})


def _walk_beside(block: dict[str, Any], field: str, texts: JsonTexts) -> None:
    """List what a starting block says besides its text, such as the sources it cites."""
    for key in block.keys() - {field, "type", "signature"}:
        texts.walk_entry(block, key, "assistant", "content")
