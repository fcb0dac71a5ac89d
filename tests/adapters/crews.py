"""What the tests of CrewAI share: a quiet CrewAI, models, crews, seams and every way to make a call."""

import asyncio
import os
import tempfile
import warnings
from contextlib import contextmanager, suppress

os.environ.setdefault("CREWAI_STORAGE_DIR", tempfile.mkdtemp(prefix="crewai-"))
os.environ.update({
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
})  # fmt: skip

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    with suppress(ImportError):
        import litellm  # noqa: F401 - CrewAI imports it late, and takes a warning for its absence
    import crewai  # noqa: F401

from crewai import LLM, Agent, Crew, Task
from crewai.events import crewai_event_bus
from crewai.events.types.llm_events import LLMStreamChunkEvent
from crewai.llms.base_llm import BaseLLM
from crewai.tools import tool

from iron_adapters.crewai import IronHooks, IronLLM
from iron_policy import Policy, PolicyEngine
from iron_policy.audit import MemorySink

WARNINGS = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # CrewAI's own
    pytest.mark.filterwarnings(
        "ignore::pytest.PytestUnraisableExceptionWarning"
    ),  # loops that litellm leaves open
]
ADDRESS = "jane.roe@example.com"
ASKED = f"Write to {ADDRESS}"


def engine(**policy):
    return PolicyEngine(Policy.model_validate(policy), sinks=[MemorySink(1000)])


def events(engine, kind="call.settled"):
    return [event.attributes for event in engine.recorder.sinks[0].events if event.type == kind]


# -- models --------------------------------------------------------------------------------------------------


def openai_model(double, **more):
    return LLM(model="openai/gpt-4o-mini", base_url=double.openai_url, api_key="any", **more)


def responses_model(double, **more):
    return openai_model(double, api="responses", **more)


def anthropic_model(double, **more):
    return LLM(model="anthropic/claude-haiku-4-5", base_url=double.anthropic_url, api_key="any", **more)


def litellm_model(double, **more):
    return LLM(model="openai/gpt-4o-mini", is_litellm=True, base_url=double.openai_url, api_key="any", **more)


PROVIDERS = {
    "chat": openai_model,
    "responses": responses_model,
    "anthropic": anthropic_model,
    "litellm": litellm_model,
}


class InMemory(BaseLLM):
    """A model that speaks to no network: it remembers what it was sent, and says what it was told to."""

    sent: list = []  # noqa: RUF012 - a field
    says: list = []  # noqa: RUF012 - a field
    counts: bool = False

    def call(self, messages, tools=None, callbacks=None, available_functions=None, **_):
        self.sent.append((messages, tools))
        said = self.says.pop(0) if self.says else f"You said: {text_of(messages)}"
        if self.counts:
            self._track_token_usage_internal({"prompt_tokens": 1000, "completion_tokens": 100})
        return said(available_functions) if callable(said) else said

    async def acall(self, messages, *args, **kwargs):
        return self.call(messages, *args, **kwargs)

    def supports_function_calling(self):
        return True

    def get_context_window_size(self):
        return 100_000


def in_memory(**more):
    return InMemory(model="gpt-4o-mini", sent=[], **more)


def text_of(messages):
    return messages if isinstance(messages, str) else " ".join(str(m["content"]) for m in messages)


# -- seams ---------------------------------------------------------------------------------------------------


@contextmanager
def by_hooks(llm, governing):
    with IronHooks(governing):
        yield llm


@contextmanager
def by_model(llm, governing):
    yield IronLLM.wrap(llm, governing)


SEAMS = {"hooks": by_hooks, "llm": by_model}


# -- ways to call --------------------------------------------------------------------------------------------


def crew_of(llm, asked=ASKED, tools=(), **agent):
    worker = Agent(role="Writer", goal="Write", backstory="A writer.", llm=llm, tools=list(tools), **agent)
    task = Task(description=asked, expected_output="A line.", agent=worker, name="letter")
    return Crew(name="office", agents=[worker], tasks=[task])


def call(llm, asked=ASKED):
    return llm.call(asked)


def acall(llm, asked=ASKED):
    return asyncio.run(llm.acall([{"role": "user", "content": asked}]))


def streamed(llm, asked=ASKED):
    llm.stream = True
    return chunks_of(lambda: llm.call(asked))


def streamed_async(llm, asked=ASKED):
    llm.stream = True
    return chunks_of(lambda: asyncio.run(llm.acall(asked)))


def chunks_of(run):
    """Return what listeners of a stream's events are shown."""
    seen = []
    with crewai_event_bus.scoped_handlers():
        crewai_event_bus.on(LLMStreamChunkEvent)(lambda source, event: seen.append(event.chunk))
        whole = run()
    assert "".join(seen) == whole
    return whole


def kickoff(llm, asked=ASKED):
    return crew_of(llm, asked).kickoff().raw


def kickoff_async(llm, asked=ASKED):
    return asyncio.run(crew_of(llm, asked).kickoff_async()).raw


def akickoff(llm, asked=ASKED):
    return asyncio.run(crew_of(llm, asked).akickoff()).raw


def agent_kickoff(llm, asked=ASKED):
    return crew_of(llm).agents[0].kickoff(asked).raw


WAYS = {
    "call": call,
    "acall": acall,
    "stream": streamed,
    "astream": streamed_async,
    "kickoff": kickoff,
    "kickoff_async": kickoff_async,
    "akickoff": akickoff,
    "agent": agent_kickoff,
}


def lookup_tool(seen):
    """Return a tool that notes what it is asked, and answers with a telephone number."""

    @tool("lookup")
    def lookup(email: str) -> str:
        """Look someone up by address."""
        seen.append(email)
        return f"{email} has phone +351 912 345 678"

    return lookup
