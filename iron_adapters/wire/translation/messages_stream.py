"""The stream of a chat completion, said as the stream of a message.

Owns how the message starts and ends, and what a chunk brings for which block; the blocks are in ``messages_blocks``.
OpenAI tells the usage at the end only, so ``message_start`` has noughts and ``message_delta`` the counts, which
replace them. A stream ends with ``message_stop`` only where the provider told why the answer ended.
References: https://platform.openai.com/docs/api-reference/chat/streaming,
https://docs.claude.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.wire.json_bodies import load_reply
from iron_adapters.wire.sse import EventParser, write_event
from iron_adapters.wire.streaming import number_at
from iron_adapters.wire.translation.messages_blocks import Blocks, written
from iron_adapters.wire.translation.messages_errors import broken_event, messages_error_event
from iron_adapters.wire.translation.messages_reply import (
    message_start,
    refuse_unsayable,
    stop_of,
    text_of,
    thinking_of,
)
from iron_adapters.wire.translation.tables import messages_usage
from iron_policy.exceptions import WireError

if TYPE_CHECKING:
    from iron_adapters.wire.sse import Event
    from iron_adapters.wire.translation.messages_request import Asked

_DONE = b"[DONE]"
_PING = write_event(b'{"type": "ping"}', "ping")


class MessageEvents:
    """A chat completion's stream on its way to a caller who expects a message's."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._parser = EventParser()
        self._blocks = Blocks()
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
        return self._rest() + self._end()

    def _rest(self) -> bytes:
        """Return what the last lines say where only their blank line is missing, and nothing where they broke off."""
        rest = self._parser.finish()
        try:
            return self._event(rest) if rest else b""
        except WireError:
            return b""

    def _event(self, event: Event) -> bytes:
        if self._over:
            return b""
        if event.data is None:
            return _PING if event.raw.startswith(b":") else b""
        if event.data.strip() == _DONE:
            return self._end()
        chunk, _ = load_reply(event.data, "a chunk of the stream")
        if chunk.get("error") or chunk.get("object") == "error":  # the latter is vLLM's
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
        if choice.get("finish_reason"):  # some servers write "" where others write null
            self._last = choice
        return start + self._blocks.events()

    def _start(self, chunk: dict[str, Any]) -> bytes:
        if self._message:
            return b""
        self._message = message_start(chunk)
        return written({"type": "message_start", "message": self._message})

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
        return blocks.events() + written(end) + written({"type": "message_stop"})
