"""Each way to call a LangChain model or agent, by each seam, under each action: what the provider and the caller get."""

import copy
import gc
import json
import logging
import operator
import re
from functools import reduce

import pytest

pytest.importorskip("langchain_openai")
pytest.importorskip("langchain_anthropic")

from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from iron_adapters.langchain import IronCallbackHandler, IronChatModel, IronMiddleware
from iron_adapters.testing import Reply, ToolUse
from iron_policy import Policy, PolicyDenied, PolicyEngine
from iron_policy.audit import MemorySink

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning"),
    # When a callback blocks, LangChain leaves the coroutines of the callbacks behind it.
    pytest.mark.filterwarnings("ignore:coroutine 'ahandle_event' was never awaited"),
    pytest.mark.filterwarnings("ignore:Exception ignored in. <coroutine object ahandle_event"),
]

ADDRESS = "jane.roe@example.com"
QUESTION = f"Please write to {ADDRESS} today."
ACTIONS = {"tokenize": r"<EMAIL_\w+>", "redact": r"\[REDACTED_EMAIL\]"}
"""What the provider reads of an address."""

PROVIDERS = {
    "chat": lambda double, **more: ChatOpenAI(model="gpt-4o-mini", base_url=double.openai_url, **more),
    "responses": lambda double, **more: ChatOpenAI(
        model="gpt-4o-mini", base_url=double.openai_url, use_responses_api=True, **more
    ),
    "anthropic": lambda double, **more: ChatAnthropic(
        model="claude-haiku-4-5", base_url=double.anthropic_url, **more
    ),
}


class Letter(BaseModel):
    """Write a letter."""

    to: str


@tool
def look_up(to: str) -> str:
    """Look a person up."""
    return f"{to} lives at 7 Main Street"


def speaker(asked):
    """Say back the address, or what stands for it, in the form asked for."""
    said = re.search(r"\S+@\S+|<EMAIL_\w+>|\[REDACTED_EMAIL\]", asked.user_text)[0]
    if asked.tool_results:
        return f"{asked.tool_results[-1]}, as you know."
    if asked.schema or asked.json_object:
        return json.dumps({"to": said})
    if asked.tools:
        return Reply(tool_calls=(ToolUse(asked.tools[0].name, {"to": said}),))
    return f"I have written to {said} today."


def messages():
    return [SystemMessage("You write letters."), HumanMessage(QUESTION, id="a1")]


async def events(model):
    return [event async for event in model.astream_events(messages(), version="v2")][-1]["data"][
        "output"
    ].text


def whole(chunks):
    return reduce(operator.add, chunks)


def structured(method):
    return lambda model: model.with_structured_output(Letter, method=method).invoke(messages()).to


async def asynchronously_structured(model):
    letters = model.with_structured_output(Letter, method="json_schema", include_raw=True)
    return (await letters.ainvoke(messages()))["parsed"].to


def streamed_structured(model):
    return list(model.with_structured_output(Letter, method="json_schema").stream(messages()))[-1].to


async def asynchronous_v3(model):
    stream = await model.astream_events(messages(), version="v3")
    return await stream.text


async def ainvoke(model):
    return (await model.ainvoke(messages())).text


async def astream(model):
    return whole([chunk async for chunk in model.astream(messages())]).text


async def abatch(model):
    return [reply.text for reply in await model.abatch([messages(), messages()])][1]


MODEL_STYLES = {
    "invoke": lambda model: model.invoke(messages()).text,
    "stream": lambda model: whole(model.stream(messages())).text,
    "batch": lambda model: model.batch([messages(), messages()])[1].text,
    "ainvoke": ainvoke,
    "astream": astream,
    "abatch": abatch,
    "astream_events v2": events,
    "stream_events v3": lambda model: str(model.stream_events(messages(), version="v3").text),
    "astream_events v3": asynchronous_v3,
    "json_schema": structured("json_schema"),
    "json_schema, async": asynchronously_structured,
    "json_schema, streamed": streamed_structured,
    "tools": lambda model: model.bind_tools([look_up]).invoke(messages()).tool_calls[0]["args"]["to"],
    "tools, streamed": lambda model: whole(model.bind_tools([look_up]).stream(messages())).tool_calls[0][
        "args"
    ]["to"],
}


def asked():
    return {"messages": messages()}


def last(state):
    return state["messages"][-1].text


def shown(pairs):
    return "".join(chunk.text for chunk, _ in pairs if chunk.type.startswith("AI"))


async def agent_ainvoke(agent, config):
    return last(await agent.ainvoke(asked(), config))


async def agent_astream(agent, config):
    return shown([pair async for pair in agent.astream(asked(), config, stream_mode="messages")])


AGENT_STYLES = {
    "invoke": lambda agent, config: last(agent.invoke(asked(), config)),
    "ainvoke": agent_ainvoke,
    "stream values": lambda agent, config: last(
        list(agent.stream(asked(), config, stream_mode="values"))[-1]
    ),
    "stream messages": lambda agent, config: shown(agent.stream(asked(), config, stream_mode="messages")),
    "astream messages": agent_astream,
}


def handled(model, engine):
    return model.model_copy(update={"callbacks": [IronCallbackHandler(engine)]})


MODEL_SEAMS = {"handler": handled, "chat model": IronChatModel.wrap}
AGENT_SEAMS = {
    "handler": lambda model, engine: (
        create_agent(model, [look_up]),
        {"callbacks": [IronCallbackHandler(engine)]},
    ),
    "chat model": lambda model, engine: (create_agent(IronChatModel.wrap(model, engine), [look_up]), {}),
    "middleware": lambda model, engine: (
        create_agent(model, [look_up], middleware=[IronMiddleware(engine)]),
        {},
    ),
    "all at once": lambda model, engine: (
        create_agent(IronChatModel.wrap(model, engine), [look_up], middleware=[IronMiddleware(engine)]),
        {"callbacks": [IronCallbackHandler(engine), IronCallbackHandler(engine)]},
    ),
}


@pytest.fixture(autouse=True)
def _quiet(caplog):
    # LangChain logs every exception that a callback raises.
    caplog.set_level(logging.CRITICAL, "langchain_core.callbacks.manager")


@pytest.fixture(scope="module", autouse=True)
def _collected():
    """Collect what a refusal has left behind, while the warnings about it are still ours."""
    yield
    gc.collect()


def engine(**safety):
    policy = {"safety": safety, "budgets": [{"scope": "run", "limit_usd": 1}]}
    return PolicyEngine(Policy.model_validate(policy), sinks=[MemorySink(100)])


def recorded(engine):
    return [event.type for event in engine.recorder.sinks[0].events]


async def outcome(result):
    return await result if hasattr(result, "__await__") else result


def check_charges(engine, calls):
    assert recorded(engine) == ["call.admitted", "call.settled"] * calls or sorted(
        recorded(engine)
    ) == sorted(["call.admitted", "call.settled"] * calls)


@pytest.mark.parametrize("style", MODEL_STYLES)
@pytest.mark.parametrize("seam", MODEL_SEAMS)
@pytest.mark.parametrize(
    ("provider", "action"), [*((each, "tokenize") for each in PROVIDERS), ("chat", "redact")]
)
async def test_a_model_call_is_rewritten_both_ways_and_charged_once(double, provider, seam, style, action):
    double.answer_with(speaker)
    governing = engine(input={"pii": action}, reveal={"tools": ["look_up"]})
    model = MODEL_SEAMS[seam](PROVIDERS[provider](double), governing)

    reply = await outcome(MODEL_STYLES[style](model))

    assert all(re.search(ACTIONS[action], request.text) for request in double.requests)
    assert not any(ADDRESS in request.text for request in double.requests)
    assert (ADDRESS if action == "tokenize" else "[REDACTED_EMAIL]") in reply
    check_charges(governing, len(double.requests))


@pytest.mark.parametrize("style", MODEL_STYLES)
@pytest.mark.parametrize("seam", MODEL_SEAMS)
@pytest.mark.parametrize("provider", ["chat", "anthropic"])
async def test_a_blocked_model_call_never_leaves(double, provider, seam, style):
    governing = engine(input={"pii": "block"})
    model = MODEL_SEAMS[seam](PROVIDERS[provider](double), governing)

    with pytest.raises(PolicyDenied, match="EMAIL"):
        await outcome(MODEL_STYLES[style](model))

    assert len(double.requests) == 0
    assert set(recorded(governing)) == {"call.refused"}


@pytest.mark.parametrize("style", [style for style in MODEL_STYLES if "batch" not in style])
@pytest.mark.parametrize("seam", MODEL_SEAMS)
@pytest.mark.parametrize("provider", ["chat", "anthropic"])
async def test_a_blocked_reply_is_asked_for_once_and_charged(double, provider, seam, style):
    double.answer_with(speaker)
    governing = engine(input={"pii": "flag"}, output={"pii": "block"}, reveal={"tools": ["look_up"]})
    model = MODEL_SEAMS[seam](PROVIDERS[provider](double), governing)

    with pytest.raises(PolicyDenied, match="EMAIL"):
        await outcome(MODEL_STYLES[style](model))

    assert len(double.requests) == 1
    assert sorted(recorded(governing)) == ["call.admitted", "call.refused", "call.settled"]


@pytest.mark.parametrize("style", AGENT_STYLES)
@pytest.mark.parametrize("seam", AGENT_SEAMS)
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_an_agent_keeps_an_address_from_its_provider_and_charges_each_turn_once(
    double, provider, seam, style
):
    double.answer_with(speaker)
    governing = engine(reveal={"tools": ["look_up"]})
    agent, config = AGENT_SEAMS[seam](PROVIDERS[provider](double), governing)

    reply = await outcome(AGENT_STYLES[style](agent, config))

    assert reply == f"{ADDRESS} lives at 7 Main Street, as you know."
    assert len(double.requests) == 2
    assert not any(ADDRESS in request.text for request in double.requests)
    check_charges(governing, 2)


@pytest.mark.parametrize("style", AGENT_STYLES)
@pytest.mark.parametrize("seam", AGENT_SEAMS)
async def test_a_blocked_agent_sends_nothing(double, seam, style):
    agent, config = AGENT_SEAMS[seam](PROVIDERS["chat"](double), engine(input={"pii": "block"}))

    with pytest.raises(PolicyDenied, match="EMAIL"):
        await outcome(AGENT_STYLES[style](agent, config))

    assert len(double.requests) == 0


@pytest.mark.parametrize("seam", MODEL_SEAMS)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_callers_own_messages_stay_as_they_are(double, provider, seam):
    model = MODEL_SEAMS[seam](PROVIDERS[provider](double), engine())
    mine = messages()
    before = copy.deepcopy(mine)

    model.invoke(mine)
    list(model.stream(mine))

    assert mine == before
    assert not any(ADDRESS in request.text for request in double.requests)
