"""The stream of a response: events by name, numbered, each text first in deltas and then again as a whole.

Owns which event carries which text. Events that are put in take the next number, and all later ones are renumbered.
Reference: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from iron_adapters.wire.json_bodies import dump
from iron_adapters.wire.openai_responses import name_of, reason_of, tool_call_of, walk_item, walk_output
from iron_adapters.wire.silent_values import is_sound
from iron_adapters.wire.sse import write_event
from iron_adapters.wire.streaming import OpenText, StreamRewriter, number_at
from iron_adapters.wire.usage import openai_usage
from iron_policy.messages import Channel, Text, ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable

    from iron_adapters.wire.json_texts import JsonTexts
    from iron_adapters.wire.streaming import TextReview


class _Kind(NamedTuple):
    """One kind of text that is streamed in deltas."""

    field: str
    """Where the ``.done`` event repeats it."""
    told_apart_by: str | None
    """What tells several of one item apart."""
    place: str
    part_type: str | None = None
    """The part of the item that it becomes, where it does not stand in the item itself."""
    in_json: bool = False


_KINDS = {
    "response.output_text": _Kind("text", "content_index", "content", "output_text"),
    "response.refusal": _Kind("refusal", "content_index", "content", "refusal"),
    "response.reasoning_text": _Kind("text", "content_index", "content", "reasoning_text"),
    "response.reasoning_summary_text": _Kind("text", "summary_index", "summary", "summary_text"),
    "response.function_call_arguments": _Kind("arguments", None, "arguments", in_json=True),
    "response.mcp_call_arguments": _Kind("arguments", None, "arguments", in_json=True),
    "response.custom_tool_call_input": _Kind("input", None, "input"),
    "response.code_interpreter_call_code": _Kind("code", None, "code"),
    "response.shell_call_command": _Kind("command", "command_index", "action.commands"),
    "response.audio.transcript": _Kind("transcript", None, "transcript"),
}
_UNKNOWN = _Kind("text", None, "unknown")
_SHELL_OUTPUT = "response.shell_call_output_content"
_CALLS = frozenset({"response.function_call_arguments", "response.custom_tool_call_input"})
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
_SOUND = frozenset({"response.audio.delta", "response.audio.done"})
_EVENT_KEYS = frozenset({
    "type", "item_id", "output_index", "content_index", "summary_index", "command_index", "sequence_number",
    "obfuscation", "logprobs", "response_id",
})  # fmt: skip
_REPEATED = _EVENT_KEYS - {"obfuscation", "sequence_number", "logprobs"}


class ResponsesStream(StreamRewriter):
    """The stream of a response."""

    def __init__(self, review: TextReview, *, hide_usage: bool = False) -> None:
        super().__init__(review, hide_usage=hide_usage)
        self._number = 0
        self._put_in = 0
        self._response: dict[str, Any] = {"id": "resp_iron", "object": "response", "model": None}
        self._items: dict[Any, dict[str, Any]] = {}
        self._said: dict[Any, list[str]] = {}
        self._judged: set[Any] = set()
        self._done: set[Any] = set()

    def _rewrite(self, document: dict[str, Any]) -> tuple[bytes, bool] | None:
        if type(number := document.get("sequence_number")) is int:
            self._number = number
        before, altered = self._rewrite_event(str(document.get("type")), document)
        if self._put_in and "sequence_number" in document:
            document["sequence_number"] = self._number + self._put_in
            altered = True
        self._number += 1
        return before, altered

    def _rewrite_event(self, kind: str, document: dict[str, Any]) -> tuple[bytes, bool]:
        base, _, step = kind.rpartition(".")
        if step == "delta" and type(document.get("delta")) is str:
            sound = kind in _SOUND and is_sound(document["delta"])
            return b"", (not sound and self._delta(base, document)) | self._beside(document)
        if base in _KINDS and step == "done":
            before, altered = self._text_done(base, document)
            return before, altered | self._beside(document, _KINDS[base].field)
        if base == "response.output_item" and type(document.get("item")) is dict:
            return self._item(step, document)
        if type(response := document.get("response")) is dict:
            return self._whole_response(kind, response)
        if kind == "error" or document.get("error"):
            self.error = True
        if kind == f"{_SHELL_OUTPUT}.delta" and type(document.get("delta")) is dict:
            return b"", self._shell_output(document)
        before = self._close_all(key for key in list(self._open) if step == "done" and key[0] == base)
        return before, self._whole(partial(_walk_event, document))

    def _beside(self, document: dict[str, Any], field: str = "delta") -> bool:
        """Review what an event says besides its text."""
        known = _EVENT_KEYS | {field}
        if document.keys() <= known:
            return False
        return self._whole(lambda texts: texts.walk_rest(document, known, "assistant", ""))

    # -- texts in deltas -----------------------------------------------------------------------------------

    def _delta(self, base: str, document: dict[str, Any]) -> bool:
        text = document["delta"]
        key = self._key(base, document)
        released = self._push(key, text, partial(self._begin, base, key, document))
        self._said[key].append(released)
        if released == text:
            return False
        document["delta"] = released
        if document.get("logprobs"):
            document["logprobs"] = []
        return True

    def _shell_output(self, document: dict[str, Any]) -> bool:
        delta, changed = document["delta"], False
        output_index = number_at(document, "output_index")
        for name in ("stdout", "stderr"):
            if type(text := delta.get(name)) is str and text:
                key = (_SHELL_OUTPUT, output_index, number_at(document, "command_index"), name)
                released = self._push(key, text, partial(self._begin_shell_output, name, key, document))
                changed |= released != text
                delta[name] = released
        return changed

    def _begin_shell_output(self, name: str, key: Any, document: dict[str, Any]) -> OpenText:
        template = {field: value for field, value in document.items() if field in _REPEATED}
        place = f"output[{key[1]}].output[{key[2]}].{name}"
        return OpenText(Channel(place, "tool"), lambda text: self._put({**template, "delta": {name: text}}))

    def _key(self, base: str, document: dict[str, Any]) -> tuple[Any, ...]:
        name = _KINDS.get(base, _UNKNOWN).told_apart_by
        return (base, number_at(document, "output_index"), number_at(document, name) if name else None)

    def _begin(self, base: str, key: tuple[Any, ...], document: dict[str, Any]) -> OpenText:
        self._said[key] = []
        template = {name: value for name, value in document.items() if name in _REPEATED}
        if "logprobs" in document:
            template["logprobs"] = []

        def event(text: str) -> bytes:
            self._said[key].append(text)
            return self._put({**template, "delta": text})

        return OpenText(self._channel(base, key), event)

    def _channel(self, base: str, key: tuple[Any, ...]) -> Channel:
        kind = _KINDS.get(base, _UNKNOWN)
        inner = "" if key[2] is None else f"[{key[2]}]"
        field = f".{kind.field}" if kind.part_type else ""
        item = self._items.get(key[1], {})
        name = name_of(item) if str(item.get("type")).endswith("_call") else None
        in_json = kind.in_json or (self.in_json and base == "response.output_text")
        return Channel(f"output[{key[1]}].{kind.place}{inner}{field}", "assistant", name, in_json)

    def _text_done(self, base: str, document: dict[str, Any]) -> tuple[bytes, bool]:
        key = self._key(base, document)
        before = self._close(key)
        kind = _KINDS[base]
        text = document.get(kind.field)
        if type(text) is not str:
            return before, False
        if base in _CALLS:
            self._judge_call(key[1], document, text)
        channel = self._channel(base, key)
        whole = self._whole_text(Text(text, "assistant", channel.place, channel.tool_name, channel.in_json))
        self._said[key] = [whole]
        if whole == text:
            return before, False
        document[kind.field] = whole
        if document.get("logprobs"):
            document["logprobs"] = []
        return before, True

    def _judge_call(self, index: Any, document: dict[str, Any], said: str) -> None:
        item = self._items.get(index, {})
        if index in self._judged or "type" not in item:
            return
        self._judged.add(index)
        name = document.get("name")
        call_id = item.get("call_id")
        name = name if type(name) is str else name_of(item)
        self.review.tool_call(ToolCall(name, said, call_id if type(call_id) is str else None))

    # -- items and responses as a whole --------------------------------------------------------------------

    def _item(self, step: str, document: dict[str, Any]) -> tuple[bytes, bool]:
        index, item = number_at(document, "output_index"), document["item"]
        if step != "done":
            self._items[index] = item
            return b"", self._whole(partial(_walk_output_item, item, index))
        before = self._close_all(key for key in list(self._open) if key[1] == index)
        call = tool_call_of(item)
        if call is not None and index not in self._judged:
            self._judged.add(index)
            self.review.tool_call(call)
        altered = self._whole(partial(_walk_output_item, item, index))
        self._items[index] = item
        self._done.add(index)
        return before, altered

    def _whole_response(self, kind: str, response: dict[str, Any]) -> tuple[bytes, bool]:
        if type(model := response.get("model")) is str:
            self.model = model
        self._response = response
        self.pending = kind not in _ENDS and response.get("background") is True
        before = b""
        if kind in _ENDS:
            before = self._close_all()
            self._report(openai_usage(response.get("usage"), response.get("service_tier")))
            self._reasons[0] = reason_of(response) or kind
            self.error |= bool(response.get("error"))
            self._judge_unseen(response.get("output"))
        return before, self._whole(lambda texts: walk_output(texts, response))

    def _judge_unseen(self, output: Any) -> None:
        for index, item in enumerate(output if type(output) is list else ()):
            call = tool_call_of(item) if type(item) is dict and index not in self._judged else None
            if call is not None:
                self._judged.add(index)
                self.review.tool_call(call)

    # -- ends ----------------------------------------------------------------------------------------------

    def _at_end(self) -> bytes:
        return self._close_all()

    def _end_early(self) -> Iterable[bytes]:
        open_keys = [key for key in self._open if key[0] in _KINDS]
        yield self._close_all()
        for key in open_keys:
            kind = _KINDS[key[0]]
            index = {} if kind.told_apart_by is None else {kind.told_apart_by: key[2]}
            item_id = self._items.get(key[1], {}).get("id")
            said = {kind.field: "".join(self._said[key])}
            yield self._put(
                {"type": f"{key[0]}.done", "item_id": item_id, "output_index": key[1], **index, **said}
            )
        for index in self._items.keys() - self._done:
            item = self._item_so_far(index)
            self._items[index] = item
            yield self._put({"type": "response.output_item.done", "output_index": index, "item": item})
        self._reasons[0] = "max_output_tokens"
        response = {
            **self._response,
            "status": "incomplete",
            "incomplete_details": {"reason": "max_output_tokens"},
            "output": [self._items[index] for index in sorted(self._items)],
        }
        yield self._put({"type": "response.incomplete", "response": response})

    def _item_so_far(self, index: Any) -> dict[str, Any]:
        """Return an item that is still being written, with what has been released of it."""
        item = {**self._items[index], "status": "incomplete"}
        for (base, output_index, place), said in self._said.items():
            if output_index != index:
                continue
            kind = _KINDS.get(base, _UNKNOWN)
            if kind.part_type is None:
                if place is None and base in _KINDS:
                    item[kind.field] = "".join(said)
                continue
            part: dict[str, Any] = {"type": kind.part_type, kind.field: "".join(said)}
            if kind.part_type == "output_text":
                part["annotations"] = []
            item[kind.place] = [*item.get(kind.place, ()), part]
        return item

    def _put(self, document: dict[str, Any]) -> bytes:
        document["sequence_number"] = self._number + self._put_in
        self._put_in += 1
        return write_event(dump(document), document["type"])


def _walk_output_item(item: dict[str, Any], index: Any, texts: JsonTexts) -> None:
    walk_item(texts, item, f"output[{index}]", "assistant")


def _walk_event(document: dict[str, Any], texts: JsonTexts) -> None:
    texts.walk_object(document, "assistant", str(document.get("type")))
