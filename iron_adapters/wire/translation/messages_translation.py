"""A caller that speaks Anthropic's messages, before a provider that speaks OpenAI's chat completions.

Owns the entry, and the way back for what came of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.wire.json_bodies import dump, load_request, restore_long_integers
from iron_adapters.wire.translation.messages_errors import messages_error
from iron_adapters.wire.translation.messages_reply import message_of
from iron_adapters.wire.translation.messages_request import chat_request
from iron_adapters.wire.translation.messages_stream import MessageEvents

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iron_adapters.wire.translation.messages_request import Asked
    from iron_adapters.wire.translation.translated import Translated


class MessagesToChat:
    """A request for a message, as one for a chat completion."""

    path = "/v1/chat/completions"

    def __init__(self, chat: dict[str, Any], asked: Asked) -> None:
        self.body = dump(chat)
        self.headers: Mapping[str, str] = {}
        self._asked = asked

    def reply(self, body: bytes) -> bytes:
        """Return a whole reply as a message.

        Raises:
            WireError: it cannot be read, or has what no message can say.
        """
        return message_of(body, self._asked)

    def error(self, status: int, body: bytes) -> tuple[int, bytes]:
        """Return an error of the provider's in Anthropic's words, with the status that goes with them."""
        return messages_error(status, body)

    def stream(self) -> MessageEvents:
        """Return what turns chunks of a chat into events of a message."""
        return MessageEvents(self._asked)


def messages_to_chat(body: bytes) -> Translated:
    """Say a request for a message as one for a chat completion.

    Raises:
        WireError: *body* cannot be read.
        Untranslatable: a field of it has no equal; the error names it, and what to do.
    """
    document = load_request(body)
    restore_long_integers(document, body)
    return MessagesToChat(*chat_request(document))
