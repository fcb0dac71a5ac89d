"""What a CrewAI model answers, whatever shape it takes: its texts, its tool calls, and a copy with new texts.

Owns the shapes of tool calls that CrewAI's providers hand on. Knows no policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from pydantic import BaseModel, ValidationError

from iron_adapters.json_copies import copied
from iron_adapters.wire.json_texts import JsonTexts
from iron_policy.exceptions import ContentBlocked
from iron_policy.messages import ModelResponse, ToolCall

if TYPE_CHECKING:
    from collections.abc import Sequence

_NESTED = ("function", "function_call")
_ARGUMENTS = ("arguments", "input", "args")


class Reply:
    """One reply of a model: a text, a structured answer, a list of tool calls, or whatever else it hands on."""

    def __init__(self, reply: Any) -> None:
        self._reply = reply
        self._parts = list(reply) if isinstance(reply, list) else [reply]
        self._documents = [_document_of(part) for part in self._parts]
        self._calls: list[ToolCall] = []
        listed = self._walk(self._documents, self._calls)
        self.response = ModelResponse(texts=tuple(listed.texts), tool_calls=tuple(self._calls))

    def rewritten(self, texts: Sequence[str]) -> Any:
        """Return a copy of the reply with *texts* in place of those listed.

        Raises:
            ContentBlocked: its type cannot be rewritten, or does not hold what the policy makes of it.
        """
        documents = copied(self._documents)
        self._walk(documents, []).rewrite(texts)
        parts = [
            part if new == old else _rebuilt(part, new)
            for part, old, new in zip(self._parts, self._documents, documents, strict=True)
        ]
        return parts if isinstance(self._reply, list) else parts[0]

    def _walk(self, documents: list[Any], calls: list[ToolCall]) -> JsonTexts:
        texts = JsonTexts()
        for index, document in enumerate(documents):
            holder, key, name = _called(document) if isinstance(self._reply, list) else (None, "", "")
            place = f"reply[{index}]"
            if holder is None:
                texts.walk_values(documents, index, "assistant", place)
                continue
            said = holder[key]
            written = said if isinstance(said, str) else orjson.dumps(said, default=str).decode()
            calls.append(ToolCall(name, written, None))
            texts.walk_json(holder, key, "assistant", place, name)
        return texts


def _document_of(part: Any) -> Any:
    """Return *part* as JSON has it."""
    if isinstance(part, BaseModel):
        return part.model_dump(mode="json")
    if isinstance(part, str | dict | list | int | float | bool | None):
        return copied(part)
    return {
        name: value for name in ("name", *_NESTED, *_ARGUMENTS) if (value := getattr(part, name, None))
    } or str(part)


def _called(document: Any) -> tuple[dict[str, Any] | None, str, str]:
    """Return the object that holds a tool call's arguments, their key, and the tool's name."""
    if type(document) is dict:
        for holder in (*(document.get(name) for name in _NESTED), document):
            if type(holder) is dict and holder.get("name"):
                key = next((key for key in _ARGUMENTS if holder.get(key) is not None), None)
                return (holder, key, str(holder["name"])) if key else (None, "", "")
    return None, "", ""


def _rebuilt(part: Any, document: Any) -> Any:
    """Return a twin of *part* that says *document*."""
    if isinstance(part, str | dict | list):
        return document
    if isinstance(part, BaseModel):
        try:
            return type(part).model_validate(document)
        except ValidationError:
            pass  # its message would hold the text
    raise ContentBlocked(
        f"a reply of type {type(part).__name__!r} cannot be rewritten, and the policy rewrites it"
    )
