"""Agents of LangChain, LlamaIndex and CrewAI cannot tell library mode and router mode apart either."""

from __future__ import annotations

import os
import tempfile
import warnings
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from parity import differences, in_library_mode, in_router_mode, named, policy_file  # noqa: F401 - fixtures

from iron_policy import PolicyDenied

EMAIL = "alice@example.com"
DEFAULT: dict[str, Any] = {}
NO_NOTE = {"access": {"tools": {"deny": ["note"]}}}
BLOCK = {"safety": {"input": {"pii": "block"}}}

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20"),
    pytest.mark.filterwarnings(
        "ignore::pytest.PytestUnraisableExceptionWarning"
    ),  # clients that they leave open
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


# -- LangChain -----------------------------------------------------------------------------------------------------


def langchain_agent(world):
    pytest.importorskip("langchain")
    from langchain.agents import create_agent
    from langchain_openai import ChatOpenAI

    def note(text: str) -> str:
        """Keep a note."""
        world.said.append(text)
        return f"noted {text}"

    model = ChatOpenAI(
        model="gpt-4o-mini", base_url=world.double.openai_url, api_key="test-key-openai", max_tokens=100
    )
    agent = create_agent(model, tools=[note])
    with world.run(agent="notes", budget_usd=1.0):
        reply = agent.invoke({"messages": [("user", f"note down {EMAIL}")]})
    world.said.append(reply["messages"][-1].content)


@contextmanager
def refused(world):
    """Note a refusal. In library mode a hook raises it, which names places as its framework does, and before there is an
    SDK whose error it could be too.
    """
    try:
        yield
    except PolicyDenied as denied:
        world.said.append((denied.code, [finding.kind for finding in denied.findings]))


def langchain_handler(world):
    pytest.importorskip("langchain_openai")
    from langchain_openai import ChatOpenAI

    from iron_adapters.langchain import IronCallbackHandler

    model = ChatOpenAI(
        model="gpt-4o-mini", base_url=world.double.openai_url, api_key="test-key-openai", max_tokens=100
    )
    handler = IronCallbackHandler(agent="handled")
    with refused(world):
        world.said.append(model.invoke(EMAIL, {"callbacks": [handler]}).content)
    with refused(world):
        world.said.append("".join(chunk.content for chunk in model.stream(EMAIL, {"callbacks": [handler]})))


def iron_chat_model(world):
    pytest.importorskip("langchain_openai")
    from iron_adapters.langchain import IronChatModel

    model = IronChatModel(
        model="gpt-4o-mini", base_url=world.double.openai_url, api_key="test-key-openai", max_tokens=100
    )
    with refused(world):
        world.said.append(model.invoke(EMAIL).content)
    with refused(world):
        world.said.append("".join(chunk.content for chunk in model.stream(EMAIL)))


def langchain_embeddings(world):
    pytest.importorskip("langchain_openai")
    from langchain_openai import OpenAIEmbeddings

    from iron_adapters.langchain import IronEmbeddings

    made = OpenAIEmbeddings(
        model="text-embedding-3-small",
        base_url=world.double.openai_url,
        api_key="test-key-openai",
        check_embedding_ctx_length=False,
    )
    with refused(world):
        world.said.append(len(IronEmbeddings.wrap(made).embed_documents([EMAIL, "b"])))


# -- LlamaIndex ----------------------------------------------------------------------------------------------------


def llama_model(world):
    pytest.importorskip("llama_index.llms.openai")
    from llama_index.llms.openai import OpenAI

    return OpenAI(
        model="gpt-4o-mini", api_base=world.double.openai_url, api_key="test-key-openai", max_tokens=100
    )


def llama_run(world):
    model = llama_model(world)
    with refused(world), world.run(agent="llama", budget_usd=1.0):
        world.said.append(model.complete(EMAIL).text)
        world.said.append("".join(piece.delta for piece in model.stream_complete(EMAIL)))


def llama_iron_llm(world):
    model = llama_model(world)
    from iron_adapters.llama_index import IronLLM

    with refused(world), world.run(budget_usd=1.0):
        world.said.append(IronLLM.wrap(model).complete(EMAIL).text)
        world.said.append("".join(piece.delta for piece in IronLLM.wrap(model).stream_complete(EMAIL)))


def llama_handler(world):
    model = llama_model(world)
    from llama_index.core.callbacks import CallbackManager

    from iron_adapters.llama_index import IronCallbackHandler

    model.callback_manager = CallbackManager([IronCallbackHandler(agent="llama")])
    with refused(world):
        world.said.append(model.complete(EMAIL).text)


def llama_embedding(world):
    pytest.importorskip("llama_index.embeddings.openai")
    from llama_index.embeddings.openai import OpenAIEmbedding

    from iron_adapters.llama_index import IronEmbedding

    made = OpenAIEmbedding(
        model="text-embedding-3-small", api_base=world.double.openai_url, api_key="test-key-openai"
    )
    with refused(world):
        world.said.append(len(IronEmbedding.wrap(made).get_text_embedding(EMAIL)))


# -- CrewAI --------------------------------------------------------------------------------------------------------


def crew_model(world):
    os.environ.setdefault("CREWAI_STORAGE_DIR", tempfile.mkdtemp(prefix="crewai-"))
    os.environ |= {
        "CREWAI_DISABLE_TELEMETRY": "true",
        "CREWAI_TRACING_ENABLED": "false",
        "CREWAI_DISABLE_VERSION_CHECK": "true",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(ImportError):
            import litellm  # noqa: F401 - CrewAI imports it late, and takes a warning for its absence
        pytest.importorskip("crewai")
    from crewai import LLM

    return LLM(
        model="openai/gpt-4o-mini",
        base_url=world.double.openai_url,
        api_key="test-key-openai",
        max_tokens=100,
    )


def crew_run(world):
    model = crew_model(world)
    with refused(world), world.run(agent="crew", budget_usd=1.0):
        world.said.append(model.call(EMAIL))


def crew_iron_llm(world):
    model = crew_model(world)
    from iron_adapters.crewai import IronLLM

    with refused(world), world.run(budget_usd=1.0):
        world.said.append(IronLLM.wrap(model).call(EMAIL))


def crew_hooks(world):
    model = crew_model(world)
    from crewai import Agent, Crew, Task

    from iron_adapters.crewai import IronHooks

    writer = Agent(role="writer", goal="write", backstory="writes", llm=model)
    task = Task(description=f"Write to {EMAIL}", expected_output="a letter", agent=writer)
    with refused(world), IronHooks(agent="crew"):
        world.said.append(str(Crew(agents=[writer], tasks=[task]).kickoff()))


AGENTS = [
    (langchain_agent, DEFAULT),
    (langchain_agent, NO_NOTE),
    (langchain_handler, DEFAULT),
    (langchain_handler, {"safety": {"input": {"pii": "block"}}}),
    (iron_chat_model, DEFAULT),
    (iron_chat_model, {"safety": {"input": {"pii": "block"}}}),
    (langchain_embeddings, DEFAULT),
    (langchain_embeddings, BLOCK),
    (llama_run, DEFAULT),
    (llama_run, BLOCK),
    (llama_iron_llm, DEFAULT),
    (llama_iron_llm, BLOCK),
    (llama_handler, DEFAULT),
    (llama_handler, BLOCK),
    (llama_embedding, DEFAULT),
    (llama_embedding, BLOCK),
    (crew_run, DEFAULT),
    (crew_run, BLOCK),
    (crew_iron_llm, DEFAULT),
    (crew_iron_llm, BLOCK),
    (crew_hooks, DEFAULT),
    (crew_hooks, BLOCK),
]


@pytest.mark.parametrize(("agent", "policy"), AGENTS, ids=named(AGENTS))
def test_an_agent_cannot_tell_the_modes_apart(agent, policy, in_library_mode, in_router_mode):  # noqa: F811 - fixtures
    assert differences(agent, policy, in_library_mode, in_router_mode) == {}
