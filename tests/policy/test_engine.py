"""The engine: one way for every call, from judgement to settlement."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from iron_policy import (
    BudgetExceeded,
    CircuitOpen,
    ContentBlocked,
    GovernanceFailed,
    LoopDetected,
    ModelNotAllowed,
    ParameterNotAllowed,
    Policy,
    PolicyEngine,
    PolicyError,
    RateLimited,
    ToolNotAllowed,
    UnknownPrice,
    current_scope,
)
from iron_policy.audit import MemorySink
from iron_policy.cost import to_nanodollars
from iron_policy.messages import Channel, ModelRequest, ModelResponse, Text, ToolCall, Usage

EMAIL = "alice@example.com"


def engine(sinks=None, clock=None, **document):
    extra = {"clock": clock} if clock else {}
    return PolicyEngine(Policy.model_validate(document), sinks=sinks or [], token_key=b"k" * 32, **extra)


def asking(text="hello", **fields):
    given = {"provider_name": "openai", "model": "gpt-4o-mini", "max_tokens": 100, "input_tokens_bound": 100}
    return ModelRequest(texts=(Text(text, "user", "messages[0].content"),), **{**given, **fields})


def answering(text="fine", **fields):
    return ModelResponse(texts=(Text(text, "assistant", "choices[0].message.content"),), **fields)


def test_a_token_goes_out_and_the_value_comes_back():
    call = engine().admit(asking(f"write to {EMAIL}"))

    (sent,) = call.texts
    assert EMAIL not in sent
    token = sent.removeprefix("write to ")
    assert call.review(answering(f"I wrote to {token}.")) == (f"I wrote to {EMAIL}.",)


def test_the_same_value_is_the_same_token_wherever_the_key_is_shared():
    assert engine().admit(asking(EMAIL)).texts == engine().admit(asking(EMAIL)).texts


def test_a_token_of_another_run_never_resolves():
    governing = engine()
    with governing.run():
        (token,) = governing.admit(asking(EMAIL)).texts
    with governing.run():
        call = governing.admit(asking("hello"))
        assert call.review(answering(token)) is None


def test_an_unremarkable_request_stays_as_it_is():
    call = engine().admit(asking("hello"))

    assert (call.texts, call.max_tokens, call.model) == (None, None, None)


@pytest.mark.parametrize(
    ("document", "request_fields", "denied"),
    [
        ({"access": {"models": {"allow": ["claude-*"]}}}, {}, ModelNotAllowed),
        ({"access": {"models": {"deny": ["*-mini"]}}}, {}, ModelNotAllowed),
        ({"access": {"tools": {"deny": ["shell_*"]}}}, {"tool_names": ("shell_rm",)}, ToolNotAllowed),
        (
            {"access": {"parameters": {"deny": ["logit_bias"]}}},
            {"parameter_names": ("logit_bias",)},
            ParameterNotAllowed,
        ),
        ({"access": {"parameters": {"choice_count": 1}}}, {"choice_count": 2}, ParameterNotAllowed),
        ({"safety": {"kinds": {"EMAIL": "block"}}}, {"text": EMAIL}, ContentBlocked),
        ({"budgets": [{"scope": "global", "limit_usd": 0}]}, {}, BudgetExceeded),
        ({"budgets": [{"scope": "global", "limit_usd": 1}]}, {"model": "nobody-knows-it"}, UnknownPrice),
    ],
)
def test_a_refusal_is_raised_and_recorded_and_holds_nothing(document, request_fields, denied):
    record = MemorySink(10)
    governing = engine([record], **document)

    with pytest.raises(denied) as error:
        governing.admit(asking(**request_fields))

    assert [event.type for event in record.events] == ["call.refused"]
    assert record.events[0].attributes["error.type"] == denied.code
    assert error.value.call_id == record.events[0].call_id
    assert all(account.held_nanodollars == 0 for account in governing.accounts())


def test_monitor_mode_records_every_refusal_and_changes_nothing():
    record = MemorySink(10)
    governing = engine(
        [record],
        mode="monitor",
        access={"models": {"allow": ["claude-*"]}, "parameters": {"max_tokens": 5}},
        safety={"kinds": {"EMAIL": "block"}},
    )

    call = governing.admit(asking(EMAIL))

    assert (call.texts, call.max_tokens) == (None, None)
    assert call.review(answering(f"sk-ant-api03-{'a1B2' * 24}-AA")) is None
    assert [event.type for event in record.events] == ["call.refused", "call.refused", "call.admitted"]
    assert all(event.attributes["iron.mode"] == "monitor" for event in record.events)


def test_max_tokens_is_capped_and_never_raised():
    governing = engine(access={"parameters": {"max_tokens": 50}})

    assert governing.admit(asking(max_tokens=100)).max_tokens == 50
    assert governing.admit(asking(max_tokens=None)).max_tokens == 50
    assert governing.admit(asking(max_tokens=10)).max_tokens is None


def test_a_call_is_charged_once_however_often_it_ends():
    governing = engine(budgets=[{"scope": "global", "limit_usd": 1}])
    call = governing.admit(asking())
    (account,) = governing.accounts()
    assert account.held_nanodollars > 0

    call.settle(Usage(uncached_input_tokens=1000, output_tokens=1000), model="gpt-4o-mini-2024-07-18")
    call.settle(Usage(uncached_input_tokens=1000, output_tokens=1000))
    call.fail("Timeout", sent=True)

    assert account.held_nanodollars == 0
    assert account.spent_nanodollars == 1000 * 150 + 1000 * 600


def test_a_failed_call_that_was_never_sent_costs_nothing_and_one_that_was_keeps_its_hold():
    governing = engine(budgets=[{"scope": "global", "limit_usd": 1}])
    (account,) = governing.accounts()

    governing.admit(asking()).fail("ConnectError", sent=False)
    assert (account.spent_nanodollars, account.held_nanodollars) == (0, 0)

    call = governing.admit(asking())
    held = account.held_nanodollars
    call.fail("ReadTimeout", sent=True)
    assert (account.spent_nanodollars, account.held_nanodollars) == (held, 0)


def test_a_call_that_does_not_fit_is_clamped_to_what_does():
    governing = engine(budgets=[{"scope": "global", "limit_usd": "0.001"}])

    call = governing.admit(asking(max_tokens=None))

    (account,) = governing.accounts()
    assert call.max_tokens is not None
    assert 0 < account.held_nanodollars <= account.limit_nanodollars


def test_without_the_clamp_it_is_refused_with_what_is_spent_held_and_allowed():
    governing = engine(budgets=[{"scope": "global", "limit_usd": "0.001"}], spending={"when_short": ["deny"]})

    with pytest.raises(BudgetExceeded) as error:
        governing.admit(asking(max_tokens=None))

    assert (error.value.spent_usd, error.value.held_usd, error.value.limit_usd) == (0, 0, 0.001)
    assert error.value.scope == "global"


def test_a_cheaper_model_is_tried_before_a_refusal():
    governing = engine(
        budgets=[{"scope": "global", "limit_usd": "0.002"}],
        spending={"when_short": ["model:gpt-4o-mini", "deny"]},
    )

    assert governing.admit(asking(model="gpt-4o", max_tokens=1000)).model == "gpt-4o-mini"


def test_a_cheaper_model_that_is_not_allowed_is_no_way_round_the_policy():
    governing = engine(
        access={"models": {"allow": ["gpt-4o"]}},
        budgets=[{"scope": "global", "limit_usd": "0.001"}],
        spending={"when_short": ["model:gpt-4o-mini", "deny"]},
    )

    with pytest.raises(BudgetExceeded):
        governing.admit(asking(model="gpt-4o", max_tokens=1000))


def test_a_child_run_draws_on_its_parent():
    governing = engine()
    with governing.run(budget_usd="0.00097") as parent:
        with governing.run(budget_usd=100, agent="child"):
            governing.admit(asking()).settle(Usage(output_tokens=1_600))
        assert float(parent.summary().cost_usd) == pytest.approx(0.00096)
        with pytest.raises(BudgetExceeded):
            governing.admit(asking(max_tokens=1000))


def test_budgets_apply_to_the_scopes_they_name():
    governing = engine(
        budgets=[
            {"scope": "agent", "limit_usd": 1},
            {"scope": "team/research", "limit_usd": 2},
            {"scope": "run", "limit_usd": 3},
        ]
    )

    def scopes():
        return [account.scope for account in governing.accounts()]

    with governing.run(agent="a", path="team/research/alpha"):
        first = governing.accounts()
        assert scopes() == ["agent", "team/research", "run"]
    with governing.run(agent="a", path="team/researchers"):
        assert scopes() == ["agent", "run"]
        assert governing.accounts()[0] is first[0]
        assert governing.accounts()[1] is not first[2]


def test_the_scope_follows_into_tasks_and_ends_with_its_block():
    governing = engine()

    async def child():
        await asyncio.sleep(0)
        return current_scope()

    async def parent():
        with governing.run() as scope:
            assert (
                await asyncio.gather(child(), asyncio.create_task(child()), asyncio.to_thread(current_scope))
                == [scope] * 3
            )
        return current_scope()

    assert asyncio.run(parent()) is None


def test_a_run_that_calls_on_and_on_is_stopped_and_a_bare_client_is_not():
    governing = engine(loops={"model_calls": 3})

    with governing.run():
        for _ in range(3):
            governing.admit(asking()).fail("x", sent=False)
        with pytest.raises(LoopDetected, match="4 model calls"):
            governing.admit(asking())
    for _ in range(5):
        governing.admit(asking()).fail("x", sent=False)


def test_an_sdk_that_retries_does_not_use_up_the_runs_calls():
    governing = engine(loops={"model_calls": 1})

    with governing.run():
        governing.admit(asking()).fail("500", sent=False)
        retry = governing.admit(asking(retry_count=1))
        assert retry.admitted
        retry.fail("500", sent=False)


def test_the_same_tool_call_again_and_again_is_stopped():
    governing = engine(loops={"identical_tool_calls": 2})
    tool_call = ToolCall("search", '{"q":"x"}', "1")

    with governing.run():
        call = governing.admit(asking())
        for _ in range(2):
            call.review(answering(tool_calls=(tool_call,)))
        call.review(answering(tool_calls=(ToolCall("search", '{"q":"y"}', "2"),)))
        with pytest.raises(LoopDetected, match="identical calls of tool 'search'"):
            call.review(answering(tool_calls=(tool_call,)))


def test_a_tool_that_is_denied_is_refused_when_the_model_asks_for_it_and_when_it_would_run():
    governing = engine(access={"tools": {"deny": ["shell_*"]}})
    call = governing.admit(asking())

    with pytest.raises(ToolNotAllowed):
        call.review(answering(tool_calls=(ToolCall("shell_rm", "{}"),)))
    with pytest.raises(ToolNotAllowed):
        governing.admit_tool(ToolCall("shell_rm", "{}"))


def test_only_the_tools_that_the_policy_names_see_real_values():
    governing = engine(safety={"reveal": {"tools": ["send_email"]}})
    call = governing.admit(asking(EMAIL))
    (token,) = call.texts
    arguments = f'{{"to":"{token}"}}'

    assert EMAIL in governing.admit_tool(ToolCall("send_email", arguments)).arguments
    assert EMAIL not in governing.admit_tool(ToolCall("log", arguments)).arguments
    seen = call.review(
        ModelResponse(
            texts=(Text(token, "assistant", "a", "send_email"), Text(token, "assistant", "b", "log"))
        )
    )
    assert seen == (EMAIL, token)


def test_a_token_split_over_pieces_comes_back_whole():
    call = engine().admit(asking(EMAIL))
    (token,) = call.texts
    channel = Channel("choices[0].delta.content")

    released = [call.push(channel, piece) for piece in ["Dear ", token[:4], token[4:9], token[9:], ", hello"]]

    assert "".join([*released, call.finish(channel)]) == f"Dear {EMAIL}, hello"


def test_a_stream_that_brings_more_than_was_held_for_is_due_to_be_cut():
    governing = engine(budgets=[{"scope": "global", "limit_usd": 1}])
    call = governing.admit(asking(max_tokens=20))
    channel = Channel("choices[0].delta.content")

    for _ in range(20):
        call.push(channel, "word")
    assert not call.cut_due
    call.push(channel, "word")
    assert call.cut_due


def test_a_detector_that_fails_refuses_unless_the_policy_lets_it(monkeypatch):
    class Broken:
        longest = 10

        def scan(self, text):
            raise RuntimeError(text)

    for on_error in ("deny", "allow"):
        governing = engine(safety={"on_error": on_error})
        monkeypatch.setattr(governing.content, "scanner", Broken())
        if on_error == "deny":
            with pytest.raises(GovernanceFailed) as error:
                governing.admit(asking("very private"))
            assert "very private" not in str(error.value)
        else:
            governing.admit(asking("very private"))


def test_rates_hold_in_any_window():
    now = [0.0]
    governing = engine(clock=lambda: now[0], limits=[{"scope": "agent", "requests": 2, "window": "minute"}])

    governing.admit(asking())
    now[0] = 30
    governing.admit(asking())
    with pytest.raises(RateLimited) as error:
        governing.admit(asking())
    assert error.value.retry_after_seconds == pytest.approx(30)
    now[0] = 60.5
    governing.admit(asking())


def test_a_token_rate_counts_what_was_used():
    now = [0.0]
    governing = engine(clock=lambda: now[0], limits=[{"scope": "global", "tokens": 1000, "window": "minute"}])

    governing.admit(asking()).settle(Usage(uncached_input_tokens=600, output_tokens=399))
    with pytest.raises(RateLimited):
        governing.admit(asking("x" * 100))


def test_a_provider_that_fails_is_left_alone_then_probed_once():
    now = [0.0]
    governing = engine(
        clock=lambda: now[0], reliability={"breaker": {"failures": 2, "cool_down_seconds": 10}}
    )

    for _ in range(2):
        governing.admit(asking()).fail("500", sent=False)
    with pytest.raises(CircuitOpen):
        governing.admit(asking())
    now[0] = 10
    probe = governing.admit(asking())
    with pytest.raises(CircuitOpen):
        governing.admit(asking())
    probe.settle(Usage())
    governing.admit(asking())


def test_the_record_holds_names_and_numbers_and_no_content():
    record = MemorySink(10)
    governing = engine([record], budgets=[{"scope": "run", "limit_usd": 1}])

    with governing.run(agent="billing", user="u1", path="team/x"):
        call = governing.admit(asking(f"secret plan for {EMAIL}"))
        call.settle(Usage(uncached_input_tokens=10, output_tokens=5), finish_reasons=("stop",))

    admitted, settled = record.events
    assert admitted.attributes["iron.findings"] == {"EMAIL": 1}
    assert admitted.attributes["iron.rewritten"] is True
    assert settled.attributes["gen_ai.usage.input_tokens"] == 10
    assert settled.attributes["iron.cost_basis"] == "reported"
    assert settled.attributes["iron.price_source"].startswith("genai-prices")
    assert settled.attributes["gen_ai.agent.name"] == "billing"
    assert "secret plan" not in repr(record.events)
    assert EMAIL not in repr(record.events)


def test_redacted_content_is_kept_only_when_asked_for():
    record = MemorySink(10)
    engine([record], audit={"content": "redacted"}, safety={"input": {"pii": "flag"}}).admit(
        asking(f"plan for {EMAIL}")
    )

    assert record.events[0].attributes["iron.input"] == ["plan for [REDACTED_EMAIL]"]


def test_an_alert_is_recorded_once_when_a_budget_reaches_it():
    record = MemorySink(20)
    governing = engine([record], budgets=[{"scope": "global", "limit_usd": "0.001", "alert_at": [0.5]}])

    for _ in range(3):
        governing.admit(asking(max_tokens=20)).settle(Usage(output_tokens=400))

    alerts = [event for event in record.events if event.type == "budget.alert"]
    assert [event.attributes["iron.fraction"] for event in alerts] == [0.5]


def test_a_conversation_that_grows_is_scanned_once_a_turn(monkeypatch):
    governing = engine()
    scanned = []
    scanner = governing.content.scanner.fresh
    monkeypatch.setattr(
        governing.content.scanner,
        "fresh",
        type("Spy", (), {"scan": lambda _, text: scanned.append(text) or scanner.scan(text)})(),
    )
    turns = [f"turn {number}" for number in range(30)]

    for length in range(1, 31):
        texts = tuple(Text(turn, "user", "x") for turn in turns[:length])
        governing.admit(ModelRequest(provider_name="openai", model="gpt-4o-mini", texts=texts)).fail(
            "x", sent=False
        )

    assert scanned == turns


def test_a_detector_that_fails_on_a_reply_is_decided_by_the_policy_as_well(monkeypatch):
    class Broken:
        longest = 10

        def scan(self, text):
            raise RuntimeError(text)

    for on_error in ("deny", "allow"):
        record = MemorySink(10)
        governing = engine([record], safety={"on_error": on_error}, audit={"content": "redacted"})
        call = governing.admit(asking("hello"))
        monkeypatch.setattr(governing.content, "scanner", Broken())
        if on_error == "deny":
            with pytest.raises(GovernanceFailed) as error:
                call.review(answering("very private"))
            assert "very private" not in str(error.value)
        else:
            assert call.review(answering("very private")) is None
            governing.admit(asking("other")).fail("x", sent=False)


def test_a_blocked_reply_is_recorded_with_its_place():
    record = MemorySink(10)
    call = engine([record], safety={"output": {"pii": "block"}}).admit(asking())

    with pytest.raises(ContentBlocked, match=r"choices\[0\]") as error:
        call.review(answering(EMAIL))

    assert record.events[-1].type == "call.refused"
    assert error.value.call_id == call.id


def test_saying_that_a_call_is_a_retry_does_not_make_it_one():
    governing = engine(loops={"model_calls": 2})

    with governing.run():
        for _ in range(2):
            governing.admit(asking(retry_count=1)).settle(Usage())
        with pytest.raises(LoopDetected):
            governing.admit(asking(retry_count=1))


def test_a_call_that_nobody_ends_is_charged_and_recorded_with_the_next():
    record = MemorySink(10)
    governing = engine([record], budgets=[{"scope": "global", "limit_usd": 1}])

    governing.admit(asking())
    gc.collect()
    governing.admit(asking()).fail("x", sent=False)

    (account,) = governing.accounts()
    assert account.held_nanodollars == 0
    assert account.spent_nanodollars > 0
    assert [event.attributes.get("error.type") for event in record.events if event.type == "call.failed"] == [
        "abandoned",
        "x",
    ]


def test_a_policy_that_was_altered_without_being_read_again_is_read_when_it_is_carried_out():
    with pytest.raises(PolicyError):
        PolicyEngine(Policy().model_copy(update={"mode": "Enforce"}))


def test_a_thousand_threads_never_overdraw():
    governing = engine(budgets=[{"scope": "global", "limit_usd": "0.05"}])
    (account,) = governing.accounts()
    start, outcomes, over = threading.Barrier(100), [], []

    def work():
        start.wait()
        for _ in range(10):
            try:
                call = governing.admit(asking(max_tokens=400))
            except BudgetExceeded:
                outcomes.append("refused")
                continue
            if account.spent_nanodollars + account.held_nanodollars > account.limit_nanodollars:
                over.append(1)
            call.settle(Usage(uncached_input_tokens=100, output_tokens=400))
            outcomes.append("ok")

    threads = [threading.Thread(target=work) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not over
    assert len(outcomes) == 1000
    assert {"ok", "refused"} == set(outcomes)
    assert account.held_nanodollars == 0
    assert account.spent_nanodollars == outcomes.count("ok") * (100 * 150 + 400 * 600)


ROOMY = {"budgets": [{"scope": "global", "limit_usd": 100}]}


def held_for(**fields):
    return engine(**ROOMY).admit(asking(model="gpt-4o", **fields)).hold.nanodollars


def test_the_hold_covers_the_tier_that_the_provider_may_choose():
    standard, priority = held_for(service_tier="default"), held_for(service_tier="priority")

    assert priority > standard
    assert held_for() == held_for(service_tier="auto") == priority
    assert held_for(service_tier="fast") == priority
    assert engine(**ROOMY).admit(asking(model="o3", service_tier="flex")).hold.nanodollars == (
        engine(**ROOMY).admit(asking(model="o3", service_tier="default")).hold.nanodollars
    )


def test_nobody_but_openai_serves_a_dearer_tier_unasked():
    def held(**fields):
        claude = asking(provider_name="anthropic", model="claude-opus-4-8", **fields)
        return engine(**ROOMY).admit(claude).hold.nanodollars

    assert held() == held(service_tier="auto") == held(service_tier="standard_only")
    assert held(service_tier="fast") == 2 * held()


@pytest.mark.parametrize(
    ("asked", "served", "usd"),
    [
        (None, None, "0.01"),
        (None, "default", "0.01"),
        (None, "priority", "0.017"),
        ("priority", "default", "0.01"),
        ("priority", None, "0.017"),
    ],
)
def test_a_call_costs_what_its_tier_costs(asked, served, usd):
    governing = engine(**ROOMY)
    call = governing.admit(asking(model="gpt-4o", max_tokens=1000, service_tier=asked))
    call.settle(Usage(output_tokens=1000, service_tier=served), model="gpt-4o")

    assert governing.accounts()[0].spent_nanodollars == to_nanodollars(usd)


def test_a_tier_that_nobody_can_price_is_no_way_round_a_budget():
    with pytest.raises(UnknownPrice, match="ultrafast"):
        engine(**ROOMY).admit(asking(service_tier="ultrafast"))


def test_models_that_a_request_may_go_on_to_are_judged_like_its_own():
    governing = engine(access={"models": {"allow": ["gpt-4o-mini"]}})

    with pytest.raises(ModelNotAllowed, match="gpt-4o'"):
        governing.admit(asking(other_models=("gpt-4o-mini", "gpt-4o")))


def test_the_dearest_model_that_a_request_names_is_held():
    dearest = engine(**ROOMY).admit(asking(model="gpt-4o")).hold.nanodollars
    cheap = engine(**ROOMY).admit(asking(other_models=("gpt-4o",)))

    assert cheap.hold.nanodollars == dearest
    with pytest.raises(UnknownPrice, match="no-such-model"):
        engine(**ROOMY).admit(asking(other_models=("no-such-model",)))


def test_a_clamp_leaves_room_for_the_dearest_model():
    governing = engine(budgets=[{"scope": "global", "limit_usd": "0.01"}])
    call = governing.admit(asking(max_tokens=10_000, other_models=("gpt-4o",)))

    assert call.max_tokens is not None
    assert call.hold.nanodollars <= to_nanodollars("0.01")
