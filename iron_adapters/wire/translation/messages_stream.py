"""The stream of a chat completion, said as the stream of a message.

Owns which chunk starts, goes on with and stops which block. Chunks know no blocks: a block starts with its first
piece, and stops where another begins. OpenAI tells the usage at the end only, so ``message_start`` has noughts and
``message_delta`` the counts, which replace them.

Pieces of several calls may come in turns, while a message says one block after the other: what comes for another
block, before the arguments of the open call are whole, waits for the stream's end. No server is known to do so.
References: https://platform.openai.com/docs/api-reference/chat/streaming,
https://docs.claude.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.wire.json_bodies import dump, holds_json, load_reply
from iron_adapters.wire.sse import EventParser, write_event
from iron_adapters.wire.streaming import number_at
from iron_adapters.wire.translation.messages_errors import broken_event, messages_error_event
from iron_adapters.wire.translation.messages_reply import (
    NO_SIGNATURE,
    call_id,
    input_of,
    message_start,
    refuse_unsayable,
    stop_of,
    text_of,
    thinking_of,
)
from iron_adapters.wire.translation.tables import messages_usage
from iron_policy.exceptions import WireError

if TYPE_CHECKING:
    from typing import TypeAlias

    from iron_adapters.wire.sse import Event
    from iron_adapters.wire.translation.messages_request import Asked

_DONE = b"[DONE]"
_PING = write_event(b'{"type": "ping"}', "ping")


class MessageEvents:
    """A chat completion's stream on its way to a caller who expects a message's."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._parser = EventParser()
        self._blocks = _Blocks()
        self._message: dict[str, Any] = {}
        self._usage: dict[str, Any] | None = None
        self._last: dict[str, Any] | None = None
        self._over = False

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the provider's stream, cut anywhere; return the events that they make.

        Raises:
            WireError: the stream cannot be read, or has what no message can say.
        """
        return b"".join([self._event(event) for event in self._parser.feed(data)])

    def finish(self) -> bytes:
        """Return what is due at the stream's end: that of the message, or an error where the provider brought none."""
        rest = self._parser.finish()
        return (self._event(rest) if rest else b"") + self._end()

    def _event(self, event: Event) -> bytes:
        if self._over:
            return b""
        if event.data is None:
            return _PING if event.raw.startswith(b":") else b""
        if event.data.strip() == _DONE:
            return self._end()
        chunk, _ = load_reply(event.data, "a chunk of the stream")
        if chunk.get("error"):
            self._over = True
            return messages_error_event(chunk)
        return self._chunk(chunk)

    def _chunk(self, chunk: dict[str, Any]) -> bytes:
        self._usage = messages_usage(chunk.get("usage")) or self._usage
        choices = chunk.get("choices")
        if not choices:  # the usage alone, or what Azure says of the prompt
            return b""
        if type(choices) is not list or len(choices) != 1 or type(choices[0]) is not dict:
            raise WireError(
                "a chunk of the stream must have one choice: a message of Anthropic's says one answer"
            )
        choice = choices[0]
        if number_at(choice, "index"):
            raise WireError("the stream has a second choice: a message of Anthropic's says one answer")
        start = self._start(chunk)
        delta = choice.get("delta")
        if type(delta) is dict:
            self._delta(delta)
        if choice.get("finish_reason") is not None:
            self._last = choice
        return start + self._blocks.events()

    def _start(self, chunk: dict[str, Any]) -> bytes:
        if self._message:
            return b""
        self._message = message_start(chunk)
        return _written({"type": "message_start", "message": self._message})

    def _delta(self, delta: dict[str, Any]) -> None:
        refuse_unsayable(delta)
        blocks = self._blocks
        thinking = thinking_of(delta)
        if thinking and self._asked.shows_thinking:
            blocks.add("thinking", thinking)
        for key in ("content", "refusal"):
            if text := text_of(delta, key):
                blocks.add(key, text)
        calls = delta.get("tool_calls")
        if calls is not None and (type(calls) is not list or not all(type(call) is dict for call in calls)):
            raise WireError("a chunk of the stream has tool_calls that are no list of objects")
        for call in calls or ():
            blocks.add_call(call, self._message["id"])

    def _end(self) -> bytes:
        """Return the message's end, once."""
        if self._over:
            return b""
        self._over = True
        if self._last is None:
            return broken_event("the provider's stream ended before the answer did")
        blocks = self._blocks
        try:
            reason, stop = stop_of(self._last, self._asked, refused=blocks.refused, calls=bool(blocks.calls))
            blocks.close(reason)
        except WireError as error:
            return blocks.events() + broken_event(str(error))
        delta = {"stop_reason": reason, "stop_sequence": stop}
        usage = self._usage or self._message["usage"]
        end = {"type": "message_delta", "delta": delta, "usage": usage}
        return blocks.events() + _written(end) + _written({"type": "message_stop"})


class _Call:
    """A call of which the beginning has come: a block of its own, whatever others come in between."""

    def __init__(self, name: str, identity: str) -> None:
        self.name = name
        self.identity = identity
        self.arguments: list[str] = []

    def is_whole(self) -> bool:
        return holds_json("".join(self.arguments))


if TYPE_CHECKING:
    _Key: TypeAlias = str | _Call
    """``thinking``, ``content``, ``refusal``, or a call."""


class _Blocks:
    """The blocks of a message: which is open, which have been, and which wait.

    Attributes:
        calls: the calls so far, by their ``index``.
        refused: whether the model has said that it will not answer.
    """

    def __init__(self) -> None:
        self.calls: dict[int, _Call] = {}
        self.refused = False
        self._count = 0
        self._open: _Key | None = None
        self._closed: list[_Call] = []
        self._waiting: dict[_Key, list[str]] = {}
        self._events: list[bytes] = []

    def events(self) -> bytes:
        """Return the events since the last time."""
        events, self._events = b"".join(self._events), []
        return events

    def add_call(self, piece: dict[str, Any], message_id: str) -> None:
        """Take a piece of a call.

        Raises:
            WireError: it is the first piece and names no function, or it comes after the call's end.
        """
        index = number_at(piece, "index")
        function = piece.get("function")
        function = function if type(function) is dict else {}
        call = self.calls.get(index)
        if call is None:
            name = function.get("name")
            if type(name) is not str or not name:
                raise WireError("the stream has a tool call that names no function")
            call = self.calls[index] = _Call(name, call_id(piece, index, message_id))
            self.add(call, "")
        elif type(identity := piece.get("id")) is str and identity not in {"", call.identity}:
            raise WireError("the stream has two tool calls with the same index")
        if arguments := text_of(function, "arguments"):
            call.arguments.append(arguments)
            self.add(call, arguments)

    def add(self, key: _Key, piece: str) -> None:
        """Take a piece of the block *key*: it goes on, or starts, or waits."""
        self.refused |= key == "refusal"
        if self._open != key and (self._waiting or self._is_unfinished()):
            self._waiting.setdefault(key, []).append(piece)
            return
        if key in self._closed:
            if piece.strip():
                raise WireError("the stream goes on with a tool call that had ended")
            return
        if self._open != key:
            self._stop()
            self._start(key)
        if piece:
            self._write("content_block_delta", delta=_delta(key, piece))

    def close(self, stop_reason: str) -> None:
        """Stop the last block, after those that waited.

        Raises:
            WireError: a call's arguments are no JSON object.
        """
        self._stop()
        for key in sorted(self._waiting, key=self._rank):
            self._start(key)
            if piece := "".join(self._waiting[key]):
                self._write("content_block_delta", delta=_delta(key, piece))
            self._stop()
        for call in self.calls.values():
            input_of("".join(call.arguments), stop_reason)

    def _is_unfinished(self) -> bool:
        return isinstance(self._open, _Call) and not self._open.is_whole()

    def _rank(self, key: _Key) -> int:
        """Return the place of a block among others, which is that of a whole reply's."""
        texts = ("thinking", "content", "refusal")
        return texts.index(key) if isinstance(key, str) else len(texts) + list(self.calls.values()).index(key)

    def _start(self, key: _Key) -> None:
        self._open = key
        self._write("content_block_start", content_block=_block(key))

    def _stop(self) -> None:
        if self._open is None:
            return
        self._write("content_block_stop")
        if isinstance(self._open, _Call):
            self._closed.append(self._open)
        self._open = None
        self._count += 1

    def _write(self, kind: str, **entries: Any) -> None:
        self._events.append(_written({"type": kind, "index": self._count, **entries}))


def _block(key: _Key) -> dict[str, Any]:
    """Return a block that says nothing yet."""
    if isinstance(key, _Call):
        return {"type": "tool_use", "id": key.identity, "name": key.name, "input": {}}
    if key == "thinking":
        return {"type": "thinking", "thinking": "", "signature": NO_SIGNATURE}
    return {"type": "text", "text": ""}


def _delta(key: _Key, piece: str) -> dict[str, Any]:
    if isinstance(key, _Call):
        return {"type": "input_json_delta", "partial_json": piece}
    if key == "thinking":
        return {"type": "thinking_delta", "thinking": piece}
    return {"type": "text_delta", "text": piece}


def _written(event: dict[str, Any]) -> bytes:
    return write_event(dump(event), event["type"])
