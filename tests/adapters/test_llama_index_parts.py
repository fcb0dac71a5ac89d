"""What the matrix does not show of LlamaIndex: tools, embeddings, retrieval, streams that end badly, models off the wire."""

import gc
import json
import logging
import runpy
import threading
from pathlib import Path

import pytest

pytest.importorskip("llama_index.core", reason="needs the extra iron-adapters[llama-index]")
pytest.importorskip("llama_index.llms.openai", reason="needs llama-index-llms-openai")
pytest.importorskip("llama_index.llms.anthropic", reason="needs llama-index-llms-anthropic")
pytest.importorskip("llama_index.embeddings.openai", reason="needs llama-index-embeddings-openai")

import openai
from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import (
    CitableBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.callbacks import CallbackManager
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.llms import ChatMessage, MockLLM
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool, QueryEngineTool
from llama_index.core.workflow import Context
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI
from pydantic import BaseModel

from iron_adapters.llama_index import IronCallbackHandler, IronEmbedding, IronLLM, IronTool, attach
from iron_adapters.testing import Reply, ToolUse
from iron_policy import BudgetExceeded, ContentBlocked, Policy, PolicyDenied, PolicyEngine, ToolNotAllowed
from iron_policy.audit import MemorySink
from iron_policy.exceptions import GovernanceFailed

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20"),
    pytest.mark.filterwarnings(
        "ignore::pytest.PytestUnraisableExceptionWarning"
    ),  # clients that LlamaIndex leaves open
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

ROOT = Path(__file__).parents[2]
ADDRESS = "jane.roe@example.com"
QUESTION = f"Please write to {ADDRESS} today."
SECRET = "sk-proj-" + "Zk3v9QmT7xW2pL8s" * 3


def engine_of(**policy):
    return PolicyEngine(Policy.model_validate(policy), sinks=[MemorySink(200)])


def recorded(engine):
    return [event.type for event in engine.recorder.sinks[0].events]


def cost_of(engine):
    return sum(event.attributes.get("iron.cost_nanodollars", 0) for event in engine.recorder.sinks[0].events)


def asked(text=QUESTION):
    return [ChatMessage(content=text)]


def open_ai(double, **more):
    return OpenAI(model="gpt-4o-mini", api_base=double.openai_url, api_key="any", max_retries=0, **more)


def claude(double, **more):
    return Anthropic(
        model="claude-haiku-4-5", base_url=double.anthropic_url, api_key="any", max_retries=0, **more
    )


def embedding(double, **more):
    return OpenAIEmbedding(api_base=double.openai_url, api_key="any", max_retries=0, **more)


def handled(engine):
    return CallbackManager([IronCallbackHandler(engine)])


@pytest.fixture(autouse=True)
def _settings():
    """Leave LlamaIndex's process-wide settings as they were."""
    before = dict(vars(Settings))
    yield
    vars(Settings).clear()
    vars(Settings).update(before)


@pytest.fixture(scope="module", autouse=True)
def _collected():
    """Collect the clients that LlamaIndex leaves open, while the warnings about them are still ours."""
    yield
    gc.collect()


# -- streams ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [open_ai, claude])
def test_a_secret_in_a_stream_is_nowhere_in_any_of_its_responses(double, make):
    double.reply(f"Your key is {SECRET}, keep it.")
    engine = engine_of()

    responses = list(IronLLM.wrap(make(double), engine).stream_chat(asked("Hello")))

    assert responses[-1].message.content == "Your key is [REDACTED_OPENAI_KEY], keep it."
    assert "".join(response.delta or "" for response in responses) == responses[-1].message.content
    told = " ".join(repr(response) + repr(response.raw) for response in responses)
    assert "Zk3v9QmT" not in told
    assert recorded(engine) == ["call.admitted", "call.settled"]


@pytest.mark.parametrize("make", [open_ai, claude])
def test_a_secret_in_a_whole_reply_is_nowhere_in_it(double, make):
    double.reply(f"Your key is {SECRET}, keep it.")

    response = IronLLM.wrap(make(double), engine_of()).chat(asked("Hello"))

    assert response.message.content == "Your key is [REDACTED_OPENAI_KEY], keep it."
    assert "Zk3v9QmT" not in repr(response) + repr(response.raw)


@pytest.mark.parametrize("make", [open_ai, claude])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_secret_in_a_tool_call_and_in_reasoning_is_nowhere_in_the_reply(double, make, streamed):
    double.reply("Well.", reasoning=f"The key is {SECRET}", tools=(("note", {"text": f"key {SECRET} now"}),))
    llm = IronLLM.wrap(make(double), engine_of())
    tools = [FunctionTool.from_defaults(lambda text: text, name="note", description="Take a note.")]

    ask = llm.stream_chat_with_tools if streamed else llm.chat_with_tools
    result = ask(tools, user_msg="Hello", chat_history=[])
    responses = list(result) if streamed else [result]

    assert "Zk3v9QmT" not in " ".join(repr(response) + repr(response.raw) for response in responses)
    call = llm.get_tool_calls_from_response(responses[-1])[0]
    assert call.tool_kwargs == {"text": "key [REDACTED_OPENAI_KEY] now"}


@pytest.mark.parametrize("make", [open_ai, claude])
def test_what_needs_no_change_comes_as_the_model_has_sent_it(double, make):
    double.reply("Once upon a time there was a king.")
    double.reply("Once upon a time there was a king.")
    bare = [(r.delta, r.message.content) for r in make(double).stream_chat(asked("Hello")) if r.delta]

    governed = list(IronLLM.wrap(make(double), engine_of()).stream_chat(asked("Hello")))

    assert "".join(r.delta or "" for r in governed) == "".join(delta for delta, _ in bare)
    assert governed[-1].message.content == "Once upon a time there was a king."


@pytest.mark.parametrize("seam", ["handler", "IronLLM"])
def test_a_stream_that_is_broken_off_is_settled_once(double, seam):
    double.reply("word " * 50)
    engine = engine_of(budgets=[{"scope": "global", "limit_usd": 1}])
    llm = (
        IronLLM.wrap(open_ai(double), engine)
        if seam == "IronLLM"
        else open_ai(double, callback_manager=handled(engine))
    )

    stream = llm.stream_chat(asked("Hello"))
    next(stream)
    stream.close()
    del stream
    gc.collect()  # the SDK's own stream is a cycle, which LlamaIndex does not close
    llm.complete("Hello")

    assert recorded(engine) == ["call.admitted", "call.settled"] * 2
    assert all(account.held_nanodollars == 0 for account in engine.accounts())


async def test_an_async_stream_that_is_broken_off_is_settled_once(double):
    double.reply("word " * 50)
    engine = engine_of()

    stream = await IronLLM.wrap(open_ai(double), engine).astream_chat(asked("Hello"))
    await anext(stream)
    await stream.aclose()
    gc.collect()  # LlamaIndex leaves the stream within to the collector, which has the loop close it
    await open_ai(double).acomplete("Hello")

    assert recorded(engine) == ["call.admitted", "call.settled"]


@pytest.mark.parametrize("seam", ["handler", "IronLLM"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_call_that_the_provider_refuses_costs_nothing(double, seam, streamed):
    double.fail_next(400)
    engine = engine_of()
    llm = (
        IronLLM.wrap(open_ai(double), engine)
        if seam == "IronLLM"
        else open_ai(double, callback_manager=handled(engine))
    )

    with pytest.raises(openai.BadRequestError):
        list(llm.stream_chat(asked("Hello"))) if streamed else llm.chat(asked("Hello"))

    assert recorded(engine) == ["call.admitted", "call.failed"]
    assert cost_of(engine) == 0


def test_a_models_own_limit_is_lowered_where_the_budget_says_so(double):
    engine = engine_of(
        budgets=[{"scope": "global", "limit_usd": "0.0004"}], spending={"when_short": ["clamp", "deny"]}
    )
    llm = IronLLM.wrap(open_ai(double, max_tokens=16_000, additional_kwargs={"max_tokens": 15_000}), engine)

    llm.chat(asked("Tell me a story."), max_tokens=14_000)

    assert 0 < double.requests.last.json["max_tokens"] < 1000


# -- prompts ---------------------------------------------------------------------------------------------------


def test_an_address_is_found_wherever_it_stands_in_a_prompt(double):
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "note", "arguments": json.dumps({"to": ADDRESS})},
    }
    messages = [
        ChatMessage(role=MessageRole.SYSTEM, content=f"system {ADDRESS}"),
        ChatMessage(blocks=[TextBlock(text="Hello"), TextBlock(text=f"second block {ADDRESS}")]),
        ChatMessage(
            role=MessageRole.ASSISTANT,
            blocks=[ToolCallBlock(tool_call_id="a", tool_name="note", tool_kwargs={"to": [ADDRESS]})],
        ),
        ChatMessage(
            role=MessageRole.TOOL, content=f"result {ADDRESS}", additional_kwargs={"tool_call_id": "a"}
        ),
        ChatMessage(role=MessageRole.ASSISTANT, content="", additional_kwargs={"tool_calls": [call]}),
        ChatMessage(role=MessageRole.TOOL, content="done", additional_kwargs={"tool_call_id": "call_1"}),
        *asked(),
    ]
    tools = [FunctionTool.from_defaults(lambda to: to, name="note", description=f"Write to {ADDRESS}")]
    llm = IronLLM.wrap(open_ai(double, additional_kwargs={"user": ADDRESS}), engine_of())

    llm.chat_with_tools(tools, chat_history=messages)

    assert ADDRESS not in double.requests.last.text
    assert double.requests.last.text.count("<EMAIL_") == 8


def test_blocks_of_every_sort_are_judged_before_a_model_in_memory_sees_them():
    seen = []
    llm = MockFunctionCallingLLM(
        response_generator=lambda messages, **_: (
            seen.extend(messages) or ChatMessage(role="assistant", content="ok")
        )
    )
    blocks = [
        ThinkingBlock(content=f"thought {ADDRESS}"),
        CitableBlock(title=f"title {ADDRESS}", source="s", content=[TextBlock(text=f"cited {ADDRESS}")]),
        ToolCallBlock(tool_name="note", tool_kwargs=json.dumps({"to": ADDRESS})),
        ImageBlock(image=b"bytes", image_mimetype="image/png"),
    ]

    IronLLM.wrap(llm, engine_of()).chat([ChatMessage(blocks=blocks)])

    assert ADDRESS not in repr(seen)
    assert repr(seen).count("<EMAIL_") == 4
    assert seen[0].blocks[3] is blocks[3]


def test_a_tool_that_describes_itself_with_what_is_rewritten_does_not_reach_a_model_in_memory():
    tools = [FunctionTool.from_defaults(lambda to: to, name="note", description=f"Write to {ADDRESS}")]

    with pytest.raises(ContentBlocked, match="describes itself"):
        IronLLM.wrap(MockFunctionCallingLLM(), engine_of()).chat_with_tools(tools, user_msg="Hello")


# -- models off the wire ---------------------------------------------------------------------------------------


def test_a_model_in_memory_is_held_by_the_wrapper():
    engine = engine_of()
    llm = IronLLM.wrap(MockLLM(), engine)

    assert llm.complete(QUESTION).text == QUESTION
    assert list(llm.stream_complete(QUESTION))[-1].text == QUESTION
    assert QUESTION in llm.chat(asked()).message.content
    assert recorded(engine) == ["call.admitted", "call.settled"] * 3


@pytest.mark.parametrize("call", [lambda llm: llm.complete(QUESTION), lambda llm: llm.chat(asked())])
def test_a_handler_refuses_to_rewrite_for_a_model_in_memory_and_names_the_wrapper(call):
    llm = MockLLM(callback_manager=handled(engine_of()))

    with pytest.raises(ContentBlocked, match=r"IronLLM\.wrap"):
        call(llm)


def test_a_handler_admits_and_meters_a_model_in_memory_once():
    engine = engine_of(
        spending={"unknown_price": {"assume_usd_per_mtok": 75}},
        budgets=[{"scope": "global", "limit_usd": 10}],
    )
    llm = MockLLM(callback_manager=handled(engine))

    llm.chat(asked("Hello"))
    list(llm.stream_complete("Hello"))

    assert recorded(engine).count("call.settled") == 2
    assert cost_of(engine) > 0
    assert all(account.held_nanodollars == 0 for account in engine.accounts())


def test_a_reply_that_a_handler_cannot_rewrite_is_not_handed_on():
    llm = MockLLM(callback_manager=handled(engine_of(safety={"input": {"secrets": "flag"}})))

    with pytest.raises(ContentBlocked, match=r"IronLLM\.wrap"):
        llm.complete(f"key {SECRET}")


def test_a_model_in_memory_under_both_is_charged_once():
    engine = engine_of()
    llm = IronLLM.wrap(MockLLM(callback_manager=handled(engine)), engine)

    assert llm.complete(QUESTION).text == QUESTION
    assert recorded(engine) == ["call.admitted", "call.settled"]


def test_a_second_handler_refuses_and_the_first_keeps_nothing_held(double):
    first, second = (
        engine_of(budgets=[{"scope": "global", "limit_usd": 1}]),
        engine_of(safety={"input": {"pii": "block"}}),
    )
    manager = CallbackManager([IronCallbackHandler(first), IronCallbackHandler(second)])

    with pytest.raises(ContentBlocked, match="EMAIL"):
        open_ai(double, callback_manager=manager).chat(asked())
    open_ai(double).chat(asked())

    assert len(double.requests) == 1
    assert "call.settled" not in recorded(first)


# -- attaching -------------------------------------------------------------------------------------------------


def test_attach_governs_models_made_later_and_those_of_settings_until_it_is_undone(double):
    Settings.llm = open_ai(double)
    engine = engine_of()

    with attach(engine):
        Settings.llm.complete(QUESTION)
        open_ai(double).complete(QUESTION)
    Settings.llm.complete("Hello")

    assert not any(ADDRESS in request.text for request in double.requests)
    assert recorded(engine) == ["call.admitted", "call.settled"] * 2


def test_attach_leaves_the_handlers_that_are_there(double):
    Settings.callback_manager = CallbackManager([])
    first = attach(engine_of())
    second = attach(engine_of())
    second.uninstall()

    assert first in Settings.callback_manager.handlers
    assert second not in Settings.callback_manager.handlers


def test_a_mark_does_not_outlive_its_call(double):
    engine = engine_of()
    open_ai(double, callback_manager=handled(engine)).complete("Hello")
    open_ai(double).complete(QUESTION)

    assert recorded(engine) == ["call.admitted", "call.settled"]
    assert ADDRESS in double.requests.last.text


def test_the_names_of_a_handler_say_whose_budget_is_spent(double):
    engine = engine_of(budgets=[{"scope": "team/research", "limit_usd": 0}])
    handler = IronCallbackHandler(engine, path="team/research")

    open_ai(double, callback_manager=handled(engine)).complete("Hello")
    with pytest.raises(BudgetExceeded):
        open_ai(double, callback_manager=CallbackManager([handler])).complete("Hello")


def test_an_enclosing_run_is_charged(double):
    engine = engine_of()
    llm = open_ai(double, callback_manager=handled(engine))

    with engine.run() as run:
        llm.complete("Hello")
        IronLLM.wrap(open_ai(double), engine).complete("Hello")

    assert run.summary().calls == 2


# -- tools -----------------------------------------------------------------------------------------------------


def note(to: str) -> str:
    """Take a note."""
    return f"noted {to}"


def test_a_tool_that_is_denied_does_not_run_and_says_why():
    ran = []

    def shell_run(command: str) -> str:
        """Run a command."""
        ran.append(command)
        return "ran"

    tool = IronTool.wrap(FunctionTool.from_defaults(shell_run), {"access": {"tools": {"deny": ["shell_*"]}}})

    output = tool(command="ls")

    assert output.is_error
    assert "Refused by policy" in output.content
    assert "shell_run" in output.content
    assert isinstance(output.exception, ToolNotAllowed)
    assert ran == []


@pytest.mark.parametrize("positional", [False, True])
async def test_a_tool_sees_real_values_only_where_they_are_revealed_to_it(positional):
    for revealed, expected in ((["note"], f"noted {ADDRESS}"), ([], "noted <EMAIL")):
        engine = engine_of(safety={"reveal": {"tools": revealed}})
        with engine.run() as run:
            token = run.vault.token_for("EMAIL", ADDRESS)
            tool = IronTool.wrap(FunctionTool.from_defaults(note), engine)
            for output in (
                tool.call(token) if positional else tool.call(to=token),
                await (tool.acall(token) if positional else tool.acall(to=token)),
            ):
                assert output.content.startswith(expected)


def test_a_result_that_is_blocked_is_not_handed_on():
    tool = IronTool.wrap(FunctionTool.from_defaults(note), {"safety": {"input": {"pii": "block"}}})

    output = tool(to=ADDRESS)

    assert output.is_error
    assert ADDRESS not in output.content


async def test_a_tool_that_wants_the_agents_context_still_gets_it(double):
    async def remember(ctx: Context, what: str) -> str:
        """Remember something."""
        await ctx.store.set("what", what)
        return "remembered"

    double.reply(tools=(("remember", {"what": "milk"}),))
    double.reply("Done.")
    agent = FunctionAgent(
        tools=[IronTool.wrap(FunctionTool.from_defaults(remember), engine_of())],
        llm=IronLLM.wrap(open_ai(double), engine_of()),
    )
    context = Context(agent)

    assert str(await agent.run("Remember milk", ctx=context)) == "Done."
    assert await context.store.get("what") == "milk"


async def test_an_agent_goes_on_after_a_refused_tool_and_reads_why(double):
    double.answer_with(
        lambda asking: (
            asking.tool_results[-1]
            if asking.tool_results
            else Reply(tool_calls=(ToolUse("note", {"to": "x"}),))
        )
    )
    policy = engine_of(access={"tools": {"deny": ["note"]}})
    agent = FunctionAgent(
        tools=[IronTool.wrap(FunctionTool.from_defaults(note), policy)], llm=open_ai(double)
    )

    assert "Refused by policy" in str(await agent.run("Take a note"))


async def test_an_agent_may_not_offer_or_call_a_tool_that_is_denied(double):
    agent = FunctionAgent(
        tools=[FunctionTool.from_defaults(note)],
        llm=IronLLM.wrap(open_ai(double), {"access": {"tools": {"deny": ["note"]}}}),
    )

    with pytest.raises(PolicyDenied, match="note"):
        await agent.run("Take a note")
    assert len(double.requests) == 0


def test_a_query_engine_as_a_tool_is_governed(double):
    index = VectorStoreIndex.from_documents([Document(text="Paris")], embed_model=embedding(double))
    tool = QueryEngineTool.from_defaults(
        index.as_query_engine(llm=open_ai(double)), name="facts", description="Facts."
    )

    assert not IronTool.wrap(tool, engine_of()).call(input="capital").is_error
    assert IronTool.wrap(tool, {"access": {"tools": {"deny": ["facts"]}}}).call(input="capital").is_error


# -- embeddings and retrieval ----------------------------------------------------------------------------------


def documents():
    return [
        Document(text=f"Jane Roe reads {ADDRESS} every day."),
        Document(text="The capital of France is Paris."),
    ]


def retrieved(asking):
    return next(line for line in asking.user_text.splitlines() if "Jane" in line)


def test_a_query_over_an_index_keeps_the_address_from_every_provider(double):
    double.answer_with(retrieved)
    engine = engine_of()
    with attach(engine):
        index = VectorStoreIndex.from_documents(documents(), embed_model=embedding(double))
        answer = index.as_query_engine(llm=open_ai(double)).query(f"Who is {ADDRESS}?")

    assert ADDRESS in str(answer)
    assert not any(ADDRESS in request.text for request in double.requests)
    assert recorded(engine) == ["call.admitted", "call.settled"] * len(double.requests)


async def test_wrappers_govern_a_streamed_and_an_async_query_alike(double):
    double.answer_with(retrieved)
    engine = engine_of()
    index = VectorStoreIndex.from_documents(
        documents(), embed_model=IronEmbedding.wrap(embedding(double), engine)
    )
    llm = IronLLM.wrap(open_ai(double), engine)

    streamed = "".join(index.as_query_engine(llm=llm, streaming=True).query("Who is Jane?").response_gen)
    whole = str(await index.as_query_engine(llm=llm).aquery("Who is Jane?"))

    assert ADDRESS in streamed
    assert ADDRESS in whole
    assert not any(ADDRESS in request.text for request in double.requests)
    assert recorded(engine) == ["call.admitted", "call.settled"] * len(double.requests)


@pytest.mark.parametrize("seam", ["handler", "IronEmbedding", "all at once"])
async def test_every_way_to_embed_is_rewritten_and_charged_once(double, seam):
    engine = engine_of(budgets=[{"scope": "global", "limit_usd": 1}])
    model = embedding(double, callback_manager=None if seam == "IronEmbedding" else handled(engine))
    if seam != "handler":
        model = IronEmbedding.wrap(model, engine)

    one = model.get_text_embedding(QUESTION)
    assert model.get_text_embedding_batch([QUESTION, "Hello"])[0] == one
    assert await model.aget_text_embedding(QUESTION) == one
    assert (await model.aget_text_embedding_batch([QUESTION, "Hello"]))[0] == one
    model.get_query_embedding(QUESTION)
    await model.aget_query_embedding(QUESTION)

    assert len(double.requests) == 6
    assert all("<EMAIL_" in request.text and ADDRESS not in request.text for request in double.requests)
    assert recorded(engine) == ["call.admitted", "call.settled"] * 6
    assert cost_of(engine) > 0


@pytest.mark.parametrize("seam", ["handler", "IronEmbedding"])
def test_a_blocked_text_is_not_embedded(double, seam):
    engine = engine_of(safety={"input": {"pii": "block"}})
    model = (
        IronEmbedding.wrap(embedding(double), engine)
        if seam == "IronEmbedding"
        else embedding(double, callback_manager=handled(engine))
    )

    with pytest.raises(PolicyDenied):
        model.get_text_embedding(QUESTION)
    assert len(double.requests) == 0


def test_embeddings_off_the_wire_that_needed_rewriting_are_not_handed_on():
    model = MockEmbedding(embed_dim=2, callback_manager=handled(engine_of()))

    assert model.get_text_embedding("Hello")
    with pytest.raises(GovernanceFailed, match=r"IronEmbedding\.wrap"):
        model.get_text_embedding(QUESTION)
    assert IronEmbedding.wrap(MockEmbedding(embed_dim=2), engine_of()).get_text_embedding(QUESTION)


def test_a_chat_engine_that_streams_from_a_thread_of_its_own_is_governed(double):
    double.answer_with(lambda asking: asking.user_text)
    for engine, llm in (
        (e := engine_of(), open_ai(double, callback_manager=handled(e))),
        (e := engine_of(), IronLLM.wrap(open_ai(double), e)),
    ):
        reply = SimpleChatEngine.from_defaults(llm=llm).stream_chat(QUESTION)
        assert "".join(reply.response_gen) == QUESTION
        assert recorded(engine) == ["call.admitted", "call.settled"]
    assert not any(ADDRESS in request.text for request in double.requests)


# -- standing in -----------------------------------------------------------------------------------------------


def test_it_says_of_itself_what_the_model_says(double):
    model = open_ai(double, temperature=0.3, system_prompt="Be brief.")
    llm = IronLLM.wrap(model, engine_of())

    assert llm.metadata == model.metadata
    assert (llm.model, llm.temperature, llm.system_prompt) == ("gpt-4o-mini", 0.3, "Be brief.")
    assert IronLLM.wrap(llm, engine_of()).metadata == model.metadata


def test_a_model_by_name_is_the_providers(double):
    assert IronLLM(model="gpt-4o-mini", api_base=double.openai_url, api_key="any").complete("Hello").text
    assert (
        IronLLM(model="claude-haiku-4-5", base_url=double.anthropic_url, api_key="any").complete("Hello").text
    )
    assert (
        IronLLM("anthropic/claude-haiku-4-5", base_url=double.anthropic_url, api_key="any")
        .complete("Hello")
        .text
    )
    assert {request.path for request in double.requests} == {"/v1/chat/completions", "/v1/messages"}


def test_one_policy_twice_on_a_call_charges_it_once(double):
    engine = engine_of()

    IronLLM.wrap(IronLLM.wrap(open_ai(double), engine), engine).complete(QUESTION)

    assert recorded(engine) == ["call.admitted", "call.settled"]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("outer", ["handler", "IronLLM", "second handler"])
def test_two_policies_on_a_call_are_both_kept(double, outer, streamed):
    double.answer_with(lambda asking: asking.user_text)
    first = engine_of(
        safety={
            "custom": [{"kind": "ORDER", "pattern": r"O-\d{4}", "action": "redact"}],
            "input": {"pii": "flag"},
        }
    )
    second = engine_of()
    handlers = {"handler": [first], "IronLLM": [], "second handler": [first, second]}[outer]
    llm = open_ai(
        double, callback_manager=CallbackManager([IronCallbackHandler(engine) for engine in handlers])
    )
    if outer != "second handler":
        llm = IronLLM.wrap(llm, second)
    if outer == "IronLLM":
        llm = IronLLM.wrap(llm, first)

    said = f"{QUESTION} It is O-1234."
    reply = list(llm.stream_complete(said))[-1].text if streamed else llm.complete(said).text

    assert reply == f"{QUESTION} It is [REDACTED_ORDER]."
    assert len(double.requests) == 1
    assert "<EMAIL_" in double.requests.last.text
    assert "O-1234" not in double.requests.last.text
    assert recorded(first) == recorded(second) == ["call.admitted", "call.settled"]


@pytest.mark.parametrize("own", ["none", "that of the inner handler", "a third"])
def test_the_policies_of_two_handlers_are_both_kept_on_a_held_model_in_memory(own):
    first = engine_of(
        safety={
            "custom": [{"kind": "ORDER", "pattern": r"O-\d{4}", "action": "redact"}],
            "input": {"pii": "flag"},
        }
    )
    second = engine_of()
    handlers = CallbackManager([IronCallbackHandler(first), IronCallbackHandler(second)])
    policy = {"none": None, "that of the inner handler": second, "a third": engine_of()}[own]

    reply = IronLLM.wrap(MockLLM(callback_manager=handlers), policy).complete(f"{QUESTION} It is O-1234.")

    assert reply.text == f"{QUESTION} It is [REDACTED_ORDER]."
    assert recorded(first) == recorded(second) == ["call.admitted", "call.settled"]


def test_the_settings_of_llama_index_take_what_is_governed(double):
    engine = engine_of()
    Settings.llm = IronLLM.wrap(open_ai(double), engine)
    Settings.embed_model = IronEmbedding.wrap(embedding(double), engine)

    index = VectorStoreIndex.from_documents(documents())
    index.as_query_engine().query(f"Who is {ADDRESS}?")
    index.as_chat_engine().chat(f"Who is {ADDRESS}?")

    assert len(double.requests) > 3
    assert not any(ADDRESS in request.text for request in double.requests)
    assert recorded(engine) == ["call.admitted", "call.settled"] * len(double.requests)


def test_claude_on_bedrock_or_vertex_is_not_taken_for_one_on_the_wire(double):
    for name in ("anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-sonnet-4@20250514"):
        llm = claude(double, callback_manager=handled(engine_of()))
        llm.model = name
        with pytest.raises(ContentBlocked, match=r"IronLLM\.wrap"):
            llm.chat(asked())
    assert len(double.requests) == 0


@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_that_claude_was_asked_for_as_json_stays_json_when_values_return(double, streamed):
    double.answer_with(lambda asking: json.dumps({"name": asking.user_text}))
    engine = engine_of(safety={"custom": [{"kind": "NICK", "pattern": r'N"\w+"', "action": "tokenize"}]})
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    wanted = {"format": {"type": "json_schema", "schema": {**schema, "additionalProperties": False}}}
    llm = IronLLM.wrap(claude(double), engine)

    if streamed:
        reply = list(llm.stream_chat(asked('N"Jo"'), output_config=wanted))[-1]
    else:
        reply = llm.chat(asked('N"Jo"'), output_config=wanted)

    assert 'N"Jo"' not in double.requests.last.text
    assert json.loads(reply.message.content) == {"name": 'N"Jo"'}


def test_a_prediction_is_asked_for_as_the_model_asks_for_it(double):
    class Letter(BaseModel):
        """Write a letter."""

        to: str

    double.script([json.dumps({"to": "Jane"})] * 2)
    open_ai(double).structured_predict(Letter, PromptTemplate("Hello"))
    IronLLM.wrap(open_ai(double), engine_of()).structured_predict(Letter, PromptTemplate("Hello"))

    assert double.requests[0].json == double.requests[1].json


def test_what_is_no_model_cannot_be_wrapped():
    with pytest.raises(TypeError, match="LLM"):
        IronLLM.wrap(object())
    with pytest.raises(TypeError, match="name"):
        IronLLM()
    with pytest.raises(TypeError, match="tool"):
        IronTool.wrap(note)
    with pytest.raises(TypeError, match="BaseEmbedding"):
        IronEmbedding.wrap(object())


def test_callbacks_are_told_once_and_of_what_the_caller_said(double):
    told = []

    class Watching(IronCallbackHandler):
        def on_event_start(self, event_type, payload=None, event_id="", parent_id="", **kwargs):
            told.append((event_type.value, str(payload)))
            return event_id

        def on_event_end(self, *args, **kwargs):
            return None

    llm = open_ai(double, callback_manager=CallbackManager([Watching(engine_of())]))
    IronLLM.wrap(llm, engine_of()).complete(QUESTION)

    assert [kind for kind, _ in told] == ["llm"]
    assert ADDRESS in told[0][1]


def test_threads_do_not_share_a_mark(double):
    engine = engine_of()
    llm = open_ai(double, callback_manager=handled(engine))

    threads = [threading.Thread(target=llm.complete, args=(QUESTION,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not any(ADDRESS in request.text for request in double.requests)
    assert recorded(engine).count("call.settled") == 4


def test_monitor_mode_changes_nothing_and_records(double):
    engine = engine_of(mode="monitor", safety={"input": {"pii": "block"}})

    assert ADDRESS in IronLLM.wrap(open_ai(double), engine).complete(QUESTION).text
    assert ADDRESS in double.requests.last.text
    assert "call.settled" in recorded(engine)


def test_the_example_runs_and_governs_by_one_changed_line(monkeypatch, capsys, caplog):
    caplog.set_level(logging.ERROR)
    monkeypatch.syspath_prepend(str(ROOT / "examples"))

    runpy.run_path(str(ROOT / "examples" / "llama_index_workflow.py"), run_name="__main__")

    shown = capsys.readouterr().out
    ungoverned, governed = shown.split("governed:", 1)[0], shown.rsplit("governed:", 1)[1]
    assert "what the provider read" in ungoverned
    assert "ana.silva@example.com" in ungoverned.split("what the provider read")[1]
    assert "<EMAIL_" in governed.split("what the provider read")[1]
    assert "ana.silva@example.com" not in governed.split("what the provider read")[1]
