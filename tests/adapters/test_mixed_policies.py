"""Several seams on one call: the same policy acts once, different ones are all kept, and no redirect gets round any."""

from __future__ import annotations

import gc
import pickle

import openai
import pytest

from iron_adapters import govern, install, protect_agent, uninstall
from iron_adapters.marks import Mark, mark
from iron_policy import BudgetExceeded, ContentBlocked, Policy, PolicyEngine, UpstreamError
from iron_policy.audit import MemorySink

EMAIL = "alice@example.com"
LOOSE = {"safety": {"input": {"pii": "allow"}, "output": {"pii": "allow"}}}
STRICT = {"safety": {"input": {"pii": "redact"}}, "budgets": [{"scope": "global", "limit_usd": "0.0003"}]}


def engine(document, sinks=()):
    return PolicyEngine(Policy.model_validate(document), sinks=list(sinks))


@pytest.fixture
def gpt(double):
    with openai.OpenAI(base_url=double.openai_url, api_key="test", max_retries=0) as client:
        yield client
    uninstall()


def say(client, text=EMAIL):
    return client.chat.completions.create(
        model="gpt-4o-mini", max_tokens=50, messages=[{"role": "user", "content": text}]
    )


def protected(client, strict, loose):
    govern(client, strict)
    with protect_agent(policy=loose):
        say(client)


def installed(client, strict, loose):
    govern(client, strict)
    install(loose)
    say(client)


def installed_strict(client, strict, loose):
    install(strict)
    with protect_agent(policy=loose):
        say(client)


def marked(client, strict, loose):
    govern(client, strict)
    install(loose)
    token = mark.set(Mark(loose, loose.implicit_scope))
    try:
        say(client)
    finally:
        mark.reset(token)


@pytest.mark.parametrize("stack", [protected, installed, installed_strict, marked])
def test_a_looser_policy_further_out_switches_no_stricter_one_off(gpt, double, stack):
    strict, loose = engine(STRICT), engine(LOOSE)

    for _ in range(3):
        stack(gpt, strict, loose)

    assert EMAIL.encode() not in double.requests.last.body
    assert len(double.requests) == 3
    (account,) = strict.accounts()
    assert account.spent_nanodollars > 0
    strict.accounts()[0].set_limit(0)
    with pytest.raises(BudgetExceeded):
        stack(gpt, strict, loose)


def test_a_run_without_a_policy_of_its_own_only_adds_its_budget_to_a_client_that_has_one(gpt, double):
    blocking = engine({"safety": {"input": {"pii": "block"}}})
    govern(gpt, blocking)

    with protect_agent(budget_usd=1) as run:
        with pytest.raises(ContentBlocked):
            say(gpt)
        say(gpt, "Hello")
    assert run.summary().calls == 1
    with protect_agent(budget_usd=0.000001), pytest.raises(BudgetExceeded):
        say(gpt, "Hello")


def test_a_run_is_charged_once_by_two_policies(gpt):
    inner, outer = engine({}), engine({"budgets": [{"scope": "global", "limit_usd": 1}]})
    govern(gpt, inner)

    with protect_agent(policy=outer, budget_usd=1) as run:
        say(gpt, "Hello")

    (account,) = outer.accounts()
    assert run.summary().calls == 1
    assert run.account.spent_nanodollars == account.spent_nanodollars > 0


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_does_not_carry_the_original_text_away(double, status):
    import httpx2

    reached = []

    def provider(request):
        reached.append(request)
        return httpx2.Response(status, headers={"location": "https://elsewhere.example/collect"})

    with (
        install(),
        httpx2.Client(transport=httpx2.MockTransport(provider), follow_redirects=True) as client,
        pytest.raises(UpstreamError),
    ):
        client.post(
            "https://api.openai.com/v1/chat/completions",
            json={"model": "gpt-4o", "messages": [{"role": "user", "content": EMAIL}]},
        )
    assert len(reached) == 1
    assert EMAIL.encode() not in reached[0].content


def test_a_stream_that_is_dropped_unread_is_charged_and_recorded(gpt):
    record = MemorySink(10)
    governing = engine({"budgets": [{"scope": "global", "limit_usd": 1}]}, [record])
    govern(gpt, governing)
    stream = gpt.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "x"}], stream=True
    )
    stream.response.close()
    del stream
    gc.collect()
    say(gpt, "Hello")

    assert [event.type for event in record.events].count("call.admitted") == 2
    assert sum(event.type in ("call.settled", "call.failed") for event in record.events) == 2
    assert governing.accounts()[0].held_nanodollars == 0


def test_a_refusal_survives_pickling(gpt):
    govern(gpt, {"budgets": [{"scope": "run", "limit_usd": 0}]})
    with pytest.raises(BudgetExceeded) as error:
        say(gpt)

    copied = pickle.loads(pickle.dumps(error.value))
    assert type(copied) is BudgetExceeded
    assert (str(copied), copied.limit_usd) == (str(error.value), 0)


@pytest.mark.parametrize("policy", [0, False, [], b"x", ""])
def test_what_is_no_policy_is_said_to_be_none(gpt, policy):
    from iron_policy import PolicyError

    with pytest.raises(PolicyError, match="policy"):
        govern(gpt, policy)
