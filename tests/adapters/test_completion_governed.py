"""``completion`` under policies: what is refused, rewritten, charged and settled, over real sockets."""

from __future__ import annotations

import asyncio
import gc

import pytest

pytest.importorskip("pyreqwest", reason="needs the extra iron-adapters[completion]")

from iron_adapters import acompletion, completion, install, protect_agent, uninstall
from iron_adapters.marks import Mark, claimed, mark
from iron_adapters.testing import cut_off, dropped, rate_limited, server_error, stalled
from iron_policy import (
    BudgetExceeded,
    CircuitOpen,
    ContentBlocked,
    LoopDetected,
    ModelNotAllowed,
    ParameterNotAllowed,
    Policy,
    PolicyEngine,
    PolicyError,
    ToolNotAllowed,
    UnknownPrice,
    UpstreamError,
)
from iron_policy.cost import price_of
from iron_policy.messages import Usage

EMAIL = "alice@example.com"
HELLO = [{"role": "user", "content": "Hello"}]
MAIL = [{"role": "user", "content": f"Write to {EMAIL}"}]
BUDGET = {"budgets": [{"scope": "global", "limit_usd": 1}]}


@pytest.fixture(params=["openai", "anthropic"])
def where(request, double):
    if request.param == "openai":
        return {"model": "openai/gpt-4o-mini", "base_url": double.openai_url, "max_tokens": 200}
    return {"model": "anthropic/claude-haiku-4-5", "base_url": double.anthropic_url, "max_tokens": 200}


@pytest.fixture
def gpt(double):
    return {"model": "openai/gpt-4o-mini", "base_url": double.openai_url, "max_tokens": 200}


@pytest.fixture(params=["whole", "streamed", "async", "async streamed"])
def ask(request):
    """Say what comes of a call, in each of its four ways."""
    stream = "streamed" in request.param

    async def run(*args, **kwargs):
        reply = await acompletion(*args, stream=stream, **kwargs)
        return text([chunk async for chunk in reply] if stream else reply)

    def call(*args, **kwargs):
        if "async" in request.param:
            return asyncio.run(run(*args, **kwargs))
        reply = completion(*args, stream=stream, **kwargs)
        return text(list(reply) if stream else reply)

    return call


def text(reply):
    if isinstance(reply, list):
        return "".join(chunk.choices[0].delta.content or "" for chunk in reply if chunk.choices)
    return reply.choices[0].message.content


def engine(**document):
    return PolicyEngine(Policy.model_validate(document), sinks=[])


def billed_nanodollars(double):
    return sum(price_of(model).cost(usage) for model, usage in double.bill.by_model.items())


def spent(governing):
    (account,) = governing.accounts()
    assert account.held_nanodollars == 0
    return account.spent_nanodollars


@pytest.mark.parametrize(
    ("document", "denied"),
    [
        ({"access": {"models": {"allow": ["o3"]}}}, ModelNotAllowed),
        ({"access": {"parameters": {"max_tokens": 10}}, "mode": "enforce"}, None),
        ({"access": {"parameters": {"deny": ["temperature"]}}}, ParameterNotAllowed),
        ({"access": {"tools": {"deny": ["weather"]}}}, ToolNotAllowed),
        ({"safety": {"input": {"pii": "block"}}}, ContentBlocked),
        ({"budgets": [{"scope": "run", "limit_usd": 0}]}, BudgetExceeded),
    ],
)
def test_a_refusal_is_raised_as_it_is_and_nothing_is_sent(ask, where, double, document, denied):
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    arguments = {"messages": MAIL, "tools": [tool], "tool_choice": "none", "temperature": 0.5, **where}
    if denied is None:
        ask(policy=document, **arguments)
        assert double.requests.last.json["max_tokens"] == 10
        return

    with pytest.raises(denied) as error:
        ask(policy=document, **arguments)

    assert type(error.value) is denied
    assert EMAIL not in str(error.value) + repr(error.value)
    assert len(double.requests) == 0


def test_stand_ins_go_out_and_real_values_come_back(ask, where, double):
    assert EMAIL in ask(messages=MAIL, **where)
    assert EMAIL not in double.requests.last.text
    assert "<EMAIL_" in double.requests.last.text


def test_what_a_model_says_is_redacted(ask, where, double):
    double.reply(f"Ask {EMAIL} about it")

    said = ask(messages=HELLO, policy={"safety": {"output": {"pii": "redact"}}}, **where)

    assert said == "Ask [REDACTED_EMAIL] about it"


def test_the_ledger_equals_the_providers_bill_to_the_nanodollar(ask, where, double):
    governing = engine(**BUDGET)

    for number in range(3):
        ask(messages=[{"role": "user", "content": f"Tell me {number} things"}], policy=governing, **where)

    assert spent(governing) == billed_nanodollars(double) > 0


def test_a_run_is_drawn_on(where, double):
    with protect_agent(budget_usd=1.0) as run:
        completion(messages=MAIL, **where)
        list(completion(messages=MAIL, stream=True, **where))
        asyncio.run(acompletion(messages=MAIL, **where))

    assert run.summary().calls == 3
    assert int(run.summary().cost_usd * 10**9) == billed_nanodollars(double) > 0
    assert run.summary().findings == {"EMAIL": 3}


def test_a_runs_budget_refuses_and_its_loops_end(gpt, double):
    with protect_agent(budget_usd=0.00001), pytest.raises(BudgetExceeded):
        completion(messages=HELLO, **gpt)
    assert len(double.requests) == 0

    with protect_agent(policy={"loops": {"model_calls": 2}}):
        completion(messages=HELLO, **gpt)
        completion(messages=HELLO, **gpt)
        with pytest.raises(LoopDetected):
            completion(messages=HELLO, **gpt)


def test_outside_a_run_the_calls_of_one_engine_share_its_budget(gpt):
    governing = engine(budgets=[{"scope": "run", "limit_usd": "0.0002"}])

    def ask_often():
        for _ in range(100):
            completion(messages=HELLO, policy=governing, **gpt)

    with pytest.raises(BudgetExceeded):
        ask_often()
    assert governing.implicit_scope.summary().calls > 0


@pytest.mark.parametrize("stream", [False, True])
def test_two_policies_on_one_call_are_both_kept_and_one_run_is_charged_once(where, double, stream):
    outer = engine(safety={"output": {"pii": "redact"}}, **BUDGET)
    inner = engine(safety={"input": {"pii": "mask"}}, **BUDGET)
    double.reply(f"Ask {EMAIL}")

    with protect_agent(policy=outer) as run:
        reply = completion(messages=HELLO, policy=inner, stream=stream, **where)
        said = text(list(reply) if stream else reply)

    assert said == "Ask [REDACTED_EMAIL]"
    assert run.summary().calls == 1
    assert int(run.summary().cost_usd * 10**9) == billed_nanodollars(double)
    with protect_agent(policy={"access": {"models": {"allow": []}}}), pytest.raises(ModelNotAllowed):
        completion(messages=HELLO, policy=inner, **where)
    with protect_agent(policy=outer), pytest.raises(ModelNotAllowed):
        completion(messages=HELLO, policy={"access": {"models": {"allow": []}}}, **where)
    assert len(double.requests) == 1
    assert [account.held_nanodollars for account in outer.accounts()] == [0]


def test_an_outer_policy_is_not_charged_for_what_an_inner_one_refuses(gpt, double):
    outer = engine(**BUDGET, reliability={"breaker": {"failures": 1}})

    with protect_agent(policy=outer):
        with pytest.raises(ModelNotAllowed):
            completion(messages=HELLO, policy={"access": {"models": {"allow": []}}}, **gpt)
        assert completion(messages=HELLO, **gpt).choices
    assert spent(outer) == billed_nanodollars(double)


@pytest.mark.filterwarnings("ignore:calls through:UserWarning")
def test_an_installed_policy_governs_and_charges_once(ask, where, double):
    governing = engine(**BUDGET)
    install(governing)
    try:
        assert EMAIL in ask(messages=MAIL, **where)
        with protect_agent():
            ask(messages=MAIL, **where)
        assert EMAIL not in double.requests.last.text
        with pytest.raises(ModelNotAllowed):
            ask(messages=MAIL, policy={"access": {"models": {"allow": []}}}, **where)
        assert len(double.requests) == 2
    finally:
        uninstall()

    assert spent(governing) == billed_nanodollars(double) > 0


def test_a_seam_further_out_acts_instead(gpt, double):
    governing = engine(**BUDGET)

    with claimed(governing, governing.implicit_scope):
        completion(messages=MAIL, **gpt)
        completion(messages=MAIL, policy=governing, **gpt)

    assert EMAIL in double.requests.last.text
    assert spent(governing) == 0


class StopTheAgent(ContentBlocked):
    """A refusal as some framework wants it."""


def test_a_call_that_a_hook_has_marked_is_governed_for_it_and_in_its_terms(gpt, double):
    governing = engine(safety={"input": {"pii": "block"}}, **BUDGET)
    marked = Mark(governing, governing.implicit_scope, own_terms=lambda error: StopTheAgent(str(error)))
    token = mark.set(marked)
    try:
        with pytest.raises(StopTheAgent):
            completion(messages=MAIL, **gpt)
        completion(messages=HELLO, **gpt)
    finally:
        mark.reset(token)

    assert marked.requests_seen > 0
    assert len(double.requests) == 1
    assert spent(governing) == billed_nanodollars(double)


@pytest.mark.parametrize("fault", [rate_limited(), server_error(), 401])
def test_a_providers_error_costs_nothing(ask, where, double, fault):
    governing = engine(**BUDGET)
    double.fail_next(fault)

    with pytest.raises(UpstreamError):
        ask(messages=HELLO, policy=governing, **where)

    assert spent(governing) == 0


def test_a_connection_that_is_refused_costs_nothing(ask, unused_tcp_port):
    governing = engine(**BUDGET)

    with pytest.raises(UpstreamError):
        ask("openai/gpt-4o-mini", HELLO, base_url=f"http://127.0.0.1:{unused_tcp_port}", policy=governing)

    assert spent(governing) == 0


def test_a_connection_that_drops_after_sending_keeps_its_hold_as_the_charge(ask, where, double):
    governing = engine(**BUDGET)
    double.fail_next(dropped())

    with pytest.raises(UpstreamError):
        ask(messages=HELLO, policy=governing, **where)

    assert spent(governing) > 0


def test_a_call_that_takes_too_long_keeps_its_hold_as_the_charge(gpt, double):
    governing = engine(**BUDGET)
    double.pace(first_token_seconds=5)

    with pytest.raises(UpstreamError):
        completion(messages=HELLO, policy=governing, timeout=1, **gpt)

    assert spent(governing) > 0


@pytest.mark.parametrize("way", ["closed", "left", "broken", "cancelled"])
def test_a_stream_that_ends_early_is_charged_for_what_came(where, double, way):
    governing = engine(**BUDGET)
    double.reply("one two three four five six seven eight nine ten " * 5)
    if way == "broken":
        double.fail_next(cut_off(8))
        with pytest.raises(UpstreamError):
            list(completion(messages=HELLO, policy=governing, stream=True, **where))
    elif way == "closed":
        stream = completion(messages=HELLO, policy=governing, stream=True, **where)
        next(stream)
        stream.close()
    elif way == "left":
        asyncio.run(leave(governing, where))
    else:
        double.fail_next(stalled(8))
        asyncio.run(cancel(governing, where))

    whole_hold = price_of(where["model"].partition("/")[2]).cost(Usage(output_tokens=200))
    assert 0 < spent(governing) < whole_hold


async def leave(governing, where):
    async with await acompletion(messages=HELLO, policy=governing, stream=True, **where) as stream:
        await anext(stream)


async def cancel(governing, where):
    stream = await acompletion(messages=HELLO, policy=governing, stream=True, **where)

    async def read():
        return [chunk async for chunk in stream]

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(read(), 0.5)


def test_a_refused_reply_is_paid_for(ask, where, double):
    governing = engine(safety={"output": {"pii": "block"}}, **BUDGET)
    double.reply(f"Ask {EMAIL}")

    with pytest.raises(ContentBlocked):
        ask(messages=HELLO, policy=governing, **where)

    assert len(double.requests) == 1
    assert spent(governing) > 0


def test_a_denied_tool_call_never_reaches_the_caller(ask, where, double):
    double.reply(tools=(("shell_rm", {"path": "/"}),))

    with pytest.raises(ToolNotAllowed):
        ask(messages=HELLO, policy={"access": {"tools": {"deny": ["shell_*"]}}}, **where)


def test_a_call_that_does_not_fit_is_made_with_the_policys_cheaper_model(gpt, double):
    document = {
        "budgets": [{"scope": "run", "limit_usd": "0.001"}],
        "spending": {"when_short": ["model:gpt-4o-mini", "deny"]},
    }

    reply = completion(messages=HELLO, policy=document, **{**gpt, "model": "openai/gpt-4o"})

    assert double.requests.last.json["model"] == "gpt-4o-mini"
    assert reply.model.startswith("gpt-4o-mini")


def test_a_server_that_the_policy_names_has_its_own_name_and_no_prices(gpt, double):
    upstreams = {"mine": {"base_url": double.openai_url}}
    asked = {**gpt, "model": "mine/llama", "messages": HELLO}

    with pytest.raises(UnknownPrice):
        completion(policy={"upstreams": upstreams, **BUDGET}, **asked)


def test_a_breaker_opens_on_the_providers_failures_only(gpt, double):
    governing = engine(reliability={"breaker": {"failures": 2}})
    double.fail_next(500, times=2)

    for _ in range(2):
        with pytest.raises(UpstreamError):
            completion(messages=HELLO, policy=governing, **gpt)
    with pytest.raises(CircuitOpen):
        completion(messages=HELLO, policy=governing, **gpt)


def test_monitor_changes_nothing(ask, where, double):
    document = {"mode": "monitor", "access": {"models": {"allow": []}}, "safety": {"input": {"pii": "block"}}}

    assert EMAIL in ask(messages=MAIL, policy=document, **where)
    assert EMAIL in double.requests.last.text


def test_a_policy_that_is_wrong_sends_nothing(ask, gpt, double):
    with pytest.raises(PolicyError):
        ask(messages=HELLO, policy={"mood": "strict"}, **gpt)
    assert len(double.requests) == 0


def test_a_stream_that_grows_past_what_was_held_is_cut_with_a_proper_end(where, double):
    governing = engine(**BUDGET)
    double.answer_with(lambda asked: "word " * 400)
    admit = governing.admit

    def admit_shortly(request, **kwargs):
        """The provider takes no notice of ``max_tokens``: it is never told."""
        call = admit(request, **kwargs)
        call.request = call.request._replace(max_tokens=20)
        return call

    governing.admit = admit_shortly
    chunks = list(completion(messages=HELLO, policy=governing, stream=True, **{**where, "max_tokens": 1000}))

    assert chunks[-1].choices[0].finish_reason == "length"
    assert len(chunks) < 60
    assert spent(governing) > 0


def test_a_stream_that_is_dropped_without_a_word_is_charged_what_was_held(where, double):
    governing = engine(**BUDGET)
    next(completion(messages=HELLO, policy=governing, stream=True, **where))
    gc.collect()

    whole_hold = price_of(where["model"].partition("/")[2]).cost(Usage(output_tokens=200))
    completion(messages=HELLO, policy=governing, **where)  # whoever was abandoned is charged by the next call

    assert spent(governing) > whole_hold
