"""What IronHooks does beyond one call: tools, runs, names, agents that have worked before, models off the wire."""

import asyncio
import copy
import gc
import logging
import runpy
import threading
from pathlib import Path

import pytest

pytest.importorskip("crewai", reason="needs the extra iron-adapters[crewai]")

import crews
import httpx
import openai
from crewai import Agent, Crew, Task
from crewai.hooks import (
    clear_all_global_hooks,
    get_before_llm_call_hooks,
    register_before_llm_call_hook,
    unregister_before_llm_call_hook,
)
from crewai.hooks.dispatch import InterceptionPoint, get_hooks
from crews import ADDRESS, ASKED, SEAMS, engine, events

import iron_adapters
from iron_adapters.crewai import IronHooks, IronLLM
from iron_adapters.marks import live_mark
from iron_adapters.testing import Reply, ToolUse
from iron_policy import (
    BudgetExceeded,
    ContentBlocked,
    GovernanceFailed,
    LoopDetected,
    PolicyDenied,
    PolicyError,
    ToolNotAllowed,
    current_scope,
)

pytestmark = crews.WARNINGS
every_seam = pytest.mark.parametrize("seam", SEAMS.values(), ids=SEAMS)
LOOKUP = Reply(tool_calls=(ToolUse("lookup", {"email": ADDRESS}),))
SECRET = "sk-proj-" + "Zk3v9QmT7xW2pL8s" * 3


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL)


@pytest.fixture(autouse=True)
def _nothing_left():
    yield
    assert live_mark() is None
    assert current_scope() is None
    assert not any(get_hooks(point) for point in InterceptionPoint)


def told(double):
    """Return what the tool's result says to the model."""
    return [m["content"] for m in double.requests.last.json["messages"] if m["role"] == "tool"][-1]


# -- tools ---------------------------------------------------------------------------------------------------


@every_seam
@pytest.mark.parametrize("way", ["kickoff", "akickoff"])
def test_a_revealed_tool_reads_real_values_and_its_result_leaves_as_tokens(double, seam, way):
    seen = []
    double.script([LOOKUP])
    governing = engine(safety={"reveal": {"tools": ["lookup"]}})
    with seam(crews.openai_model(double), governing) as llm:
        crew = crews.crew_of(llm, tools=[crews.lookup_tool(seen)])
        said = crew.kickoff() if way == "kickoff" else asyncio.run(crew.akickoff())

    assert seen == [ADDRESS]
    assert f"{ADDRESS} has phone +351 912 345 678" in said.raw
    assert all(ADDRESS not in request.text and "912 345" not in request.text for request in double.requests)


@every_seam
def test_a_tool_that_is_not_revealed_reads_tokens(double, seam):
    seen = []
    with seam(crews.openai_model(double), engine()) as llm:
        token = (
            llm.call("Repeat " + ADDRESS) and double.requests.last.json["messages"][0]["content"].split()[-1]
        )
        double.script([Reply(tool_calls=(ToolUse("lookup", {"email": token}),))])
        crews.crew_of(llm, tools=[crews.lookup_tool(seen)]).kickoff()

    assert seen == [token]
    assert token.startswith("<EMAIL_")


@every_seam
def test_a_crew_that_offers_a_denied_tool_sends_nothing(double, seam):
    with (
        seam(crews.openai_model(double), engine(access={"tools": {"deny": ["lookup"]}})) as llm,
        pytest.raises(ToolNotAllowed),
    ):
        crews.crew_of(llm, tools=[crews.lookup_tool([])]).kickoff()

    assert double.requests.received == 0


class WritesItsCalls(crews.InMemory):
    """A model that knows no function calling: it writes its calls as text."""

    def supports_function_calling(self):
        return False


def test_an_agent_reads_why_its_tool_was_refused_and_goes_on():
    seen = []
    llm = WritesItsCalls(
        model="gpt-4o-mini",
        sent=[],
        says=[
            'Thought: look\nAction: lookup\nAction Input: {"email": "a river"}',
            "Thought: I know\nFinal Answer: done",
        ],
    )
    governing = engine(access={"tools": {"deny": ["lookup"]}})
    with IronHooks(governing):
        said = crews.crew_of(llm, "Name a river", tools=[crews.lookup_tool(seen)]).kickoff()

    assert said.raw == "done"
    assert seen == []
    assert "Refused by policy: tool" in str(llm.sent[-1])
    (refused,) = events(governing, "tool.refused")
    assert (refused["gen_ai.tool.name"], refused["gen_ai.agent.name"]) == ("lookup", "Writer")


def test_what_a_tool_returns_is_kept_from_the_agent_where_it_is_blocked(double):
    double.script([Reply(tool_calls=(ToolUse("lookup", {"email": "x"}),))])
    with IronHooks(engine(safety={"input": {"secrets": "block"}})):
        tool = crews.lookup_tool([])
        tool.func = lambda email: f"the key is {SECRET}"
        crews.crew_of(crews.openai_model(double), "Name a river", tools=[tool]).kickoff()

    assert "Refused by policy" in told(double)
    assert SECRET not in double.requests.last.text


def test_a_tool_hook_that_fails_stops_the_tool(double, monkeypatch):
    seen, governing = [], engine()
    double.script([Reply(tool_calls=(ToolUse("lookup", {"email": "x"}),))])
    monkeypatch.setattr(governing, "admit_tool", lambda *_, **__: 1 / 0)
    with IronHooks(governing):
        crews.crew_of(crews.openai_model(double), "Name a river", tools=[crews.lookup_tool(seen)]).kickoff()

    assert seen == []
    assert "a hook failed with ZeroDivisionError" in told(double)


def test_a_model_that_a_tool_calls_draws_on_the_same_run(double):
    governing = engine(budgets=[{"scope": "run", "limit_usd": 1}])
    tool = crews.lookup_tool([])

    tool.func = lambda email: crews.openai_model(double).call(ASKED)
    double.script([Reply(tool_calls=(ToolUse("lookup", {"email": "x"}),))])
    with IronHooks(governing):
        crews.crew_of(crews.openai_model(double), "Name a river", tools=[tool]).kickoff()

    assert len(double.requests) == len(events(governing)) == 3
    assert len({settled["iron.run_id"] for settled in events(governing)}) == 1
    assert all(ADDRESS not in request.text for request in double.requests)


def test_what_a_tool_sends_by_itself_is_none_of_the_hooks_business(double):
    double.script([Reply(tool_calls=(ToolUse("lookup", {"email": "x"}),))])
    governing, tool = engine(), crews.lookup_tool([])
    url = double.anthropic_url + "/inbox/messages"
    tool.func = lambda email: str(httpx.post(url, json={"note": ASKED}).status_code)
    with IronHooks(governing):
        crews.crew_of(crews.openai_model(double), "Name a river", tools=[tool]).kickoff()

    assert told(double) == "401"
    assert len(events(governing)) == 2


def test_what_crewai_sends_between_two_calls_is_governed(double):
    double.script([Reply(tool_calls=(ToolUse("lookup", {"email": "x"}),))])
    with IronHooks(engine()):
        tool = crews.lookup_tool([])
        crews.crew_of(crews.anthropic_model(double), "Name a river", tools=[tool]).kickoff()

    assert any(request.path.endswith("count_tokens") for request in double.requests)
    assert all("912 345" not in request.text for request in double.requests)


# -- runs and names ------------------------------------------------------------------------------------------


def test_each_kickoff_is_a_run_and_each_agent_goes_by_its_role(double):
    governing = engine()
    crew = crews.crew_of(crews.openai_model(double))
    with IronHooks(governing, user="ana", path="team/research"):
        crew.kickoff()
        asyncio.run(crew.akickoff())

    first, second = events(governing)
    assert first["iron.run_id"] != second["iron.run_id"]
    for settled in (first, second):
        assert (settled["gen_ai.agent.name"], settled["iron.user"]) == ("Writer", "ana")
        assert settled["iron.path"] == "team/research"
        assert (settled["iron.crew"], settled["iron.task"]) == ("office", "letter")


def test_a_run_of_the_caller_s_own_is_what_a_crew_draws_on(double):
    governing = engine()
    with IronHooks(governing), governing.run() as run:
        crews.kickoff(crews.openai_model(double))
        crews.openai_model(double).call("Name a river")

    assert run.summary().calls == 2
    assert {settled["iron.run_id"] for settled in events(governing)} == {run.run_id}


def short_of_two(scope, double, crew):
    """Return an engine with a budget that affords the dearest of *crew*'s calls, and not another one."""
    ample = engine(budgets=[{"scope": "run", "limit_usd": 1}])
    with IronHooks(ample):
        crew.kickoff()
    double.requests.clear()
    held = max(admitted["iron.held_nanodollars"] for admitted in events(ample, "call.admitted"))
    limit = {"scope": scope, "limit_usd": (held + 100) / 10**9}
    return engine(budgets=[limit], spending={"when_short": ["deny"]})


def test_a_run_s_budget_ends_a_crew_and_the_next_kickoff_has_its_own(double):
    asked = "A word after another. " * 20
    crew = crews.crew_of(crews.openai_model(double, max_tokens=20), asked)
    crew.tasks.append(Task(description=asked, expected_output="A line.", agent=crew.agents[0]))
    with IronHooks(short_of_two("run", double, crew)):
        for _ in range(2):
            before = len(double.requests)
            with pytest.raises(BudgetExceeded, match="run"):
                crew.kickoff()
            assert len(double.requests) == before + 1


def test_an_agent_s_budget_is_its_own(double):
    llm = crews.openai_model(double, max_tokens=20)
    asked = "A word after another. " * 20
    agents = [Agent(role=role, goal="Write", backstory="A writer.", llm=llm) for role in ("One", "Two")]
    tasks = [Task(description=asked, expected_output="A line.", agent=agents[number]) for number in (0, 1, 0)]
    crew = Crew(agents=agents, tasks=tasks)
    governing = short_of_two("agent", double, crew)
    with IronHooks(governing), pytest.raises(BudgetExceeded):
        crew.kickoff()

    assert [settled["gen_ai.agent.name"] for settled in events(governing)] == ["One", "Two"]


def test_a_crew_that_calls_without_end_is_stopped(double):
    double.answer_with(
        lambda asked: Reply(tool_calls=(ToolUse("lookup", {"email": str(len(asked.tool_results))}),))
    )
    with IronHooks(engine(loops={"model_calls": 3})), pytest.raises(LoopDetected):
        crews.crew_of(crews.openai_model(double), "Name a river", tools=[crews.lookup_tool([])]).kickoff()

    assert len(double.requests) == 3


# -- being there ---------------------------------------------------------------------------------------------


def test_an_agent_that_has_worked_before_is_governed_and_then_no_longer(double):
    crew, governing = crews.crew_of(crews.openai_model(double)), engine()
    crew.kickoff()
    with IronHooks(governing):
        crew.kickoff()
        crew.tasks[0].execute_sync()
    crew.kickoff()

    assert [ADDRESS in request.text for request in double.requests] == [True, False, False, True]
    assert len(events(governing)) == 2


def test_the_crew_s_own_messages_stay_as_they_are(double):
    messages = [{"role": "user", "content": ASKED}]
    before = copy.deepcopy(messages)
    with IronHooks(engine()):
        crews.openai_model(double).call(messages)
        crew = crews.crew_of(crews.openai_model(double))
        crew.kickoff()

    assert messages == before
    assert ADDRESS in str(crew.agents[0].last_messages)


def test_hooks_installed_twice_are_there_until_uninstalled_twice(double):
    hooks = IronHooks(engine())
    hooks.install()
    with hooks:
        pass
    crews.openai_model(double).call(ASKED)
    hooks.uninstall()
    hooks.uninstall()
    crews.openai_model(double).call(ASKED)

    assert [ADDRESS in request.text for request in double.requests] == [False, True]


def test_of_two_policies_the_first_acts_and_the_second_can_refuse(double):
    first, second = engine(), engine(access={"models": {"deny": ["gpt-4o*"]}})
    with IronHooks(first), IronHooks(engine()):
        crews.kickoff(crews.openai_model(double))
    with IronHooks(first), IronHooks(second), pytest.raises(PolicyDenied):
        crews.kickoff(crews.openai_model(double))

    assert len(double.requests) == 1
    assert len(events(first)) == 1


def test_a_mark_that_no_hook_has_ended_ends_with_the_hooks(double):
    async def ask():
        client = openai.AsyncOpenAI(base_url=double.openai_url, api_key="any")
        with IronHooks(engine()):
            for _ in range(50):
                await crews.openai_model(double).acall(ASKED)
            depth, found = 0, live_mark()
            while found is not None:
                depth, found = depth + 1, found.enclosing
        await client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": ASKED}]
        )
        return depth

    assert asyncio.run(ask()) <= 2
    assert [ADDRESS in request.text for request in double.requests] == [False] * 50 + [True]


def test_threads_are_governed_each_with_a_call_of_its_own(double):
    governing, failures = engine(), []

    def work(number):
        try:
            assert f"jane{number}@example.com" in crews.kickoff(
                crews.openai_model(double), f"Write to jane{number}@example.com"
            )
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    with IronHooks(governing):
        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert failures == []
    assert len(events(governing)) == len({settled["iron.run_id"] for settled in events(governing)}) == 6
    assert all("@example.com" not in request.text for request in double.requests)


def test_hooks_of_the_user_s_own_see_what_the_crew_says(double):
    seen = []

    def note(context):
        seen.append(str(context.messages))

    register_before_llm_call_hook(note)
    try:
        with IronHooks(engine()):
            crews.openai_model(double).call(ASKED)
    finally:
        unregister_before_llm_call_hook(note)

    assert ADDRESS in seen[0]


def test_a_policy_that_is_none_installs_nothing():
    with pytest.raises(PolicyError):
        IronHooks({"safety": {"inptu": {}}})

    assert get_before_llm_call_hooks() == []


def test_hooks_that_crewai_would_not_call_are_an_error(monkeypatch):
    monkeypatch.setattr("iron_adapters.crewai.hooks.register", lambda point, hook: None)
    with pytest.raises(RuntimeError, match="does not call hooks"):
        IronHooks(engine()).install()


def test_a_crewai_that_does_not_let_hooks_block_is_an_error(monkeypatch):
    monkeypatch.setattr("iron_adapters.crewai.probe.run_hooks", lambda *_, **__: None)
    with pytest.raises(RuntimeError, match="does not let a hook block"):
        IronHooks(engine())


def test_clearing_all_hooks_is_seen_by_nobody_but_crewai(double):
    with IronHooks(engine()):
        clear_all_global_hooks()
    crews.openai_model(double).call("Name a river")

    assert len(double.requests) == 1


# -- models off the wire -------------------------------------------------------------------------------------


def test_a_model_off_the_wire_is_refused_where_its_request_needs_rewriting():
    llm = crews.in_memory()
    with IronHooks(engine()), pytest.raises(ContentBlocked, match=r"IronLLM\.wrap"):
        crews.kickoff(llm)

    assert llm.sent == []


@pytest.mark.parametrize(("counts", "basis"), [(True, "reported"), (False, "estimated")])
def test_a_model_off_the_wire_is_charged_by_its_own_counters_or_an_estimate(counts, basis):
    governing = engine(budgets=[{"scope": "run", "limit_usd": 1}])
    with IronHooks(governing):
        crews.kickoff(crews.in_memory(counts=counts), "Name a river")

    (settled,) = events(governing)
    assert settled["iron.cost_basis"] == basis
    assert settled["iron.cost_nanodollars"] > 0
    if counts:
        assert settled["gen_ai.usage.input_tokens"] == 1000


def test_what_a_model_off_the_wire_replies_is_reviewed():
    governing = engine(safety={"output": {"secrets": "redact"}})
    with IronHooks(governing):
        said = crews.kickoff(crews.in_memory(says=[f"The key is {SECRET}"]), "Name a river")

    assert SECRET not in said
    assert "[REDACTED_" in said


def test_a_call_off_the_wire_whose_end_no_hook_tells_is_charged_all_the_same():
    governing, seen = engine(budgets=[{"scope": "run", "limit_usd": 1}]), []
    asks = [{"id": "1", "type": "function", "function": {"name": "lookup", "arguments": '{"email": "x"}'}}]
    llm = crews.in_memory(says=[asks, "done"], counts=True)
    with IronHooks(governing):
        tool = crews.lookup_tool(seen)
        tool.func = lambda email: seen.append(email) or "nobody"
        crews.crew_of(llm, "Name a river", tools=[tool]).kickoff()
    gc.collect()

    assert seen == ["x"]
    assert [settled["gen_ai.usage.input_tokens"] for settled in events(governing)] == [1000, 1000]
    assert all(account.held_nanodollars == 0 for account in governing.accounts())


# -- seams on seams ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [crews.call, crews.kickoff, crews.akickoff, crews.streamed])
@pytest.mark.parametrize("model", [crews.openai_model, crews.anthropic_model])
def test_stacked_seams_charge_once(double, way, model):
    governing = engine()
    with (
        iron_adapters.install(governing),
        iron_adapters.protect_agent(policy=governing) as run,
        IronHooks(governing),
    ):
        said = way(IronLLM.wrap(model(double), governing))

    assert ADDRESS in said
    assert ADDRESS not in "".join(request.text for request in double.requests)
    assert len([settled for settled in events(governing) if settled["iron.cost_nanodollars"]]) == 1
    assert run.summary().calls == 1


def test_stacked_seams_charge_a_model_off_the_wire_once():
    governing = engine()
    llm = crews.in_memory()
    with IronHooks(governing):
        assert ADDRESS in crews.kickoff(IronLLM.wrap(llm, governing))

    assert ADDRESS not in str(llm.sent)
    assert len(events(governing)) == 1


def test_under_hooks_a_model_s_own_policy_judges_too(double):
    hooks = engine()
    llm = IronLLM.wrap(crews.openai_model(double), engine(safety={"input": {"pii": "block"}}))
    with IronHooks(hooks), pytest.raises(ContentBlocked):
        crews.kickoff(llm)

    assert double.requests.received == 0


def test_two_policies_on_one_call_are_both_carried_out_and_each_charges_its_own(double):
    hooks, own = engine(safety={"input": {"pii": "allow"}}), engine()
    with IronHooks(hooks):
        said = crews.kickoff(IronLLM.wrap(crews.openai_model(double), own))

    assert ADDRESS in said
    assert ADDRESS not in double.requests.last.text
    assert (len(events(hooks)), len(events(own))) == (1, 1)


def test_protect_agent_governs_a_crew_that_has_no_seam_of_its_own(double):
    governing = engine()
    with iron_adapters.protect_agent(policy=governing):
        crews.kickoff(crews.openai_model(double))

    assert ADDRESS not in double.requests.last.text
    assert len(events(governing)) == 1


def test_a_refusal_below_litellm_is_the_cause_of_its_error_and_the_crew_does_not_ask_again(double):
    pytest.importorskip("litellm")
    double.answer_with(lambda asked: f"The key is {SECRET}")
    with IronHooks(engine(safety={"output": {"secrets": "block"}})):
        with pytest.raises(Exception, match="which the policy blocks") as raised:
            crews.litellm_model(double).call("Name a river")
        with pytest.raises(Exception, match="which the policy blocks"):
            crews.kickoff(crews.litellm_model(double), "Name a river")

    assert isinstance(
        raised.value.__context__.__cause__ or raised.value.__context__.__context__, ContentBlocked
    )
    assert len(double.requests) == 2


def test_governance_that_fails_says_so_without_content(double, monkeypatch):
    governing = engine()
    monkeypatch.setattr(governing, "judge", lambda *_, **__: (_ for _ in ()).throw(ValueError(ADDRESS)))
    with IronHooks(governing), pytest.raises(GovernanceFailed) as failed:
        crews.kickoff(crews.openai_model(double))

    assert "ValueError" in str(failed.value)
    assert ADDRESS not in str(failed.value)
    assert failed.value.__cause__ is None
    assert double.requests.received == 0


def test_the_example_shows_what_one_line_changes(capsys):
    path = Path(__file__).parents[2] / "examples" / "crewai_crew.py"
    level = logging.getLogger("crewai").level
    try:
        runpy.run_path(str(path), run_name="__main__")
    finally:
        logging.getLogger("crewai").setLevel(level)
    said = capsys.readouterr().out

    assert "as it is: her address left in 4 of 4 requests" in said
    assert "under a policy: her address left in 0 of 4 requests" in said
    assert said.count("e-mails went to: ana.silva@example.com") == 2
    assert "holds US_SSN, which the policy blocks; nothing was sent (0 requests)" in said
