"""What a reply says, in whichever API it says it, whole or in events: its text, its tool calls, whether it is complete."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class Said:
    """A reply without its wire format."""

    text: str = ""
    tools: list[list[str]] = field(default_factory=list)
    """Name and arguments of each call."""
    ended: bool = False
    """Whether it came to the end that its API has for replies."""
    error: str | None = None
    """What an error within a stream says."""


def said(path: str, body: bytes, *, stream: bool) -> Said:
    """Return what *body* says, as a reply to *path*; of a stream that was cut off, what came of it."""
    endpoint = path.rpartition("/v1/")[2]
    if not stream:
        return _WHOLE[endpoint](orjson.loads(body))
    found = Said()
    for event in _events(body):
        if event is None:
            found.ended = found.error is None
        elif "error" in event or event.get("type") == "error":
            found.error = str(event.get("message") or event.get("error"))
        else:
            _EVENTS[endpoint](event, found)
    return found


def _events(body: bytes) -> Iterator[dict[str, Any] | None]:
    """Yield what each event holds; ``None`` for ``[DONE]``."""
    for block in body.split(b"\n\n")[:-1]:
        data = b"".join(
            line.removeprefix(b"data:") for line in block.split(b"\n") if line.startswith(b"data:")
        ).strip()
        if data:
            yield None if data == b"[DONE]" else orjson.loads(data)


def _chat(body: dict[str, Any]) -> Said:
    message = body["choices"][0]["message"]
    calls = [
        [call["function"]["name"], call["function"]["arguments"]] for call in message.get("tool_calls") or ()
    ]
    return Said(message["content"] or "", calls, ended=True)


def _chat_event(event: dict[str, Any], found: Said) -> None:
    for choice in event["choices"]:
        delta = choice["delta"]
        found.text += delta.get("content") or ""
        for call in delta.get("tool_calls") or ():
            if call["index"] == len(found.tools):
                found.tools.append([call["function"]["name"], ""])
            found.tools[call["index"]][1] += call["function"].get("arguments") or ""


def _completion(body: dict[str, Any]) -> Said:
    return Said(body["choices"][0]["text"], ended=True)


def _completion_event(event: dict[str, Any], found: Said) -> None:
    for choice in event["choices"]:
        found.text += choice["text"]


def _response(body: dict[str, Any]) -> Said:
    items = body["output"]
    parts = [part["text"] for item in items if item["type"] == "message" for part in item["content"]]
    calls = [[item["name"], item["arguments"]] for item in items if item["type"] == "function_call"]
    return Said("".join(parts), calls, ended=body["status"] == "completed")


def _response_event(event: dict[str, Any], found: Said) -> None:
    match event["type"]:
        case "response.output_text.delta":
            found.text += event["delta"]
        case "response.output_item.added" if event["item"]["type"] == "function_call":
            found.tools.append([event["item"]["name"], ""])
        case "response.function_call_arguments.delta":
            found.tools[-1][1] += event["delta"]
        case "response.completed":
            whole = _response(event["response"])
            found.ended = whole.text == found.text and whole.tools == found.tools


def _message(body: dict[str, Any]) -> Said:
    blocks = body["content"]
    calls = [
        [block["name"], orjson.dumps(block["input"]).decode()]
        for block in blocks
        if block["type"] == "tool_use"
    ]
    return Said("".join(block.get("text", "") for block in blocks), calls, ended=bool(body["stop_reason"]))


def _message_event(event: dict[str, Any], found: Said) -> None:
    match event["type"]:
        case "content_block_start" if event["content_block"]["type"] == "tool_use":
            found.tools.append([event["content_block"]["name"], ""])
        case "content_block_delta":
            found.text += event["delta"].get("text", "")
            if "partial_json" in event["delta"]:
                found.tools[-1][1] += event["delta"]["partial_json"]
        case "message_stop":
            found.ended = True


_WHOLE = {
    "chat/completions": _chat,
    "completions": _completion,
    "responses": _response,
    "messages": _message,
}
_EVENTS = {
    "chat/completions": _chat_event,
    "completions": _completion_event,
    "responses": _response_event,
    "messages": _message_event,
}
