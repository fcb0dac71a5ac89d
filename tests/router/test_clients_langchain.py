"""LangChain through the router, with nothing but a base URL and a key changed."""

import json

import pytest

pytest.importorskip(
    "langchain_openai", reason="needs langchain-openai, which CrewAI's environment cannot have"
)
pytest.importorskip("langchain_anthropic", reason="needs langchain-anthropic")

from clients import CLAUDE, GPT, Place, named
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from pydantic import BaseModel

# LangChain keeps its clients for as long as the process lives: their connections must not outlive a test's loop.
CLOSED = {"connection": "close"}

TOLD = 'call tool lookup {"city":"Rome"} call tool lookup {"city":"Oslo"}'


@tool
def lookup(city: str) -> str:
    """Look the weather of a city up."""
    return f"sunny in {city}"


class Weather(BaseModel):
    """What is said of the weather."""

    city: str
    degrees: int


def chat(place, model=GPT, **more):
    return ChatOpenAI(
        model=model,
        base_url=place.openai_url,
        api_key=place.key,
        default_headers=CLOSED,
        max_tokens=200,
        **more,
    )


def responses(place, model=GPT):
    return chat(place, model, use_responses_api=True)


def claude(place, model=CLAUDE):
    return ChatAnthropic(
        model=model, base_url=place.anthropic_url, api_key=place.key, default_headers=CLOSED, max_tokens=200
    )


MODELS = {
    "chat": (chat, GPT),
    "responses": (responses, GPT),
    "claude": (claude, CLAUDE),
    "chat of Claude": (chat, CLAUDE),
    "claude of GPT": (claude, GPT),
}


def said(message):
    """Return the text and the calls of *message*."""
    calls = [(call["name"], json.dumps(call["args"])) for call in message.tool_calls]
    return message.text, calls


async def invoke(model):
    return said(model.invoke("Hello")), said(await model.ainvoke("Hello"))


async def batch(model):
    return [said(message) for message in [*model.batch(["One", "Two"]), *await model.abatch(["Three"])]]


async def stream(model):
    whole = None
    for chunk in model.stream("Hello"):
        whole = chunk if whole is None else whole + chunk
    return said(whole), "".join([chunk.text async for chunk in model.astream("Hello")])


async def tools(model):
    bound = model.bind_tools([lookup])
    whole = None
    async for chunk in bound.astream(TOLD):
        whole = chunk if whole is None else whole + chunk
    return said(bound.invoke(TOLD)), said(whole)


async def structured(model):
    return model.with_structured_output(Weather).invoke("The weather in Rome").model_dump()


async def agent(model):
    answered = create_agent(model, [lookup]).invoke({"messages": [("user", TOLD)]})["messages"]
    return [(message.type, message.text) for message in answered]


async def async_agent(model):
    answered = await create_agent(model, [lookup]).ainvoke({"messages": [("user", TOLD)]})
    return answered["messages"][-1].text


async def agent_stream(model):
    steps = create_agent(model, [lookup]).stream({"messages": [("user", TOLD)]}, stream_mode="messages")
    return "".join(message.text for message, _ in steps if message.type.startswith("AI"))


@named([invoke, batch, stream, tools, structured, agent, async_agent, agent_stream])
@pytest.mark.parametrize("kind", MODELS)
async def test_a_model_says_the_same_through_the_router(kind, call, double, standing_router):
    make, model = MODELS[kind]
    own = CLAUDE if make is claude else GPT
    straight = make(Place(double.openai_url, double.anthropic_url), own)

    assert await call(make(Place.of(standing_router), model)) == await call(straight)


def test_usage_passes(double, standing_router):
    message = chat(Place.of(standing_router)).invoke("Hello")
    billed = double.bill.by_model[message.response_metadata["model_name"]]

    assert message.usage_metadata["output_tokens"] == billed.output_tokens


async def test_embeddings_are_the_same_through_the_router(double, standing_router):
    def embed(place):
        return OpenAIEmbeddings(
            model="text-embedding-3-small",
            dimensions=8,
            base_url=place.openai_url,
            api_key=place.key,
            default_headers=CLOSED,
            check_embedding_ctx_length=False,
        )

    straight, through = embed(Place(double.openai_url, "")), embed(Place.of(standing_router))

    assert through.embed_documents(["one", "two"]) == straight.embed_documents(["one", "two"])
    assert await through.aembed_query("one") == straight.embed_query("one")


def test_legacy_completions_are_the_same_through_the_router(double, standing_router):
    def complete(place):
        model = OpenAI(
            model="gpt-3.5-turbo-instruct",
            base_url=place.openai_url,
            api_key=place.key,
            default_headers=CLOSED,
        )
        return model.invoke("Once"), "".join(model.stream("Once"))

    assert complete(Place.of(standing_router)) == complete(Place(double.openai_url, ""))
