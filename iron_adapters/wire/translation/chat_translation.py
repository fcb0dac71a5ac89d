"""A chat completion for Claude: the request as Anthropic takes it, and the way back for its replies.

Owns nothing but the ends; the parts are ``chat_request``, ``chat_reply``, ``chat_stream`` and ``chat_errors``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from iron_adapters.wire.translation.chat_errors import error_reply
from iron_adapters.wire.translation.chat_reply import chat_completion
from iron_adapters.wire.translation.chat_request import read_request
from iron_adapters.wire.translation.chat_stream import ChatStream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iron_adapters.wire.translation.chat_request import Asked
    from iron_adapters.wire.translation.translated import Translated

_HEADERS: Mapping[str, str] = {"anthropic-version": "2023-06-01"}


class ChatForClaude:
    """One chat completion on its way to Anthropic; a ``Translated``."""

    path = "/v1/messages"
    headers = _HEADERS

    def __init__(self, asked: Asked) -> None:
        self.body = asked.body
        self._asked = asked
        self._created = int(time.time())

    def reply(self, body: bytes) -> bytes:
        """Return a whole message as a chat completion.

        Raises:
            WireError: it cannot be read, or holds what a chat completion cannot say.
        """
        return chat_completion(body, self._asked, self._created)

    def error(self, status: int, body: bytes) -> tuple[int, bytes]:
        """Return Anthropic's error with the status and in the shape that callers of OpenAI expect."""
        return error_reply(status, body)

    def stream(self) -> ChatStream:
        """Return what turns the streamed message into chunks of a chat completion."""
        return ChatStream(self._asked, self._created)


def chat_to_messages(body: bytes) -> Translated:
    """Translate the body of a chat completion into Anthropic's request for a message.

    Raises:
        WireError: it cannot be read.
        Untranslatable: it asks for something that Claude's dialect cannot say; the error names the field.
    """
    return ChatForClaude(read_request(body))
