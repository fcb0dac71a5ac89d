"""``completion`` and ``acompletion``: a governed call to a model, without any SDK.

Usage::

    from iron_adapters import completion

    reply = completion("openai/gpt-4o-mini", [{"role": "user", "content": "Hello"}], max_tokens=100)
    print(reply.choices[0].message.content, reply.usage.total_tokens)
    for chunk in completion("anthropic/claude-haiku-4-5", messages, max_tokens=100, stream=True):
        print(chunk.choices[0].delta.content or "", end="")

Replies have OpenAI's shape whoever gives them. The package's name is not the function's, which would hide it. Needs the
extra ``iron-adapters[completion]``.
"""

from __future__ import annotations

from iron_adapters.completions.asynchronous import AsyncCompletionStream, acompletion
from iron_adapters.completions.errors import ProviderError
from iron_adapters.completions.replies import Completion, CompletionChunk, Message, Record
from iron_adapters.completions.synchronous import CompletionStream, completion

__all__ = [
    "AsyncCompletionStream",
    "Completion",
    "CompletionChunk",
    "CompletionStream",
    "Message",
    "ProviderError",
    "Record",
    "acompletion",
    "completion",
]
