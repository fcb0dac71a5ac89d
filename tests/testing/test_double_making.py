"""How the double counts and what it makes up: laws of tokens, instances of schemas, which tool it calls."""

import enum
import json
from datetime import date
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from iron_adapters.testing.asked import Asked, Tool
from iron_adapters.testing.choices import choices_of, usage_of
from iron_adapters.testing.replies import Reply, ToolUse
from iron_adapters.testing.schema_instances import instance_of
from iron_adapters.testing.speaking import speak
from iron_adapters.testing.tokens import count_input_tokens, count_tokens, split_tokens


@given(st.text())
def test_tokens_join_to_their_text_and_are_no_more_than_its_bytes(text):
    tokens = split_tokens(text)

    assert "".join(tokens) == text
    assert all(tokens)
    assert count_tokens(text) <= len(text.encode("utf-8", "surrogatepass"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(st.dictionaries(st.sampled_from(["messages", "tools", "system"]), JSON))
def test_a_prompt_never_has_more_tokens_than_its_body_has_bytes(prompt):
    body = json.dumps(prompt, ensure_ascii=False).encode("utf-8", "surrogatepass")

    assert 1 <= count_input_tokens(prompt, len(body)) <= len(body)


@given(st.text(max_size=60), st.integers(1, 30), st.integers(1, 3))
def test_no_choice_is_longer_than_its_limit(text, limit, choices):
    asked = Asked(endpoint="chat", model="m", max_tokens=limit, choice_count=choices)
    reply = Reply(text, reasoning="thinking hard", tool_calls=(ToolUse("look_up", {"what": text}),))
    made = choices_of(reply, asked)

    assert all(choice.tokens <= limit for choice in made)
    assert usage_of(reply, made, asked).output_tokens == sum(choice.tokens for choice in made)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=3, max_length=12)]
    price: Annotated[float, Field(gt=10, lt=20)]
    count: Annotated[int, Field(ge=100, multiple_of=7)]
    colour: Colour
    kind: Literal["a", "b"]
    when: date
    nested: "Item | None" = None
    labels: Annotated[list[str], Field(min_length=2, max_length=3)]
    sizes: dict[str, int]
    either: int | str
    point: tuple[int, str]
    flag: bool


@pytest.mark.parametrize(
    "text", ["", "'too long a name for this' costs 12.5, of which 3 of 707", "17 17 17 -3 0"]
)
def test_an_instance_validates_against_its_model(text):
    made = instance_of(Item.model_json_schema(), text)

    assert Item.model_validate_json(json.dumps(made))
    assert made == instance_of(Item.model_json_schema(), text)


def test_words_and_numbers_of_the_text_fill_the_schema_in_order():
    schema = {
        "type": "object",
        "properties": {
            "to": {"type": "string"},
            "subject": {"type": "string"},
            "copies": {"type": "integer"},
            "rest": {"type": "string"},
        },
    }

    made = instance_of(schema, 'Send <EMAIL_k7f2q9ab> the "minutes" in 2 copies, isn\'t it')
    assert made == {"to": "<EMAIL_k7f2q9ab>", "subject": "minutes", "copies": 2, "rest": "some rest"}


def test_a_schema_in_parts_is_put_together():
    schema = {
        "allOf": [{"$ref": "#/$defs/named"}, {"properties": {"age": {"type": ["null", "integer"]}}}],
        "$defs": {"named": {"type": "object", "properties": {"name": {"const": "x"}}, "required": ["name"]}},
    }

    assert instance_of(schema, "42") == {"name": "x", "age": 42}


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({}, 1),
        ({"minimum": 5}, 5),
        ({"exclusiveMinimum": 5}, 6),
        ({"maximum": -2}, -2),
        ({"exclusiveMaximum": 0}, -1),
        ({"minimum": 100, "multipleOf": 7}, 105),
        ({"exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
    ],
)
def test_a_number_lies_within_its_bounds(bounds, expected):
    assert instance_of({"type": "number", **bounds}) == expected


def test_every_shape_that_typed_python_can_have_is_filled():
    for shape in (list[list[int]], dict[str, list[bool]], int | None, tuple[str, ...], Literal[3], None):
        adapter = TypeAdapter(shape)
        assert adapter.validate_python(instance_of(adapter.json_schema())) is not ...


def asked(text, *names, **more):
    tools = tuple(Tool(name, {"type": "object", "properties": {}}) for name in names)
    return Asked(endpoint="chat", model="m", user_text=text, tools=tools, **more)


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ("call tool wipe {}", ["wipe"]),
        ("please use get_time_zone", ["get_time_zone"]),
        ("get_time and get_time_zone, both", ["get_time", "get_time_zone"]),
        ("which zone is this", ["get_time_zone"]),
        ("nothing of the sort", []),
    ],
)
def test_a_message_calls_the_tools_that_it_names_or_is_about(text, called):
    reply = speak(asked(text, "get_time", "get_time_zone"))

    assert [use.name for use in reply.tool_calls] == called


def test_no_tool_is_called_where_none_may_be():
    assert speak(asked("use get_time", "get_time", tool_mode="none")).text == "You said: use get_time"


def test_a_broken_marker_gets_arguments_from_the_schema():
    assert speak(asked('call tool get_time {"a": ', "get_time")).tool_calls[0].json_text == "{}"
