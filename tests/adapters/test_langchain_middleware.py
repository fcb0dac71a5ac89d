"""``IronMiddleware``: an agent's tools and runs under a policy."""

import asyncio

import pytest

pytest.importorskip("langchain_openai")
pytest.importorskip("langchain.agents")

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, HumanInTheLoopMiddleware
from langchain.agents.structured_output import ToolStrategy
from langchain_core.messages import ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import BaseModel

from iron_adapters.langchain import IronChatModel, IronMiddleware
from iron_adapters.testing import Reply, ToolUse
from iron_policy import BudgetExceeded, Policy, PolicyEngine
from iron_policy.audit import MemorySink

ADDRESS = "jane.roe@example.com"


class Letter(BaseModel):
    """Write a letter."""

    to: str


def chat(double, **more):
    return ChatOpenAI(model="gpt-4o-mini", base_url=double.openai_url, **more)


def engine(**policy):
    return PolicyEngine(Policy.model_validate(policy), sinks=[MemorySink(1000)])


def kinds(engine):
    return [event.type for event in engine.recorder.sinks[0].events]


def asked(text="Go"):
    return {"messages": [("user", text)]}


def calling(name, **arguments):
    """Call the tool once, then say what it said."""

    def speaker(asked):
        if asked.tool_results:
            return f"It said: {asked.tool_results[-1]}"
        return Reply(tool_calls=(ToolUse(name, arguments),))

    return speaker


@tool
def look_up(person: str) -> str:
    """Look a person up."""
    return f"{person} lives in Springfield"


class Instead(AgentMiddleware):
    """Call another tool than the model has asked for, as a person in the loop may."""

    def __init__(self, name):
        self.tool_name = name

    def wrap_tool_call(self, request, handler):
        return handler(request.override(tool_call={**request.tool_call, "name": self.tool_name}))

    async def awrap_tool_call(self, request, handler):
        return await handler(request.override(tool_call={**request.tool_call, "name": self.tool_name}))


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
async def test_a_refused_tool_does_not_run_and_the_model_reads_why(double, asynchronous):
    double.answer_with(calling("look_up", person="Ann"))
    governing = engine(access={"tools": {"deny": ["shell_*"]}})
    agent = create_agent(
        chat(double), [look_up], middleware=[Instead("shell_run"), IronMiddleware(governing)]
    )

    state = await agent.ainvoke(asked()) if asynchronous else agent.invoke(asked())

    told = next(message for message in state["messages"] if isinstance(message, ToolMessage))
    assert told.status == "error"
    assert (
        told.content
        == "Refused by policy: tool 'shell_run' is not allowed; access.tools in the policy lists what is"
    )
    assert told.content in state["messages"][-1].text
    assert kinds(governing).count("tool.refused") == 1


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
async def test_a_tool_result_that_the_policy_blocks_is_not_kept(double, asynchronous):
    @tool
    def read_file(person: str) -> str:
        """Read a file."""
        return "her card is 4111 1111 1111 1111"

    double.answer_with(calling("read_file", person="Ann"))
    governing = engine(safety={"kinds": {"CREDIT_CARD": "block"}})
    agent = create_agent(chat(double), [read_file], middleware=[IronMiddleware(governing)])

    state = await agent.ainvoke(asked()) if asynchronous else agent.invoke(asked())

    assert "holds CREDIT_CARD, which the policy blocks" in state["messages"][-2].content
    assert "4111" not in str(state["messages"])
    assert not any("4111" in request.text for request in double.requests)


def test_a_tool_result_in_a_command_is_judged_too(double):
    @tool
    def read_file(person: str) -> Command:
        """Read a file."""
        answer = ToolMessage("her card is 4111 1111 1111 1111", tool_call_id=double.requests.last.path)
        return Command(update={"messages": [answer]})

    def judged(request, handler):
        return Command(
            update={"messages": [ToolMessage("4111 1111 1111 1111", tool_call_id=request.tool_call["id"])]}
        )

    class Commanding(AgentMiddleware):
        wrap_tool_call = staticmethod(judged)

    double.answer_with(calling("read_file", person="Ann"))
    governing = engine(safety={"kinds": {"CREDIT_CARD": "block"}})
    agent = create_agent(chat(double), [read_file], middleware=[IronMiddleware(governing), Commanding()])

    assert "4111" not in str(agent.invoke(asked())["messages"])


@pytest.mark.parametrize(
    ("revealed", "told"), [(["look_up"], ADDRESS), ([], "<EMAIL_")], ids=["revealed", "not"]
)
def test_a_tool_sees_the_real_value_only_where_the_policy_reveals_it(double, revealed, told):
    seen = []

    @tool
    def look_up(person: str) -> str:
        """Look a person up."""
        seen.append(person)
        return f"{person} lives in Springfield"

    double.answer_with(
        lambda asked: (
            "Done"
            if asked.tool_results
            else Reply(tool_calls=(ToolUse("look_up", {"person": asked.user_text}),))
        )
    )
    agent = create_agent(
        chat(double), [look_up], middleware=[IronMiddleware({"safety": {"reveal": {"tools": revealed}}})]
    )
    agent.invoke(asked(ADDRESS))

    assert seen[0].startswith(told)
    assert not any(ADDRESS in request.text for request in double.requests)


def test_runs_have_budgets_of_their_own_and_are_forgotten(double):
    governing = engine(budgets=[{"scope": "run", "limit_usd": 0.0002}], spending={"when_short": ["deny"]})
    middleware = IronMiddleware(governing, agent="writer")
    agent = create_agent(chat(double, max_tokens=100), [], middleware=[middleware])

    for _ in range(5):
        agent.invoke(asked())

    assert len({event.attributes["iron.run_id"] for event in governing.recorder.sinks[0].events}) == 5
    assert {event.attributes["gen_ai.agent.name"] for event in governing.recorder.sinks[0].events} == {
        "writer"
    }
    assert not middleware._scopes


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
async def test_a_sub_agent_draws_on_the_run_of_the_agent_that_calls_it(double, asynchronous):
    governing = engine(loops={"model_calls": 3})

    inner = create_agent(chat(double), [], middleware=[IronMiddleware(governing)])

    @tool
    def ask(person: str) -> str:
        """Ask another agent."""
        return inner.invoke(asked("Inner"))["messages"][-1].text

    @tool("ask")
    async def ask_async(person: str) -> str:
        """Ask another agent."""
        return (await inner.ainvoke(asked("Inner")))["messages"][-1].text

    double.answer_with(
        lambda asked: (
            "Inner" if asked.user_text == "Inner" else Reply(tool_calls=(ToolUse("ask", {"person": "Ann"}),))
        )
    )
    agent = create_agent(
        chat(double), [ask_async if asynchronous else ask], middleware=[IronMiddleware(governing)]
    )

    with pytest.raises(Exception, match="4 model calls"):
        await agent.ainvoke(asked()) if asynchronous else agent.invoke(asked())

    assert len(double.requests) == 3
    assert len({event.attributes["iron.run_id"] for event in governing.recorder.sinks[0].events}) == 1


def test_a_run_that_a_person_interrupts_goes_on_with_the_same_budget(double):
    double.answer_with(calling("look_up", person="Ann"))
    governing = engine()
    agent = create_agent(
        chat(double),
        [look_up],
        middleware=[HumanInTheLoopMiddleware(interrupt_on={"look_up": True}), IronMiddleware(governing)],
        checkpointer=InMemorySaver(),
    )
    config = {"configurable": {"thread_id": "1"}}

    agent.invoke(asked(), config)
    state = agent.invoke(Command(resume={"decisions": [{"type": "approve"}]}), config)

    assert state["messages"][-1].text == "It said: Ann lives in Springfield"
    assert len({event.attributes["iron.run_id"] for event in governing.recorder.sinks[0].events}) == 1


async def test_agents_that_run_at_once_are_told_apart(double):
    governing = engine(loops={"model_calls": 1})
    agent = create_agent(chat(double), [], middleware=[IronMiddleware(governing)])

    states = await asyncio.gather(*(agent.ainvoke(asked(f"Number {number}")) for number in range(4)))

    assert [state["messages"][-1].text for state in states] == [
        f"You said: Number {number}" for number in range(4)
    ]


def test_structured_answers_by_tool_read_as_the_caller_wrote(double):
    double.answer_with(lambda asked: Reply(tool_calls=(ToolUse("Letter", {"to": asked.user_text}),)))
    agent = create_agent(
        chat(double), [], response_format=ToolStrategy(Letter), middleware=[IronMiddleware({})]
    )

    assert agent.invoke(asked(ADDRESS))["structured_response"].to == ADDRESS
    assert ADDRESS not in double.requests.last.text


def test_a_model_that_is_bound_or_governed_already_is_governed_once(double):
    governing = engine()
    for model in (IronChatModel.wrap(chat(double), governing), chat(double).bind(temperature=0)):
        create_agent(model, [], middleware=[IronMiddleware(governing)]).invoke(asked(ADDRESS))

    assert kinds(governing) == ["call.admitted", "call.settled"] * 2
    assert not any(ADDRESS in request.text for request in double.requests)


def test_a_budget_that_is_gone_ends_the_agent(double):
    agent = create_agent(
        chat(double), [], middleware=[IronMiddleware({"budgets": [{"scope": "run", "limit_usd": 0}]})]
    )

    with pytest.raises(BudgetExceeded):
        agent.invoke(asked())
