"""The ways to call OpenAI with its own client: each takes a client and a model, and returns what came."""

import base64

import openai
from pydantic import BaseModel

HELLO = [{"role": "user", "content": "Hello"}]
PNG = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cfc0f01f0005000"
        "1ff56c7ae6e0000000049454e44ae426082"
    )
).decode()
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
ONE = [{"role": "user", "content": 'call tool get_weather {"city":"Rome"}'}]
TWO = [
    {
        "role": "user",
        "content": 'call tool get_weather {"city":"Rome"} call tool get_weather {"city":"Oslo"}',
    }
]


class Weather(BaseModel):
    """What is said of the weather."""

    city: str
    degrees: int
    tags: list[str]


# -- chat completions, which Claude answers too ------------------------------------------------------------------


def chat(client, model):
    return client.chat.completions.create(model=model, messages=HELLO, max_tokens=50)


def chat_with_settings(client, model):
    return client.chat.completions.create(
        model=model,
        messages=[{"role": "system", "content": "Be brief."}, *HELLO],
        max_tokens=50,
        temperature=0.3,
        stop=["lo"],
        user="a-user",
    )


def chat_stream(client, model):
    return list(client.chat.completions.create(model=model, messages=HELLO, max_tokens=50, stream=True))


def chat_stream_with_usage(client, model):
    with client.chat.completions.create(
        model=model, messages=HELLO, max_tokens=50, stream=True, stream_options={"include_usage": True}
    ) as stream:
        return list(stream)


def chat_stream_helper(client, model):
    with client.chat.completions.stream(model=model, messages=HELLO, max_tokens=50) as stream:
        seen = {event.type for event in stream}
        assert {"chunk", "content.delta", "content.done"} <= seen
        return stream.get_final_completion()


def tools(client, model):
    return client.chat.completions.create(model=model, messages=ONE, tools=[WEATHER], max_tokens=50)


def parallel_tools(client, model):
    return client.chat.completions.create(model=model, messages=TWO, tools=[WEATHER], max_tokens=90)


def parallel_tools_stream(client, model):
    return list(
        client.chat.completions.create(model=model, messages=TWO, tools=[WEATHER], max_tokens=90, stream=True)
    )


def one_tool_at_a_time(client, model):
    return client.chat.completions.create(
        model=model, messages=TWO, tools=[WEATHER], max_tokens=90, parallel_tool_calls=False
    )


def required_tool(client, model):
    return client.chat.completions.create(
        model=model, messages=HELLO, tools=[WEATHER], tool_choice="required", max_tokens=90
    )


def tool_loop(client, model):
    asked = client.chat.completions.create(model=model, messages=TWO, tools=[WEATHER], max_tokens=90)
    message = asked.choices[0].message
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": f"sunny at {call.function.arguments}"}
        for call in message.tool_calls
    ]
    messages = [*TWO, message, *results]
    return client.chat.completions.create(model=model, messages=messages, tools=[WEATHER], max_tokens=90)


def parse(client, model):
    return client.chat.completions.parse(model=model, messages=HELLO, response_format=Weather, max_tokens=200)


def parse_tools(client, model):
    tool = openai.pydantic_function_tool(Weather, name="get_weather")
    return client.chat.completions.parse(
        model=model, messages=HELLO, tools=[tool], tool_choice="required", max_tokens=200
    )


def parse_stream(client, model):
    with client.chat.completions.stream(
        model=model, messages=HELLO, response_format=Weather, max_tokens=200
    ) as stream:
        return stream.get_final_completion()


def image(client, model):
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]}]
    return client.chat.completions.create(model=model, messages=messages, max_tokens=50)


CHAT = [
    chat, chat_with_settings, chat_stream, chat_stream_with_usage, chat_stream_helper, tools, parallel_tools,
    parallel_tools_stream, one_tool_at_a_time, required_tool, tool_loop, parse, parse_tools, parse_stream, image,
]  # fmt: skip


async def async_chat(client, model):
    return await client.chat.completions.create(model=model, messages=HELLO, max_tokens=50)


async def async_chat_stream(client, model):
    stream = await client.chat.completions.create(model=model, messages=HELLO, max_tokens=50, stream=True)
    return [chunk async for chunk in stream]


async def async_chat_stream_helper(client, model):
    async with client.chat.completions.stream(model=model, messages=HELLO, max_tokens=50) as stream:
        return await stream.get_final_completion()


async def async_parallel_tools_stream(client, model):
    stream = await client.chat.completions.create(
        model=model, messages=TWO, tools=[WEATHER], max_tokens=90, stream=True
    )
    return [chunk async for chunk in stream]


async def async_parse(client, model):
    return await client.chat.completions.parse(
        model=model, messages=HELLO, response_format=Weather, max_tokens=200
    )


ASYNC_CHAT = [
    async_chat,
    async_chat_stream,
    async_chat_stream_helper,
    async_parallel_tools_stream,
    async_parse,
]


# -- what OpenAI alone has ---------------------------------------------------------------------------------------


def named_tool(client, model):
    choice = {"type": "function", "function": {"name": "get_weather"}}
    return client.chat.completions.create(
        model=model, messages=HELLO, tools=[WEATHER], tool_choice=choice, max_tokens=90
    )


def json_object(client, model):
    messages = [{"role": "user", "content": 'Answer in JSON with "city".'}]
    return client.chat.completions.create(
        model=model, messages=messages, response_format={"type": "json_object"}
    )


def several_choices(client, model):
    return client.chat.completions.create(model=model, messages=HELLO, n=2, max_completion_tokens=50)


def several_choices_stream(client, model):
    return list(client.chat.completions.create(model=model, messages=HELLO, n=2, stream=True))


_RESPONSES_WEATHER = {"type": "function", "strict": True, **WEATHER["function"]}


def responses(client, model):
    return client.responses.create(model=model, input="Hello", instructions="Be brief.", max_output_tokens=50)


def responses_stream(client, model):
    return list(client.responses.create(model=model, input=HELLO, stream=True))


def responses_stream_helper(client, model):
    with client.responses.stream(model=model, input="Hello") as stream:
        return [*(event.type for event in stream), stream.get_final_response()]


def responses_parse(client, model):
    return client.responses.parse(model=model, input="Hello", text_format=Weather).output_parsed


def responses_tool_loop(client, model):
    asked = client.responses.create(model=model, input=TWO, tools=[_RESPONSES_WEATHER])
    results = [
        {"type": "function_call_output", "call_id": call.call_id, "output": f"sunny at {call.arguments}"}
        for call in asked.output
    ]
    return [
        client.responses.create(
            model=model, input=[*TWO, *asked.output, *results], tools=[_RESPONSES_WEATHER]
        ),
        client.responses.create(model=model, input=results, previous_response_id=asked.id).output_text,
    ]


def responses_image(client, model):
    parts = [
        {"type": "input_text", "text": "What is it?"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"},
    ]
    return client.responses.create(model=model, input=[{"role": "user", "content": parts}])


def completions(client, _):
    return client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once", max_tokens=50)


def completions_stream(client, _):
    return list(
        client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once", max_tokens=50, stream=True)
    )


def embeddings(client, _):
    return client.embeddings.create(model="text-embedding-3-small", input=["one", "two"], dimensions=8)


def embeddings_float(client, _):
    return client.embeddings.create(
        model="text-embedding-3-small", input="one", dimensions=8, encoding_format="float"
    )


def embeddings_base64(client, _):
    return client.embeddings.create(
        model="text-embedding-3-small", input="one", dimensions=8, encoding_format="base64"
    )


def moderations(client, _):
    return client.moderations.create(input=["harmless", "[flag] this"])


def retrieve_model(client, model):
    return client.models.retrieve(model).model_dump()


OPENAI_ONLY = [
    named_tool, json_object, several_choices, several_choices_stream, responses, responses_stream, responses_stream_helper,
    responses_parse, responses_tool_loop, responses_image, completions, completions_stream, embeddings,
    embeddings_float, embeddings_base64, moderations, retrieve_model,
]  # fmt: skip


async def async_responses(client, model):
    return await client.responses.create(model=model, input="Hello")


async def async_responses_stream(client, model):
    return [event async for event in await client.responses.create(model=model, input="Hello", stream=True)]


async def async_responses_parse(client, model):
    return await client.responses.parse(model=model, input="Hello", text_format=Weather)


async def async_embeddings(client, _):
    return await client.embeddings.create(model="text-embedding-3-small", input=["one", "two"], dimensions=8)


ASYNC_OPENAI_ONLY = [async_responses, async_responses_stream, async_responses_parse, async_embeddings]


# -- what is refused ---------------------------------------------------------------------------------------------


def unknown_model(client, _):
    return client.chat.completions.create(model="gpt-4o-none", messages=HELLO)


def unknown_model_stream(client, _):
    return list(client.chat.completions.create(model="gpt-4o-none", messages=HELLO, stream=True))


def bad_parameter(client, model):
    return client.chat.completions.create(model=model, messages=HELLO, max_tokens=0)


def bad_parameter_of_responses(client, model):
    return client.responses.create(model=model, input="Hello", max_output_tokens="many")


def bad_tool_choice(client, model):
    choice = {"type": "function", "function": {"name": "none"}}
    return client.chat.completions.create(model=model, messages=HELLO, tools=[WEATHER], tool_choice=choice)


def unknown_embedding_model(client, _):
    return client.embeddings.create(model="text-embedding-none", input="one")


def retrieve_unknown_model(client, _):
    return client.models.retrieve("gpt-none")


REFUSED = [
    unknown_model, unknown_model_stream, bad_parameter, bad_parameter_of_responses, bad_tool_choice,
    unknown_embedding_model, retrieve_unknown_model,
]  # fmt: skip
