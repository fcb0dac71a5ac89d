"""Calls governed where they are made, without any framework: which policy acts, how a call ends, what a stream shows."""

import asyncio
from contextlib import ExitStack, aclosing, closing

import pytest

from iron_adapters.marks import Mark, claimed, is_claimed, mark
from iron_adapters.resolve import Governor
from iron_adapters.wrapped_calls import charged_by_its_texts, ended_on_error, next_to_act
from iron_adapters.wrapped_streams import PieceReview, each_async_step, each_step, streamed
from iron_policy import Policy, PolicyEngine
from iron_policy.audit import MemorySink
from iron_policy.exceptions import CircuitOpen, GovernanceFailed, RateLimited
from iron_policy.messages import Channel, ModelRequest, Text

HELLO = ModelRequest(
    provider_name="openai", model="gpt-4o-mini", texts=(Text("Hello", "user", "here"),), max_tokens=1
)
ENOUGH = "more than one token " * 20


class ConnectError(Exception):
    """An error by whose name nothing was sent."""


class StatusError(Exception):
    """An error that tells the provider's status."""

    status_code = 429


class Pieces(PieceReview):
    """Pieces that are texts."""

    def feed(self, piece):
        yield self._review.push(Channel("text"), piece)

    def finish(self):
        yield self._review.finish(Channel("text"))


def engine_of(**policy):
    return PolicyEngine(Policy.model_validate(policy), sinks=[MemorySink(200)])


def admitted(**policy):
    engine = engine_of(budgets=[{"scope": "global", "limit_usd": 1}], **policy)
    return engine, engine.admit(HELLO, scope=engine.scope())


def last(engine):
    return engine.recorder.sinks[0].events[-1]


@pytest.mark.parametrize(
    ("error", "told", "charged"),
    [
        (StatusError(), "429", False),
        (ConnectError(), "ConnectError", False),
        (TimeoutError(), "TimeoutError", True),
        (KeyboardInterrupt(), "KeyboardInterrupt", True),
    ],
)
def test_a_call_that_fails_is_charged_if_the_provider_may_have_worked_on_it(error, told, charged):
    engine, call = admitted()

    with pytest.raises(type(error)), ended_on_error(call):
        raise error

    assert last(engine).type == "call.failed"
    assert last(engine).attributes["error.type"] == told
    assert (last(engine).attributes["iron.cost_nanodollars"] > 0) is charged


def test_the_error_beneath_an_sdks_own_says_that_nothing_was_sent():
    engine, call = admitted()

    with pytest.raises(RuntimeError), ended_on_error(call):
        raise RuntimeError from ConnectError()

    assert last(engine).attributes["iron.cost_nanodollars"] == 0


@pytest.mark.parametrize(
    "refusal", [RateLimited("too many"), CircuitOpen("open"), GovernanceFailed("failed")]
)
def test_what_another_policy_refuses_is_not_held_against_the_provider(refusal):
    engine, call = admitted(reliability={"breaker": {"failures": 1}})

    with pytest.raises(type(refusal)), ended_on_error(call):
        raise refusal

    assert last(engine).attributes["iron.cost_nanodollars"] == 0
    engine.admit(HELLO, scope=engine.scope())  # the breaker would refuse


def test_what_reports_no_usage_is_charged_by_its_texts():
    engine, call = admitted()

    with charged_by_its_texts(call):
        pass

    assert last(engine).type == "call.settled"
    assert last(engine).attributes["iron.cost_nanodollars"] > 0


@pytest.mark.parametrize(("begun", "told"), [(False, "call.failed"), (True, "call.settled")])
def test_a_stream_that_breaks_off_is_billed_for_what_came(begun, told):
    engine, call = admitted()

    def pieces():
        if begun:
            yield "Well"
        raise TimeoutError

    with pytest.raises(TimeoutError), streamed(call, Pieces(call)) as stream:
        list(stream.through(pieces()))

    assert last(engine).type == told


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_stream_that_brings_more_than_was_held_is_cut_and_ends_as_its_framework_says(is_async):
    _, call = admitted()
    asked_for = []

    def pieces():
        for _ in range(10):
            asked_for.append(ENOUGH)
            yield ENOUGH

    async def async_pieces():
        for piece in pieces():
            yield piece

    async def collected(stream):
        return [piece async for piece in stream.through_async(async_pieces())]

    with streamed(call, Pieces(call), lambda: ["<end>"]) as stream:
        seen = asyncio.run(collected(stream)) if is_async else list(stream.through(pieces()))

    assert len(asked_for) == 1
    assert seen[-1] == "<end>"
    assert ENOUGH.startswith("".join(seen[:-1]))


def test_every_policy_that_has_marked_a_call_acts_once_and_then_its_own():
    outer, inner, own = engine_of(), engine_of(), engine_of()
    outermost = Mark(outer, outer.scope())
    governor, acted = Governor(own), []
    token = mark.set(Mark(inner, inner.scope(), enclosing=outermost))
    try:
        with ExitStack() as claims:  # as a stand-in that is asked again and again
            while (acting := next_to_act(governor)) is not None:
                acted.append(acting[0])
                claims.enter_context(claimed(*acting))
    finally:
        mark.reset(token)

    assert acted == [inner, outer, own]
    assert outermost.requests_seen > 0


def test_a_policy_named_nowhere_yields_to_one_that_was_named():
    default, own = engine_of(), engine_of()
    token = mark.set(Mark(default, default.scope(), explicit=False))
    try:
        assert next_to_act(Governor(own))[0] is own
        assert next_to_act(Governor(None))[0] is default
    finally:
        mark.reset(token)


def test_what_is_in_force_in_the_steps_of_a_stream_is_not_in_force_between_them():
    engine = engine_of()
    within, closed = [], []

    def pieces():
        try:
            for number in range(3):
                within.append(is_claimed(engine))
                yield number
        finally:
            closed.append(True)

    with closing(each_step(pieces(), lambda: claimed(engine))) as steps:
        between = [is_claimed(engine) for _ in zip(range(2), steps, strict=False)]

    assert within == [True, True]
    assert between == [False, False]
    assert closed == [True]


def test_the_steps_of_an_async_stream_are_as_those_of_a_sync_one():
    engine = engine_of()
    within, between, closed = [], [], []

    async def pieces():
        try:
            for number in range(3):
                within.append(is_claimed(engine))
                yield number
        finally:
            closed.append(True)

    async def consume():
        async with aclosing(each_async_step(pieces(), lambda: claimed(engine))) as steps:
            async for number in steps:
                between.append(is_claimed(engine))
                if number == 1:
                    break

    asyncio.run(consume())

    assert (within, between, closed) == ([True, True], [False, False], [True])
