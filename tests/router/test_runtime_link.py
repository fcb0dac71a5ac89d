"""Router mode where it differs from library mode by nature: addresses, tokens, a runtime that is down, ends of runs."""

from __future__ import annotations

import base64
import gc
import json
import logging
import socket

import openai
import pytest

from iron_adapters import SafetyConfig, completion, govern, install, protect_agent, uninstall
from iron_adapters.run_header import read
from iron_policy import BudgetExceeded, ModelNotAllowed, PolicyDenied, PolicyError
from iron_policy.exceptions import EndpointNotAllowed, GovernanceFailed, UpstreamError

EMAIL = "alice@example.com"
ASK = {"model": "gpt-4o-mini", "max_tokens": 50, "messages": [{"role": "user", "content": EMAIL}]}


@pytest.fixture
def gpt(double):
    with openai.OpenAI(base_url=double.openai_url, api_key="none-is-needed") as client:
        yield client


@pytest.fixture
def runtime(routed, monkeypatch):
    """Return a function that starts a runtime with these settings, and turns this process to router mode."""

    def start(**settings):
        router = routed(**settings)
        monkeypatch.setenv("IRON_RUNTIME_URL", f"http://127.0.0.1:{router.port}")
        monkeypatch.setenv("IRON_RUNTIME_TOKEN", router.api_key)
        return router

    return start


def say(client, text=EMAIL, **more):
    asked = {**ASK, "messages": [{"role": "user", "content": text}], **more}
    return client.chat.completions.create(**asked).choices[0].message.content


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


# -- where the runtime is ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written", ["http://127.0.0.1:{}", "http://localhost:{}/", "http://127.0.0.1:{}/v1/"]
)
def test_the_address_may_be_written_as_people_write_it(written, runtime, gpt, double, monkeypatch):
    monkeypatch.setenv("IRON_RUNTIME_URL", written.format(runtime().port))

    assert EMAIL in protect_agent(say)(gpt)
    assert EMAIL.encode() not in double.requests.last.body


@pytest.mark.parametrize(
    "url",
    ["localhost:8080", "ftp://localhost", "http://", "http://localhost:99999", "http://me:pw@localhost:8080"],
)
def test_what_is_no_address_is_said_at_the_start(url, gpt, double, monkeypatch):
    monkeypatch.setenv("IRON_RUNTIME_URL", url)

    for start in (lambda: protect_agent(say)(gpt), lambda: govern(gpt), install):
        with pytest.raises(PolicyError, match="IRON_RUNTIME_URL") as refused:
            start()
        assert "pw" not in str(refused.value)
    uninstall()
    assert len(double.requests) == 0


def test_a_runtime_that_is_down_is_named_at_once_and_nothing_goes_to_the_provider(
    free_port, gpt, double, monkeypatch
):
    monkeypatch.setenv("IRON_RUNTIME_URL", f"http://127.0.0.1:{free_port}")
    summaries = []

    with pytest.raises(
        UpstreamError, match=f"IRON_RUNTIME_URL: no runtime answers at .*:{free_port}"
    ) as down:
        protect_agent(on_end=summaries.append)(say)(gpt)
    assert isinstance(down.value, openai.OpenAIError)
    with pytest.raises(UpstreamError, match="IRON_RUNTIME_URL"):
        say(govern(gpt))
    with pytest.raises(UpstreamError, match="IRON_RUNTIME_URL"):
        completion("openai/gpt-4o-mini", ASK["messages"])
    assert len(double.requests) == 0
    assert summaries[0].calls == 0


async def test_a_runtime_that_is_down_is_named_in_async_code_too(free_port, double, monkeypatch):
    monkeypatch.setenv("IRON_RUNTIME_URL", f"http://127.0.0.1:{free_port}")

    async with openai.AsyncOpenAI(base_url=double.openai_url, api_key="x") as client:
        with pytest.raises(UpstreamError, match="IRON_RUNTIME_URL"):
            async with protect_agent():
                await client.chat.completions.create(**ASK)
    assert len(double.requests) == 0


def test_no_proxy_of_the_environment_comes_between(runtime, double, monkeypatch, free_port):
    runtime()
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port}")
    monkeypatch.delenv("NO_PROXY", raising=False)

    with openai.OpenAI(base_url="http://api.openai.com/v1", api_key="x", max_retries=0) as client:
        assert EMAIL in protect_agent(say)(client)
        assert EMAIL in say(govern(client))


# -- who calls -----------------------------------------------------------------------------------------------------


def test_the_callers_own_key_stays_at_home_where_there_is_a_token(runtime, double, gpt):
    runtime()
    protect_agent(say)(gpt)

    assert double.requests.last.path == "/v1/chat/completions"
    assert not any(name.startswith("x-iron") for name in double.requests.last.headers)


def test_the_token_of_the_agent_is_shown_where_the_runtime_has_none_of_its_own(routed, gpt, monkeypatch):
    router = routed("ic_agent_token")
    monkeypatch.setenv("IRON_RUNTIME_URL", router.base_url)

    assert EMAIL in protect_agent(ic_token="ic_agent_token")(say)(gpt)
    with pytest.raises(openai.AuthenticationError):
        protect_agent(ic_token="another")(say)(gpt)
    monkeypatch.setenv("IC_TOKEN", "ic_agent_token")
    assert EMAIL in protect_agent(say)(gpt)


@pytest.mark.parametrize("variable", ["IRON_RUNTIME_TOKEN", "IC_TOKEN"])
def test_a_token_that_no_header_holds_is_said_without_being_told(variable, runtime, gpt, double, monkeypatch):
    runtime()
    monkeypatch.delenv("IRON_RUNTIME_TOKEN")
    monkeypatch.setenv(variable, "to ken")

    with pytest.raises(PolicyError, match=variable) as refused:
        protect_agent(say)(gpt)
    assert "ken;" not in str(refused.value)
    assert len(double.requests) == 0


def test_a_summary_is_for_those_with_the_token(runtime, gpt):
    router = runtime()
    with protect_agent() as run:
        say(gpt)
    base = router.base_url.removesuffix("/v1")

    import httpx2

    from iron_adapters.run_header import id_of

    assert httpx2.get(f"{base}/iron/v1/runs/{id_of(run)}").status_code == 401
    told = httpx2.get(
        f"{base}/iron/v1/runs/{id_of(run)}", headers={"authorization": f"Bearer {router.api_key}"}
    )
    assert told.json()["findings"] == {"EMAIL": 1}


# -- where a call goes ---------------------------------------------------------------------------------------------


def test_a_call_for_a_server_that_the_runtime_does_not_know_goes_nowhere(runtime, double):
    runtime()
    with (
        openai.OpenAI(base_url="http://gpu.internal:8000/v1", api_key="x", max_retries=0) as client,
        pytest.raises(openai.BadRequestError, match=r"no upstream at gpu\.internal:8000"),
    ):
        protect_agent(say)(client)
    assert len(double.requests) == 0


def test_a_call_for_the_provider_itself_goes_where_the_runtime_says_it_is(runtime, double):
    runtime()
    with openai.OpenAI(base_url="https://api.openai.com/v1", api_key="x", max_retries=0) as client:
        assert EMAIL in protect_agent(say)(client)
        assert client.models is not None
    assert double.requests.last.path == "/v1/chat/completions"


def test_a_client_that_asks_the_runtime_already_is_left_to_it(runtime, double):
    router = runtime()
    with (
        openai.OpenAI(base_url=router.base_url, api_key=router.api_key, max_retries=0) as client,
        protect_agent(budget_usd=1) as run,
    ):
        assert EMAIL in say(client)
    assert run.summary().calls == 1
    assert len(double.requests) == 1


def test_an_endpoint_that_the_runtime_does_not_serve_is_refused_here(runtime, gpt, double):
    runtime()
    with pytest.raises(EndpointNotAllowed), protect_agent():
        gpt.files.list()
    assert len(double.requests) == 0


def test_completion_needs_no_key_and_knows_the_runtimes_upstreams(runtime, double, monkeypatch):
    runtime(upstreams={"gpu": {"base_url": double.openai_url, "api_key": "a-key"}})
    monkeypatch.delenv("OPENAI_API_KEY")

    for model in ("openai/gpt-4o-mini", "gpu/gpt-4o-mini"):
        with protect_agent() as run:
            assert EMAIL in completion(model, ASK["messages"], max_tokens=50).choices[0].message.content
        assert run.summary().calls == 1


def test_a_model_that_does_not_come_by_the_wire_is_refused(runtime):
    fake = pytest.importorskip("langchain_core.language_models").FakeListChatModel(responses=["secret"])
    from iron_adapters.langchain import IronChatModel

    runtime()
    with pytest.raises(GovernanceFailed, match="IRON_RUNTIME_URL"):
        IronChatModel.wrap(fake).invoke("hello")


# -- a policy that the code names itself ---------------------------------------------------------------------------


def test_a_policy_that_the_code_names_is_carried_out_here_and_the_runtimes_on_top(runtime, gpt, double):
    router = runtime(policy={"access": {"models": {"deny": ["gpt-4o"]}}})
    here = {"access": {"models": {"deny": ["o1"]}}}

    for model in ("gpt-4o", "o1"):
        with pytest.raises(ModelNotAllowed), protect_agent(policy=here, budget_usd=1) as run:
            say(gpt, model=model)
        assert run.account.spent_nanodollars == run.account.held_nanodollars == 0
    with protect_agent(policy=here, budget_usd=1) as run:
        assert EMAIL in say(gpt)
    assert (run.summary().calls, run.summary().findings) == (1, {"EMAIL": 1})
    assert router.total_spent() == float(run.summary().cost_usd) > 0
    assert EMAIL.encode() not in double.requests.last.body


def test_settings_are_carried_out_here(runtime, gpt, double):
    runtime()
    protect_agent(safety=SafetyConfig(max_tokens_per_request=7))(say)(gpt)

    assert double.requests.last.json["max_tokens"] == 7


def test_a_governed_client_with_its_own_policy_is_refused_by_either(runtime, gpt, double):
    runtime(policy={"access": {"models": {"deny": ["gpt-4o"]}}})
    govern(gpt, {"access": {"models": {"deny": ["o1"]}}})

    for model in ("gpt-4o", "o1"):
        with pytest.raises(ModelNotAllowed) as refused:
            say(gpt, model=model)
        assert isinstance(refused.value, openai.PermissionDeniedError)
    assert len(double.requests) == 0


# -- runs ----------------------------------------------------------------------------------------------------------


def test_a_runs_budget_is_kept_by_the_runtime_and_a_new_run_has_its_own(runtime, gpt):
    runtime()
    agent = protect_agent(budget_usd=0.00006)(lambda: [say(gpt, "Hello") for _ in range(9)])

    for _ in range(2):
        with pytest.raises(BudgetExceeded) as refused:
            agent()
        assert refused.value.scope == "run"
        assert 0 < refused.value.spent_usd <= refused.value.limit_usd == 0.00006


def test_the_end_of_a_run_frees_its_values_and_its_sums_can_still_be_asked(runtime, gpt, double):
    runtime()
    with protect_agent() as run:
        say(gpt)
        token = double.requests.last.json["messages"][0]["content"]
        assert say(gpt, f"{token}?") == f"You said: {EMAIL}?"
    assert run.summary().calls == 2

    from iron_policy.scope import entered

    with entered(run):  # a task that outlives its run
        assert say(gpt, f"{token}?") == f"You said: {token}?"
    assert run.summary().calls == 3


def test_one_run_cannot_read_the_values_of_another(runtime, gpt, double):
    runtime()
    with protect_agent():
        say(gpt)
        token = double.requests.last.json["messages"][0]["content"]
        with protect_agent():
            assert EMAIL in say(gpt, f"{token}?")  # a part of the run shares them
    with protect_agent():
        assert say(gpt, f"{token}?") == f"You said: {token}?"


def test_a_summary_that_cannot_be_had_says_so(runtime, gpt, caplog):
    router = runtime()
    with protect_agent(budget_usd=1) as run:
        say(gpt)
        router.stop()
        with caplog.at_level(logging.WARNING):
            summary = run.summary()

    assert "could not be asked" in summary.note
    assert summary.calls == 0


def test_names_reach_the_runtimes_limits(runtime, gpt):
    runtime(policy={"limits": [{"scope": "agent", "requests": 1, "window": "minute"}]})
    ask = protect_agent(agent="one")(say)
    ask(gpt)

    with pytest.raises(PolicyDenied, match="agent"):
        ask(gpt)
    protect_agent(agent="two")(say)(gpt)


@pytest.mark.parametrize(
    "header",
    [
        "%%%",
        base64.urlsafe_b64encode(b"{}").decode(),
        base64.urlsafe_b64encode(b"[]").decode(),
        base64.urlsafe_b64encode(json.dumps([{"id": "short"}]).encode()).decode(),
        base64.urlsafe_b64encode(json.dumps([{"id": "a" * 32, "budget_nanodollars": -1}]).encode()).decode(),
        base64.urlsafe_b64encode(json.dumps([{"id": "a" * 32, "agent": "a\nb"}]).encode()).decode(),
        base64.urlsafe_b64encode(json.dumps([{"id": "a" * 32, "more": 1}]).encode()).decode(),
        base64.urlsafe_b64encode(json.dumps([{"id": "a" * 32, "counts_loops": 1}]).encode()).decode(),
    ],
)
def test_a_header_that_cannot_be_read_is_refused_by_its_name(header, router, double):
    with (
        openai.OpenAI(base_url=router.base_url, api_key=router.api_key, max_retries=0) as client,
        pytest.raises(openai.BadRequestError, match="x-iron-run"),
    ):
        client.chat.completions.create(**ASK, extra_headers={"x-iron-run": header})
    assert len(double.requests) == 0


def test_a_runs_name_holds_any_script():
    from iron_adapters.run_header import written
    from iron_policy import PolicyEngine

    scope = PolicyEngine(sinks=[]).scope(budget_usd="0.000000001", agent="анализ-日本", path="team/é")
    (part,) = read(written(scope))

    assert (part.agent, part.path, part.budget_nanodollars) == ("анализ-日本", "team/é", 1)
    gc.collect()
