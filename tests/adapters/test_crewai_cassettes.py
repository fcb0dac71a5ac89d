"""What leaves through CrewAI under a policy, recorded: the values are gone, and the answers come back with them."""

from __future__ import annotations

import pytest

pytest.importorskip("crewai", reason="CrewAI is not installed: `make frameworks` has it")

import crews  # noqa: F401 - first: its settings keep CrewAI on this machine
from crewai import LLM

from iron_adapters.crewai import IronHooks, IronLLM
from iron_policy import Policy, PolicyEngine

EMAIL = "alice.smith@example.com"
ASKED = f"Repeat this address and nothing else: {EMAIL}"


@pytest.fixture
def engine():
    return PolicyEngine(Policy(), sinks=[], token_key=b"the-key-of-the-cassettes")


def left(cassette):
    """Return all that left this process."""
    return b"".join(bytes(request.body) for request in cassette.requests)


@pytest.mark.parametrize("model", ["openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"])
def test_hooks(cassette, engine, model):
    with IronHooks(engine):
        reply = LLM(model=model, temperature=0, max_tokens=100).call(ASKED)

    assert EMAIL in reply
    assert EMAIL.encode() not in left(cassette)


def test_a_governed_model(cassette, engine):
    reply = IronLLM.wrap(LLM(model="openai/gpt-4o-mini", temperature=0), engine).call(ASKED)

    assert EMAIL in reply
    assert EMAIL.encode() not in left(cassette)
