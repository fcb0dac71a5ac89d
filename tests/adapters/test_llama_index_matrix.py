"""Each way to call a LlamaIndex model or agent, by each seam, under each action: what the provider and the caller get."""

import copy
import gc
import json
import re

import pytest

pytest.importorskip("llama_index.core", reason="needs the extra iron-adapters[llama-index]")
pytest.importorskip("llama_index.llms.openai", reason="needs llama-index-llms-openai")
pytest.importorskip("llama_index.llms.anthropic", reason="needs llama-index-llms-anthropic")

from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import ChatMessage, MessageRole
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI
from pydantic import BaseModel

from iron_adapters import install, protect_agent
from iron_adapters.llama_index import IronCallbackHandler, IronLLM
from iron_adapters.testing import Reply, ToolUse
from iron_policy import BudgetExceeded, Policy, PolicyDenied, PolicyEngine
from iron_policy.audit import MemorySink

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20"),
    pytest.mark.filterwarnings(
        "ignore::pytest.PytestUnraisableExceptionWarning"
    ),  # clients that LlamaIndex leaves open
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def _collected():
    """Collect the clients that LlamaIndex leaves open, while the warnings about them are still ours."""
    yield
    gc.collect()


ADDRESS = "jane.roe@example.com"
QUESTION = f"Please write to {ADDRESS} today."
SEEN = {"tokenize": r"<EMAIL_\w+>", "redact": r"\[REDACTED_EMAIL\]", "allow": re.escape(ADDRESS)}
"""What the provider reads of an address."""


class Letter(BaseModel):
    """Write a letter."""

    to: str


def look_up(to: str) -> str:
    """Look a person up."""
    return f"{to} lives at 7 Main Street"


def speaker(asked):
    """Say back the address, or what stands for it, in the form asked for."""
    said = re.search(r"[\w.]+@[\w.]+\w|<EMAIL_\w+>|\[REDACTED_EMAIL\]", asked.user_text)[0]
    if asked.tool_results:
        return f"{asked.tool_results[-1]}, as you know."
    if asked.schema:
        return json.dumps({"to": said})
    if asked.tools:
        return Reply(tool_calls=(ToolUse(asked.tools[0].name, {"to": said}),))
    return f"I have written to {said} today."


def messages():
    return [ChatMessage(role=MessageRole.SYSTEM, content="You write letters."), ChatMessage(content=QUESTION)]


def joined(responses):
    """Return the deltas of a stream, and see that its last response tells the same story."""
    deltas = "".join(response.delta or "" for response in responses)
    last = responses[-1]
    assert (last.message.content if hasattr(last, "message") else last.text) == deltas
    return deltas


async def achat(llm):
    return (await llm.achat(messages())).message.content


async def acomplete(llm):
    return (await llm.acomplete(QUESTION)).text


async def astream_chat(llm):
    return joined([response async for response in await llm.astream_chat(messages())])


async def astream_complete(llm):
    return joined([response async for response in await llm.astream_complete(QUESTION)])


def called(llm, streamed):
    tools = [FunctionTool.from_defaults(look_up)]
    if streamed:
        response = list(llm.stream_chat_with_tools(tools, user_msg=QUESTION, chat_history=[]))[-1]
    else:
        response = llm.chat_with_tools(tools, user_msg=QUESTION, chat_history=[])
    return llm.get_tool_calls_from_response(response)[0].tool_kwargs["to"]


MODEL_STYLES = {
    "chat": lambda llm: llm.chat(messages()).message.content,
    "complete": lambda llm: llm.complete(QUESTION).text,
    "stream_chat": lambda llm: joined(list(llm.stream_chat(messages()))),
    "stream_complete": lambda llm: joined(list(llm.stream_complete(QUESTION))),
    "achat": achat,
    "acomplete": acomplete,
    "astream_chat": astream_chat,
    "astream_complete": astream_complete,
    "predict": lambda llm: llm.predict(PromptTemplate(QUESTION)),
    "tools": lambda llm: called(llm, streamed=False),
    "tools, streamed": lambda llm: called(llm, streamed=True),
    "predict_and_call": lambda llm: str(
        llm.predict_and_call([FunctionTool.from_defaults(look_up)], user_msg=QUESTION, chat_history=[])
    ),
}


FEW_STYLES = ("chat", "stream_complete", "astream_chat", "tools, streamed")


async def function_agent(llm, *, streaming=True):
    agent = FunctionAgent(tools=[FunctionTool.from_defaults(look_up)], llm=llm, streaming=streaming)
    return str(await agent.run(QUESTION))


async def agent_workflow(llm):
    agent = FunctionAgent(name="a", description="b", tools=[FunctionTool.from_defaults(look_up)], llm=llm)
    return str(await AgentWorkflow(agents=[agent], root_agent="a").run(user_msg=QUESTION))


AGENT_STYLES = {
    "FunctionAgent": function_agent,
    "FunctionAgent, not streaming": lambda llm: function_agent(llm, streaming=False),
    "AgentWorkflow": agent_workflow,
}


def make_openai(double, **more):
    return OpenAI(model="gpt-4o-mini", api_base=double.openai_url, api_key="any", max_retries=0, **more)


def make_anthropic(double, **more):
    return Anthropic(
        model="claude-haiku-4-5", base_url=double.anthropic_url, api_key="any", max_retries=0, **more
    )


PROVIDERS = {"openai": make_openai, "anthropic": make_anthropic}


class Governed:
    """A model of a provider, governed by one seam or by several, for the length of a ``with`` block."""

    def __init__(self, seam, provider, double, engine):
        handled = seam in {"handler", "all at once"}
        manager = CallbackManager([IronCallbackHandler(engine)]) if handled else None
        self._llm = PROVIDERS[provider](double, callback_manager=manager)
        if seam in {"IronLLM", "all at once"}:
            self._llm = IronLLM.wrap(self._llm, engine)
        self._around = []
        if seam in {"install", "all at once"}:
            self._around.append(lambda: install(engine))
        if seam in {"protect_agent", "all at once"}:
            self._around.append(lambda: protect_agent(policy=engine))

    def __enter__(self):
        self._open = [around() for around in self._around]
        for one in self._open:
            one.__enter__()
        return self._llm

    def __exit__(self, *error):
        for one in reversed(self._open):
            one.__exit__(*error)


SEAMS = ("handler", "IronLLM", "install", "protect_agent", "all at once")


def engine_of(*, limit_usd=1, **safety):
    policy = {
        "safety": {"reveal": {"tools": ["look_up"]}, **safety},
        "budgets": [{"scope": "global", "limit_usd": limit_usd}],
    }
    return PolicyEngine(Policy.model_validate(policy), sinks=[MemorySink(100)])


def recorded(engine):
    return [event.type for event in engine.recorder.sinks[0].events]


async def outcome(result):
    return await result if hasattr(result, "__await__") else result


def check_charges(engine, calls):
    assert sorted(recorded(engine)) == sorted(["call.admitted", "call.settled"] * calls)
    bases = {event.attributes.get("iron.cost_basis") for event in engine.recorder.sinks[0].events[1::2]}
    assert bases <= {"reported", None}


@pytest.mark.parametrize("seam", SEAMS)
@pytest.mark.parametrize(
    ("provider", "action", "style"),
    [
        *(("openai", "tokenize", style) for style in MODEL_STYLES),
        *(("anthropic", "tokenize", style) for style in MODEL_STYLES),
        *(("openai", action, style) for action in ("redact", "allow") for style in FEW_STYLES),
    ],
)
async def test_a_model_call_is_rewritten_both_ways_and_charged_once(double, provider, seam, style, action):
    double.answer_with(speaker)
    engine = engine_of(input={"pii": action})

    with Governed(seam, provider, double, engine) as llm:
        reply = await outcome(MODEL_STYLES[style](llm))

    assert len(double.requests) == 1
    assert re.search(SEEN[action], double.requests.last.text)
    assert (ADDRESS in double.requests.last.text) == (action == "allow")
    assert ("[REDACTED_EMAIL]" if action == "redact" else ADDRESS) in reply
    check_charges(engine, 1)


@pytest.mark.parametrize("style", MODEL_STYLES)
@pytest.mark.parametrize("seam", SEAMS)
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_blocked_model_call_never_leaves(double, provider, seam, style):
    engine = engine_of(input={"pii": "block"})

    with Governed(seam, provider, double, engine) as llm, pytest.raises(PolicyDenied, match="EMAIL"):
        await outcome(MODEL_STYLES[style](llm))

    assert len(double.requests) == 0
    assert set(recorded(engine)) == {"call.refused"}


@pytest.mark.parametrize("style", ["chat", "stream_chat", "achat", "astream_complete", "tools"])
@pytest.mark.parametrize("seam", SEAMS)
async def test_a_blocked_reply_is_asked_for_once_and_charged(double, seam, style):
    double.answer_with(speaker)
    engine = engine_of(input={"pii": "flag"}, output={"pii": "block"})

    with Governed(seam, "openai", double, engine) as llm, pytest.raises(PolicyDenied, match="EMAIL"):
        await outcome(MODEL_STYLES[style](llm))

    assert len(double.requests) == 1
    assert recorded(engine).count("call.settled") == 1


@pytest.mark.parametrize("style", ["chat", "stream_chat", "acomplete", "astream_chat"])
@pytest.mark.parametrize("seam", SEAMS)
async def test_a_call_that_its_budget_cannot_bear_never_leaves(double, seam, style):
    engine = engine_of(limit_usd=0)

    with Governed(seam, "openai", double, engine) as llm, pytest.raises(BudgetExceeded):
        await outcome(MODEL_STYLES[style](llm))

    assert len(double.requests) == 0


@pytest.mark.parametrize("seam", SEAMS)
def test_a_call_that_fits_only_with_a_shorter_answer_asks_for_one(double, seam):
    policy = {
        "budgets": [{"scope": "global", "limit_usd": "0.0004"}],
        "spending": {"when_short": ["clamp", "deny"]},
    }
    engine = PolicyEngine(Policy.model_validate(policy), sinks=[])

    with Governed(seam, "openai", double, engine) as llm:
        llm.chat([ChatMessage(content="Tell me a story.")])

    body = double.requests.last.json
    assert 0 < (body.get("max_tokens") or body.get("max_completion_tokens")) < 1000


@pytest.mark.parametrize("style", AGENT_STYLES)
@pytest.mark.parametrize("seam", SEAMS)
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_an_agent_keeps_an_address_from_its_provider_and_charges_each_turn_once(
    double, provider, seam, style
):
    double.answer_with(speaker)
    engine = engine_of()

    with Governed(seam, provider, double, engine) as llm:
        reply = await AGENT_STYLES[style](llm)

    assert reply == f"{ADDRESS} lives at 7 Main Street, as you know."
    assert len(double.requests) == 2
    assert not any(ADDRESS in request.text for request in double.requests)
    check_charges(engine, 2)


@pytest.mark.parametrize("style", AGENT_STYLES)
@pytest.mark.parametrize("seam", SEAMS)
async def test_a_blocked_agent_sends_nothing(double, seam, style):
    engine = engine_of(input={"pii": "block"})

    with Governed(seam, "openai", double, engine) as llm, pytest.raises(PolicyDenied, match="EMAIL"):
        await AGENT_STYLES[style](llm)

    assert len(double.requests) == 0


@pytest.mark.parametrize("seam", SEAMS)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_callers_own_messages_stay_as_they_are(double, provider, seam):
    mine = messages()
    before = copy.deepcopy(mine)

    with Governed(seam, provider, double, engine_of()) as llm:
        llm.chat(mine)
        list(llm.stream_chat(mine))

    assert mine == before
    assert not any(ADDRESS in request.text for request in double.requests)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_structured_prediction_shows_its_reader_real_values(double, provider):
    double.answer_with(speaker)
    engine = engine_of()
    llm = IronLLM.wrap(PROVIDERS[provider](double), engine)

    assert llm.structured_predict(Letter, PromptTemplate(QUESTION)).to == ADDRESS
    assert (await llm.astructured_predict(Letter, PromptTemplate(QUESTION))).to == ADDRESS
    assert llm.as_structured_llm(Letter).complete(QUESTION).raw.to == ADDRESS
    assert not any(ADDRESS in request.text for request in double.requests)
    check_charges(engine, 3)
