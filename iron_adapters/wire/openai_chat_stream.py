"""The stream of a chat completion or a completion: ``data:`` lines that end in ``[DONE]``.

Owns which delta carries which text, by choice and by tool call, and the chunks that are put in or left out.
Reference: https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from iron_adapters.wire.json_bodies import dump, holds_json
from iron_adapters.wire.known_keys import below
from iron_adapters.wire.openai_chat import REPLY_KEYS
from iron_adapters.wire.silent_values import SILENT, is_silent, is_word
from iron_adapters.wire.sse import write_event
from iron_adapters.wire.streaming import OpenText, StreamRewriter, number_at
from iron_adapters.wire.usage import openai_usage
from iron_policy.messages import Channel, ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable

    from iron_adapters.wire.json_texts import JsonTexts
    from iron_adapters.wire.streaming import TextReview

DONE = b"data: [DONE]\n\n"
_EMPTY = {"id": "chatcmpl-iron", "object": "", "created": 0, "model": ""}
_OWN = frozenset({"choices", "usage", "error", "obfuscation"})
"""Keys that belong to one chunk only."""
_SETTINGS = frozenset({"role", "id", "index", "type", "name"})
_PIECEWISE = frozenset({"content", "reasoning_details"})
"""Lists in a delta whose texts go on in the next delta; those of other lists are whole."""
_NESTED = frozenset({"text", "summary", "thinking", "refusal", "content"})
_CALL_KEYS = frozenset({"index", "id", "type", "function", "custom"})
_SAID = (("function", "arguments", True), ("custom", "input", False))


class _Call:
    """A tool call that is being written."""

    __slots__ = ("call_id", "name", "said")

    def __init__(self) -> None:
        self.name = ""
        self.call_id: str | None = None
        self.said: list[str] = []


class ChatStream(StreamRewriter):
    """The stream of a chat completion."""

    def __init__(self, review: TextReview, *, hide_usage: bool = False) -> None:
        super().__init__(review, hide_usage=hide_usage)
        self._last: dict[str, Any] = {**_EMPTY, "object": self._object}
        self._seen: dict[int, None] = {}
        self._calls: dict[int, dict[int, _Call]] = {}

    _object = "chat.completion.chunk"
    _choice_keys = frozenset({"index", "delta", "finish_reason", "logprobs"})

    def _rewrite(self, document: dict[str, Any]) -> tuple[bytes, bool] | None:
        if type(model := document.get("model")) is str and model:
            self.model = model
        choices = document.get("choices")
        usage = openai_usage(document.get("usage"), document.get("service_tier"))
        altered = False
        if self.hide_usage and "usage" in document:
            if not choices and usage is not None:
                self._report(usage)
                return None
            del document["usage"]
            altered = True
        self.error |= bool(document.get("error"))
        if not document.keys() <= REPLY_KEYS:
            altered |= self._whole(lambda texts: texts.walk_rest(document, REPLY_KEYS, "assistant", ""))
        before = b""
        if type(choices) is list and choices:
            self._last = document
            for choice in choices:
                if type(choice) is dict:
                    put_in, changed = self._rewrite_choice(choice)
                    before += put_in
                    altered |= changed
        self._report(usage)
        return before, altered

    def _rewrite_choice(self, choice: dict[str, Any]) -> tuple[bytes, bool]:
        number = number_at(choice, "index")
        self._seen[number] = None
        ended = self._end_before(number, choice.get("delta")) if self._open else b""
        changed = self._rewrite_texts(number, choice)
        if not choice.keys() <= self._choice_keys:
            changed |= self._rewrite_rest(number, choice)
        before = b""
        if type(reason := choice.get("finish_reason")) is str:
            self._reasons[number] = reason
            before = self._end_choice(number)
            if before and (said := self._take_text(choice)):
                before = self._chunk(number, said) + before
                changed = True
        if changed and choice.get("logprobs"):
            choice["logprobs"] = None
        return ended + before, changed

    def _end_before(self, number: int, delta: Any) -> bytes:
        """End what must have been said when the caller gets *delta*."""
        return self._end_others(number, delta) if self.in_blocks else self._end_whole_calls(number, delta)

    def _end_whole_calls(self, number: int, delta: Any) -> bytes:
        """End the calls that are whole where *delta* begins another one.

        There are clients that give all arguments to the call that began last (LlamaIndex's), so what was held back must
        not come behind the next. Calls that are not whole may still go on in turns.
        """
        calls = self._calls.get(number)
        if not calls or all(number_at(call, "index", place) in calls for place, call in _calls_of(delta)):
            return b""
        whole = [place for place, call in calls.items() if holds_json("".join(call.said))]
        return self._close_all((number, "tool_calls", place) for place in whole)

    def _end_others(self, number: int, delta: Any) -> bytes:
        """End the texts and calls of a choice that *delta* does not go on with, where it brings any.

        A call that is not whole may go on: to end it at each turn would show a secret that is written turn by turn.
        """
        goes_on = {(number, key) for key in _texts_of(delta)} | {
            (number, "tool_calls", number_at(call, "index", place)) for place, call in _calls_of(delta)
        }
        if not goes_on:
            return b""
        return self._close_all(
            key
            for key in list(self._open)
            if key[0] == number and key not in goes_on and (key[1] != "tool_calls" or self._is_whole(key))
        )

    def _is_whole(self, key: tuple[int, str, int]) -> bool:
        number, _, place = key
        return holds_json("".join(self._calls[number][place].said))

    def _rewrite_rest(self, number: int, choice: dict[str, Any]) -> bool:
        """Review what stands beside a delta. A message that grows from chunk to chunk is left out until its end."""
        changed = False
        if "message" in choice and type(choice.get("finish_reason")) is not str:
            del choice["message"]
            changed = True
        if type(choice.get("text")) is str and choice["text"] and "text" not in self._choice_keys:
            changed |= self._piece(choice, "text", number, ("text",))
        known = self._choice_keys | {"text"}
        return changed | self._whole(
            lambda texts: texts.walk_rest(choice, known, "assistant", f"choices[{number}]")
        )

    def _take_text(self, choice: dict[str, Any]) -> dict[str, Any]:
        """Empty the delta of a chunk that also ends its choice: what was held back comes after it, before the end."""
        said, choice["delta"] = choice.get("delta"), {}
        return said if type(said) is dict else {}

    def _rewrite_texts(self, number: int, choice: dict[str, Any]) -> bool:
        """Alter the texts of a choice's delta in place."""
        delta = choice.get("delta")
        if type(delta) is not dict:
            return False
        changed = False
        for key, value in delta.items():
            kind = type(value)
            if kind is str:
                if key not in _SETTINGS:
                    changed |= bool(value) and self._piece(delta, key, number, (key,))
                elif not is_word(value):
                    changed |= self._whole(partial(_walk, delta, key, number))
            elif kind is list or kind is dict:
                changed |= self._rewrite_parts(number, delta, key, value)
        return changed

    def _rewrite_parts(self, number: int, delta: dict[str, Any], key: str, value: Any) -> bool:
        if type(value) is list:
            if key == "tool_calls":
                return self._tool_pieces(number, value)
            if key in _PIECEWISE:
                return self._pieces(number, key, value)
        elif key == "function_call":
            return self._tool_piece(number, -1, {"function": value})
        elif key == "audio" and type(value.get("transcript")) is str:
            return self._piece(value, "transcript", number, (key, None, None, "transcript"))
        return self._whole(partial(_walk, delta, key, number))

    def _piece(self, holder: Any, field: Any, number: int, path: tuple[Any, ...]) -> bool:
        text = holder[field]
        released = self._push((number, *path), text, partial(self._begin_text, number, path))
        if released == text:
            return False
        holder[field] = released
        return True

    def _pieces(self, number: int, key: str, parts: list[Any]) -> bool:
        """Alter the texts of a list of parts, each of which goes on in the part of the same number and type."""
        changed = False
        for position, part in enumerate(parts):
            if type(part) is str and part:
                changed |= self._piece(parts, position, number, (key, position, None, ""))
            elif type(part) is dict:
                place = number_at(part, "index", position)
                for field in part:
                    changed |= self._part(number, key, place, part, field)
        return changed

    def _part(self, number: int, key: str, place: int, part: dict[str, Any], field: str) -> bool:
        """Review one field of a part of a list whose texts go on in the next delta."""
        value = part[field]
        if type(value) is str:
            if not value or (field in SILENT and is_silent(part, field, value)):
                return False
            return self._piece(part, field, number, (key, place, str(part.get("type")), field))
        if type(value) is list and field in _NESTED:
            return self._pieces(number, f"{key}.{place}.{field}", value)
        if type(value) is dict and field == "text" and type(value.get("value")) is str:
            return self._piece(value, "value", number, (key, place, str(part.get("type")), "text.value"))
        return self._whole(
            lambda texts: texts.walk_entry(part, field, "assistant", f"choices[{number}].message.content")
        )

    def _begin_text(self, number: int, path: tuple[Any, ...]) -> OpenText:
        """Open the channel of a text, whose *path* leads to it in the delta."""
        place = below(f"choices[{number}].message", path[0].partition(".")[0])
        if len(path) == 1:
            channel = Channel(place, in_json=self.in_json and path[0] == "content")
            return OpenText(channel, lambda text: self._chunk(number, {path[0]: text}))
        key, position, kind, field = path
        top, *inner = key.split(".")
        if kind is None and position is None:
            return OpenText(
                Channel(f"{place}.{field}"), lambda text: self._chunk(number, {key: {field: text}})
            )

        def event(text: str) -> bytes:
            if kind is None:
                return self._chunk(number, {top: [text]})
            part: Any = {"type": kind, **_nested(field, text)}
            if top == "reasoning_details":
                part["index"] = position
            for name in reversed(inner[1::2]):
                part = {"type": name, name: [part]}
            return self._chunk(number, {top: [part]})

        where = f"choices[{number}].message.{key}[{position}].{below('', field.partition('.')[0])}"
        return OpenText(Channel(where, in_json=self.in_json and top == "content"), event)

    # -- tool calls ----------------------------------------------------------------------------------------

    def _tool_pieces(self, number: int, calls: list[Any]) -> bool:
        changed = False
        for position, call in enumerate(calls):
            if type(call) is not dict:
                changed |= self._whole(partial(_walk_item, calls, position, number))
                continue
            changed |= self._tool_piece(number, number_at(call, "index", position), call)
            if not call.keys() <= _CALL_KEYS:
                changed |= self._whole(partial(_walk_rest, call, _CALL_KEYS, number))
        return changed

    def _tool_piece(self, number: int, place: int, call: dict[str, Any]) -> bool:
        begun = self._calls.setdefault(number, {}).setdefault(place, _Call())
        if type(call_id := call.get("id")) is str and call_id:
            begun.call_id = call_id
        changed = False
        for key, field, in_json in _SAID:
            function = call.get(key)
            if type(function) is not dict:
                continue
            if type(name := function.get("name")) is str and not begun.said:
                begun.name = name if name.startswith(begun.name) else begun.name + name
            if not function.keys() <= {"name", field} or not is_word(begun.name):
                changed |= self._whole(partial(_walk_function, function, field, number))
            text = function.get(field)
            if text and type(text) is not str:  # some servers give the arguments at once, and not as a string
                begun.said.append(dump(text).decode())
                changed |= self._whole(partial(_walk_values, function, field, number, begun.name))
            if type(text) is str and text:
                begun.said.append(text)
                begin = partial(self._begin_call, number, place, key, field, begun.name, in_json=in_json)
                released = self._push((number, "tool_calls", place), text, begin)
                if released != text:
                    function[field] = released
                    changed = True
        return changed

    def _begin_call(
        self, number: int, place: int, key: str, field: str, name: str, *, in_json: bool
    ) -> OpenText:
        if place == -1:
            channel = Channel(
                f"choices[{number}].message.function_call.arguments", "assistant", name, in_json
            )
            return OpenText(channel, lambda text: self._chunk(number, {"function_call": {field: text}}))
        where = f"choices[{number}].message.tool_calls[{place}].{key}.{field}"
        return OpenText(
            Channel(where, "assistant", name, in_json),
            lambda text: self._chunk(number, {"tool_calls": [{"index": place, key: {field: text}}]}),
        )

    # -- ends ----------------------------------------------------------------------------------------------

    def _end_choice(self, number: int) -> bytes:
        """Return what choice *number* held back, and hand its tool calls over for judgement."""
        rest = self._close_all(key for key in list(self._open) if key[0] == number)
        calls = self._calls.pop(number, {})
        for place in sorted(calls):
            call = calls[place]
            self.review.tool_call(ToolCall(call.name, "".join(call.said), call.call_id))
        return rest

    def _at_end(self) -> bytes:
        numbers = dict.fromkeys([*(key[0] for key in self._open), *self._calls])
        return b"".join([self._end_choice(number) for number in numbers])

    def _end_early(self) -> Iterable[bytes]:
        yield self._close_all()
        unfinished = [number for number in self._seen if number not in self._reasons]
        for number in unfinished or ([] if self._reasons else [0]):
            self._reasons[number] = "length"
            yield self._chunk(number, {}, "length")
        yield DONE

    def _chunk(self, number: int, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = self._choice(number, delta, finish_reason)
        chunk = {key: value for key, value in self._last.items() if key not in _OWN}
        chunk["choices"] = [choice]
        if "usage" in self._last:
            chunk["usage"] = None
        return write_event(dump(chunk))

    def _choice(self, number: int, delta: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
        return {"index": number, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _texts_of(delta: Any) -> list[str]:
    if type(delta) is not dict:
        return []
    return [key for key, value in delta.items() if type(value) is str and value and key not in _SETTINGS]


def _calls_of(delta: Any) -> list[tuple[int, dict[str, Any]]]:
    calls = delta.get("tool_calls") if type(delta) is dict else None
    if type(calls) is not list:
        return []
    return [(place, call) for place, call in enumerate(calls) if type(call) is dict]


def _nested(field: str, text: str) -> dict[str, Any]:
    outer, _, inner = field.partition(".")
    return {outer: {inner: text} if inner else text}


def _walk(delta: dict[str, Any], key: str, number: int, texts: JsonTexts) -> None:
    texts.walk_entry(delta, key, "assistant", f"choices[{number}].message")


def _walk_item(calls: list[Any], position: int, number: int, texts: JsonTexts) -> None:
    texts.walk(calls, position, "assistant", f"choices[{number}].message.tool_calls[{position}]")


def _walk_rest(call: dict[str, Any], known: frozenset[str], number: int, texts: JsonTexts) -> None:
    texts.walk_rest(call, known, "assistant", f"choices[{number}].message.tool_calls")


def _walk_function(function: dict[str, Any], field: str, number: int, texts: JsonTexts) -> None:
    """List what a called function says besides its arguments."""
    place = f"choices[{number}].message.tool_calls.function"
    if "name" in function:
        texts.walk_name(function, "name", "assistant", place)
    texts.walk_rest(function, {"name", field}, "assistant", place)


def _walk_values(function: dict[str, Any], field: str, number: int, name: str, texts: JsonTexts) -> None:
    place = f"choices[{number}].message.tool_calls.function.{field}"
    texts.walk_values(function, field, "assistant", place, name)
