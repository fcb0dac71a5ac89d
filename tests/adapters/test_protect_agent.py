"""``protect_agent`` and ``install()``: governance without a seam in the agent's code."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import anthropic
import openai
import pytest

from iron_adapters import (
    BudgetConfig,
    ReliabilityConfig,
    SafetyConfig,
    carry,
    govern,
    install,
    protect_agent,
    uninstall,
)
from iron_policy import (
    BudgetExceeded,
    ContentBlocked,
    ModelNotAllowed,
    PolicyDenied,
    PolicyError,
    current_scope,
)

EMAIL = "alice@example.com"
ASKED = {"model": "gpt-4o-mini", "max_tokens": 100}


@pytest.fixture
def gpt(double):
    with openai.OpenAI(base_url=double.openai_url, api_key="test", max_retries=0) as client:
        yield client


def say(client, text):
    return (
        client.chat.completions.create(messages=[{"role": "user", "content": text}], **ASKED)
        .choices[0]
        .message.content
    )


async def say_async(double, text):
    async with openai.AsyncOpenAI(base_url=double.openai_url, api_key="test") as client:
        reply = await client.chat.completions.create(messages=[{"role": "user", "content": text}], **ASKED)
        return reply.choices[0].message.content


def test_a_protected_function_is_governed_without_any_seam_and_nothing_is_outside_it(gpt, double):
    @protect_agent(budget_usd=1.0)
    def agent(prompt: str) -> str:
        """Answer."""
        return say(gpt, prompt)

    assert EMAIL in agent(f"I am {EMAIL}")
    assert EMAIL.encode() not in double.requests.last.body
    assert (agent.__name__, agent.__doc__) == ("agent", "Answer.")
    say(gpt, EMAIL)
    assert EMAIL.encode() in double.requests.last.body


@pytest.mark.parametrize(
    "spelling",
    [
        lambda: protect_agent(budget_usd=0.00001),
        lambda: protect_agent(budget=BudgetConfig(max_usd=0.00001), safety=SafetyConfig(pii_detection=True)),
        lambda: protect_agent(policy={"budgets": [{"scope": "run", "limit_usd": "0.00001"}]}),
        lambda: protect_agent(
            policy={"budgets": [{"scope": "run", "limit_usd": "0.00001"}]}, ic_token="ic_x"
        ),
    ],
)
def test_every_spelling_caps_what_a_run_spends(gpt, double, spelling):
    with pytest.raises(BudgetExceeded):
        spelling()(say)(gpt, "Hello")
    with pytest.raises(openai.OpenAIError), spelling():
        say(gpt, "Hello")
    assert len(double.requests) == 0


def test_without_parentheses_and_without_a_token_it_is_the_default_policy(gpt, double):
    assert EMAIL in protect_agent(say)(gpt, EMAIL)
    assert EMAIL in protect_agent(ic_token=None)(say)(gpt, EMAIL)
    assert EMAIL.encode() not in double.requests.last.body


def test_settings_go_over_the_policy(gpt, double):
    protect_agent(safety=SafetyConfig(pii_detection=False, max_tokens_per_request=7))(say)(gpt, EMAIL)

    assert EMAIL.encode() in double.requests.last.body
    assert double.requests.last.json["max_tokens"] == 7
    with pytest.raises(ModelNotAllowed):
        protect_agent(policy={"access": {"models": {"allow": []}}}, reliability=ReliabilityConfig())(say)(
            gpt, "Hello"
        )


@pytest.mark.parametrize(
    "settings",
    [{"budget_usd": -1}, {"budget_usd": 1, "budget": BudgetConfig(max_usd=1)}, {"policy": {"x": 1}}],
)
def test_settings_that_make_no_sense_are_refused_when_it_is_written_down(settings):
    with pytest.raises(PolicyError):
        protect_agent(**settings)


def test_what_it_decorates_stays_what_it_is():
    def plain(): ...
    def generator():
        yield

    async def coroutine(): ...
    async def async_generator():
        yield

    for test in (inspect.isgeneratorfunction, inspect.iscoroutinefunction, inspect.isasyncgenfunction):
        for function in (plain, generator, coroutine, async_generator):
            assert test(protect_agent()(function)) == test(function)


def test_a_generator_is_in_its_run_and_its_consumer_is_not():
    scopes = []

    @protect_agent(budget_usd=1)
    def agent():
        try:
            while True:
                scopes.append(current_scope().run_id)
                try:
                    scopes.append((yield "step"))
                except KeyError:
                    yield "caught"
        finally:
            scopes.append(("closed", current_scope() is not None))

    running = agent()
    assert next(running) == "step"
    assert current_scope() is None
    assert running.send("sent") == "step"
    assert running.throw(KeyError()) == "caught"
    running.close()
    assert scopes == [scopes[0], "sent", scopes[0], ("closed", True)]


async def test_an_async_generator_is_in_its_run_and_its_consumer_is_not(double):
    summaries = []

    @protect_agent(budget_usd=1, on_end=summaries.append)
    async def agent():
        yield await say_async(double, EMAIL)
        assert current_scope() is not None
        yield "end"

    seen = []
    async for item in agent():
        assert current_scope() is None
        seen.append(item)

    assert seen == [f"You said: {EMAIL}", "end"]
    assert [summary.calls for summary in summaries] == [1]


async def test_the_run_follows_into_tasks_and_threads_and_sub_agents_draw_on_it(double, gpt):
    @protect_agent(budget_usd=0.5, agent="child")
    async def child(number):
        return await say_async(double, f"{number}")

    with protect_agent(budget_usd=1.0, agent="parent") as run:
        await asyncio.gather(*(child(number) for number in range(3)))
        await asyncio.to_thread(say, gpt, "thread")
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(carry(say), [gpt] * 2, ["pool"] * 2))
            unseen = pool.submit(current_scope).result()

    assert unseen is None
    assert run.summary().calls == 6
    assert run.summary().cost_usd > 0


async def test_fifty_sub_agents_never_spend_more_than_the_run(double):
    refused = []

    @protect_agent(agent="worker")
    async def worker(number):
        try:
            await say_async(double, f"task {number}")
        except BudgetExceeded:
            refused.append(number)

    with protect_agent(budget_usd=0.0009) as run:
        await asyncio.gather(*(worker(number) for number in range(50)))

    assert refused
    assert len(double.requests) + len(refused) == 50
    assert float(run.summary().cost_usd) <= 0.0009
    assert run.account.held_nanodollars == 0


def test_methods_and_summaries(gpt):
    summaries = []

    class Agent:
        @protect_agent(budget_usd=1, on_end=summaries.append)
        def ask(self, text):
            return say(gpt, text)

    Agent().ask(EMAIL)
    with pytest.raises(PolicyDenied):
        protect_agent(policy={"access": {"models": {"allow": []}}}, on_end=summaries.append)(say)(gpt, "x")

    assert summaries[0].findings == {"EMAIL": 1}
    assert (summaries[0].calls, summaries[0].refusals, summaries[1].refusals) == (1, 0, 1)
    assert summaries[0].input_tokens > 0


def test_a_seam_inside_a_run_charges_once(double, gpt):
    govern(gpt)
    with protect_agent(budget_usd=1) as run:
        say(gpt, EMAIL)

    assert run.summary().calls == 1
    assert run.summary().findings == {"EMAIL": 1}


def test_a_runtime_whose_address_is_none_is_said_and_nothing_runs(monkeypatch, gpt, double):
    monkeypatch.setenv("IRON_RUNTIME_URL", "localhost:8080")

    with pytest.raises(PolicyError, match="IRON_RUNTIME_URL"):
        protect_agent(budget_usd=1)(say)(gpt, "Hello")
    assert len(double.requests) == 0


def test_the_seeds_import_names_are_the_same_things():
    import iron_sdk

    assert iron_sdk.protect_agent is protect_agent
    assert iron_sdk.BudgetConfig is BudgetConfig


@pytest.fixture
def installed():
    yield install
    uninstall()


def test_install_governs_clients_made_before_and_after_and_uninstall_undoes_it(gpt, double, installed):
    import httpx2

    before = httpx2.Client.__dict__["_send_single_request"]
    uninstall()
    untouched = httpx2.Client.__dict__["_send_single_request"]
    done = installed({"access": {"models": {"allow": ["gpt-*"]}}})
    claude = anthropic.Anthropic(base_url=double.anthropic_url, api_key="test", max_retries=0)

    say(gpt, EMAIL)
    assert EMAIL.encode() not in double.requests.last.body
    with pytest.raises(ModelNotAllowed):
        claude.messages.create(
            model="claude-sonnet-4-5", max_tokens=10, messages=[{"role": "user", "content": "x"}]
        )
    assert any(name.endswith("Client._send_single_request") for name in done.patched)
    uninstall()
    say(gpt, EMAIL)
    assert EMAIL.encode() in double.requests.last.body
    assert httpx2.Client.__dict__["_send_single_request"] is untouched
    del before
    claude.close()


def test_install_leaves_other_traffic_alone_and_knows_providers_by_their_host(double, installed):
    import httpx2

    installed(
        {
            "safety": {"input": {"pii": "block"}},
            "upstreams": {"mine": f"http://127.0.0.1:{double.start()}/v1"},
        }
    )
    reached = []
    nowhere = httpx2.MockTransport(
        lambda request: reached.append(request.content) or httpx2.Response(200, json={})
    )
    body = f'{{"model":"x","messages":[{{"role":"user","content":"{EMAIL}"}}]}}'
    with httpx2.Client(transport=nowhere) as client:
        client.post("https://example.com/v1/chat/completions", content=body)
        assert reached == [body.encode()]
        for host in ("https://api.openai.com/v1", f"http://127.0.0.1:{double.start()}/v1"):
            with pytest.raises(ContentBlocked):
                client.post(f"{host}/chat/completions", content=body)
    assert len(reached) == 1


def test_install_then_govern_then_a_run_charge_once(gpt, double, installed):
    installed()
    govern(gpt)
    with protect_agent(budget_usd=1) as run:
        say(gpt, EMAIL)

    assert run.summary().calls == 1
    assert len(double.requests) == 1


def test_install_works_in_a_process_that_has_imported_nothing_yet(double):
    program = f"""
import iron_adapters
iron_adapters.install({{"access": {{"models": {{"allow": []}}}}}})
import openai, iron_policy
try:
    openai.OpenAI(base_url={double.openai_url!r}, api_key="x").chat.completions.create(model="gpt-4o", messages=[])
except iron_policy.ModelNotAllowed as error:
    print(isinstance(error, openai.OpenAIError))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603

    assert done.stdout.strip() == "True"
    assert len(double.requests) == 0


def test_runs_in_threads_do_not_see_each_other(gpt):
    seen = {}

    def work(name):
        with protect_agent(budget_usd=1, agent=name) as run:
            say(gpt, name)
            seen[name] = run.summary().calls, current_scope().agent

    threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == {f"t{number}": (1, f"t{number}") for number in range(4)}
