"""Translation between the providers' dialects: one request said in another's words, and its replies said back.

Owns which field becomes what, and refuses by name what has no equal. Does no I/O and judges nothing.

::

    translated = chat_to_messages(body)         # a chat completion's body, for Anthropic
    send(translated.path, translated.body)
    translated.reply(reply_body)                # or .stream(), or .error(status, body)
"""

from __future__ import annotations

from iron_adapters.wire.translation.chat_translation import chat_to_messages
from iron_adapters.wire.translation.messages_translation import messages_to_chat
from iron_adapters.wire.translation.translated import StreamTranslator, Translated

__all__ = ["StreamTranslator", "Translated", "chat_to_messages", "messages_to_chat"]
