"""What leaves through LlamaIndex under a policy, recorded: the values are gone, and the answers come back with them."""

from __future__ import annotations

import pytest

pytest.importorskip("llama_index.core", reason="LlamaIndex is not installed: `make frameworks` has it")

from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import ChatMessage
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI

from iron_adapters.llama_index import IronCallbackHandler, IronLLM
from iron_policy import Policy, PolicyEngine

EMAIL = "alice.smith@example.com"
ASKED = [ChatMessage(role="user", content=f"Repeat this address and nothing else: {EMAIL}")]


@pytest.fixture
def engine():
    return PolicyEngine(Policy(), sinks=[], token_key=b"the-key-of-the-cassettes")


def left(cassette):
    """Return all that left this process."""
    return b"".join(bytes(request.body) for request in cassette.requests)


@pytest.mark.parametrize("kind", [OpenAI, Anthropic])
def test_a_handler(cassette, engine, kind):
    model = "gpt-4o-mini" if kind is OpenAI else "claude-haiku-4-5"
    llm = kind(model=model, max_tokens=100, callback_manager=CallbackManager([IronCallbackHandler(engine)]))

    assert EMAIL in llm.chat(ASKED).message.content
    assert EMAIL.encode() not in left(cassette)


def test_a_stream_through_a_governed_model(cassette, engine):
    stream = IronLLM.wrap(OpenAI(model="gpt-4o-mini"), engine).stream_chat(ASKED)

    assert EMAIL in "".join(part.delta for part in stream)
    assert EMAIL.encode() not in left(cassette)
