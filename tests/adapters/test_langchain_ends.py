"""Calls whose end LangChain does not tell: what they hold goes, and their marks with them."""

import asyncio
import gc
import logging

import pytest

pytest.importorskip("langchain_openai")

import openai
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import FakeListChatModel
from langchain_openai import ChatOpenAI

from iron_adapters.langchain import IronCallbackHandler, IronChatModel
from iron_adapters.marks import live_mark
from iron_policy import Policy, PolicyDenied, PolicyEngine
from iron_policy.audit import MemorySink

pytestmark = [
    # When a callback blocks, LangChain leaves the coroutines of the callbacks behind it.
    pytest.mark.filterwarnings("ignore:coroutine 'ahandle_event' was never awaited"),
    pytest.mark.filterwarnings("ignore:Exception ignored in. <coroutine object ahandle_event"),
]
ADDRESS = "jane.roe@example.com"


@pytest.fixture(autouse=True)
def _quiet(caplog):
    # LangChain logs every exception that a callback raises.
    caplog.set_level(logging.CRITICAL, "langchain_core.callbacks.manager")


class Raising(BaseCallbackHandler):
    raise_error = True
    run_inline = True


class AtStart(Raising):
    def on_chat_model_start(self, *args, **kwargs):
        raise RuntimeError


class AtEnd(Raising):
    def on_llm_end(self, *args, **kwargs):
        raise RuntimeError


class Slow(FakeListChatModel):
    async def _agenerate(self, *args, **kwargs):
        await asyncio.Event().wait()


def engine(**policy):
    policy = {
        "budgets": [{"scope": "global", "limit_usd": 1}],
        "spending": {"unknown_price": {"assume_usd_per_mtok": 1}},
        **policy,
    }
    return PolicyEngine(Policy.model_validate(policy), sinks=[MemorySink(100)])


def in_memory(kind=FakeListChatModel):
    return kind(responses=["Fine"])


def chat(double):
    return ChatOpenAI(model="gpt-4o-mini", base_url=double.openai_url)


def refusing():
    return IronCallbackHandler({"access": {"models": {"allow": ["nothing"]}}})


async def cancelled(handler):
    call = asyncio.create_task(in_memory(Slow).ainvoke("Hi", {"callbacks": [handler]}))
    for _ in range(20):
        await asyncio.sleep(0)
    assert handler._marks
    call.cancel()
    await asyncio.wait([call])


async def stopped(*handlers):
    try:
        in_memory().invoke("Hi", {"callbacks": list(handlers)})
    except (RuntimeError, PolicyDenied):
        return
    pytest.fail("nothing has stopped the call")


ENDS = {
    "cancelled": cancelled,
    "another callback raises at the start": lambda handler: stopped(handler, AtStart()),
    "another handler refuses": lambda handler: stopped(handler, refusing()),
    "an earlier callback raises at the end": lambda handler: stopped(AtEnd(), handler),
}


@pytest.mark.parametrize("end", ENDS)
async def test_a_call_off_the_wire_that_ends_untold_holds_nothing_and_marks_nothing(end):
    governing = engine()
    handler = IronCallbackHandler(governing)
    for _ in range(3):
        await ENDS[end](handler)
    gc.collect()

    assert live_mark() is None
    assert not handler._marks
    in_memory().invoke("Hi", {"callbacks": [handler]})
    assert governing.accounts()[0].held_nanodollars == 0
    ended = [event.type for event in governing.recorder.sinks[0].events]
    assert ended.count("call.admitted") == ended.count("call.settled") + ended.count("call.failed") == 4


def test_a_bare_call_after_one_that_was_broken_off_is_nobodys(double):
    governing = engine()
    with pytest.raises(RuntimeError):
        chat(double).invoke("Hi", {"callbacks": [IronCallbackHandler(governing), AtStart()]})
    gc.collect()

    client = openai.OpenAI(base_url=double.openai_url, api_key="x")
    client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": ADDRESS}])

    assert ADDRESS in double.requests.last.text
    assert governing.accounts()[0].spent_nanodollars == 0


def test_a_governed_call_after_one_that_was_broken_off_is_charged_to_its_own_policy(double):
    dead, governing = engine(), engine()
    with pytest.raises(RuntimeError):
        in_memory().invoke("Hi", {"callbacks": [IronCallbackHandler(dead), AtStart()]})
    gc.collect()

    IronChatModel.wrap(chat(double), governing).invoke(ADDRESS)

    assert governing.accounts()[0].spent_nanodollars > 0
    assert "call.settled" not in [event.type for event in dead.recorder.sinks[0].events]


async def test_cancelled_agents_leave_no_runs_behind():
    from langchain_core.runnables import RunnableLambda

    handler = IronCallbackHandler(engine())
    chain = RunnableLambda(lambda text: text) | in_memory(Slow)
    call = asyncio.create_task(chain.ainvoke("Hi", {"callbacks": [handler]}))
    await asyncio.sleep(0.05)
    assert handler._runs._scopes
    call.cancel()
    await asyncio.wait([call])
    del call
    gc.collect()

    assert not handler._runs._scopes
    assert not handler._marks


@pytest.mark.parametrize("order", [1, -1])
def test_two_handlers_with_their_own_policies_both_act(double, order):
    loose, strict = engine(safety={"input": {"pii": "allow"}}), engine()
    handlers = [IronCallbackHandler(loose), IronCallbackHandler(strict), IronCallbackHandler(strict)][::order]

    reply = chat(double).invoke(f"Write to {ADDRESS}", {"callbacks": handlers})

    assert ADDRESS in reply.text
    assert ADDRESS not in double.requests.last.text
    for each in (loose, strict):
        assert [event.type for event in each.recorder.sinks[0].events] == ["call.admitted", "call.settled"]
