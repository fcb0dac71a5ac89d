"""Replies in OpenAI's shape, read by attribute and by item.

Owns the types of what ``completion`` returns. They are dicts, so they compare, copy, pickle, serialize and go back into
``messages`` as such; nothing of a reply is checked, added or lost. Their ``repr`` shows keys and no content.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import orjson


class Record(dict[str, Any]):
    """A JSON object whose keys are attributes too.

    A key that the API knows and that is absent is ``None``; one that nobody knows is an ``AttributeError``.
    """

    __slots__ = ()
    _parts: ClassVar[dict[str, type[Record]]] = {}
    _or_none: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__(document)
        parts = self._parts
        for key, value in document.items():
            if isinstance(value, dict | list):
                self[key] = _record(value, parts.get(key, Record))

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        if name in self._or_none:
            return None
        known = ", ".join(sorted({*map(repr, self), *map(repr, self._or_none)}))
        raise AttributeError(f"this {type(self).__name__} has no {name!r}; it has {known or 'nothing'}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(str, self))})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.model_dump(),)

    def model_dump(self, *, exclude_none: bool = False, exclude_unset: bool = True) -> dict[str, Any]:  # noqa: ARG002 - the SDKs' parameter
        """Return the plain document, as the provider sent it and the policy lets it be seen.

        Args:
            exclude_none: whether to leave out what is ``null``.
            exclude_unset: as the SDKs' replies take it; what was not sent is never there.
        """
        return {
            key: _plain(value, exclude_none=exclude_none)
            for key, value in self.items()
            if value is not None or not exclude_none
        }

    def model_dump_json(self) -> str:
        """Return the document as JSON."""
        return orjson.dumps(self).decode()


class Function(Record):
    """What a tool call calls."""

    __slots__ = ()
    _or_none = frozenset({"name", "arguments"})

    name: str
    arguments: str
    """JSON, as the model wrote it."""


class ToolCall(Record):
    """A call that the model asks for; in a stream a piece of one."""

    __slots__ = ()
    _parts: ClassVar[dict[str, type[Record]]] = {"function": Function}
    _or_none = frozenset({"index", "id", "type", "function"})

    index: int | None
    id: str
    type: str
    function: Function


class Message(Record):
    """What the model answers. It can be appended to ``messages`` as it is."""

    __slots__ = ()
    _parts: ClassVar[dict[str, type[Record]]] = {"tool_calls": ToolCall, "function_call": Function}
    _or_none = frozenset(
        {
            *("role", "content", "refusal", "tool_calls", "annotations", "audio", "function_call"),
        }
    )

    role: str
    content: str | None
    refusal: str | None
    tool_calls: list[ToolCall] | None
    annotations: list[Record] | None
    audio: Record | None
    function_call: Function | None


class Choice(Record):
    """One of the answers."""

    __slots__ = ()
    _parts: ClassVar[dict[str, type[Record]]] = {"message": Message}
    _or_none = frozenset({"logprobs", "finish_reason"})

    index: int
    message: Message
    finish_reason: str
    logprobs: Record | None


class ChunkChoice(Record):
    """A piece of one of the answers."""

    __slots__ = ()
    _parts: ClassVar[dict[str, type[Record]]] = {"delta": Message}
    _or_none = frozenset({"logprobs", "finish_reason"})

    index: int
    delta: Message
    finish_reason: str | None
    logprobs: Record | None


class Usage(Record):
    """What the call used, in tokens."""

    __slots__ = ()
    _or_none = frozenset({"prompt_tokens_details", "completion_tokens_details"})

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: Record | None
    completion_tokens_details: Record | None


class Completion(Record):
    """A whole reply."""

    __slots__ = ()
    _parts: ClassVar[dict[str, type[Record]]] = {"choices": Choice, "usage": Usage}
    _or_none = frozenset({"usage", "service_tier", "system_fingerprint"})

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: Usage | None
    service_tier: str | None
    system_fingerprint: str | None


class CompletionChunk(Record):
    """A piece of a streamed reply."""

    __slots__ = ()
    _parts: ClassVar[dict[str, type[Record]]] = {"choices": ChunkChoice, "usage": Usage}
    _or_none = frozenset({"usage", "service_tier", "system_fingerprint"})

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None
    service_tier: str | None
    system_fingerprint: str | None


def _record(value: Any, cls: type[Record]) -> Any:
    if isinstance(value, dict):
        return cls(value)
    if isinstance(value, list):
        return [_record(item, cls) for item in value]
    return value


def _plain(value: Any, *, exclude_none: bool) -> Any:
    if isinstance(value, Record):
        return value.model_dump(exclude_none=exclude_none)
    if isinstance(value, list):
        return [_plain(item, exclude_none=exclude_none) for item in value]
    return value
