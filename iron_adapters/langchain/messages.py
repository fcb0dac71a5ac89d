"""Every text of LangChain's messages, and of what goes to a model beside them.

Owns the walk over messages (content of every block type, tool calls, ``additional_kwargs``) and over the keywords of
a call (tools, formats for structured output), and writes new texts into copies: the caller's own objects stay as they
are. Knows no policy; which strings of a JSON value are text, ``iron_adapters.wire`` knows.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
from langchain_core.messages import AIMessage, ToolMessage

from iron_adapters.call_keywords import SETTINGS, TOOLS, walk_keyword
from iron_adapters.json_copies import copied
from iron_adapters.wire.json_texts import JsonTexts
from iron_adapters.wire.openai_chat import walk_message
from iron_adapters.wire.silent_values import IDENTIFIERS
from iron_adapters.wire.tool_schemas import walk_schema
from iron_policy.exceptions import ContentBlocked, WireError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from langchain_core.messages import BaseMessage

    from iron_policy.messages import Role, Text

FIELDS = ("content", "name", "tool_calls", "invalid_tool_calls", "tool_call_chunks", "additional_kwargs")
"""The fields of a message that providers are sent, or that reply to the caller."""

ARGUMENTS = frozenset({"args", "input", "arguments", "partial_json"})
"""Keys of a block that calls a tool, which hold what the tool is to be told."""

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "human": "user",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "tool": "tool",
    "function": "tool",
}
_SETTINGS = SETTINGS | {"model_name", "stream_usage"}


class Prompt:
    """What one call sends: its messages and keywords, with every text in them.

    Args:
        messages: what the caller says.
        kwargs: the keywords of the call.
        settings: parameters of the model itself, which go along with every call and cannot be rewritten for one.

    Attributes:
        messages: the messages, as the caller gave them.
        kwargs: the keywords, as the caller gave them.
        texts: every text, in the order in which it stands in the prompt.
        media: parts that may bring images, sound or files.
    """

    def __init__(
        self,
        messages: list[BaseMessage],
        kwargs: Mapping[str, Any],
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.messages = messages
        self.kwargs = kwargs
        self._settings = {key: value for key, value in (settings or {}).items() if value}
        self._fields = [fields_of(message) for message in messages]
        self._governed = {key: value for key, value in kwargs.items() if key not in _SETTINGS and value}
        listed = self._walk(self._fields, self._governed)
        refuse_half_characters(text.text for text in listed.texts)
        self.texts: tuple[Text, ...] = tuple(listed.texts)
        self.media = listed.media

    def rewritten(self, texts: Sequence[str]) -> tuple[list[BaseMessage], dict[str, Any]]:
        """Return copies of the messages and keywords with *texts* in place of those listed.

        Raises:
            ContentBlocked: a text that must change belongs to a class, which cannot be rewritten.
        """
        fields: list[dict[str, Any]] = copied(self._fields)
        governed: dict[str, Any] = copied(self._governed)
        self._walk(fields, governed).rewrite(texts)
        messages = [
            message.model_copy(update=new) if new != old else message
            for message, old, new in zip(self.messages, self._fields, fields, strict=True)
        ]
        return messages, {**self.kwargs, **governed}

    def size(self) -> int:
        """Return at least as many bytes as a provider's body for this prompt has, but for its fixed parts.

        Raises:
            WireError: it is nothing that a body can hold.
        """
        document = {"messages": self._fields, **self._settings, **self._governed}
        size = _size_of(document)
        if size is None:
            raise WireError("the messages or keywords cannot be written as JSON; nothing was sent")
        return size

    def _walk(self, fields: list[dict[str, Any]], kwargs: dict[str, Any]) -> JsonTexts:
        texts = JsonTexts()
        called: dict[str | None, str] = {}
        for index, (message, part) in enumerate(zip(self.messages, fields, strict=True)):
            role, tool_name = _ROLES.get(message.type, "user"), None
            if isinstance(message, AIMessage):
                called |= {call["id"]: call["name"] for call in message.tool_calls}
            elif isinstance(message, ToolMessage):
                tool_name = message.name or called.get(message.tool_call_id)
            walk_fields(texts, part, role, f"messages[{index}]", tool_name)
        for key in kwargs:
            _walk_keyword(texts, kwargs, key)
        settings = copied(self._settings)
        for key in settings:
            first = len(texts.texts)
            _walk_keyword(texts, settings, key)
            texts.when_changed(first, partial(_refuse_setting, key))
        return texts


def refuse_half_characters(texts: Iterable[str]) -> None:
    """See that every text can be sent.

    Raises:
        WireError: one cannot. The codec's own error would hold the text, also as this one's context.
    """
    if not all(text.isascii() or _is_whole(text) for text in texts):
        raise WireError(
            "a text holds half a character (a lone surrogate), which no body can hold; nothing was sent"
        )


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _size_of(document: Any) -> int | None:
    try:
        return len(orjson.dumps(document, default=_schema_of, option=orjson.OPT_NON_STR_KEYS))
    except TypeError:
        return None


def arguments_of(call: Mapping[str, Any]) -> str:
    """Return the arguments of a tool call as JSON, also where half characters stand in them."""
    try:
        return orjson.dumps(call["args"], default=str).decode()
    except TypeError:
        return json.dumps(call["args"], default=str)


def fields_of(message: BaseMessage) -> dict[str, Any]:
    """Return those fields of *message* that hold texts, by name."""
    return {name: value for name in FIELDS if (value := getattr(message, name, None))}


def walk_fields(
    texts: JsonTexts,
    fields: dict[str, Any],
    role: Role,
    place: str,
    tool_name: str | None = None,
) -> None:
    """List the texts of one message, whose *fields* are as :func:`fields_of` returns them.

    *tool_name* is the tool whose result it is.
    """
    for name, value in fields.items():
        if name == "content" and type(value) is list:
            for index, block in enumerate(value):
                where = f"{place}.content[{index}]"
                if type(block) is dict and not ARGUMENTS.isdisjoint(block):
                    walk_call(texts, block, role, where)
                else:
                    texts.walk(value, index, role, where, tool_name)
        elif name == "additional_kwargs":
            walk_message(texts, value, role, f"{place}.additional_kwargs")
        elif type(value) is list:
            for index, call in enumerate(value):
                walk_call(texts, call, role, f"{place}.{name}[{index}]")
        else:
            texts.add(fields, name, role, f"{place}.{name}", tool_name)


def walk_call(texts: JsonTexts, call: dict[str, Any], role: Role, place: str) -> None:
    """List the texts of a tool call, or of a block that stands for one."""
    name = call.get("name")
    for key, value in call.items():
        if key in ARGUMENTS:
            listed = texts.walk_json if type(value) is str else texts.walk_values
            listed(call, key, role, f"{place}.{key}", name)
        elif key not in IDENTIFIERS and key != "name":
            texts.walk(call, key, role, f"{place}.{key}", name)


def _walk_keyword(texts: JsonTexts, kwargs: dict[str, Any], key: str) -> None:
    value = kwargs[key]
    if isinstance(value, type) and key not in TOOLS:
        first = len(texts.texts)
        walk_schema(texts, _schema_of(value), key)
        texts.when_changed(first, lambda: _refuse_class(key, value))
    else:
        walk_keyword(texts, kwargs, key)


def _refuse_setting(key: str) -> None:
    raise ContentBlocked(
        f"{key}: set on the model, holds what the policy rewrites; give it with the call instead"
    )


def _refuse_class(key: str, schema: type) -> None:
    raise ContentBlocked(
        f"{key}: class {schema.__name__!r} describes itself with what the policy rewrites; pass its JSON Schema instead"
    )


def _schema_of(value: Any) -> Any:
    schema = getattr(value, "model_json_schema", None)
    return schema() if schema is not None and isinstance(value, type) else {}
