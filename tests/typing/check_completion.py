"""What a type checker knows of ``completion``. Checked by pyright, not run."""

from typing import Any, assert_type

from iron_adapters import acompletion, completion
from iron_adapters.completions import (
    AsyncCompletionStream,
    Completion,
    CompletionChunk,
    CompletionStream,
    ProviderError,
)

MESSAGES = [{"role": "user", "content": "Hello"}]

reply = completion("openai/gpt-4o-mini", MESSAGES, max_tokens=10, seed=7)
assert_type(reply, Completion)
assert_type(reply.choices[0].message.content, str | None)
assert_type(reply.usage.total_tokens if reply.usage else 0, int)
assert_type(reply["choices"], Any)
assert_type(reply.model_dump(), dict[str, Any])
for call in reply.choices[0].message.tool_calls or []:
    assert_type(call.function.arguments, str)

assert_type(completion("openai/gpt-4o-mini", MESSAGES, stream=False), Completion)
stream = completion("openai/gpt-4o-mini", MESSAGES, stream=True, policy="policy.yaml")
assert_type(stream, CompletionStream)
with stream as chunks:
    for chunk in chunks:
        assert_type(chunk, CompletionChunk)
        assert_type(chunk.choices[0].delta.content, str | None)


def either(wants_chunks: bool) -> Completion | CompletionStream:
    return completion("openai/gpt-4o-mini", MESSAGES, stream=wants_chunks)


async def run() -> None:
    assert_type(await acompletion("anthropic/claude-haiku-4-5", MESSAGES, max_tokens=10), Completion)
    asked = await acompletion("anthropic/claude-haiku-4-5", MESSAGES, stream=True)
    assert_type(asked, AsyncCompletionStream)
    async for chunk in asked:
        assert_type(chunk, CompletionChunk)


try:
    either(True)
except ProviderError as error:
    assert_type(error.retry_after_seconds, float | None)
    assert_type(error.body, dict[str, Any] | None)

completion("openai/gpt-4o-mini", MESSAGES, timeout="soon")  # pyright: ignore[reportArgumentType,reportCallIssue] - no seconds: an error here proves that it is checked
