"""What an Anthropic client meets at the double: echoes, tools, schemas, limits, refusals."""

import anthropic
import pytest
from pydantic import BaseModel

from iron_adapters.testing import count_tokens

CLAUDE_MODEL = "claude-haiku-4-5"
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
ADD = {"name": "add", "input_schema": SCHEMA}


@pytest.fixture
def client(double):
    with anthropic.Anthropic(base_url=double.anthropic_url, max_retries=0) as client:
        yield client


@pytest.fixture
def ask(client):
    def send(text="Hello there", **more):
        messages = more.pop("messages", [{"role": "user", "content": text}])
        return client.messages.create(
            **{"model": CLAUDE_MODEL, "max_tokens": 100, "messages": messages, **more}
        )

    return send


def test_the_last_user_message_comes_back(ask):
    message = ask()

    assert message.content[0].text == "You said: Hello there"
    assert message.model == "claude-haiku-4-5-20251001"
    assert message.stop_reason == "end_turn"
    assert message._request_id.startswith("req_")


def test_a_stream_accumulates_to_the_whole_message(ask, client):
    more = {"tools": [ADD], "thinking": {"type": "enabled", "budget_tokens": 1024}}
    whole = ask("add 3 + 4", **more)
    messages = [{"role": "user", "content": "add 3 + 4"}]
    with client.messages.stream(model=CLAUDE_MODEL, max_tokens=100, messages=messages, **more) as stream:
        streamed = stream.get_final_message()

    assert [block.type for block in streamed.content] == ["thinking", "tool_use"]
    assert streamed.content[1].input == whole.content[1].input == {"a": 3, "b": 4}
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    assert whole.usage.model_dump()["output_tokens_details"]["thinking_tokens"] == count_tokens(
        streamed.content[0].thinking
    )


def test_the_usage_of_a_stream_is_cumulative(ask):
    events = list(ask(stream=True))
    start, delta = events[0], next(event for event in events if event.type == "message_delta")

    assert start.message.usage.output_tokens == 1
    assert delta.usage.output_tokens == count_tokens("You said: Hello there")
    assert delta.usage.input_tokens == start.message.usage.input_tokens


def test_a_limit_cuts_the_text_and_is_named_as_the_reason(ask):
    message = ask(max_tokens=2)

    assert (message.content[0].text, message.stop_reason) == ("You said", "max_tokens")
    assert message.usage.output_tokens == 2


def test_a_stop_sequence_is_named(ask):
    message = ask("one two three", stop_sequences=["three", " two"])

    assert message.content[0].text == "You said: one"
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", " two")


def test_a_tool_without_arguments_streams_one_empty_piece(ask):
    tool = {"name": "now", "input_schema": {"type": "object", "properties": {}}}
    deltas = [
        event.delta
        for event in ask("call tool now", tools=[tool], stream=True)
        if event.type == "content_block_delta"
    ]

    assert [delta.partial_json for delta in deltas] == [""]


def test_any_tool_must_be_called_and_a_named_one_is(ask):
    other = {"name": "other", "input_schema": SCHEMA}
    some = ask("Good morning", tools=[ADD, other], tool_choice={"type": "any"})
    named = ask("Good morning", tools=[ADD, other], tool_choice={"type": "tool", "name": "other"})

    assert [some.content[-1].name, named.content[-1].name] == ["add", "other"]
    assert {some.stop_reason, named.stop_reason} == {"tool_use"}


def test_after_a_result_a_tool_that_was_not_called_yet_is_chosen(ask):
    other = {"name": "other", "input_schema": SCHEMA}
    history = [
        {"role": "user", "content": "add 1 + 1"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "add", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "two"}]},
    ]

    assert ask(messages=history, tools=[ADD, other], tool_choice={"type": "any"}).content[-1].name == "other"
    assert ask(messages=history, tools=[ADD, other]).content[-1].text == "The tools said: two"


class Person(BaseModel):
    name: str
    age: int


def test_a_structured_answer_is_an_instance_of_its_schema(ask):
    schema = {**Person.model_json_schema(), "additionalProperties": False}
    message = ask(
        "'Ada' is 36", extra_body={"output_config": {"format": {"type": "json_schema", "schema": schema}}}
    )

    assert Person.model_validate_json(message.content[0].text) == Person(name="Ada", age=36)


def test_counting_gives_what_the_message_is_billed(ask, client):
    messages = [{"role": "user", "content": "Grüße 你好, how many tokens is this?"}]

    counted = client.messages.count_tokens(model=CLAUDE_MODEL, messages=messages, tools=[ADD])
    assert counted.input_tokens == ask(messages=messages, tools=[ADD]).usage.input_tokens


def test_models_are_listed_in_anthropics_shape(client):
    assert "claude-haiku-4-5-20251001" in {model.id for model in client.models.list()}


def test_a_bad_key_is_refused(double):
    with (
        anthropic.Anthropic(base_url=double.anthropic_url, api_key="bad-key", max_retries=0) as client,
        pytest.raises(anthropic.AuthenticationError, match="invalid x-api-key"),
    ):
        client.models.list()


def test_an_unknown_model_is_not_found(ask):
    with pytest.raises(anthropic.NotFoundError, match="model: claude-99") as caught:
        ask(model="claude-99")

    assert caught.value.response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"messages": []}, "messages: at least one"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"tool_choice": {"type": "tool", "name": "gone"}}, "'gone' not found"),
        (
            {
                "extra_body": {
                    "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}
                }
            },
            "additionalProperties",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "x", "content": "y"}]}
                ]
            },
            "unexpected `tool_use_id`",
        ),
        (
            {
                "messages": [
                    {
                        "role": "assistant",
                        "content": [{"type": "tool_use", "id": "x", "name": "add", "input": {}}],
                    }
                ]
            },
            "without `tool_result` blocks",
        ),
    ],
)
def test_what_the_api_would_not_take_is_refused(ask, more, message):
    with pytest.raises(anthropic.BadRequestError, match=message):
        ask(**more)
