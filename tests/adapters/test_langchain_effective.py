"""What is judged is what is sent: parameters that a model was made with, or that are passed around LangChain's own."""

from contextlib import nullcontext

import pytest

pytest.importorskip("langchain_openai")
pytest.importorskip("langchain_anthropic")

from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from iron_adapters import govern, install
from iron_adapters.langchain import IronCallbackHandler, IronChatModel, IronEmbeddings
from iron_adapters.langchain.messages import Prompt
from iron_adapters.langchain.requests import request_of
from iron_policy import ContentBlocked, ModelNotAllowed, Policy, PolicyDenied, PolicyEngine
from iron_policy.audit import MemorySink

ADDRESS = "jane.roe@example.com"
SHELL = {"type": "function", "function": {"name": "shell_run", "parameters": {"type": "object"}}}
STRICT = {"access": {"models": {"allow": ["gpt-4o-mini"]}, "tools": {"deny": ["shell_*"]}}}


def chat(double, **more):
    return ChatOpenAI(model="gpt-4o-mini", base_url=double.openai_url, **more)


def claude(double, **more):
    return ChatAnthropic(model="claude-haiku-4-5", base_url=double.anthropic_url, **more)


def engine(**policy):
    return PolicyEngine(Policy.model_validate(policy), sinks=[MemorySink(100)])


def settled(engine):
    events = engine.recorder.sinks[0].events
    return [event.attributes for event in events if event.type == "call.settled"]


OTHER = {
    "a model": {"model": "gpt-4-turbo"},
    "a tool": {"tools": [SHELL]},
    "a further model": {"models": ["gpt-4-turbo"]},
}
WAYS = {
    "call": lambda double, body: IronChatModel.wrap(chat(double), STRICT).invoke("Hi", extra_body=body),
    "bind": lambda double, body: IronChatModel.wrap(chat(double), STRICT).bind(extra_body=body).invoke("Hi"),
    "model": lambda double, body: IronChatModel.wrap(chat(double, extra_body=body), STRICT).invoke("Hi"),
    "stream": lambda double, body: list(
        IronChatModel.wrap(chat(double), STRICT).stream("Hi", extra_body=body)
    ),
    "name": lambda double, body: IronChatModel(
        model="openai:gpt-4o-mini", policy=STRICT, base_url=double.openai_url, extra_body=body
    ).invoke("Hi"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("other", OTHER)
def test_the_body_that_is_sent_is_what_is_judged(double, other, way):
    with pytest.raises(PolicyDenied, match="not allowed"):
        WAYS[way](double, OTHER[other])

    assert len(double.requests) == 0


def test_the_body_that_is_sent_is_what_is_held_and_clamped(double):
    governing = engine(budgets=[{"scope": "run", "limit_usd": 0.005}])

    IronChatModel.wrap(chat(double), governing).invoke(
        "Hi", extra_body={"model": "gpt-4o", "max_tokens": 100_000}
    )

    assert double.requests.last.json["max_tokens"] < 1000
    assert settled(governing)[0]["gen_ai.request.model"] == "gpt-4o"


def test_the_tier_and_further_models_of_a_request_are_told_wherever_they_stand():
    params = {"model": "gpt-4o", "service_tier": "priority", "extra_body": {"models": ["gpt-4-turbo"]}}

    request = request_of("openai", params, Prompt([], {}))

    assert (request.service_tier, request.other_models) == ("priority", ("gpt-4-turbo",))
    assert request.parameter_names == ("service_tier", "models")


SET_ON_A_MODEL = {
    "model_kwargs": lambda double: chat(double, model_kwargs={"user": ADDRESS}),
    "extra_body": lambda double: chat(double, extra_body={"user": ADDRESS}),
    "stop": lambda double: chat(double, stop=[f"To {ADDRESS}"]),
    "responses": lambda double: chat(double, use_responses_api=True, model_kwargs={"instructions": ADDRESS}),
    "anthropic stop": lambda double: claude(double, stop=[f"To {ADDRESS}"]),
}


@pytest.mark.parametrize("style", ["invoke", "stream", "ainvoke", "astream"])
@pytest.mark.parametrize("where", SET_ON_A_MODEL)
async def test_a_text_that_a_model_was_made_with_leaves_as_the_policy_has_it(double, where, style):
    model = IronChatModel.wrap(SET_ON_A_MODEL[where](double))

    match style:
        case "invoke":
            model.invoke("Hi")
        case "stream":
            list(model.stream("Hi"))
        case "ainvoke":
            await model.ainvoke("Hi")
        case "astream":
            _ = [chunk async for chunk in model.astream("Hi")]

    assert "<EMAIL_" in double.requests.last.text
    assert ADDRESS not in double.requests.last.text


class Kept(FakeListChatModel):
    """A model in memory with parameters of its own."""

    given: dict

    def _get_invocation_params(self, stop=None, **kwargs):
        return {**super()._get_invocation_params(stop=stop, **kwargs), **self.given, **kwargs}


def test_off_the_wire_too_what_a_model_was_made_with_is_judged():
    with pytest.raises(ModelNotAllowed):
        IronChatModel.wrap(
            Kept(responses=["x"], given={"extra_body": {"model": "gpt-4-turbo"}}), STRICT
        ).invoke("Hi")
    with pytest.raises(ContentBlocked, match="user: set on the model"):
        IronChatModel.wrap(Kept(responses=["x"], given={"user": ADDRESS})).invoke("Hi")


@pytest.mark.parametrize("style", ["documents", "query"])
def test_what_embeddings_were_made_with_leaves_as_the_policy_has_it(double, style):
    how = {"base_url": double.openai_url, "check_embedding_ctx_length": False}
    bare = OpenAIEmbeddings(model="text-embedding-3-small", model_kwargs={"user": ADDRESS}, **how)
    embeddings = IronEmbeddings.wrap(bare)

    embeddings.embed_query("Hi") if style == "query" else embeddings.embed_documents(["Hi", ADDRESS])

    assert "<EMAIL_" in double.requests.last.json["user"]
    assert ADDRESS not in double.requests.last.text
    assert bare.model_kwargs == {"user": ADDRESS}


def test_the_model_that_embeddings_really_ask_is_judged(double):
    how = {"base_url": double.openai_url, "check_embedding_ctx_length": False}
    bare = OpenAIEmbeddings(model="text-embedding-3-small", **how)
    bare.model_kwargs = {"model": "text-embedding-3-large"}

    with pytest.raises(ModelNotAllowed):
        IronEmbeddings.wrap(bare, {"access": {"models": {"allow": ["*-small"]}}}).embed_query("Hi")


def test_counting_the_tokens_of_tools_sends_no_address(double):
    tool = {"name": "write", "description": f"Write to {ADDRESS}", "input_schema": {"type": "object"}}
    governing = engine(budgets=[{"scope": "run", "limit_usd": 1}])
    model = IronChatModel.wrap(claude(double), governing)

    assert model.get_num_tokens_from_messages([HumanMessage("Hi")], tools=[tool]) > 0
    assert double.requests.last.path.endswith("/count_tokens")
    assert "<EMAIL_" in double.requests.last.text
    assert ADDRESS not in double.requests.last.text
    assert sum(each["iron.cost_nanodollars"] for each in settled(governing)) == 0


def test_two_policies_on_one_call_are_both_kept_and_charged(double):
    strict = engine(budgets=[{"scope": "global", "limit_usd": 1}])
    loose = engine(safety={"input": {"pii": "allow"}}, budgets=[{"scope": "global", "limit_usd": 1}])
    handler = IronCallbackHandler(loose)

    reply = IronChatModel.wrap(chat(double), strict).invoke(f"Write to {ADDRESS}", {"callbacks": [handler]})

    assert ADDRESS in reply.text
    assert ADDRESS not in double.requests.last.text
    assert len(settled(strict)) == len(settled(loose)) == 1


def test_two_policies_on_one_call_off_the_wire_are_both_kept_and_charged():
    assumed = {"spending": {"unknown_price": {"assume_usd_per_mtok": 1}}}
    strict = engine(safety={"output": {"pii": "redact"}}, **assumed)
    loose = engine(**assumed)
    model = IronChatModel.wrap(FakeListChatModel(responses=[f"Her address is {ADDRESS}."]), strict)

    whole = model.invoke("Where?", {"callbacks": [IronCallbackHandler(loose)]}).text
    streamed = "".join(
        chunk.text for chunk in model.stream("Where?", {"callbacks": [IronCallbackHandler(loose)]})
    )

    assert whole == streamed == "Her address is [REDACTED_EMAIL]."
    assert len(settled(strict)) == len(settled(loose)) == 2


@pytest.mark.parametrize(
    "seams", [{"handler"}, {"model"}, {"handler", "model"}, {"handler", "model", "client"}]
)
@pytest.mark.parametrize("installed", [True, False], ids=["installed", "not"])
def test_one_policy_at_many_seams_acts_once(double, seams, installed):
    governing = engine(budgets=[{"scope": "global", "limit_usd": 1}])
    bare = chat(double)
    if "client" in seams:
        govern(bare.root_client, governing)
    model = IronChatModel.wrap(bare, governing) if "model" in seams else bare
    callbacks = [IronCallbackHandler(governing)] if "handler" in seams else []

    with install(governing) if installed else nullcontext():
        model.invoke(f"Write to {ADDRESS}", {"callbacks": callbacks})

    assert ADDRESS not in double.requests.last.text
    assert [event.type for event in governing.recorder.sinks[0].events] == ["call.admitted", "call.settled"]


@pytest.mark.parametrize("style", ["handler", "model"])
def test_a_seam_without_a_policy_of_its_own_leaves_the_call_to_the_client_that_has_one(double, style):
    governing = engine()
    bare = chat(double)
    govern(bare.root_client, governing)

    if style == "handler":
        reply = bare.invoke(f"Write to {ADDRESS}", {"callbacks": [IronCallbackHandler()]})
    else:
        reply = IronChatModel.wrap(bare).invoke(f"Write to {ADDRESS}")

    assert ADDRESS in reply.text
    assert ADDRESS not in double.requests.last.text
    assert len(settled(governing)) == 1


class Elsewhere(ChatOpenAI):
    """A model of one's own that calls something else."""

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return ChatResult(generations=[ChatGeneration(message=AIMessage(f"To {messages[0].text}"))])


def test_a_model_of_ones_own_is_governed_where_it_is_called(double):
    model = IronChatModel.wrap(Elsewhere(model="gpt-4o-mini", base_url=double.openai_url))

    assert model.wrapped.invoke(ADDRESS).text == f"To {ADDRESS}"
    assert model.invoke(ADDRESS).text == f"To {ADDRESS}"
    assert (
        "<EMAIL_"
        in IronChatModel.wrap(model.wrapped, {"safety": {"reveal": {"tools": []}}})
        ._begin([HumanMessage(ADDRESS)], None, {})
        .arguments("max_tokens")[0][0]
        .text
    )


class Client:
    """A client that was put in the place of the SDK's, and answers out of this process."""

    @property
    def with_raw_response(self):
        return self

    def create(self, **asked):
        return self

    def parse(self):
        message = {"role": "assistant", "content": f"Her address is {ADDRESS}."}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return {"model": "gpt-4o-mini", "choices": [choice], "usage": None}


def test_a_client_that_never_comes_by_the_wire_is_found_out_and_its_reply_reviewed(double):
    bare = chat(double)
    bare.client = Client()
    governing = engine(safety={"output": {"pii": "redact"}})
    model = IronChatModel.wrap(bare, governing)

    assert model.invoke("Where?").text == "Her address is [REDACTED_EMAIL]."
    assert len(settled(governing)) == 1
    with pytest.raises(PolicyDenied, match="never came by httpx"):
        model.invoke(f"Is it {ADDRESS}?")
