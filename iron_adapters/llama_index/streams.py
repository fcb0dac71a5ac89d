"""Streamed replies of LlamaIndex's models, snapshot by snapshot.

Each response of a stream shows the whole message so far and, in ``delta``, the piece that is new; both must tell the
same story, and so must ``raw``. Owns the state of one stream. Knows no policy: what may be released, the review says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import (
    ChatResponse,
    CompletionResponse,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from iron_adapters.llama_index.growing import GrowingTexts
from iron_adapters.llama_index.messages import walk_call, walk_fields
from iron_adapters.llama_index.plain import anew, plain
from iron_adapters.llama_index.replies import REPEATS, finish_reason_of, model_of, tool_calls_of, usage_of
from iron_adapters.remaining_texts import RemainingTexts
from iron_adapters.wire.json_texts import JsonTexts
from iron_adapters.wrapped_streams import PieceReview

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from iron_adapters.wire.streaming import TextReview

_PIECES = frozenset(
    {"text", "content", "arguments", "partial_json", "thinking", "reasoning", "reasoning_content", "refusal"}
)
"""Keys of a provider's event under which it streams a text."""


class StreamReview(PieceReview[Any]):
    """Turn the responses of a stream into those that the caller may see."""

    def __init__(self, review: TextReview, **how: Any) -> None:
        super().__init__(review, **how)
        self._pieces: dict[str, str] = {}
        self._content = GrowingTexts(review, "content", self._pieces, in_json=self._in_json)
        self._thinking = GrowingTexts(review, "thinking", self._pieces)
        self._arguments: dict[Any, GrowingTexts] = {}
        self._wholes: dict[tuple[str, str | None], str] = {}
        self._judged: set[Any] = set()
        self._ended = False
        self._last: tuple[Any, Any] | None = None

    def feed(self, response: Any) -> Iterator[Any]:
        """Yield what the caller gets for *response*.

        Raises:
            PolicyDenied: the reply may not be handed on.
        """
        if _calls_tools(response):
            # OpenAI's integration lets the calls grow in place, in responses that it has already handed on.
            response = response.model_copy(deep=True)
        fields, raw = plain(response, REPEATS), plain(response.raw)
        self._note(fields, raw)
        shown = self._shown(response, fields, raw)
        self._last = (response, shown)
        yield shown

    def finish(self) -> Iterator[Any]:
        """Yield a last response with what was held back, where the stream has ended without saying so.

        Raises:
            PolicyDenied: the rest may not be handed on.
        """
        if self._last is None or self._ended:
            return
        self._ended = True
        response, before = self._last
        again = response.model_copy(update={"delta": "" if response.delta is not None else None})
        last = self._shown(again, plain(response, REPEATS), plain(response.raw))
        if last.delta or plain(last, REPEATS) != plain(before, REPEATS):
            yield last

    def _note(self, fields: dict[str, Any], raw: Any) -> None:
        self.usage = usage_of(fields, raw) or self.usage
        self.model = model_of(raw) or self.model
        if reason := finish_reason_of(fields, raw):
            self.finish_reasons = (reason,)
            self._ended = True

    def _shown(self, response: Any, fields: dict[str, Any], raw: Any) -> Any:
        self._pieces.clear()
        old = plain(response, REPEATS)
        done: set[tuple[int, str]] = set()
        if isinstance(response, CompletionResponse):
            released = self._grow(
                self._content, [fields] if fields["text"] else [], "text", response.delta, done
            )
        else:
            released = self._message(response, fields, done)
        self._others(fields, done)
        delta = released if released or response.delta is not None else None
        changed = fields != old
        if not changed and delta == response.delta and all(a == b for a, b in self._pieces.items()):
            return response
        altered = anew(response, old, fields)
        scrubbed = self._scrubbed(raw)
        return altered.model_copy(
            update={"delta": delta, "logprobs": None, "raw": anew(response.raw, raw, scrubbed)}
        )

    def _message(self, response: ChatResponse, fields: dict[str, Any], done: set[tuple[int, str]]) -> str:
        message, blocks = response.message, fields["message"]["blocks"]
        pairs = list(zip(message.blocks, blocks, strict=True))
        texts = [part for block, part in pairs if isinstance(block, TextBlock)]
        thoughts = [part for block, part in pairs if isinstance(block, ThinkingBlock) and part["content"]]
        released = self._grow(self._content, texts, "text", response.delta, done)
        kwargs = (fields["additional_kwargs"], fields["message"]["additional_kwargs"])
        holder: dict[str, Any] = next(
            (one for one in kwargs if "thinking_delta" in one), {"thinking_delta": None}
        )
        delta = holder["thinking_delta"]
        thought = self._grow(self._thinking, thoughts, "content", delta, done)
        if delta is not None or thought:
            holder["thinking_delta"] = thought
            done.add((id(holder), "thinking_delta"))
        self._calls(
            message, [part for block, part in pairs if isinstance(block, ToolCallBlock)], fields, done
        )
        return released

    def _grow(
        self,
        texts: GrowingTexts,
        parts: list[dict[str, Any]],
        key: str,
        delta: str | None,
        done: set[tuple[int, str]],
    ) -> str:
        shown, released = texts.feed([part[key] for part in parts], delta)
        if self._ended:
            released += texts.finish()
            shown = texts.shown(len(parts))
        for part, text in zip(parts, shown, strict=True):
            part[key] = text
            done.add((id(part), key))
        return released

    def _calls(
        self, message: Any, parts: list[dict[str, Any]], fields: dict[str, Any], done: set[tuple[int, str]]
    ) -> None:
        """Show the arguments of tool calls: as they grow where they are text, else when they are complete."""
        if self._ended:
            for index, call in enumerate(tool_calls_of(message)):
                if (key := call.id or index) not in self._judged:
                    self._judged.add(key)
                    self._review.tool_call(call)
        for index, part in enumerate(parts):
            name = part["tool_name"]
            if type(part["tool_kwargs"]) is str:
                self._grow(
                    self._growing(part.get("tool_call_id") or index, name), [part], "tool_kwargs", None, done
                )
            elif self._ended:
                self._whole(part, name)
            else:
                part["tool_kwargs"] = {}
            done.add((id(part), "tool_kwargs"))
            done.add((id(part), "tool_name"))
        self._legacy_calls(fields["message"]["additional_kwargs"].get("tool_calls"), done)

    def _legacy_calls(self, calls: Any, done: set[tuple[int, str]]) -> None:
        """Show what OpenAI's integration repeats of its tool calls beside the message's blocks."""
        for index, call in enumerate(calls if type(calls) is list else ()):
            function = call.get("function") if type(call) is dict else None
            if type(function) is dict and type(function.get("arguments")) is str:
                growing = self._growing(call.get("id") or index, function.get("name") or "")
                self._grow(growing, [function], "arguments", None, done)
                done.add((id(function), "name"))

    def _growing(self, key: Any, name: str) -> GrowingTexts:
        if key not in self._arguments:
            tool_name = self._reader(name)
            self._arguments[key] = GrowingTexts(
                self._review,
                f"tool_calls.{len(self._arguments)}",
                self._pieces,
                in_json=True,
                tool_name=tool_name,
            )
        return self._arguments[key]

    def _whole(self, part: dict[str, Any], name: str) -> None:
        texts = JsonTexts()
        walk_call(texts, part, "tool_call")
        self._rewrite(texts, self._reader(name))

    def _others(self, fields: dict[str, Any], done: Collection[tuple[int, str]]) -> None:
        """Review what comes in one piece, such as citations."""
        texts = RemainingTexts(done)
        for key, value in fields.items():
            if key == "message":
                walk_fields(texts, value, "assistant", key)
            else:
                texts.walk(fields, key, "assistant", key)
        self._rewrite(texts, None)

    def _rewrite(self, texts: JsonTexts, tool_name: str | None) -> None:
        for text in texts.texts:
            if (text.text, tool_name) not in self._wholes:
                self._wholes[text.text, tool_name] = self._review.whole(text._replace(tool_name=tool_name))
        texts.rewrite([self._wholes[text.text, tool_name] for text in texts.texts])

    def _scrubbed(self, value: Any, key: str = "") -> Any:
        """Return a provider's event with its pieces as they were released, and none that nobody has reviewed."""
        if type(value) is str and key in _PIECES:
            return self._pieces.get(value, "")
        if type(value) is dict:
            return {name: self._scrubbed(item, name) for name, item in value.items()}
        return [self._scrubbed(item, key) for item in value] if type(value) is list else value


def _calls_tools(response: Any) -> bool:
    return isinstance(response, ChatResponse) and any(
        isinstance(block, ToolCallBlock) for block in response.message.blocks
    )
