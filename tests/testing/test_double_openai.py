"""What an OpenAI client meets at the double: echoes, tools, schemas, limits, refusals."""

import base64
import struct

import httpx
import openai
import pytest
from pydantic import BaseModel

GPT = "gpt-4o-mini"


@pytest.fixture
def client(double):
    with openai.OpenAI(base_url=double.openai_url, max_retries=0) as client:
        yield client


@pytest.fixture
def chat(client):
    def ask(text="Hello there", **more):
        messages = more.pop("messages", [{"role": "user", "content": text}])
        return client.chat.completions.create(model=GPT, messages=messages, **more)

    return ask


def tool(name, **properties):
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


WEATHER = tool("get_weather", city={"type": "string"})
ADD = tool("add", a={"type": "integer"}, b={"type": "integer"})


def test_the_last_user_message_comes_back(chat):
    reply = chat()

    assert reply.choices[0].message.content == "You said: Hello there"
    assert reply.model == "gpt-4o-mini-2024-07-18"
    assert reply._request_id.startswith("req_")


def test_the_same_request_gives_the_same_text_and_tokens_but_another_id(chat):
    one, two = chat(), chat()

    assert (one.choices, one.usage) == (two.choices, two.usage)
    assert one.id != two.id


def test_a_stream_says_what_the_whole_reply_says_with_the_same_usage(chat):
    whole = chat(tools=[WEATHER])
    *chunks, last = chat(tools=[WEATHER], stream=True, stream_options={"include_usage": True})

    assert chunks[0].choices[0].delta.role == "assistant"
    assert (
        "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.choices[0].message.content
    )
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert last.usage == whole.usage


def test_no_chunk_has_a_usage_unless_it_was_asked_for(chat):
    assert all("usage" not in chunk.model_fields_set for chunk in chat(stream=True))


def test_choices_take_turns_in_a_stream_and_differ(chat):
    texts, turns = {}, []
    for chunk in chat(stream=True, n=2):
        choice = chunk.choices[0]
        texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
        turns.append(choice.index)

    assert texts == {0: "You said: Hello there", 1: "You said: Hello there (2)"}
    assert turns[:4] == [0, 1, 0, 1]


@pytest.mark.parametrize("parameter", ["max_tokens", "max_completion_tokens"])
def test_a_limit_cuts_the_text_and_is_named_as_the_reason(chat, parameter):
    reply = chat(**{parameter: 2})

    assert reply.choices[0].message.content == "You said"
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.completion_tokens == 2


def test_a_stop_sequence_ends_the_text_before_it(chat):
    reply = chat("one two three", stop=["three", " two"])

    assert reply.choices[0].message.content == "You said: one"
    assert reply.choices[0].finish_reason == "stop"


def test_markers_in_the_message_call_tools_in_parallel(chat):
    message = chat(
        'call tool add {"a": 1, "b": 2} and call tool get_weather {"city": "Rome"}', tools=[ADD, WEATHER]
    )

    calls = message.choices[0].message.tool_calls
    assert [(call.function.name, call.function.arguments) for call in calls] == [
        ("add", '{"a": 1, "b": 2}'),
        ("get_weather", '{"city": "Rome"}'),
    ]
    assert message.choices[0].finish_reason == "tool_calls"
    assert len({call.id for call in calls}) == 2


def test_without_parallel_calls_only_the_first_is_made(chat):
    reply = chat("call tool add and call tool get_weather", tools=[ADD, WEATHER], parallel_tool_calls=False)

    assert [call.function.name for call in reply.choices[0].message.tool_calls] == ["add"]


def test_a_tool_that_the_message_is_about_is_called(chat):
    reply = chat("What is the weather in 'San Francisco'?", tools=[ADD, WEATHER])

    assert [call.function.arguments for call in reply.choices[0].message.tool_calls] == [
        '{"city":"San Francisco"}'
    ]


def test_offered_tools_that_nobody_mentions_are_left_alone(chat):
    assert chat("Good morning", tools=[ADD, WEATHER]).choices[0].message.tool_calls is None


def test_a_streamed_tool_call_joins_to_its_arguments(chat):
    name, arguments = None, ""
    for chunk in chat("add 3 + 4", tools=[ADD], stream=True):
        for call in chunk.choices[0].delta.tool_calls or ():
            name = name or call.function.name
            arguments += call.function.arguments

    assert (name, arguments) == ("add", '{"a":3,"b":4}')


def test_a_required_tool_is_called_whatever_the_message_says(chat):
    reply = chat("Good morning", tools=[WEATHER, ADD], tool_choice="required")

    assert reply.choices[0].message.tool_calls[0].function.name == "get_weather"
    assert reply.choices[0].finish_reason == "tool_calls"


def test_a_named_tool_is_called_and_the_reason_is_stop(chat):
    reply = chat(tools=[WEATHER, ADD], tool_choice={"type": "function", "function": {"name": "add"}})

    assert reply.choices[0].message.tool_calls[0].function.name == "add"
    assert reply.choices[0].finish_reason == "stop"


def test_the_result_of_a_tool_is_quoted(chat):
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    reply = chat(
        messages=[
            {"role": "user", "content": "add 3 + 4"},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "seven"},
        ],
        tools=[ADD],
    )

    assert reply.choices[0].message.content == "The tools said: seven"


class Person(BaseModel):
    name: str
    age: int
    tags: list[str]
    boss: "Person | None" = None


def test_a_structured_answer_is_an_instance_of_its_schema(client):
    reply = client.chat.completions.parse(
        model=GPT, messages=[{"role": "user", "content": "'Ada' is 36"}], response_format=Person
    )

    assert (reply.choices[0].message.parsed.name, reply.choices[0].message.parsed.age) == ("Ada", 36)


def test_a_json_object_has_the_keys_that_the_message_quotes(chat):
    reply = chat("Return JSON with 'setup' and 'punchline'.", response_format={"type": "json_object"})

    assert reply.choices[0].message.content == '{"setup":"some setup","punchline":"some punchline"}'


def test_a_response_can_go_on_from_an_earlier_one(client):
    first = client.responses.create(model=GPT, input="Hello")
    second = client.responses.create(model=GPT, input="And now?", previous_response_id=first.id)

    assert second.output_text == "You said: And now?"
    assert second.usage.input_tokens > first.usage.input_tokens


def test_a_response_that_was_not_stored_cannot_be_gone_on_from(client):
    first = client.responses.create(model=GPT, input="Hello", store=False)

    with pytest.raises(openai.BadRequestError, match="not found") as caught:
        client.responses.create(model=GPT, input="And now?", previous_response_id=first.id)
    assert caught.value.code == "previous_response_not_found"


def test_a_response_calls_tools_and_quotes_their_results(client):
    tools = [{"type": "function", **ADD["function"]}]
    first = client.responses.create(model=GPT, input="add 3 + 4", tools=tools)
    (call,) = first.output
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "seven"}
    second = client.responses.create(model=GPT, input=[output], tools=tools, previous_response_id=first.id)

    assert call.arguments == '{"a":3,"b":4}'
    assert second.output_text == "The tools said: seven"


def test_a_response_that_is_cut_is_incomplete(client):
    *_, last = client.responses.create(model=GPT, input="Hello there", max_output_tokens=2, stream=True)

    assert last.type == "response.incomplete"
    assert last.response.incomplete_details.reason == "max_output_tokens"
    assert last.response.output_text == "You said"


def test_a_response_parses_into_its_format(client):
    response = client.responses.parse(model=GPT, input="'Ada' is 36", text_format=Person)

    assert response.output_parsed.name == "Ada"


def test_a_text_completion_takes_sixteen_tokens_unless_told_otherwise(client):
    reply = client.completions.create(model="gpt-3.5-turbo-instruct", prompt="word " * 30)

    assert reply.usage.completion_tokens == 16
    assert reply.choices[0].finish_reason == "length"


def test_vectors_are_of_length_one_and_the_same_in_both_encodings(client):
    def embed(encoding):
        result = client.embeddings.create(
            model="text-embedding-3-small", input="a", dimensions=8, encoding_format=encoding
        )
        return result.data[0].embedding

    raw = struct.unpack("<8f", base64.b64decode(embed("base64")))
    assert list(raw) == pytest.approx(embed("float"), abs=1e-6)
    assert sum(number * number for number in raw) == pytest.approx(1, abs=1e-5)


def test_models_are_listed_and_described(client):
    assert GPT in {model.id for model in client.models.list()}
    assert client.models.retrieve(GPT).id == "gpt-4o-mini-2024-07-18"


def test_moderation_flags_what_is_marked(client):
    results = client.moderations.create(input=["fine", "not [flag] fine"]).results

    assert [result.flagged for result in results] == [False, True]


def test_a_bad_key_is_refused(double):
    with (
        openai.OpenAI(base_url=double.openai_url, api_key="bad-key", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.models.list()
    assert caught.value.code == "invalid_api_key"


def test_a_missing_key_is_refused(double):
    assert httpx.get(f"{double.openai_url}/models").status_code == 401


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-99", messages=[{"role": "user", "content": "Hi"}])

    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"messages": []}, "Missing required parameter: 'messages'"),
        ({"max_tokens": 0}, "integer below minimum value"),
        ({"stream_options": {"include_usage": True}}, "only allowed when 'stream' is enabled"),
        ({"tool_choice": {"type": "function", "function": {"name": "add"}}}, "only allowed when 'tools'"),
        ({"messages": [{"role": "tool", "tool_call_id": "x", "content": "y"}]}, "must be a response to"),
        (
            {
                "messages": [
                    {"role": "assistant", "tool_calls": [{"id": "x", "type": "function", "function": {}}]}
                ]
            },
            "must be followed by tool messages",
        ),
    ],
)
def test_what_the_api_would_not_take_is_refused(chat, more, message):
    with pytest.raises(openai.BadRequestError, match=message):
        chat(**more)


def test_another_path_is_not_found_in_the_callers_dialect(client):
    with pytest.raises(openai.NotFoundError, match="Invalid URL"):
        client.post("/no/such/thing", body={}, cast_to=object)


def test_the_text_parts_of_a_message_come_back_and_an_image_costs_the_same_whatever_its_size(chat):
    def parts(image):
        text = {"type": "text", "text": "What is this?"}
        return [{"role": "user", "content": [text, {"type": "image_url", "image_url": {"url": image}}]}]

    small, large = (chat(messages=parts("data:image/png;base64," + "A" * size)) for size in (100, 10_000))
    assert small.choices[0].message.content == "You said: What is this?"
    assert small.usage.prompt_tokens == large.usage.prompt_tokens > 85


@pytest.mark.parametrize("body", [b"{broken", b"[]", b'{"messages": []}'])
def test_a_body_that_is_no_request_is_refused(double, body):
    headers = {"authorization": "Bearer x"}
    answer = httpx.post(f"{double.openai_url}/chat/completions", content=body, headers=headers)

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
