"""``POST /v1/responses``: whole replies and streams of items.

Owns the wire shapes of the Responses API. Decides nothing about what is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.testing.dialects import OPENAI
from iron_adapters.testing.events import Event, named_event
from iron_adapters.testing.openai_responses_request import read_request
from iron_adapters.testing.problems import Problem
from iron_adapters.testing.tokens import count_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from iron_adapters.testing.answer import Answer
    from iron_adapters.testing.asked import Asked
    from iron_adapters.testing.choices import Called
    from iron_adapters.testing.dialects import Dialect
    from iron_adapters.testing.response_store import ResponseStore
    from iron_policy.messages import Usage

_ECHOED: Mapping[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""Parameters that a response repeats, with what they are where the request does not set them."""


class Responses:
    """The endpoint. Stored responses go into *store*."""

    path = "/v1/responses"
    dialect: Dialect = OPENAI

    def __init__(self, store: ResponseStore) -> None:
        self._store = store

    def read(self, body: Mapping[str, Any], body_bytes: int) -> Asked:
        """Return what *body* asks for."""
        return read_request(body, body_bytes, self._store)

    def whole(self, answer: Answer) -> dict[str, Any]:
        """Return a ``response``, and remember it unless ``store`` is false."""
        output = _output(answer)
        if answer.asked.body.get("store") is not False:
            self._store.keep(_response_id(answer), [*answer.asked.body["input"], *_sent_back(output)])
        return _response(answer, _status(answer), output)

    def events(self, answer: Answer) -> Iterator[Event]:
        """Yield the events of every item between ``response.created`` and ``response.completed``."""
        opening = _response(answer, "in_progress", [])
        payloads = [
            ({"type": "response.created", "response": opening}, 0, 0),
            ({"type": "response.in_progress", "response": opening}, 0, 0),
            *_item_events(answer),
        ]
        sent = sum(tokens for _, tokens, _ in payloads)
        last = {"type": f"response.{_status(answer)}", "response": self.whole(answer)}
        payloads.append((last, answer.usage.output_tokens - sent, 0))
        for number, (payload, tokens, reasoning) in enumerate(payloads):
            event = {**payload, "sequence_number": number, **_obfuscation(answer, payload, number)}
            yield named_event(event, tokens=tokens, reasoning_tokens=reasoning)

    def error_events(self, status: int, message: str, position: int) -> Iterator[Event]:
        """Yield an ``error`` event; nothing follows."""
        error = OPENAI.error(Problem(status, message))
        code = error["code"] or error["type"]
        payload = {
            "type": "error",
            "code": code,
            "message": message,
            "param": None,
            "sequence_number": position,
        }
        yield named_event(payload)


_Step = tuple[dict[str, Any], int, int]
"""A payload, the tokens it carries, and the reasoning tokens among them."""


def usage_json(usage: Usage) -> dict[str, Any]:
    """Return *usage* in the words of the Responses API, where cached tokens are part of the input's."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_input_tokens,
            "cache_write_tokens": usage.cache_creation_input_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_output_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def _response_id(answer: Answer) -> str:
    return f"resp_{answer.stamp.name('response', 48)}"


def _status(answer: Answer) -> str:
    return "incomplete" if answer.choices[0].finish == "length" else "completed"


def _response(answer: Answer, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    body = answer.asked.body
    ended = status != "in_progress"
    usage = usage_json(answer.usage) if ended and answer.reports_usage else None
    reasoning = {"effort": None, "summary": None} | (body.get("reasoning") or {})
    return {
        "id": _response_id(answer),
        "object": "response",
        "created_at": answer.stamp.time,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "model": answer.model,
        "output": output,
        "reasoning": reasoning,
        "service_tier": "default" if ended else "auto",
        "text": {"format": {"type": "text"}, "verbosity": "medium"} | (body.get("text") or {}),
        "usage": usage,
        **{name: body.get(name, value) for name, value in _ECHOED.items()},
    }


def _output(answer: Answer) -> list[dict[str, Any]]:
    """Return the finished items: reasoning, then a message, then calls of tools."""
    choice = answer.choices[0]
    items = []
    if choice.reasoning:
        summary = [{"type": "summary_text", "text": choice.whole_reasoning}]
        items.append({"id": _item_id(answer, "rs", 0), "type": "reasoning", "summary": summary})
    if choice.text or not choice.tool_calls:
        items.append(_message(answer, _status(answer), [_text_part(choice.whole_text)]))
    items += [_call(answer, call, number, "completed") for number, call in enumerate(choice.tool_calls)]
    return items


def _sent_back(output: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return *output* as a client would send it as input."""
    return [item for item in output if item["type"] != "reasoning"]


def _item_id(answer: Answer, prefix: str, number: int) -> str:
    return f"{prefix}_{answer.stamp.name(f'{prefix}{number}', 48)}"


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _message(answer: Answer, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    item_id = _item_id(answer, "msg", 0)
    return {"id": item_id, "type": "message", "status": status, "content": content, "role": "assistant"}


def _call(answer: Answer, call: Called, number: int, status: str) -> dict[str, Any]:
    return {
        "id": _item_id(answer, "fc", number),
        "type": "function_call",
        "status": status,
        "arguments": call.json_text if status == "completed" else "",
        "call_id": f"call_{answer.stamp.name(f'call{number}', 24)}",
        "name": call.name,
    }


def _item_events(answer: Answer) -> Iterator[_Step]:
    choice = answer.choices[0]
    calls = list(choice.tool_calls)
    for index, item in enumerate(_output(answer)):
        place = {"item_id": item["id"], "output_index": index}
        if item["type"] == "reasoning":
            steps = _reasoning_events(item, place, choice.reasoning)
        elif item["type"] == "message":
            steps = _message_events(answer, item, place, choice.text)
        else:
            steps = _call_events(item, place, calls.pop(0))
        yield from steps
        yield {"type": "response.output_item.done", "output_index": index, "item": item}, 0, 0


def _reasoning_events(
    item: dict[str, Any], place: dict[str, Any], tokens: tuple[str, ...]
) -> Iterator[_Step]:
    place = {**place, "summary_index": 0}
    whole = item["summary"][0]
    yield _added(place, {**item, "summary": []}), 0, 0
    yield {"type": "response.reasoning_summary_part.added", **place, "part": {**whole, "text": ""}}, 0, 0
    for token in tokens:
        yield {"type": "response.reasoning_summary_text.delta", **place, "delta": token}, 1, 1
    yield {"type": "response.reasoning_summary_text.done", **place, "text": whole["text"]}, 0, 0
    yield {"type": "response.reasoning_summary_part.done", **place, "part": whole}, 0, 0


def _message_events(
    answer: Answer, item: dict[str, Any], place: dict[str, Any], tokens: tuple[str, ...]
) -> Iterator[_Step]:
    place = {**place, "content_index": 0}
    whole = item["content"][0]
    yield _added(place, _message(answer, "in_progress", [])), 0, 0
    yield {"type": "response.content_part.added", **place, "part": _text_part("")}, 0, 0
    for token in tokens:
        yield {"type": "response.output_text.delta", **place, "delta": token, "logprobs": []}, 1, 0
    yield {"type": "response.output_text.done", **place, "text": whole["text"], "logprobs": []}, 0, 0
    yield {"type": "response.content_part.done", **place, "part": whole}, 0, 0


def _call_events(item: dict[str, Any], place: dict[str, Any], call: Called) -> Iterator[_Step]:
    yield _added(place, {**item, "status": "in_progress", "arguments": ""}), count_tokens(call.name), 0
    for token in call.arguments:
        yield {"type": "response.function_call_arguments.delta", **place, "delta": token}, 1, 0
    yield {"type": "response.function_call_arguments.done", **place, "arguments": call.json_text}, 0, 0


def _added(place: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": place["output_index"], "item": item}


def _obfuscation(answer: Answer, payload: dict[str, Any], number: int) -> dict[str, str]:
    """Return the padding that hides how long each delta is, unless the client does without it."""
    options = answer.asked.body.get("stream_options") or {}
    if not payload["type"].endswith(".delta") or options.get("include_obfuscation") is False:
        return {}
    return {"obfuscation": answer.stamp.name(f"pad{number}", answer.stamp.padding(number, 15))}
