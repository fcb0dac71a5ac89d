"""The budget of server mode: borrowed in slices, never overdrawn, reported once per call, the rest given back."""

import asyncio
import threading

import pytest
from plane import HANGS_UP, KEYS, Fault

from iron_adapters.control_plane import ControlPlaneError, KeyRing, LeasedBudget, Pace
from iron_policy import BudgetExceeded, Policy, PolicyEngine
from iron_policy.messages import ModelRequest, Text, Usage
from iron_policy.redact import Vault
from iron_policy.scope import Scope

USD = 1_000_000_000
MICROS = 1_000_000
PACE = Pace(interval_seconds=3600, batch=1_000_000, first_pause_seconds=0.001, longest_pause_seconds=0.002)


class Calls:
    """Calls to a model at $10 per million output tokens, on a leased budget."""

    def __init__(self, budget):
        self.budget = budget
        self.engine = PolicyEngine(
            Policy.model_validate({"spending": {"when_short": ["deny"]}}), sinks=[budget]
        )
        self.scope = Scope(self.engine, Vault(b"k" * 32), account=budget.account, counts_loops=False)

    def admit(self, usd=1.0):
        request = ModelRequest(
            provider_name="openai",
            model="gpt-5.1",
            service_tier="default",
            texts=(Text("hello", "user", "messages[0].content"),),
            max_tokens=round(usd * 100_000),
        )
        return self.engine.admit(request, scope=self.scope)

    def spend(self, usd=1.0):
        call = self.admit(usd)
        call.settle(Usage(output_tokens=round(usd * 100_000)))
        return call.id


@pytest.fixture
async def budget_of(client, clock):
    made = []

    def make(**more):
        made.append(LeasedBudget(client, pace=PACE, clock=clock, first_pause_seconds=0.001, **more))
        return made[-1]

    yield make
    for budget in made:
        await budget.stop(0.05)


@pytest.fixture
def budget(budget_of):
    return budget_of()


async def until(met):
    async with asyncio.timeout(20):
        while not met():  # noqa: ASYNC110 - nothing tells of a limit that has grown
            await asyncio.sleep(0)


async def test_the_grant_is_the_limit(budget, plane):
    assert await budget.start("openai")

    assert budget.account.limit_nanodollars == 10 * USD
    assert plane.seen("handshake")[0]["provider"] == "openai"
    assert plane.agent.remaining == 90 * MICROS


async def test_a_part_of_what_was_asked_for_is_taken(budget, plane):
    plane.agent.allocated = 3 * MICROS

    assert await budget.start("openai")
    assert budget.account.limit_nanodollars == 3 * USD


async def test_before_the_first_grant_nothing_is_sent(budget):
    with pytest.raises(BudgetExceeded):
        Calls(budget).admit()


async def test_a_denied_agent_sends_nothing_and_does_not_ask_on_and_on(budget, plane, clock, caplog):
    plane.agent.allocated = 0
    calls = Calls(budget)

    assert not await budget.start("openai")
    for _ in range(20):
        with pytest.raises(BudgetExceeded) as denied:
            calls.admit()
        assert not await budget.more(denied.value)
    assert len(plane.seen("handshake")) == 1
    assert "Budget limit exceeded" in caplog.text

    plane.agent.allocated = 5 * MICROS
    clock.pass_seconds(60)
    assert await budget.more(denied.value)
    calls.spend()


@pytest.mark.parametrize("fault", [HANGS_UP, Fault(503), Fault(200, b"{}")], ids=str)
async def test_a_server_that_is_down_at_the_start_is_asked_again(budget, plane, clock, fault):
    plane.fail("handshake", *[fault] * 4)

    assert not await budget.start("openai")
    assert budget.account.limit_nanodollars == 0
    await until(lambda: budget.account.limit_nanodollars == 10 * USD)


async def test_whose_key_there_is_may_be_found_out_late(budget, client, plane, clock):
    plane.agent.keys = {"anthropic": KEYS["anthropic"]}
    plane.fail("provider-key", *[Fault(503)] * 2)
    ring = KeyRing(client, clock=clock)

    async def provider():
        return (await ring.discover()).provider

    assert not await budget.start(provider)
    await until(lambda: budget.account.limit_nanodollars == 10 * USD)
    assert [body["provider"] for body in plane.seen("handshake")] == ["anthropic"]


async def test_more_is_borrowed_before_it_runs_out(budget, plane):
    calls = Calls(budget)
    await budget.start("openai")
    calls.spend(8.9)
    await asyncio.sleep(0)
    assert len(plane.seen("handshake")) == 1

    calls.spend(0.2)
    await until(lambda: budget.account.limit_nanodollars == 20 * USD)
    assert len(plane.seen("handshake")) == 2


async def test_a_small_grant_is_not_borrowed_upon_before_half_of_it_is_left(budget_of, plane):
    budget = budget_of(tranche_usd="0.50")
    calls = Calls(budget)
    await budget.start("openai")
    calls.spend(0.2)
    await asyncio.sleep(0)

    assert len(plane.seen("handshake")) == 1


async def test_a_call_that_does_not_fit_may_be_tried_again_after_borrowing(budget):
    calls = Calls(budget)
    await budget.start("openai")
    with pytest.raises(BudgetExceeded) as denied:
        calls.admit(15)

    assert await budget.more(denied.value)
    calls.spend(15)


async def test_many_denied_calls_borrow_once(budget, plane):
    calls = Calls(budget)
    await budget.start("openai")
    with pytest.raises(BudgetExceeded) as denied:
        calls.admit(15)
    gate = threading.Event()
    plane.fail("handshake", Fault(gate=gate))
    waiting = [asyncio.create_task(budget.more(denied.value)) for _ in range(50)]
    await plane.until_seen("handshake", 2)
    waiting.pop().cancel()
    gate.set()

    assert all(await asyncio.gather(*waiting))
    assert await budget.more(denied.value)
    assert len(plane.seen("handshake")) == 2


async def test_what_another_budget_denies_is_not_borrowed_for(budget, plane):
    await budget.start("openai")

    assert not await budget.more(BudgetExceeded("no", scope="run", limit_usd=10.0))
    assert len(plane.seen("handshake")) == 1


async def test_the_rest_is_given_back_after_the_calls_under_way_have_ended(budget, plane):
    calls = Calls(budget)
    await budget.start("openai")
    calls.spend(2)
    under_way = calls.admit(3)
    stop = asyncio.create_task(budget.stop(20))
    await asyncio.sleep(0)
    with pytest.raises(BudgetExceeded):
        calls.admit(0.1)
    assert plane.seen("return") == []

    await asyncio.to_thread(under_way.settle, Usage(output_tokens=100_000))

    assert await stop
    assert [body["spent_microdollars"] for body in plane.seen("return")] == [3 * MICROS]
    assert plane.agent.spent == 3 * MICROS
    assert (budget.account.limit_nanodollars, budget.account.spent_nanodollars) == (3 * USD, 3 * USD)


async def test_what_does_not_end_in_time_counts_as_spent(budget, plane):
    calls = Calls(budget)
    await budget.start("openai")
    under_way = calls.admit(4)

    assert await budget.stop(0.01)
    assert plane.agent.spent == 4 * MICROS
    under_way.fail("cancelled", sent=False)


async def test_a_call_that_was_dropped_without_an_end_counts_as_spent(budget, plane):
    calls = Calls(budget)
    await budget.start("openai")
    hold = calls.engine.ledger.reserve([budget.account], 2 * USD)
    del hold

    assert await budget.stop(20)
    assert plane.agent.spent == 2 * MICROS


async def test_a_grant_under_way_at_the_stop_is_given_back_too(budget, plane):
    await budget.start("openai")
    gate = threading.Event()
    plane.fail("handshake", Fault(gate=gate))
    denied = BudgetExceeded("no", scope="lease", limit_usd=10.0)
    more = asyncio.create_task(budget.more(denied))
    await plane.until_seen("handshake", 2)
    stop = asyncio.create_task(budget.stop(20))
    gate.set()

    assert await stop
    assert not await more
    assert (len(plane.seen("return")), plane.agent.spent) == (2, 0)


async def test_a_grant_that_does_not_come_in_time_holds_nobody_up(budget, plane):
    await budget.start("openai")
    gate = threading.Event()
    plane.fail("handshake", Fault(gate=gate))
    more = asyncio.create_task(budget.more(BudgetExceeded("no", scope="lease", limit_usd=10.0)))
    await plane.until_seen("handshake", 2)

    assert await budget.stop(0.01)
    assert not await more
    gate.set()


async def test_a_second_stop_and_one_without_a_start_do_nothing(budget_of, plane):
    budget = budget_of()
    assert await budget.stop()
    await budget.start("openai")
    assert await budget.stop()
    assert await budget.stop()
    assert len(plane.seen("return")) == 1


async def test_a_return_that_fails_is_tried_once_more_and_told(budget, plane, caplog):
    await budget.start("openai")
    plane.fail("return", Fault(503), Fault(503))

    assert not await budget.stop(1)
    assert "$10 of a lease could not be given back" in caplog.text
    assert "lease_1" not in caplog.text


async def test_a_return_whose_answer_was_lost_is_a_return(budget, plane):
    await budget.start("openai")
    plane.fail("return", Fault(503))
    plane.leases["lease_1"].status = "closed"

    assert await budget.stop(1)


async def test_each_call_is_reported_once_however_often_it_is_sent(budget, plane):
    calls = Calls(budget)
    await budget.start("openai")
    plane.fail("report", Fault(500), Fault(429))
    ids = [calls.spend(1), calls.spend(2)]

    assert await budget.stop(20)
    assert plane.leases["lease_1"].requests == dict(zip(ids, [1 * MICROS, 2 * MICROS], strict=True))
    assert len(plane.seen("report")) == 4
    assert [(body["tokens"], body["model"]) for body in plane.seen("report")][-1][1] == "gpt-5.1"


async def test_small_calls_are_reported_as_what_they_cost_together(budget, plane):
    calls = Calls(budget)
    await budget.start("openai")
    for _ in range(9):
        call = calls.admit(0.01)
        call.settle(Usage(uncached_input_tokens=1))  # 1.25 micro-dollars

    assert await budget.stop(20)
    assert plane.leases["lease_1"].spent == 11
    assert plane.agent.spent == 12  # the rest of a micro-dollar counts against us


async def test_a_call_over_the_end_of_a_lease_is_reported_on_both(budget, plane):
    calls = Calls(budget)
    await budget.start("openai")
    calls.spend(7)
    with pytest.raises(BudgetExceeded) as denied:
        calls.admit(6)
    assert await budget.more(denied.value)
    call_id = calls.spend(6)

    assert await budget.stop(20)
    first, second = plane.leases.values()
    assert (first.spent, second.spent) == (10 * MICROS, 3 * MICROS)
    assert (first.requests[call_id], second.requests[f"{call_id}-2"]) == (3 * MICROS, 3 * MICROS)
    assert plane.agent.spent == 13 * MICROS


async def test_a_call_that_costs_more_than_was_lent_is_still_told(budget, plane):
    calls = Calls(budget)
    await budget.start("openai")
    call = calls.admit(9)
    call.settle(Usage(output_tokens=1_100_000))

    assert await budget.stop(20)
    assert plane.seen("return")[0]["spent_microdollars"] == 11 * MICROS


async def test_a_call_that_was_never_sent_is_not_reported(budget, plane):
    calls = Calls(budget)
    await budget.start("openai")
    calls.admit(1).fail("ConnectError", sent=False)

    assert await budget.stop(20)
    assert plane.seen("report") == []
    assert plane.agent.spent == 0


async def test_a_server_that_charges_reports_twice_is_sent_none(budget_of, plane):
    budget = budget_of(reports=False)
    calls = Calls(budget)
    await budget.start("openai")
    calls.spend(2)

    assert await budget.stop(20)
    assert plane.seen("report") == []
    assert plane.agent.spent == 2 * MICROS


async def test_leases_that_are_used_up_are_closed_on_the_way(budget_of, plane):
    budget = budget_of(reports=False)
    calls = Calls(budget)
    await budget.start("openai")
    for grants in range(2, 5):
        calls.spend(9.7)
        await until(lambda grants=grants: budget.account.limit_nanodollars == grants * 10 * USD)

    await plane.until_seen("return", 2)
    assert await budget.stop(20)
    assert plane.agent.spent == 29_100_000
    assert {row.status for row in plane.leases.values()} == {"closed"}


async def test_calls_in_many_threads_are_charged_and_reported_to_the_last_cent(budget, plane):
    calls = Calls(budget)
    await budget.start("openai")
    start = threading.Barrier(4)

    def spend():
        start.wait()
        for _ in range(20):
            calls.spend(0.1)

    await asyncio.gather(*(asyncio.to_thread(spend) for _ in range(4)))

    assert await budget.stop(20)
    assert sum(lease.spent for lease in plane.leases.values()) == 8 * MICROS
    assert plane.agent.spent == 8 * MICROS
    assert sum(len(lease.requests) for lease in plane.leases.values()) >= 80


async def test_the_account_is_never_overdrawn_while_more_is_borrowed(budget, plane):
    calls = Calls(budget)
    plane.agent.allocated = 25 * MICROS
    await budget.start("openai")
    spent = 0
    for _ in range(60):
        try:
            calls.spend(0.5)
            spent += 1
        except BudgetExceeded as denied:
            if not await budget.more(denied):
                break

    assert spent == 50
    assert await budget.stop(20)
    assert (plane.agent.spent, plane.agent.remaining) == (25 * MICROS, 0)


def test_a_tranche_that_is_no_money_is_refused(plane):
    with pytest.raises(ValueError, match="amount of money"):
        LeasedBudget(None, tranche_usd=-1)


async def test_an_error_that_the_server_gives_is_what_the_client_raises(client, plane):
    plane.agent.allocated = 0

    with pytest.raises(ControlPlaneError, match="Budget limit exceeded") as raised:
        await client.handshake("openai")
    assert not raised.value.outage
