"""What leaves through LangChain under a policy, recorded: the values are gone, and the answers come back with them.

The key that makes the stand-ins is fixed, so that a recording says the same each time. What a cassette holds is what
left this process.
"""

from __future__ import annotations

import pytest

pytest.importorskip("langchain", reason="LangChain is not installed")

from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from iron_adapters import govern, protect_agent
from iron_adapters.langchain import IronCallbackHandler, IronChatModel
from iron_policy import Policy, PolicyEngine

EMAIL = "alice.smith@example.com"
ASKED = f"Repeat this address and nothing else: {EMAIL}"


@pytest.fixture
def engine():
    policy = Policy.model_validate(
        {"safety": {"reveal": {"tools": ["look_up"]}}, "budgets": [{"scope": "global", "limit_usd": 1}]}
    )
    return PolicyEngine(policy, sinks=[], token_key=b"the-key-of-the-cassettes")


@pytest.fixture(params=["openai", "anthropic"])
def model(request):
    if request.param == "openai":
        return ChatOpenAI(model="gpt-4o-mini", temperature=0, max_retries=0)
    return ChatAnthropic(model="claude-haiku-4-5", temperature=0, max_retries=0, max_tokens=200)


def left(cassette):
    """Return all that left this process."""
    return b"".join(bytes(request.body) for request in cassette.requests)


def test_a_handler_on_a_model(cassette, engine, model):
    reply = model.invoke(ASKED, config={"callbacks": [IronCallbackHandler(engine)]})

    assert EMAIL in reply.text
    assert EMAIL.encode() not in left(cassette)
    assert engine.accounts()[0].spent_nanodollars > 0


def test_a_stream_through_a_governed_model(cassette, engine, model):
    pieces = [chunk.text for chunk in IronChatModel.wrap(model, engine).stream(ASKED)]

    assert EMAIL in "".join(pieces)
    assert EMAIL.encode() not in left(cassette)


def test_an_agent_with_a_tool(cassette, engine, model):
    seen = []

    @tool
    def look_up(email: str) -> str:
        """Look a customer up by e-mail address."""
        seen.append(email)
        return f"{email} is a customer since 2019."

    agent = create_agent(model, [look_up])
    question = f"Use the tool look_up for '{EMAIL}'."
    state = agent.invoke(
        {"messages": [("user", question)]}, config={"callbacks": [IronCallbackHandler(engine)]}
    )

    assert seen == [EMAIL]
    assert EMAIL in state["messages"][-1].text
    assert EMAIL.encode() not in left(cassette)


def test_a_protected_function(cassette, engine, model):
    @protect_agent(policy=engine, budget_usd=0.5)
    def ask():
        return model.invoke(ASKED).text

    assert EMAIL in ask()
    assert EMAIL.encode() not in left(cassette)


def test_a_governed_sdk(cassette, engine):
    import openai

    with govern(openai.OpenAI(max_retries=0), engine) as client:
        reply = client.responses.create(model="gpt-4o-mini", input=ASKED)

    assert EMAIL in reply.output_text
    assert EMAIL.encode() not in left(cassette)
