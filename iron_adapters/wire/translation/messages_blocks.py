"""The blocks of a message that is being streamed.

Owns which piece starts, goes on with and stops which block. Chunks of a chat know no blocks: one starts with its first
piece, and stops where another begins.

Pieces of several calls may come in turns, while a message says one block after the other: what comes for another
block, before the arguments of the open call are whole, waits for the stream's end. No server is known to do so.
Reference: https://docs.claude.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.wire.json_bodies import dump, holds_json
from iron_adapters.wire.sse import write_event
from iron_adapters.wire.streaming import number_at
from iron_adapters.wire.translation.messages_reply import NO_SIGNATURE, call_id, input_of, text_of
from iron_policy.exceptions import WireError

if TYPE_CHECKING:
    from typing import TypeAlias


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


class Blocks:
    """The blocks of a message: which is open, which have been, and which wait.

    Attributes:
        calls: the calls so far.
        refused: whether the model has said that it will not answer.
    """

    def __init__(self) -> None:
        self.calls: list[_Call] = []
        self.refused = False
        self._by_index: dict[int, _Call] = {}
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
        function = piece.get("function")
        function = function if type(function) is dict else {}
        call = self._by_index.get(number_at(piece, "index"))
        if call is None or _names_another(piece, call):
            call = self._begin(piece, function.get("name"), message_id)
        if arguments := text_of(function, "arguments"):
            call.arguments.append(arguments)
            self.add(call, arguments)

    def _begin(self, piece: dict[str, Any], name: Any, message_id: str) -> _Call:
        if type(name) is not str or not name:
            raise WireError("the stream has a tool call that names no function")
        call = _Call(name, call_id(piece, len(self.calls), message_id))
        self._by_index[number_at(piece, "index")] = call
        self.calls.append(call)
        self.add(call, "")
        return call

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
        for call in self.calls:
            input_of("".join(call.arguments), stop_reason)

    def _is_unfinished(self) -> bool:
        return isinstance(self._open, _Call) and not self._open.is_whole()

    def _rank(self, key: _Key) -> int:
        """Return the place of a block among others, which is that of a whole reply's."""
        texts = ("thinking", "content", "refusal")
        return texts.index(key) if isinstance(key, str) else len(texts) + self.calls.index(key)

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
        self._events.append(written({"type": kind, "index": self._count, **entries}))


def _names_another(piece: dict[str, Any], call: _Call) -> bool:
    """Tell whether a piece begins another call: some servers give all calls the same index."""
    identity = piece.get("id")
    return type(identity) is str and identity not in {"", call.identity}


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


def written(event: dict[str, Any]) -> bytes:
    """Return an event of a message's stream."""
    return write_event(dump(event), event["type"])
