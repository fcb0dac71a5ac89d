"""The official Python clients through the router: what an application gets is what it gets without one."""

import anthropic
import anthropic_calls
import openai
import openai_calls
import pytest
from clients import CLAUDE, GPT, anthropic_of, named, openai_of
from comparing import async_outcome, gist_of_chat, gist_of_message, outcome

both_models = pytest.mark.parametrize("model", [GPT, CLAUDE])


@pytest.fixture(scope="module")
def openai_clients(addresses, clear_router, standing_router):
    """Return clients that go straight to the provider, through a router that looks for nothing, and a usual one."""
    with (
        openai.OpenAI(base_url=addresses["openai"], api_key="any", max_retries=0) as straight,
        openai_of(clear_router) as clear,
        openai_of(standing_router) as usual,
    ):
        yield straight, clear, usual


@pytest.fixture(scope="module")
def anthropic_clients(addresses, clear_router, standing_router):
    """Return the same three of Anthropic."""
    with (
        anthropic.Anthropic(base_url=addresses["anthropic"], api_key="any", max_retries=0) as straight,
        anthropic_of(clear_router) as clear,
        anthropic_of(standing_router) as usual,
    ):
        yield straight, clear, usual


# -- the provider that the client is made for ----------------------------------------------------------------------


@named(openai_calls.CHAT + openai_calls.OPENAI_ONLY + openai_calls.REFUSED)
def test_openai_says_the_same_through_the_router(call, double, openai_clients):
    straight, clear, _ = openai_clients

    assert outcome(call, clear, GPT) == outcome(call, straight, GPT)


@named(anthropic_calls.MESSAGES + anthropic_calls.ANTHROPIC_ONLY + anthropic_calls.REFUSED)
def test_anthropic_says_the_same_through_the_router(call, double, anthropic_clients):
    straight, clear, _ = anthropic_clients

    assert outcome(call, clear, CLAUDE) == outcome(call, straight, CLAUDE)


@named(openai_calls.ASYNC_CHAT + openai_calls.ASYNC_OPENAI_ONLY)
async def test_openai_says_the_same_to_an_async_client(call, double, clear_router):
    async with (
        openai.AsyncOpenAI(base_url=double.openai_url, api_key="any") as straight,
        openai_of(clear_router, openai.AsyncOpenAI) as through,
    ):
        assert await async_outcome(call, through, GPT) == await async_outcome(call, straight, GPT)


@named(anthropic_calls.ASYNC_MESSAGES)
async def test_anthropic_says_the_same_to_an_async_client(call, double, clear_router):
    async with (
        anthropic.AsyncAnthropic(base_url=double.anthropic_url, api_key="any") as straight,
        anthropic_of(clear_router, anthropic.AsyncAnthropic) as through,
    ):
        assert await async_outcome(call, through, CLAUDE) == await async_outcome(call, straight, CLAUDE)


# -- either provider's models: calls mean the same -----------------------------------------------------------------


@named(openai_calls.CHAT)
@both_models
def test_both_providers_answer_an_openai_client_alike(model, call, double, openai_clients):
    straight, _, usual = openai_clients

    assert gist_of_chat(call(usual, model)) == gist_of_chat(call(straight, GPT))


@named(anthropic_calls.MESSAGES)
@both_models
def test_both_providers_answer_an_anthropic_client_alike(model, call, double, anthropic_clients):
    straight, _, usual = anthropic_clients

    assert gist_of_message(call(usual, model)) == gist_of_message(call(straight, CLAUDE))


@named(openai_calls.ASYNC_CHAT)
@both_models
async def test_both_providers_answer_an_async_openai_client_alike(
    model, call, double, openai_clients, standing_router
):
    twins = {f"async_{twin.__name__}": twin for twin in openai_calls.CHAT}
    async with openai_of(standing_router, openai.AsyncOpenAI) as usual:
        said = gist_of_chat(await call(usual, model))

    assert said == gist_of_chat(twins[call.__name__](openai_clients[0], GPT))


@named(anthropic_calls.ASYNC_MESSAGES)
@both_models
async def test_both_providers_answer_an_async_anthropic_client_alike(
    model, call, double, anthropic_clients, standing_router
):
    twins = {f"async_{twin.__name__}": twin for twin in anthropic_calls.MESSAGES}
    async with anthropic_of(standing_router, anthropic.AsyncAnthropic) as usual:
        said = gist_of_message(await call(usual, model))

    assert said == gist_of_message(twins[call.__name__](anthropic_clients[0], CLAUDE))


def test_a_tool_that_claude_was_told_to_use_is_a_call_to_an_openai_client(double, openai_clients):
    reply = openai_calls.named_tool(openai_clients[2], CLAUDE)

    assert [call.function.name for call in reply.choices[0].message.tool_calls] == ["get_weather"]
    assert reply.choices[0].finish_reason == "tool_calls"  # where OpenAI itself says "stop"


def test_gpt_does_not_tell_an_anthropic_client_what_it_stopped_at(double, anthropic_clients):
    reply = anthropic_calls.stop_sequence(anthropic_clients[2], GPT)

    assert (reply.content[0].text, reply.stop_reason) == ("You said: Hel", "end_turn")
