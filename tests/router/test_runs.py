"""The runs that a router keeps: how many, how long, and who draws on whom."""

from __future__ import annotations

import pytest

from iron_adapters.router.callers import Callers
from iron_adapters.router.problems import NotServed
from iron_adapters.router.runs import Runs, told
from iron_adapters.run_header import RUN_HEADER, RunPart, written
from iron_policy import Policy, PolicyEngine

ENGINE = PolicyEngine(sinks=[])


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def runs(clock):
    return Runs(ENGINE.scope(counts_loops=False), most_runs=3, idle_seconds=60, clock=clock)


def part(number, **more):
    return RunPart(f"{number:032x}", **more)


def test_a_run_is_the_same_each_time_and_another_is_another(runs):
    one = runs.scope_of([part(1, agent="a", budget_nanodollars=5)])

    assert runs.scope_of([part(1)]) is one
    assert runs.scope_of([part(2)]).vault is not one.vault
    assert (one.agent, one.account.limit_nanodollars, one.run_id) == ("a", 5, f"{1:032x}")


def test_a_part_shares_the_values_of_its_run_and_draws_on_it(runs):
    child = runs.scope_of([part(1, budget_nanodollars=5), part(2, agent="child")])
    top = runs.scope_of([part(1)])

    assert child.vault is top.vault
    assert child.lineage()[1] is top
    assert [account.limit_nanodollars for account in ENGINE.accounts(child)] == [5]
    child.record_refusal()
    assert told(top)["refusals"] == told(child)["refusals"] == 1


def test_a_scope_cannot_move_to_another_run(runs):
    runs.scope_of([part(1), part(2)])

    for elsewhere in ([part(3), part(2)], [part(2)], [part(1), part(4), part(2)]):
        with pytest.raises(NotServed, match=RUN_HEADER):
            runs.scope_of(elsewhere)


def test_the_one_that_was_not_used_for_the_longest_goes_first(runs):
    first = runs.scope_of([part(1)])
    for number in (2, 3):
        runs.scope_of([part(number), part(number + 10)])
    runs.scope_of([part(1)])
    runs.scope_of([part(4)])

    assert len(runs) == 3
    assert runs.scope_of([part(1)]) is first
    assert runs.known(part(2).id) is None
    assert runs.known(part(12).id) is None
    assert runs.known(part(13).id) is not None


def test_an_idle_run_goes_after_its_time(runs, clock):
    runs.scope_of([part(1)])
    clock.now = 59
    runs.scope_of([part(2)])
    clock.now = 61

    assert runs.known(part(1).id) is None
    assert runs.known(part(2).id) is not None


def test_parts_are_bounded_too(runs, monkeypatch):
    monkeypatch.setattr("iron_adapters.router.runs.MOST_PARTS", 2)
    for number in range(2, 7):
        runs.scope_of([part(1), part(number)])

    assert runs.known(part(4).id) is None
    assert runs.known(part(6).id) is not None
    assert runs.known(part(1).id) is not None


def test_the_end_frees_values_and_keeps_sums(runs):
    scope = runs.scope_of([part(1, budget_nanodollars=5)])
    scope.record_refusal()
    token = scope.vault.token_for("EMAIL", "jane@example.com")
    runs.end(part(1).id)
    late = runs.scope_of([part(1, budget_nanodollars=5)])

    assert late.vault.restore(token) == token
    assert late.account is scope.account
    assert told(late)["refusals"] == 1


# -- several workers -----------------------------------------------------------------------------------------------


def test_workers_take_runs_that_need_no_counting_and_refuse_the_others():
    no_loops = {"model_calls": None, "tool_calls": None, "identical_tool_calls": None}
    loopless = PolicyEngine(Policy.model_validate({"loops": no_loops}), sinks=[])
    counted = ENGINE.scope(agent="named")
    bare = ENGINE.scope(agent="named", counts_loops=False)

    def scope_of(engine, scope):
        callers = Callers(engine.scope(counts_loops=False), None)
        return callers.scope_of("/chat/completions", {RUN_HEADER: written(scope)})

    assert scope_of(ENGINE, bare).agent == "named"
    assert scope_of(loopless, counted).agent == "named"
    for engine, scope in ((ENGINE, counted), (loopless, ENGINE.scope(budget_usd=1, counts_loops=False))):
        with pytest.raises(NotServed, match="--workers=1"):
            scope_of(engine, scope)


def test_questions_about_runs(router):
    import httpx2

    base = router.base_url.removesuffix("/v1") + "/iron/v1/runs/"
    headers = {"authorization": f"Bearer {router.api_key}"}

    assert httpx2.get(f"{base}{'a' * 32}").status_code == 401
    assert httpx2.get(f"{base}{'a' * 32}", headers=headers).json()["error"]["code"] == "unknown_run"
    assert httpx2.post(f"{base}{'a' * 32}", headers=headers).status_code == 405
