"""Every text of LlamaIndex's messages, and of what goes to a model beside them.

Owns the walk over messages (every block type, tool calls, ``additional_kwargs``) and over the keywords of a call, and
writes new texts into copies: the caller's own objects stay as they are. Knows no policy; which strings of a JSON value
are text, ``iron_adapters.wire`` knows.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    ToolCallBlock,
    VideoBlock,
)

from iron_adapters.call_keywords import SETTINGS, walk_keyword
from iron_adapters.llama_index.plain import anew, plain
from iron_adapters.wire.json_texts import JsonTexts
from iron_adapters.wire.openai_chat import walk_message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from iron_policy.messages import Role, Text

_ROLES: Mapping[MessageRole, Role] = {
    MessageRole.SYSTEM: "system",
    MessageRole.DEVELOPER: "system",
    MessageRole.USER: "user",
    MessageRole.ASSISTANT: "assistant",
    MessageRole.CHATBOT: "assistant",
    MessageRole.MODEL: "assistant",
    MessageRole.TOOL: "tool",
    MessageRole.FUNCTION: "tool",
}
_SETTINGS = SETTINGS | {"formatted"}
_MEDIA = {ImageBlock: "image", AudioBlock: "audio", VideoBlock: "video", DocumentBlock: "document"}


class ToSend(NamedTuple):
    """What is handed to a model."""

    messages: list[ChatMessage]
    kwargs: dict[str, Any]
    """The keywords of the call."""
    own: dict[str, Any]
    """The ``additional_kwargs`` that the model adds to each call."""


class Prompt:
    """What one call sends, with every text in it.

    Attributes:
        texts: every text, in the order in which it stands in the prompt.
        media: parts that may bring images, sound or files, as the wire describes them.
    """

    def __init__(self, messages: Sequence[ChatMessage], kwargs: dict[str, Any], own: dict[str, Any]) -> None:
        self.given = ToSend(list(messages), kwargs, own)
        self._plain = {
            "messages": [plain(message) for message in messages],
            "kwargs": plain({key: value for key, value in kwargs.items() if key not in _SETTINGS}),
            "own": plain({key: value for key, value in own.items() if key not in _SETTINGS}),
        }
        listed = self._walk(self._plain)
        self.texts: tuple[Text, ...] = tuple(listed.texts)
        self.media = [*listed.media, *(part for message in messages for part in media_of(message))]

    def rewritten(self, texts: Sequence[str]) -> ToSend:
        """Return copies with *texts* in place of those listed.

        Raises:
            ContentBlocked: a text that must change belongs to what cannot be rewritten.
        """
        new = copy.deepcopy(self._plain)
        self._walk(new).rewrite(texts)
        old, given = self._plain, self.given
        return ToSend(
            [anew(*parts) for parts in zip(given.messages, old["messages"], new["messages"], strict=True)],
            {**given.kwargs, **_altered(given.kwargs, old["kwargs"], new["kwargs"])},
            {**given.own, **_altered(given.own, old["own"], new["own"])},
        )

    def size(self) -> int:
        """Return at least as many bytes as a provider's body for this prompt has, but for its fixed parts."""
        return len(json.dumps(self._plain))

    def _walk(self, fields: dict[str, Any]) -> JsonTexts:
        texts = JsonTexts()
        called: dict[str | None, str] = {}
        for index, (message, part) in enumerate(zip(self.given.messages, fields["messages"], strict=True)):
            called |= {
                block.tool_call_id: block.tool_name
                for block in message.blocks
                if isinstance(block, ToolCallBlock)
            }
            answers = message.additional_kwargs.get("tool_call_id")
            role = _ROLES.get(message.role, "user")
            walk_fields(texts, part, role, f"messages[{index}]", called.get(answers) if answers else None)
        for place in ("kwargs", "own"):
            for key in fields[place]:
                walk_keyword(texts, fields[place], key)
        return texts


def _altered(given: dict[str, Any], old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return {key: anew(given[key], old[key], new[key]) for key in old}


def walk_fields(
    texts: JsonTexts,
    message: dict[str, Any],
    role: Role,
    place: str,
    tool_name: str | None = None,
    *,
    in_json: bool = False,
) -> None:
    """List the texts of one message in its plain form.

    *tool_name* is the tool whose result it is; *in_json* says that its content is JSON, asked for as such.
    """
    blocks = message["blocks"]
    for index, block in enumerate(blocks):
        where = f"{place}.blocks[{index}]"
        if "tool_kwargs" in block:
            walk_call(texts, block, where)
        elif set(block) == {"text"}:
            texts.add(block, "text", role, f"{where}.text", tool_name, in_json)
        else:
            texts.walk(blocks, index, role, where, tool_name)
    walk_message(texts, message["additional_kwargs"], role, f"{place}.additional_kwargs", tool_name)


def walk_call(texts: JsonTexts, block: dict[str, Any], place: str) -> None:
    """List the texts of a tool call's arguments."""
    listed = texts.walk_json if type(block["tool_kwargs"]) is str else texts.walk_values
    listed(block, "tool_kwargs", "assistant", f"{place}.tool_kwargs", block.get("tool_name"))


def media_of(message: ChatMessage) -> list[dict[str, Any]]:
    """Return the parts of *message* that bring images, sound or files."""
    kinds = [kind for block in message.blocks for cls, kind in _MEDIA.items() if isinstance(block, cls)]
    return [{"type": kind} for kind in kinds]
