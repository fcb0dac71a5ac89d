"""``POST /v1/messages``: whole replies and streams of content blocks.

Owns the wire shapes of the Messages API. Decides nothing about what is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from iron_adapters.testing.anthropic_request import read_request
from iron_adapters.testing.dialects import ANTHROPIC
from iron_adapters.testing.events import Event, named_event
from iron_adapters.testing.tokens import count_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from iron_adapters.testing.answer import Answer
    from iron_adapters.testing.asked import Asked
    from iron_adapters.testing.choices import Called, Choice
    from iron_adapters.testing.dialects import Dialect
    from iron_policy.messages import Usage

_STOP = {"stop": "end_turn", "length": "max_tokens", "tools": "tool_use", "stop_sequence": "stop_sequence"}
_WIDEST_PADDING = 14


class Messages:
    """The endpoint."""

    path = "/v1/messages"
    dialect: Dialect = ANTHROPIC

    def read(self, body: Mapping[str, Any], body_bytes: int) -> Asked:
        """Return what *body* asks for."""
        return read_request(body, body_bytes)

    def whole(self, answer: Answer) -> dict[str, Any]:
        """Return a ``message``."""
        choice = answer.choices[0]
        usage = {"usage": usage_json(answer.usage)} if answer.reports_usage else {}
        return {**_head(answer), "content": list(_blocks(answer, choice)), **_stop(choice), **usage}

    def events(self, answer: Answer) -> Iterator[Event]:
        """Yield the blocks one after the other between ``message_start`` and ``message_stop``."""
        choice = answer.choices[0]
        steps = [(_message_start(answer), 0, 0), *_block_steps(answer, choice)]
        steps.insert(2, ({"type": "ping"}, 0, 0))
        sent = sum(tokens for _, tokens, _ in steps)
        usage = {"usage": _closing_usage(answer.usage)} if answer.reports_usage else {}
        delta = {"type": "message_delta", "delta": _stop(choice), **usage}
        steps += [(delta, answer.usage.output_tokens - sent, 0), ({"type": "message_stop"}, 0, 0)]
        for position, (payload, tokens, reasoning) in enumerate(steps):
            padding = answer.stamp.padding(position, _WIDEST_PADDING)
            yield named_event(payload, padding=padding, tokens=tokens, reasoning_tokens=reasoning)

    def error_events(self, status: int, message: str, _position: int) -> Iterator[Event]:
        """Yield an ``error`` event; the connection then ends without ``message_stop``."""
        error = {"details": None, "type": ANTHROPIC.error_type(status), "message": message}
        yield named_event({"type": "error", "error": error}, padding=1)


_Step = tuple[dict[str, Any], int, int]
"""A payload, the tokens it carries, and the reasoning tokens among them."""


def usage_json(usage: Usage, output_tokens: int | None = None) -> dict[str, Any]:
    """Return *usage* in Anthropic's words, where ``input_tokens`` leaves out what a cache gave or took."""
    details = {"output_tokens_details": {"thinking_tokens": usage.reasoning_output_tokens}}
    return {
        "input_tokens": usage.uncached_input_tokens,
        "cache_creation_input_tokens": usage.cache_creation_input_tokens,
        "cache_read_input_tokens": usage.cache_read_input_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_creation_input_tokens,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": usage.output_tokens if output_tokens is None else output_tokens,
        "service_tier": "standard",
        **(details if usage.reasoning_output_tokens and output_tokens is None else {}),
    }


def _closing_usage(usage: Usage) -> dict[str, Any]:
    """Return the usage of ``message_delta``: cumulative, without the tier."""
    left_out = {"cache_creation", "service_tier"}
    return {name: value for name, value in usage_json(usage).items() if name not in left_out}


def _head(answer: Answer) -> dict[str, Any]:
    message_id = f"msg_{answer.stamp.name('message', 24)}"
    return {"model": answer.model, "id": message_id, "type": "message", "role": "assistant"}


def _stop(choice: Choice) -> dict[str, Any]:
    return {"stop_reason": _STOP[choice.finish], "stop_sequence": choice.stop_sequence, "stop_details": None}


def _message_start(answer: Answer) -> dict[str, Any]:
    nothing_yet: dict[str, Any] = {
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
    }
    usage = {"usage": usage_json(answer.usage, output_tokens=1)} if answer.reports_usage else {}
    return {"type": "message_start", "message": {**_head(answer), **nothing_yet, **usage}}


def _blocks(answer: Answer, choice: Choice) -> Iterator[dict[str, Any]]:
    """Yield the finished blocks: thinking, then text, then uses of tools."""
    if choice.reasoning:
        yield {"type": "thinking", "thinking": choice.whole_reasoning, "signature": _signature(answer)}
    if choice.text or not choice.tool_calls:
        yield {"type": "text", "text": choice.whole_text}
    for number, call in enumerate(choice.tool_calls):
        yield {**_tool_use(answer, call, number), "input": _input(call)}


def _tool_use(answer: Answer, call: Called, number: int) -> dict[str, Any]:
    return {
        "type": "tool_use",
        "id": f"toolu_{answer.stamp.name(f'tool{number}', 24)}",
        "name": call.name,
        "input": {},
    }


def _input(call: Called) -> Any:
    """Return the arguments as an object; empty where they are broken or were cut off."""
    try:
        return orjson.loads(call.json_text)
    except orjson.JSONDecodeError:
        return {}


def _signature(answer: Answer) -> str:
    return answer.stamp.name("signature", 88)


def _block_steps(answer: Answer, choice: Choice) -> Iterator[_Step]:
    calls = list(choice.tool_calls)
    for index, block in enumerate(_blocks(answer, choice)):
        place = {"type": "content_block_delta", "index": index}
        start = {"type": "content_block_start", "index": index}
        if block["type"] == "thinking":
            yield {**start, "content_block": {**block, "thinking": "", "signature": ""}}, 0, 0
            for token in choice.reasoning:
                yield {**place, "delta": {"type": "thinking_delta", "thinking": token}}, 1, 1
            yield {**place, "delta": {"type": "signature_delta", "signature": block["signature"]}}, 0, 0
        elif block["type"] == "text":
            yield {**start, "content_block": {**block, "text": ""}}, 0, 0
            for token in choice.text:
                yield {**place, "delta": {"type": "text_delta", "text": token}}, 1, 0
        else:
            call = calls.pop(0)
            yield {**start, "content_block": {**block, "input": {}}}, count_tokens(call.name), 0
            yield from _input_steps(place, call)
        yield {"type": "content_block_stop", "index": index}, 0, 0


def _input_steps(place: dict[str, Any], call: Called) -> Iterator[_Step]:
    """Yield the pieces of a tool's input: an empty one first; nothing more for a tool without arguments."""
    yield {**place, "delta": {"type": "input_json_delta", "partial_json": ""}}, 0, 0
    for token in call.arguments if call.json_text != "{}" else ():
        yield {**place, "delta": {"type": "input_json_delta", "partial_json": token}}, 1, 0
