"""Every text of what CrewAI sends a model: messages, tools, a schema for the answer.

Owns copies with new texts in them: the crew's own lists stay as they are. Knows no policy; where a message and a tool
hold their texts, ``iron_adapters.wire`` knows, for CrewAI's messages are those of OpenAI's chat completions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from iron_adapters.json_copies import copied
from iron_adapters.wire.json_texts import JsonTexts
from iron_adapters.wire.openai_chat import walk_messages
from iron_adapters.wire.tool_schemas import tool_names, walk_schema, walk_tools
from iron_policy.exceptions import ContentBlocked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel

    from iron_policy.messages import Text


class Prompt:
    """What one call sends.

    Attributes:
        messages: the messages; a prompt that is one string stands as a user's message.
        tools: the tools offered, in OpenAI's form.
        texts: every text, in the order in which it stands in the prompt.
        media: parts that may bring images, sound or files.
    """

    def __init__(
        self,
        messages: str | Sequence[Any],
        tools: Sequence[Any] | None = None,
        response_model: type[BaseModel] | None = None,
    ) -> None:
        given = [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
        self.messages: list[Any] = given
        self.tools: list[Any] = list(tools or ())
        self._answer = response_model
        listed = self._walk(self.messages, self.tools)
        self.texts: tuple[Text, ...] = tuple(listed.texts)
        self.media = listed.media

    @property
    def tool_names(self) -> tuple[str, ...]:
        """The names of the tools offered."""
        return tool_names(self.tools)

    @property
    def has_files(self) -> bool:
        """Whether messages bring files that only the model's own client opens."""
        return any(type(message) is dict and message.get("files") for message in self.messages)

    def rewritten(self, texts: Sequence[str]) -> tuple[list[Any], list[Any]]:
        """Return copies of the messages and tools with *texts* in place of those listed.

        Raises:
            ContentBlocked: a text that must change belongs to the class of the answer, which cannot be rewritten.
        """
        messages, tools = copied(self.messages), copied(self.tools)
        self._walk(messages, tools).rewrite(texts)
        return messages, tools

    def size(self) -> int:
        """Return at least as many bytes as a provider's body for this prompt has, but for its fixed parts."""
        document = {"messages": self.messages, "tools": self.tools, "schema": self._schema()}
        return len(orjson.dumps(document, default=str, option=orjson.OPT_NON_STR_KEYS))

    def _walk(self, messages: list[Any], tools: list[Any]) -> JsonTexts:
        texts = JsonTexts()
        walk_messages(texts, messages)
        walk_tools(texts, {"tools": tools}, "tools", "tools")
        first = len(texts.texts)
        walk_schema(texts, self._schema(), "response_model")
        texts.when_changed(first, self._refuse_class)
        return texts

    def _schema(self) -> dict[str, Any]:
        return self._answer.model_json_schema() if self._answer is not None else {}

    def _refuse_class(self) -> None:
        raise ContentBlocked(
            f"response_model: class {getattr(self._answer, '__name__', '')!r} describes itself with what the policy "
            "rewrites; describe it otherwise"
        )
