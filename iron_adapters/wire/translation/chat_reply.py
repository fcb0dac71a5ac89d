"""Anthropic's message as a chat completion.

Owns which block becomes what. What a chat completion has no place for is an error that names it, never left out.
Thinking comes twice, as other gateways have it: ``reasoning_content`` to be read, and ``thinking_blocks`` with the
signatures, to be sent back with the tools' results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.wire.json_bodies import dump, load_reply, restore_long_integers
from iron_adapters.wire.translation.chat_fields import quoted
from iron_adapters.wire.translation.tables import FINISH_REASONS, chat_usage
from iron_policy.exceptions import WireError

if TYPE_CHECKING:
    from iron_adapters.wire.translation.chat_request import Asked

_TIERS = {"standard": "default", "priority": "priority"}


def chat_completion(body: bytes, asked: Asked, created: int) -> bytes:
    """Return a whole message as a chat completion of *created*, in seconds since 1970.

    Raises:
        WireError: it is no message, or holds what a chat completion cannot say.
    """
    document, _ = load_reply(body)
    restore_long_integers(document, body)
    blocks = document.get("content")
    if document.get("type") != "message" or type(blocks) is not list:
        raise WireError("the reply is no message of Anthropic's")
    reading = _Reading(asked)
    for block in blocks:
        reading.read(block if type(block) is dict else {})
    choice = {
        "index": 0,
        "message": reading.message(refusal_of(document)),
        "logprobs": None,
        "finish_reason": finish_reason(document.get("stop_reason"), asked, called=bool(reading.calls)),
    }
    return dump(
        {
            **heading(document, created, "chat.completion"),
            "choices": [choice],
            "usage": chat_usage(document.get("usage")),
        }
    )


def heading(message: dict[str, Any], created: int, kind: str) -> dict[str, Any]:
    """Return what a completion, or each chunk of one, says of itself."""
    usage = message.get("usage")
    tier = usage.get("service_tier") if type(usage) is dict else None
    found = {
        "id": str(message.get("id") or ""),
        "object": kind,
        "created": created,
        "model": str(message.get("model") or ""),
        "system_fingerprint": None,
    }
    return found | ({"service_tier": _TIERS[tier]} if type(tier) is str and tier in _TIERS else {})


def finish_reason(stop_reason: Any, asked: Asked, *, called: bool) -> str:
    """Return why the answer ended; a reason that nobody knows yet is an end like any other."""
    found = FINISH_REASONS.get(stop_reason, "stop") if type(stop_reason) is str else "stop"
    if found != "tool_calls":
        return found
    if not called:
        return "stop"
    return "function_call" if asked.functions else found


def refusal_of(message: dict[str, Any]) -> str | None:
    """Return why Claude declined; ``None`` where it did not. *message* is one, or the delta at the end of a stream."""
    if message.get("stop_reason") != "refusal":
        return None
    details = message.get("stop_details")
    said = details.get("explanation") if type(details) is dict else None
    return said if type(said) is str and said else "Claude declined to answer."


def unsayable(what: str, kind: Any) -> WireError:
    """Return the error for a *kind* of block or delta that a chat completion has no place for."""
    return WireError(
        f"the reply has a {what} of type {quoted(kind)}, which no chat completion can hold: use '/v1/messages'"
    )


def citation(given: Any, start: int, end: int) -> tuple[str, dict[str, Any]]:
    """Return where a message says what its text between *start* and *end* rests on, and what it says.

    A page's address is an annotation as OpenAI has it; other sources have no equal there and stay as they are.
    """
    found: dict[str, Any] = given if type(given) is dict else {}
    place = {"start_index": start, "end_index": end}
    if type(url := found.get("url")) is str:
        cited = {**place, "title": str(found.get("title") or ""), "url": url}
        return "annotations", {"type": "url_citation", "url_citation": cited}
    return "citations", {**found, **place}


class _Reading:
    """What a message's blocks have said so far."""

    def __init__(self, asked: Asked) -> None:
        self.calls: list[dict[str, Any]] = []
        self._asked = asked
        self._texts: list[str] = []
        self._reasoning: list[str] = []
        self._beside: dict[str, list[dict[str, Any]]] = {}

    def read(self, block: dict[str, Any]) -> None:
        """Take one block."""
        kind = block.get("type")
        if kind == "text":
            self._text(block)
        elif kind == "tool_use":
            self._call(block)
        elif kind == "thinking":
            self._reasoning.append(str(block.get("thinking") or ""))
            signed = {"thinking": self._reasoning[-1], "signature": str(block.get("signature") or "")}
            self._beside.setdefault("thinking_blocks", []).append({"type": kind, **signed})
        elif kind == "redacted_thinking":
            sealed = {"type": kind, "data": str(block.get("data") or "")}
            self._beside.setdefault("thinking_blocks", []).append(sealed)
        else:
            raise unsayable("block", kind)

    def _text(self, block: dict[str, Any]) -> None:
        start = sum(map(len, self._texts))
        self._texts.append(str(block.get("text") or ""))
        cited = block.get("citations")
        for one in cited if type(cited) is list else ():
            key, entry = citation(one, start, start + len(self._texts[-1]))
            self._beside.setdefault(key, []).append(entry)

    def _call(self, block: dict[str, Any]) -> None:
        arguments = dump(block.get("input") or {}).decode()
        name = str(block.get("name") or "")
        if name == self._asked.answer_tool:
            self._texts.append(arguments)
        else:
            function = {"name": name, "arguments": arguments}
            self.calls.append({"id": str(block.get("id") or ""), "type": "function", "function": function})

    def message(self, refusal: str | None) -> dict[str, Any]:
        """Return the message of the choice."""
        content = "".join(self._texts) if self._texts or not self.calls else None
        said: dict[str, Any] = {"role": "assistant", "content": content, "refusal": refusal}
        if self.calls and self._asked.functions:
            if len(self.calls) > 1:
                raise WireError(
                    "the reply calls several functions, and 'function_call' holds one: use 'tools'"
                )
            said["function_call"] = self.calls[0]["function"]
        elif self.calls:
            said["tool_calls"] = self.calls
        if self._reasoning:
            said["reasoning_content"] = "".join(self._reasoning)
        return said | self._beside
