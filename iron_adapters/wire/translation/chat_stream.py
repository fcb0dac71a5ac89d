"""The stream of a message as the stream of a chat completion: a chunk for each event, none held back.

Owns the order of chunks. What is said of each kind of block is in ``chat_reply``. A stream that breaks off ends
without ``[DONE]``, so that callers notice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from iron_adapters.wire.json_bodies import dump, load_reply
from iron_adapters.wire.sse import EventParser, write_event
from iron_adapters.wire.translation.chat_errors import DONE, error_event
from iron_adapters.wire.translation.chat_reply import (
    citation,
    finish_reason,
    heading,
    refusal_of,
    unsayable,
)
from iron_adapters.wire.translation.tables import chat_usage
from iron_adapters.wire.usage import overlaid
from iron_policy.exceptions import WireError

if TYPE_CHECKING:
    from collections.abc import Callable

    from iron_adapters.wire.sse import Event
    from iron_adapters.wire.translation.chat_request import Asked


@dataclass(slots=True)
class _Block:
    """A block that has started.

    Attributes:
        kind: its type; the tool that carries an answer is an ``answer``.
        number: its place among the calls, or among the blocks of thinking.
        start: where its text starts in the content.
        given: what a tool's input was at its start, of which some servers give all there.
        said: whether a piece of the input has come.
        cited: what its text rests on.
    """

    kind: str
    number: int = 0
    start: int = 0
    given: Any = None
    said: bool = False
    cited: list[Any] = field(default_factory=list)


class ChatStream:
    """A streamed message on its way to a caller of chat completions."""

    def __init__(self, asked: Asked, created: int) -> None:
        self._asked = asked
        self._created = created
        self._parser = EventParser()
        self._heading: dict[str, Any] | None = None
        self._before = b""
        self._after = b'],"usage":null}\n\n' if asked.usage else b"]}\n\n"
        self._blocks: dict[Any, _Block] = {}
        self._counts = {"calls": 0, "thinking_blocks": 0, "annotations": 0, "citations": 0}
        self._length = 0
        self._usage: dict[str, Any] = {}
        self._end: dict[str, Any] = {}
        self._over = False
        self._on: dict[str, Callable[[dict[str, Any]], bytes]] = {
            "message_start": self._start,
            "content_block_start": self._start_block,
            "content_block_delta": self._delta,
            "content_block_stop": self._stop_block,
            "message_delta": self._take_end,
            "message_stop": self._stop,
            "error": self._fail,
        }

    def feed(self, data: bytes) -> bytes:
        """Take bytes of Anthropic's stream, cut anywhere; return the chunks for what is complete.

        Raises:
            WireError: the stream cannot be read, or holds what a chat completion cannot say.
        """
        return b"".join([self._take(event) for event in self._parser.feed(data)])

    def finish(self) -> bytes:
        """Return what a last event without its blank line brings; nothing for one that broke off."""
        rest = self._parser.finish()
        try:
            return self._take(rest) if rest is not None else b""
        except WireError:
            return b""

    def _take(self, event: Event) -> bytes:
        if self._over or not event.data:
            return b""
        document, _ = load_reply(event.data, "an event of the stream")
        kind = document.get("type")
        act = self._on.get(kind) if type(kind) is str else None  # pings, and what else may come, say nothing
        if act is None:
            return b""
        if self._heading is None and kind not in {"message_start", "error"}:
            raise WireError("the stream starts in the middle of a message")
        return act(document)

    # -- the message ---------------------------------------------------------------------------------------

    def _start(self, document: dict[str, Any]) -> bytes:
        message = document.get("message")
        message = message if type(message) is dict else {}
        self._heading = heading(message, self._created, "chat.completion.chunk")
        self._before = b"data: " + dump(self._heading)[:-1] + b',"choices":['
        self._usage = overlaid({}, message.get("usage"))
        return self._chunk({"role": "assistant", "content": None, "refusal": None})

    def _take_end(self, document: dict[str, Any]) -> bytes:
        self._usage = overlaid(self._usage, document.get("usage"))
        delta = document.get("delta")
        self._end = delta if type(delta) is dict else {}
        return b""

    def _stop(self, _: dict[str, Any]) -> bytes:
        self._over = True
        refusal = refusal_of(self._end)
        reason = finish_reason(self._end.get("stop_reason"), self._asked, called=self._counts["calls"] > 0)
        said = self._chunk({"refusal": refusal}) if refusal is not None else b""
        said += self._chunk({}, reason)
        usage = chat_usage(self._usage or None)
        if self._asked.usage and usage is not None:
            said += write_event(dump({**(self._heading or {}), "choices": [], "usage": usage}))
        return said + DONE

    def _fail(self, document: dict[str, Any]) -> bytes:
        self._over = True
        return error_event(document)

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return self._before + dump(choice) + self._after

    # -- its blocks ----------------------------------------------------------------------------------------

    def _start_block(self, document: dict[str, Any]) -> bytes:
        given = document.get("content_block")
        given = given if type(given) is dict else {}
        kind = given.get("type")
        index = _number(document)
        if kind == "text":
            self._blocks[index] = block = _Block(kind, start=self._length)
            cited = given.get("citations")
            block.cited += cited if type(cited) is list else []
            return self._text(given.get("text"))
        if kind == "tool_use":
            return self._start_call(index, given)
        if kind in {"thinking", "redacted_thinking"}:
            return self._start_thinking(index, given)
        raise unsayable("block", kind)

    def _start_call(self, index: int, given: dict[str, Any]) -> bytes:
        name = str(given.get("name") or "")
        if name == self._asked.answer_tool:
            self._blocks[index] = _Block("answer", given=given.get("input"))
            return b""
        number = self._count("calls")
        self._blocks[index] = _Block("tool_use", number, given=given.get("input"))
        function = {"name": name, "arguments": ""}
        if self._asked.functions:
            if number:
                raise WireError(
                    "the reply calls several functions, and 'function_call' holds one: use 'tools'"
                )
            return self._chunk({"function_call": function})
        call = {"index": number, "id": str(given.get("id") or ""), "type": "function", "function": function}
        return self._chunk({"tool_calls": [call]})

    def _start_thinking(self, index: int, given: dict[str, Any]) -> bytes:
        kind, number = given["type"], self._count("thinking_blocks")
        self._blocks[index] = _Block(kind, number)
        if kind == "redacted_thinking":
            sealed = {"index": number, "type": kind, "data": str(given.get("data") or "")}
            return self._chunk({"thinking_blocks": [sealed]})
        text, signature = str(given.get("thinking") or ""), str(given.get("signature") or "")
        entry = {"index": number, "type": kind, "thinking": text, "signature": signature}
        return self._chunk({"reasoning_content": text, "thinking_blocks": [entry]})

    def _delta(self, document: dict[str, Any]) -> bytes:
        block, delta = self._blocks.get(_number(document)), document.get("delta")
        if block is None or type(delta) is not dict:
            raise WireError("the stream goes on with a block that has not started")
        kind = delta.get("type")
        if kind == "text_delta":
            return self._text(delta.get("text"))
        if kind == "input_json_delta":
            return self._input(block, delta.get("partial_json"))
        if kind == "thinking_delta":
            return self._thinking(block, delta.get("thinking"))
        if kind == "signature_delta":
            entry = {"index": block.number, "signature": str(delta.get("signature") or "")}
            return self._chunk({"thinking_blocks": [entry]})
        if kind == "citations_delta":
            block.cited.append(delta.get("citation"))
            return b""
        raise unsayable("delta", kind)

    def _text(self, text: Any) -> bytes:
        if type(text) is not str or not text:
            return b""
        self._length += len(text)
        return self._chunk({"content": text})

    def _thinking(self, block: _Block, text: Any) -> bytes:
        if type(text) is not str or not text:
            return b""
        entry = {"index": block.number, "thinking": text}
        return self._chunk({"reasoning_content": text, "thinking_blocks": [entry]})

    def _input(self, block: _Block, text: Any) -> bytes:
        if type(text) is not str or not text:
            return b""
        block.said = True
        if block.kind == "answer":
            return self._text(text)
        if self._asked.functions:
            return self._chunk({"function_call": {"arguments": text}})
        return self._chunk({"tool_calls": [{"index": block.number, "function": {"arguments": text}}]})

    def _stop_block(self, document: dict[str, Any]) -> bytes:
        block = self._blocks.pop(_number(document), None)
        if block is None:
            return b""
        if block.kind in {"tool_use", "answer"} and not block.said:
            return self._input(block, dump(block.given or {}).decode())
        return b"".join([self._cite(block, one) for one in block.cited])

    def _cite(self, block: _Block, cited: Any) -> bytes:
        key, entry = citation(cited, block.start, self._length)
        return self._chunk({key: [{"index": self._count(key), **entry}]})

    def _count(self, what: str) -> int:
        """Return the next number of *what*, by which callers put pieces together."""
        self._counts[what] += 1
        return self._counts[what] - 1


def _number(document: dict[str, Any]) -> int:
    index = document.get("index")
    return index if type(index) is int else 0
