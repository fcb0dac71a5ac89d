"""The official SDKs read what was recorded: whole replies and streams, sync and async, of both providers."""

import anthropic
import openai
import pytest

PROMPT = [{"role": "user", "content": "Answer with one short sentence: what is a ledger?"}]
GPT, CLAUDE_MODEL = "gpt-4o-mini", "claude-haiku-4-5"


@pytest.fixture
def openai_client():
    with openai.OpenAI(max_retries=0) as client:
        yield client


@pytest.fixture
def anthropic_client():
    with anthropic.Anthropic(max_retries=0) as client:
        yield client


def test_a_chat_completion_has_text_usage_and_a_dated_model(cassette, openai_client):
    reply = openai_client.chat.completions.create(model=GPT, messages=PROMPT)

    assert reply.choices[0].message.content
    assert reply.choices[0].finish_reason == "stop"
    assert reply.model.startswith(f"{GPT}-20")
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


def test_a_streamed_chat_completion_ends_with_its_usage(cassette, openai_client):
    stream = openai_client.chat.completions.create(
        model=GPT, messages=PROMPT, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = stream

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert last.choices == []
    assert last.usage.completion_tokens > 0


async def test_an_async_chat_completion_calls_the_tool_it_is_given(cassette):
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": parameters}}
    async with openai.AsyncOpenAI(max_retries=0) as client:
        reply = await client.chat.completions.create(
            model=GPT,
            messages=[{"role": "user", "content": "What is the weather in 'Rome'?"}],
            tools=[tool],
            tool_choice="required",
        )

    (call,) = reply.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    assert "Rome" in call.function.arguments


async def test_an_async_stream_of_chat_chunks_joins_to_a_text(cassette):
    async with openai.AsyncOpenAI(max_retries=0) as client:
        stream = await client.chat.completions.create(model=GPT, messages=PROMPT, stream=True)
        texts = [chunk.choices[0].delta.content or "" async for chunk in stream]

    assert "".join(texts)


def test_a_response_has_text_and_usage(cassette, openai_client):
    response = openai_client.responses.create(model=GPT, input=PROMPT[0]["content"])

    assert response.output_text
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


def test_a_streamed_response_ends_completed_with_its_usage(cassette, openai_client):
    *_, last = openai_client.responses.create(model=GPT, input=PROMPT[0]["content"], stream=True)

    assert last.type == "response.completed"
    assert last.response.usage.output_tokens > 0


def test_embeddings_come_in_the_order_of_their_inputs(cassette, openai_client):
    result = openai_client.embeddings.create(
        model="text-embedding-3-small", input=["one", "two"], dimensions=8
    )

    assert [item.index for item in result.data] == [0, 1]
    assert {len(item.embedding) for item in result.data} == {8}
    assert result.usage.total_tokens > 0


def test_a_refused_key_is_an_authentication_error(cassette):
    with openai.OpenAI(max_retries=0, api_key="bad-key") as client, pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(model=GPT, messages=PROMPT)


def test_a_message_has_text_usage_and_a_dated_model(cassette, anthropic_client):
    message = anthropic_client.messages.create(model=CLAUDE_MODEL, max_tokens=200, messages=PROMPT)

    assert message.content[0].text
    assert message.stop_reason == "end_turn"
    assert message.model.startswith(f"{CLAUDE_MODEL}-20")
    assert message.usage.output_tokens > 0


def test_a_streamed_message_accumulates_to_a_whole_one(cassette, anthropic_client):
    with anthropic_client.messages.stream(model=CLAUDE_MODEL, max_tokens=200, messages=PROMPT) as stream:
        texts = list(stream.text_stream)
        message = stream.get_final_message()

    assert "".join(texts) == message.content[0].text
    assert message.usage.output_tokens > 0


async def test_an_async_message_uses_the_tool_it_is_given(cassette):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    async with anthropic.AsyncAnthropic(max_retries=0) as client:
        message = await client.messages.create(
            model=CLAUDE_MODEL,
            max_tokens=200,
            messages=[{"role": "user", "content": "What is the weather in 'Rome'?"}],
            tools=[{"name": "get_weather", "input_schema": schema}],
            tool_choice={"type": "any"},
        )

    assert message.stop_reason == "tool_use"
    assert "Rome" in message.content[-1].input["city"]


async def test_an_async_stream_of_message_events_stops_with_a_reason(cassette):
    async with anthropic.AsyncAnthropic(max_retries=0) as client:
        stream = await client.messages.create(
            model=CLAUDE_MODEL, max_tokens=200, messages=PROMPT, stream=True
        )
        events = [event async for event in stream]

    assert events[0].type == "message_start"
    assert events[-1].type == "message_stop"
    assert next(event for event in events if event.type == "message_delta").delta.stop_reason == "end_turn"
