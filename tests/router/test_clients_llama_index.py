"""LlamaIndex through the router, with nothing but a base URL and a key changed."""

import gc

import pytest

pytest.importorskip("llama_index.core", reason="needs the extra iron-adapters[llama-index]")
pytest.importorskip("llama_index.llms.openai", reason="needs llama-index-llms-openai")
pytest.importorskip("llama_index.llms.anthropic", reason="needs llama-index-llms-anthropic")
pytest.importorskip("llama_index.embeddings.openai", reason="needs llama-index-embeddings-openai")

from clients import CLAUDE, GPT, Place, named
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI
from pydantic import BaseModel

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20"),
    pytest.mark.filterwarnings(
        "ignore::pytest.PytestUnraisableExceptionWarning"
    ),  # clients that LlamaIndex leaves open
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

ASKED = [ChatMessage(content="Hello")]
TOLD = 'call tool lookup {"city":"Rome"} call tool lookup {"city":"Oslo"}'


class Weather(BaseModel):
    """What is said of the weather."""

    city: str
    degrees: int


def lookup(city: str) -> str:
    """Look the weather of a city up."""
    return f"sunny in {city}"


def chat(place):
    return OpenAI(model=GPT, api_base=place.openai_url, api_key=place.key, max_retries=0)


def claude(place):
    return Anthropic(model=CLAUDE, base_url=place.anthropic_url, api_key=place.key, max_retries=0)


@pytest.fixture(scope="module", autouse=True)
def _collected():
    """Collect the clients that LlamaIndex leaves open, while the warnings about them are still ours."""
    yield
    gc.collect()


async def whole(llm):
    return [llm.complete("Hello").text, llm.chat(ASKED).message.content, str(await llm.achat(ASKED))]


async def stream(llm):
    deltas = [piece.delta for piece in llm.stream_chat(ASKED)]
    return "".join(delta or "" for delta in deltas), [
        piece.delta async for piece in await llm.astream_chat(ASKED)
    ][-1:]


async def tools(llm):
    tool = FunctionTool.from_defaults(lookup)
    asked = llm.chat_with_tools([tool], user_msg=TOLD, allow_parallel_tool_calls=True)
    return [(call.tool_name, call.tool_kwargs) for call in llm.get_tool_calls_from_response(asked)]


async def structured(llm):
    return llm.structured_predict(Weather, PromptTemplate("The weather in Rome")).model_dump()


async def agent(llm):
    return str(await FunctionAgent(tools=[FunctionTool.from_defaults(lookup)], llm=llm).run(TOLD))


@named([whole, stream, tools, structured, agent])
@pytest.mark.parametrize("make", [chat, claude])
async def test_a_model_says_the_same_through_the_router(make, call, double, standing_router):
    straight = make(Place(double.openai_url, double.anthropic_url))

    assert await call(make(Place.of(standing_router))) == await call(straight)


async def test_embeddings_are_the_same_through_the_router(double, standing_router):
    def embed(place):
        return OpenAIEmbedding(api_base=place.openai_url, api_key=place.key, max_retries=0, dimensions=8)

    straight, through = embed(Place(double.openai_url, "")), embed(Place.of(standing_router))

    assert through.get_text_embedding_batch(["one", "two"]) == straight.get_text_embedding_batch(
        ["one", "two"]
    )
    assert await through.aget_query_embedding("one") == straight.get_query_embedding("one")
