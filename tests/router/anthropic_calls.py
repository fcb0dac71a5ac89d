"""The ways to call Anthropic with its own client: each takes a client and a model, and returns what came."""

import anthropic
from openai_calls import PNG, WEATHER, Weather

HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {
    "name": "get_weather",
    "description": WEATHER["function"]["description"],
    "input_schema": WEATHER["function"]["parameters"],
}
ONE = [{"role": "user", "content": 'call tool get_weather {"city":"Rome"}'}]
TWO = [
    {"role": "user", "content": 'call tool get_weather {"city":"Rome"} call tool get_weather {"city":"Oslo"}'}
]


@anthropic.beta_tool
def get_weather(city: str) -> str:
    """Tell the weather of a city.

    Args:
        city: its name
    """
    return f"sunny in {city}"


# -- messages, which GPT answers too -----------------------------------------------------------------------------


def message(client, model):
    return client.messages.create(model=model, messages=HELLO, max_tokens=50)


def message_with_settings(client, model):
    return client.messages.create(
        model=model, messages=HELLO, system="Be brief.", metadata={"user_id": "a-user"}, max_tokens=50
    )


def message_stream(client, model):
    return list(client.messages.create(model=model, messages=HELLO, max_tokens=50, stream=True))


def message_stream_helper(client, model):
    with client.messages.stream(model=model, messages=HELLO, max_tokens=50) as stream:
        return ["".join(stream.text_stream), stream.get_final_message()]


def tools(client, model):
    return client.messages.create(model=model, messages=ONE, tools=[TOOL], max_tokens=50)


def parallel_tools(client, model):
    return client.messages.create(model=model, messages=TWO, tools=[TOOL], max_tokens=90)


def parallel_tools_stream(client, model):
    with client.messages.stream(model=model, messages=TWO, tools=[TOOL], max_tokens=90) as stream:
        return stream.get_final_message()


def one_tool_at_a_time(client, model):
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    return client.messages.create(model=model, messages=TWO, tools=[TOOL], tool_choice=choice, max_tokens=90)


def any_tool(client, model):
    return client.messages.create(
        model=model, messages=HELLO, tools=[TOOL], tool_choice={"type": "any"}, max_tokens=90
    )


def tool_loop(client, model):
    asked = client.messages.create(model=model, messages=TWO, tools=[TOOL], max_tokens=90)
    results = [
        {"type": "tool_result", "tool_use_id": use.id, "content": f"sunny in {use.input['city']}"}
        for use in asked.content
    ]
    messages = [*TWO, {"role": "assistant", "content": asked.content}, {"role": "user", "content": results}]
    return client.messages.create(model=model, messages=messages, tools=[TOOL], max_tokens=90)


def tool_runner(client, model):
    runner = client.beta.messages.tool_runner(model=model, messages=TWO, tools=[get_weather], max_tokens=90)
    return runner.until_done()


def structured(client, model):
    messages = client.messages if hasattr(client.messages, "parse") else client.beta.messages
    parsed = messages.parse(model=model, messages=HELLO, output_format=Weather, max_tokens=200)
    return [parsed.parsed_output, parsed]


def image(client, model):
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    content = [{"type": "text", "text": "What is it?"}, {"type": "image", "source": source}]
    return client.messages.create(model=model, messages=[{"role": "user", "content": content}], max_tokens=50)


MESSAGES = [
    message, message_with_settings, message_stream, message_stream_helper, tools, parallel_tools,
    parallel_tools_stream, one_tool_at_a_time, any_tool, tool_loop, tool_runner, structured, image,
]  # fmt: skip


async def async_message(client, model):
    return await client.messages.create(model=model, messages=HELLO, max_tokens=50)


async def async_message_stream(client, model):
    stream = await client.messages.create(model=model, messages=HELLO, max_tokens=50, stream=True)
    return [event async for event in stream]


async def async_message_stream_helper(client, model):
    async with client.messages.stream(model=model, messages=HELLO, max_tokens=50) as stream:
        return [[text async for text in stream.text_stream], await stream.get_final_message()][1]


async def async_parallel_tools_stream(client, model):
    async with client.messages.stream(model=model, messages=TWO, tools=[TOOL], max_tokens=90) as stream:
        return await stream.get_final_message()


ASYNC_MESSAGES = [
    async_message,
    async_message_stream,
    async_message_stream_helper,
    async_parallel_tools_stream,
]


# -- what Anthropic alone has ------------------------------------------------------------------------------------


def stop_sequence(client, model):
    return client.messages.create(model=model, messages=HELLO, stop_sequences=["lo"], max_tokens=50)


def thinking(client, model):
    how = {"type": "enabled", "budget_tokens": 1024}
    return client.messages.create(model=model, messages=HELLO, max_tokens=2000, thinking=how)


def thinking_stream(client, model):
    how = {"type": "enabled", "budget_tokens": 1024}
    with client.messages.stream(model=model, messages=HELLO, max_tokens=2000, thinking=how) as stream:
        return [*stream, stream.get_final_message()]


def cached_system(client, model):
    system = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    return client.messages.create(model=model, messages=HELLO, system=system, max_tokens=50)


def beta_message(client, model):
    return client.beta.messages.create(
        model=model, messages=HELLO, max_tokens=50, betas=["token-efficient-tools-2025-02-19"]
    )


def count_tokens(client, model):
    return client.messages.count_tokens(model=model, messages=HELLO, system="Be brief.", tools=[TOOL])


def retrieve_model(client, model):
    return client.models.retrieve(model).model_dump()


ANTHROPIC_ONLY = [
    stop_sequence, thinking, thinking_stream, cached_system, beta_message, count_tokens, retrieve_model,
]  # fmt: skip


# -- what is refused ---------------------------------------------------------------------------------------------


def unknown_model(client, _):
    return client.messages.create(model="claude-none", messages=HELLO, max_tokens=50)


def bad_parameter(client, model):
    return client.messages.create(model=model, messages=HELLO, max_tokens=0)


def bad_parameter_stream(client, model):
    with client.messages.stream(model=model, messages=HELLO, max_tokens=0) as stream:
        return stream.get_final_message()


def unmatched_result(client, model):
    result = {"type": "tool_result", "tool_use_id": "toolu_none", "content": "sunny"}
    return client.messages.create(
        model=model, messages=[{"role": "user", "content": [result]}], tools=[TOOL], max_tokens=50
    )


def retrieve_unknown_model(client, _):
    return client.models.retrieve("claude-none")


REFUSED = [unknown_model, bad_parameter, bad_parameter_stream, unmatched_result, retrieve_unknown_model]
