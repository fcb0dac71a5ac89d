"""Money, ends and edges of a governed LangChain call: what is charged, what is cut, what happens to other models."""

import asyncio
import copy
import json
import logging
import operator
import pickle
from decimal import Decimal
from functools import reduce

import pytest

pytest.importorskip("langchain_openai")
pytest.importorskip("langchain_anthropic")

from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableLambda
from langchain_openai import ChatOpenAI, OpenAI

from iron_adapters.langchain import IronCallbackHandler, IronChatModel
from iron_adapters.testing import Reply, ToolUse, rate_limited, server_error
from iron_policy import BudgetExceeded, ContentBlocked, Policy, PolicyDenied, PolicyEngine, ToolNotAllowed
from iron_policy.audit import MemorySink

pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine 'ahandle_event' was never awaited"),
]

ADDRESS = "jane.roe@example.com"
LONG = "A word after another one, and so on. " * 20


def chat(double, **more):
    return ChatOpenAI(model="gpt-4o-mini", base_url=double.openai_url, **more)


def responses(double, **more):
    return chat(double, use_responses_api=True, **more)


def claude(double, **more):
    return ChatAnthropic(model="claude-haiku-4-5", base_url=double.anthropic_url, **more)


def handled(model, engine):
    return model.model_copy(update={"callbacks": [IronCallbackHandler(engine)]})


SEAMS = {"handler": handled, "chat model": IronChatModel.wrap}
PROVIDERS = {"chat": chat, "responses": responses, "anthropic": claude}
every_seam = pytest.mark.parametrize("govern", SEAMS.values(), ids=SEAMS)
every_provider = pytest.mark.parametrize("model", PROVIDERS.values(), ids=PROVIDERS)


@pytest.fixture(autouse=True)
def _quiet(caplog):
    # LangChain logs every exception that a callback raises.
    caplog.set_level(logging.CRITICAL, "langchain_core.callbacks.manager")


def engine(**policy):
    return PolicyEngine(Policy.model_validate(policy), sinks=[MemorySink(1000)])


def events(engine, kind="call.settled"):
    return [event.attributes for event in engine.recorder.sinks[0].events if event.type == kind]


def kinds(engine):
    return [event.type for event in engine.recorder.sinks[0].events]


# -- money ---------------------------------------------------------------------------------------------------


@every_provider
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_the_wire_and_the_model_count_the_same_tokens_and_dollars(double, model, streamed):
    charged = []
    for govern in SEAMS.values():
        double.reset()
        double.script([Reply("Hello there", cache_read_tokens=7, cache_creation_tokens=5, reasoning="Well.")])
        governing = engine(budgets=[{"scope": "run", "limit_usd": 1}])
        governed = govern(model(double), governing)
        with governing.run() as run:
            list(governed.stream(LONG)) if streamed else governed.invoke(LONG)
        (settled,) = events(governing)
        summary = run.summary()
        charged.append(
            (settled["iron.cost_basis"], summary.input_tokens, summary.output_tokens, summary.cost_usd)
        )

    assert charged[0] == charged[1]
    assert charged[0][0] == "reported"
    assert charged[0][3] > 0


@every_seam
def test_bare_calls_of_one_seam_draw_on_one_budget_and_are_no_loop(double, govern):
    governing = engine(budgets=[{"scope": "run", "limit_usd": 0.0005}], loops={"model_calls": 2})
    model = govern(chat(double, max_tokens=20), governing)

    with pytest.raises(BudgetExceeded) as refused:
        model.batch([LONG] * 100, {"max_concurrency": 1})

    assert 2 < len(double.requests) < 100
    spent = sum(settled["iron.cost_nanodollars"] for settled in events(governing))
    assert Decimal(str(refused.value.spent_usd)) * 10**9 == spent


@every_seam
def test_an_enclosing_run_is_what_calls_draw_on_and_a_run_within_draws_on_both(double, govern):
    governing = engine()
    model = govern(chat(double, max_tokens=20), governing)

    with governing.run(budget_usd=1) as outer:
        model.invoke(LONG)
        with governing.run(budget_usd=0.000001) as inner, pytest.raises(BudgetExceeded):
            model.invoke(LONG)
        model.invoke(LONG)

    assert (outer.summary().calls, inner.summary().calls, len(double.requests)) == (2, 0, 2)
    assert outer.summary().refusals == inner.summary().refusals == 1


def test_each_run_of_an_agent_has_a_budget_of_its_own_and_is_stopped_by_it(double):
    double.answer_with(
        lambda asked: Reply(LONG, tool_calls=(ToolUse("note", {"text": str(len(asked.tool_results))}),))
    )
    budgets = [{"scope": "run", "limit_usd": 0.002}]
    governing = engine(budgets=budgets, spending={"when_short": ["deny"]})

    def note(text: str) -> str:
        """Take a note."""
        return text * 50

    agent = create_agent(chat(double, max_tokens=400), [note])
    config = {"callbacks": [IronCallbackHandler(governing)]}
    turns = []
    for _ in range(2):
        double.requests.clear()
        with pytest.raises(BudgetExceeded, match="run"):
            agent.invoke({"messages": [("user", LONG)]}, config)
        turns.append(len(double.requests))

    assert turns[0] == turns[1] > 1
    assert len({settled["iron.run_id"] for settled in events(governing)}) == 2


def test_an_agent_that_calls_in_a_loop_is_stopped(double):
    double.answer_with(lambda asked: Reply(tool_calls=(ToolUse("note", {"text": "again"}),)))
    governing = engine(loops={"identical_tool_calls": 3})

    def note(text: str) -> str:
        """Take a note."""
        return text

    with pytest.raises(PolicyDenied, match="identical"):
        create_agent(chat(double), [note]).invoke(
            {"messages": [("user", "Go")]}, {"callbacks": [IronCallbackHandler(governing)]}
        )

    assert len(double.requests) == 4


@every_seam
def test_a_reply_from_langchains_cache_costs_nothing(double, govern):
    governing = engine()
    model = govern(chat(double, cache=InMemoryCache()), governing)

    replies = [model.invoke(f"Write to {ADDRESS}").text for _ in range(3)]

    assert len(set(replies)) == 1
    assert ADDRESS in replies[0]
    assert len(double.requests) == 1
    assert kinds(governing) == ["call.admitted", "call.settled"]


def test_a_cached_reply_is_not_shared_with_another_policy(double):
    cache = InMemoryCache()
    double.answer_with(lambda asked: f"Her address is {ADDRESS}")
    IronChatModel.wrap(chat(double, cache=cache), {}).invoke("Where?")

    strict = {"safety": {"output": {"pii": "redact"}}}
    assert ADDRESS not in IronChatModel.wrap(chat(double, cache=cache), strict).invoke("Where?").text


SECRET = "ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


@pytest.mark.parametrize("action", ["block", "redact"])
@pytest.mark.parametrize("bare", ["wire", "memory"])
def test_a_reply_that_an_ungoverned_call_has_cached_is_judged(double, bare, action):
    double.answer_with(lambda asked: f"The key is {SECRET}.")
    cache = InMemoryCache()
    model = chat(double, cache=cache) if bare == "wire" else in_memory(f"It is {SECRET}.", cache=cache)
    model.invoke("Which?")

    governing = engine(safety={"output": {"secrets": action}})
    with pytest.raises(ContentBlocked) as refused:
        model.invoke("Which?", {"callbacks": [IronCallbackHandler(governing)]})

    assert SECRET not in str(refused.value)
    assert "call.refused" in kinds(governing)


def test_a_cached_reply_may_name_what_the_caller_has_named(double):
    cached = chat(double, cache=InMemoryCache())
    governing = engine(safety={"output": {"pii": "block"}})
    replies = [
        cached.invoke(f"Write to {ADDRESS}", {"callbacks": [IronCallbackHandler(governing)]}).text
        for _ in "ab"
    ]

    assert replies == [f"You said: Write to {ADDRESS}"] * 2
    assert len(double.requests) == 1


@every_seam
@every_provider
async def test_a_stream_that_is_broken_off_is_charged_once(double, govern, model):
    double.answer_with(lambda asked: LONG)
    governing = engine(budgets=[{"scope": "run", "limit_usd": 1}])
    governed = govern(model(double), governing)

    with governing.run() as run:
        for chunk in governed.stream("Go"):
            if chunk.text:
                break
        del chunk
        async for chunk in governed.astream("Go"):
            if chunk.text:
                break
        await asyncio.get_running_loop().shutdown_asyncgens()

    assert sorted(kinds(governing)) == ["call.admitted"] * 2 + ["call.settled"] * 2
    assert all(settled["iron.cost_nanodollars"] > 0 for settled in events(governing))
    assert all(account.held_nanodollars == 0 for account in governing.accounts(run))


@every_seam
@pytest.mark.parametrize(("fault", "calls"), [(server_error(), 1), (rate_limited(), 1)], ids=["500", "429"])
def test_what_the_provider_refuses_costs_nothing_and_keeps_its_error(double, govern, fault, calls):
    governing = engine(budgets=[{"scope": "run", "limit_usd": 1}])
    bare = chat(double, max_retries=0)
    double.fail_next(fault, times=2)
    with pytest.raises(Exception) as expected:  # noqa: PT011 - whatever the bare model raises
        bare.invoke("Hello")

    with pytest.raises(type(expected.value)):
        govern(bare, governing).invoke("Hello")

    assert kinds(governing) == ["call.admitted", "call.failed"]
    assert events(governing, "call.failed")[0]["iron.cost_nanodollars"] == 0


@every_seam
def test_a_call_that_the_sdk_tries_again_is_charged_once(double, govern):
    governing = engine(budgets=[{"scope": "run", "limit_usd": 1}], loops={"model_calls": 1})
    double.fail_next(500)

    with governing.run() as run:
        govern(chat(double, max_retries=2), governing).invoke("Hello")

    assert len(double.requests) == 2
    assert len(events(governing)) == 1
    assert run.summary().cost_usd > 0


# -- the ladder ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "limit_usd"), [(chat, 0.0001), (responses, 0.0001), (claude, 0.0008)], ids=PROVIDERS
)
def test_a_call_too_dear_is_clamped_to_what_is_left(double, model, limit_usd):
    double.answer_with(lambda asked: LONG)
    governing = engine(budgets=[{"scope": "run", "limit_usd": limit_usd}])
    governed = IronChatModel.wrap(model(double), governing)

    reply = governed.invoke("Go")

    sent = double.requests.last.json
    limit = sent.get("max_completion_tokens") or sent.get("max_output_tokens") or sent["max_tokens"]
    assert 16 <= limit < 1000
    assert len(reply.text) < len(LONG)


def test_a_cheaper_model_takes_over_where_the_policy_says_so(double):
    governing = engine(
        budgets=[{"scope": "run", "limit_usd": 0.001}], spending={"when_short": ["model:gpt-4o-mini", "deny"]}
    )

    IronChatModel.wrap(
        ChatOpenAI(model="gpt-4o", base_url=double.openai_url, max_tokens=200), governing
    ).invoke("Go")

    assert double.requests.last.json["model"] == "gpt-4o-mini"


class Talkative(GenericFakeChatModel):
    """A model in memory that takes no notice of its limit."""


def test_a_stream_that_brings_more_than_was_held_is_cut_with_a_proper_end():
    governing = engine(
        budgets=[{"scope": "run", "limit_usd": 0.002}],
        spending={"unknown_price": {"assume_usd_per_mtok": 10}},
    )
    model = IronChatModel.wrap(GenericFakeChatModel(messages=iter([AIMessage(LONG)] * 2)), governing)

    chunks = list(model.stream("Go", max_tokens=50))

    whole = reduce(operator.add, chunks)
    assert 0 < len(whole.text) < len(LONG)
    assert LONG.startswith(whole.text)
    assert whole.response_metadata["finish_reason"] == "length"
    assert whole.chunk_position == "last"
    assert kinds(governing) == ["call.admitted", "call.settled"]


# -- models that never reach the wire ------------------------------------------------------------------------


def in_memory(*replies, **more):
    return FakeListChatModel(responses=list(replies), **more)


def test_a_handler_refuses_what_needs_rewriting_on_a_model_that_it_cannot_rewrite_for():
    model = in_memory("Fine")

    with pytest.raises(ContentBlocked, match=r"IronChatModel\.wrap\(model\)"):
        model.invoke(f"Write to {ADDRESS}", {"callbacks": [IronCallbackHandler({})]})

    assert model.i == 0


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_handler_meters_such_a_model_itself(streamed):
    governing = engine(
        budgets=[{"scope": "run", "limit_usd": 1}], spending={"unknown_price": {"assume_usd_per_mtok": 10}}
    )
    model = in_memory(LONG, callbacks=[IronCallbackHandler(governing)])

    assert (
        reduce(operator.add, model.stream("Go")).text == LONG if streamed else model.invoke("Go").text == LONG
    )
    assert kinds(governing) == ["call.admitted", "call.settled"]
    assert events(governing)[0]["iron.cost_basis"] == "estimated"
    assert events(governing)[0]["iron.cost_nanodollars"] > 10_000 * len(LONG) // 8


@pytest.mark.parametrize("style", ["invoke", "stream"])
def test_a_handler_does_not_hand_on_a_reply_that_it_would_have_to_rewrite(style):
    governing = engine(safety={"output": {"pii": "redact"}})
    model = in_memory(f"Her address is {ADDRESS}. {LONG}", callbacks=[IronCallbackHandler(governing)])
    seen = []

    with pytest.raises(ContentBlocked, match=r"IronChatModel\.wrap\(model\)"):
        seen.extend([model.invoke("Where?")] if style == "invoke" else model.stream("Where?"))

    assert len(seen) < len(LONG)
    assert kinds(governing) == ["call.admitted", "call.settled"]


def test_a_model_that_never_came_by_the_wire_it_should_have_come_by_is_told_of_loudly(double):
    class Elsewhere(ChatOpenAI):
        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            return ChatResult(generations=[ChatGeneration(message=AIMessage("Fine"))])

    model = Elsewhere(model="gpt-4o-mini", base_url=double.openai_url, callbacks=[IronCallbackHandler({})])

    with pytest.raises(PolicyDenied, match="never came by httpx"):
        model.invoke(f"Write to {ADDRESS}")
    assert model.invoke("Hello").text == "Fine"


def test_a_model_within_a_model_is_charged_once(double):
    class Outer(FakeListChatModel):
        inner: ChatOpenAI

        def _call(self, *args, **kwargs):
            return self.inner.invoke("Hello").text

    governing = engine(
        budgets=[{"scope": "run", "limit_usd": 1}], spending={"unknown_price": {"assume_usd_per_mtok": 10}}
    )
    outer = Outer(responses=[], inner=chat(double))
    handler = IronCallbackHandler(governing)
    RunnableLambda(lambda text: outer.invoke(text)).invoke("Hello", {"callbacks": [handler]})  # noqa: PLW0108 - the context is handed on

    assert len(events(governing)) == 1
    assert events(governing)[0]["gen_ai.request.model"] == "gpt-4o-mini"


async def test_a_model_in_memory_is_governed_by_its_wrapper_in_every_style():
    governing = engine(safety={"output": {"pii": "redact"}})
    model = IronChatModel.wrap(in_memory(*[f"Her address is {ADDRESS}."] * 9), governing)
    expected = "Her address is [REDACTED_EMAIL]."

    assert model.invoke("Where?").text == expected
    assert (await model.ainvoke("Where?")).text == expected
    assert reduce(operator.add, model.stream("Where?")).text == expected
    assert reduce(operator.add, [chunk async for chunk in model.astream("Where?")]).text == expected
    assert kinds(governing) == ["call.admitted", "call.settled"] * 4


def test_a_completion_model_is_governed_by_a_handler(double):
    governing = engine()
    model = OpenAI(
        model="gpt-3.5-turbo-instruct", base_url=double.openai_url, callbacks=[IronCallbackHandler(governing)]
    )

    assert ADDRESS in model.invoke(f"Write to {ADDRESS}")
    assert ADDRESS not in double.requests.last.text
    assert kinds(governing) == ["call.admitted", "call.settled"]


# -- tools, chains, several callbacks ------------------------------------------------------------------------


def test_a_tool_that_is_not_allowed_does_not_run():
    from langchain_core.tools import tool

    ran = []

    @tool
    def shell_run(command: str) -> str:
        """Run a command."""
        ran.append(command)
        return "done"

    handler = IronCallbackHandler({"access": {"tools": {"deny": ["shell_*"]}}})
    with pytest.raises(ToolNotAllowed, match="shell_run"):
        shell_run.invoke({"command": "ls"}, {"callbacks": [handler]})

    assert ran == []


async def test_a_handler_works_from_a_chain_and_forgets_its_runs(double):
    governing = engine()
    handler = IronCallbackHandler(governing, agent="writer")
    chain = (RunnableLambda(lambda text: [HumanMessage(text)]) | chat(double)).with_config(
        callbacks=[handler]
    )

    assert ADDRESS in chain.invoke(f"Write to {ADDRESS}").text
    assert ADDRESS in (await chain.ainvoke(f"Write to {ADDRESS}")).text
    assert [reply.text for reply in chain.batch(["a", "b"])] == ["You said: a", "You said: b"]
    for _ in chain.stream("a"):
        break
    await asyncio.sleep(0)

    assert not any(ADDRESS in request.text for request in double.requests)
    assert all(event["gen_ai.agent.name"] == "writer" for event in events(governing))
    assert not handler._runs._scopes
    assert not handler._marks


def test_after_a_call_nothing_is_marked_any_more(double):
    from iron_adapters.marks import live_mark

    handled(chat(double), engine()).invoke("Hello")

    assert live_mark() is None


async def test_after_an_async_call_nothing_is_marked_any_more(double):
    from iron_adapters.marks import live_mark

    await handled(chat(double), engine()).ainvoke("Hello")

    assert live_mark() is None


async def test_many_calls_at_once_are_each_charged_to_their_own_run(double):
    governing = engine()
    model = handled(chat(double), governing)

    async def one(number):
        with governing.run() as run:
            await asyncio.gather(*(model.ainvoke(f"{number}") for _ in range(number)))
        return run.summary().calls

    assert await asyncio.gather(*(one(number) for number in (1, 2, 3))) == [1, 2, 3]


class Listener(BaseCallbackHandler):
    def __init__(self):
        self.heard = []

    def on_chat_model_start(self, serialized, messages, **kwargs):
        self.heard.append("start")

    def on_llm_new_token(self, token, **kwargs):
        self.heard.append(token)

    def on_llm_end(self, response, **kwargs):
        self.heard.append("end")


def test_callbacks_hear_of_a_wrapped_model_once_and_of_nothing_unreviewed(double):
    listener = Listener()
    model = IronChatModel.wrap(chat(double, callbacks=[listener]), {"safety": {"output": {"pii": "redact"}}})
    double.answer_with(lambda asked: f"Her address is {ADDRESS}, I think.")

    model.invoke("Where?")
    assert listener.heard == ["start", "end"]

    listener.heard.clear()
    list(model.stream("Where?"))
    assert (listener.heard[0], listener.heard[-1]) == ("start", "end")
    assert "".join(listener.heard[1:-1]) == "Her address is [REDACTED_EMAIL], I think."


# -- parity --------------------------------------------------------------------------------------------------


def test_a_wrapped_model_answers_for_the_model_it_holds(double):
    bare = chat(double, temperature=0.5, tags=["a"], disable_streaming="tool_calling")
    model = IronChatModel.wrap(bare)

    assert (model.model_name, model.temperature, model.tags) == ("gpt-4o-mini", 0.5, ["a"])
    assert model.profile == bare.profile
    assert model.disable_streaming == "tool_calling"
    assert model._llm_type == bare._llm_type
    assert model.asdict() == bare.asdict()
    with pytest.raises(AttributeError):
        model.no_such_thing  # noqa: B018 - it is what raises


def test_an_agent_asks_a_wrapped_model_for_structured_output_as_it_asks_the_model(double):
    from pydantic import BaseModel

    class Letter(BaseModel):
        to: str

    bodies = []
    for model in (chat(double), IronChatModel.wrap(chat(double))):
        create_agent(model, [], response_format=Letter).invoke({"messages": [("user", "Write")]})
        bodies.append(double.requests.last.json)

    assert bodies[0] == bodies[1]
    assert bodies[0]["response_format"]["type"] == "json_schema"


@every_provider
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_structured_answer_holds_the_real_value_whatever_is_in_it(double, model, method, streamed):
    from pydantic import BaseModel

    class Letter(BaseModel):
        to: str

    def speaker(asked):
        said = {"to": asked.user_text}
        return Reply(tool_calls=(ToolUse("Letter", said),)) if asked.tools else json.dumps(said)

    double.answer_with(speaker)
    policy = {"safety": {"custom": [{"kind": "NICKNAME", "pattern": 'Bob "the \\w+"', "action": "tokenize"}]}}
    letters = IronChatModel.wrap(model(double), policy).with_structured_output(Letter, method=method)

    letter = list(letters.stream('Bob "the rock"'))[-1] if streamed else letters.invoke('Bob "the rock"')

    assert letter.to == 'Bob "the rock"'
    assert "rock" not in double.requests.last.text


def test_a_wrapped_model_copies_and_pickles_as_far_as_the_model_does():
    policy = Policy.model_validate({"safety": {"output": {"pii": "redact"}}})
    model = IronChatModel.wrap(in_memory(*[f"Her address is {ADDRESS}."] * 3), policy)

    for twin in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert twin.invoke("Where?").text == "Her address is [REDACTED_EMAIL]."


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "model_copy": lambda model: model.model_copy(deep=True),
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("scope", ["run", "global"])
@pytest.mark.parametrize("given", ["mapping", "engine"])
def test_copies_of_a_governed_model_share_its_budget(how, scope, given):
    policy = {
        "budgets": [{"scope": scope, "limit_usd": 0.3}],
        "spending": {"unknown_price": {"assume_usd_per_mtok": 1}, "when_short": ["deny"]},
    }
    model = IronChatModel.wrap(in_memory("x" * 400_000), policy if given == "mapping" else engine(**policy))

    def call_copies(model):
        for _ in range(20):
            model.invoke("Hi")
            model = COPIES[how](model)

    with pytest.raises(BudgetExceeded):
        call_copies(model)


def test_a_copy_of_a_handled_model_draws_on_the_same_budget():
    model = in_memory("Fine", callbacks=[IronCallbackHandler(engine())])

    assert copy.deepcopy(model).callbacks[0] is model.callbacks[0]


def test_counting_tokens_at_the_provider_sends_no_address(double):
    model = IronChatModel.wrap(claude(double))

    assert model.get_num_tokens_from_messages([HumanMessage(f"Write to {ADDRESS}")]) > 0
    assert double.requests.last.path.endswith("/count_tokens")
    assert ADDRESS not in double.requests.last.text


def test_only_models_can_be_wrapped(double):
    with pytest.raises(TypeError, match="wrap the model, then bind it"):
        IronChatModel.wrap(chat(double).bind(stop=["x"]))


@pytest.mark.parametrize("name", ["chat_model", "handler", "middleware", "embeddings"])
def test_the_usage_that_a_module_opens_with_runs_and_no_address_leaves(double, monkeypatch, name):
    from importlib import import_module
    from inspect import cleandoc

    monkeypatch.setenv("OPENAI_BASE_URL", double.openai_url)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", double.anthropic_url)
    usage = (
        import_module(f"iron_adapters.langchain.{name}").__doc__.split("Usage::\n\n")[1].split("\n\nIt ")[0]
    )
    lines = [line for line in usage.splitlines() if line.startswith("    ") or not line]

    exec(compile(cleandoc("\n".join(lines)), name, "exec"), {})  # noqa: S102 - our own documentation

    assert len(double.requests) > 0
    assert not any("jane@" in request.text for request in double.requests)
