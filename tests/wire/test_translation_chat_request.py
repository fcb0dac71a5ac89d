"""A chat completion's request for Claude: what each field becomes, and what is refused by name."""

from __future__ import annotations

import json
from base64 import b64encode

import pydantic
import pytest
from anthropic.types import message_create_params
from dirty_equals import IsPartialDict

from iron_adapters.wire.translation import chat_to_messages
from iron_policy.exceptions import Untranslatable, WireError

MODEL = "claude-sonnet-4-5"
NEWEST = "claude-opus-4-8"
PLAIN = "claude-3-5-haiku-latest"
PARAMS = pydantic.TypeAdapter(
    message_create_params.MessageCreateParams, config=pydantic.ConfigDict(arbitrary_types_allowed=True)
)
PNG = b64encode(b"\x89PNG and so on").decode()
PDF = b64encode(b"%PDF-1.7 and so on").decode()
HI = [{"role": "user", "content": "hi"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SCHEMA = {
    "type": "object",
    "properties": {"age": {"type": "integer"}},
    "required": ["age"],
    "additionalProperties": False,
}
STRICT = {"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": SCHEMA}}
LOOSE = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA}}


def call(call_id="call_1", name="weather", arguments='{"city":"Paris"}'):
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def request(messages=None, /, **fields):
    return json.dumps({"model": MODEL, "messages": HI if messages is None else messages, **fields}).encode()


def translate(messages=None, /, **fields):
    translated = chat_to_messages(request(messages, **fields))
    document = json.loads(translated.body)
    PARAMS.validate_python(document)
    return document


def user(*parts):
    return [{"role": "user", "content": list(parts)}]


def blocks(messages):
    return translate(messages)["messages"]


def refused(messages=None, /, **fields):
    with pytest.raises(Untranslatable) as caught:
        chat_to_messages(request(messages, **fields))
    assert caught.value.param
    assert repr(caught.value.param) in str(caught.value)
    return caught.value.param


# -- ports of the tests of the translator that this one succeeds ----------------------------------------------


def test_basic_translation():
    document = translate(
        [{"role": "user", "content": "Hello"}],
        model="claude-3-opus",
        max_tokens=100,
        temperature=0.7,
        top_p=0.9,
    )

    assert document == {
        "model": "claude-3-opus",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
        "temperature": 0.7,
        "top_p": 0.9,
    }


def test_system_prompt_extraction():
    document = translate([{"role": "system", "content": "Be brief."}, *HI])

    assert document["system"] == [{"type": "text", "text": "Be brief."}]
    assert [message["role"] for message in document["messages"]] == ["user"]


def test_stop_sequences_array():
    assert translate(stop=["END", "STOP"])["stop_sequences"] == ["END", "STOP"]


def test_stop_sequences_string():
    assert translate(stop="END")["stop_sequences"] == ["END"]


# -- where it goes --------------------------------------------------------------------------------------------


def test_it_goes_to_the_messages_endpoint_with_the_version_that_anthropic_insists_on():
    translated = chat_to_messages(request())

    assert translated.path == "/v1/messages"
    assert dict(translated.headers) == {"anthropic-version": "2023-06-01"}


# -- roles and order ------------------------------------------------------------------------------------------


def test_system_and_developer_messages_become_blocks_of_one_system_prompt_wherever_they_stand():
    document = translate(
        [
            {"role": "system", "content": "One."},
            {"role": "user", "content": "hi"},
            {
                "role": "developer",
                "content": [{"type": "text", "text": "Two."}, {"type": "text", "text": "Three."}],
            },
            {"role": "user", "content": "ho"},
        ]
    )

    assert [block["text"] for block in document["system"]] == ["One.", "Two.", "Three."]
    assert document["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "text", "text": "ho"}]}
    ]


def test_messages_of_one_role_in_a_row_are_one_turn_with_their_blocks_apart():
    messages = [*HI, {"role": "user", "content": "again"}, {"role": "assistant", "content": "yes"}]

    assert blocks(messages) == [
        {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "text", "text": "again"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "yes"}]},
    ]


def test_calls_and_their_results_become_blocks_and_results_in_a_row_one_turn():
    found = blocks(
        [
            *HI,
            {"role": "assistant", "content": "", "tool_calls": [call(), call("call_2", arguments="")]},
            {"role": "tool", "tool_call_id": "call_1", "content": "sunny", "name": "weather"},
            {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "rain"}]},
            {"role": "user", "content": "and?"},
        ]
    )

    assert found[1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Paris"}},
                {"type": "tool_use", "id": "call_2", "name": "weather", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": "sunny"},
                {
                    "type": "tool_result",
                    "tool_use_id": "call_2",
                    "content": [{"type": "text", "text": "rain"}],
                },
                {"type": "text", "text": "and?"},
            ],
        },
    ]


def test_a_tool_can_answer_with_an_image():
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    found = blocks(
        [
            *HI,
            {"role": "assistant", "tool_calls": [call()]},
            {"role": "tool", "tool_call_id": "call_1", "content": [image]},
        ]
    )

    result = found[2]["content"][0]
    assert result["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    ]


def test_large_integers_in_arguments_stay_exact():
    number = 2**70
    found = blocks([*HI, {"role": "assistant", "tool_calls": [call(arguments=f'{{"n":{number}}}')]}])

    assert found[1]["content"][0]["input"] == {"n": number}


def test_functions_of_old_are_tools_whose_calls_get_an_id_of_ours():
    document = translate(
        [
            *HI,
            {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": "{}"}},
            {"role": "function", "name": "weather", "content": "sunny"},
        ],
        functions=[WEATHER["function"]],
        function_call={"name": "weather"},
    )

    used, result = document["messages"][1]["content"][0], document["messages"][2]["content"][0]
    assert used["id"] == result["tool_use_id"]
    assert document["tools"][0]["name"] == "weather"
    assert document["tool_choice"] == {"type": "tool", "name": "weather", "disable_parallel_tool_use": True}


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_whether_to_call_a_function_of_old_is_said_as_for_tools(choice):
    document = translate(functions=[WEATHER["function"]], function_call=choice)

    assert document["tool_choice"]["type"] == choice


def test_calls_without_tools_bring_definitions_that_cannot_be_called():
    document = translate(
        [
            *HI,
            {"role": "assistant", "tool_calls": [call()]},
            {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
        ]
    )

    assert document["tools"] == [{"name": "weather", "input_schema": {"type": "object"}}]
    assert document["tool_choice"] == {"type": "none"}


def test_what_an_assistant_refused_is_what_it_said():
    part = {"type": "refusal", "refusal": "No."}
    for message in ({"content": None, "refusal": "No."}, {"content": [part]}):
        assert blocks([*HI, {"role": "assistant", **message}])[1]["content"] == [
            {"type": "text", "text": "No."}
        ]


def test_a_last_message_of_the_assistant_is_one_to_go_on_with():
    assert blocks([*HI, {"role": "assistant", "content": "It is"}])[-1]["role"] == "assistant"


def test_empty_messages_say_nothing():
    assert blocks(
        [
            *HI,
            {"role": "assistant", "content": ""},
            {"role": "user", "content": [{"type": "text", "text": ""}]},
        ]
    ) == [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]


def test_thinking_comes_back_before_what_followed_it_with_its_signature():
    thinking = [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln", "index": 0},
        {"type": "redacted_thinking", "data": "c2VhbGVk"},
    ]
    assistant = {
        "role": "assistant",
        "content": "Let me look.",
        "reasoning_content": "Hm.",
        "thinking_blocks": thinking,
        "tool_calls": [call()],
        "annotations": [],
    }

    found = blocks([*HI, assistant])[1]["content"]

    assert [block["type"] for block in found] == ["thinking", "redacted_thinking", "text", "tool_use"]
    assert found[0] == {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}


# -- content parts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "auto"}},
            {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": f"data:image/webp;base64,{PNG}", "detail": "high"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/webp", "data": PNG}},
        ),
        (
            {
                "type": "file",
                "file": {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "a.pdf"},
            },
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                "title": "a.pdf",
            },
        ),
        (
            {
                "type": "file",
                "file": {"file_data": f"data:text/markdown;base64,{b64encode('ä'.encode()).decode()}"},
            },
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "ä"}},
        ),
        (
            {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}},
        ),
        (
            {"type": "text", "text": "hi", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}},
            {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        ),
    ],
)
def test_a_part_becomes_a_block(part, block):
    assert blocks(user(part))[0]["content"] == [block]


def test_the_mark_of_a_message_stands_on_its_last_block():
    mark = {"type": "ephemeral"}
    document = translate([{"role": "system", "content": "Long.", "cache_control": mark}, *HI])

    assert document["system"][0]["cache_control"] == mark


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, "type"),
        ({"type": "image_url", "image_url": {"url": "https://a/b", "detail": "low"}}, "image_url.detail"),
        ({"type": "image_url", "image_url": {"url": f"data:image/tiff;base64,{PNG}"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "ftp://a/b"}}, "image_url.url"),
        ({"type": "image_url", "image_url": "https://a/b"}, "image_url"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "file.file_id"),
        ({"type": "file", "file": {"file_data": f"data:application/zip;base64,{PDF}"}}, "file.file_data"),
        ({"type": "file", "file": {"file_data": "data:text/plain;base64,%%%"}}, "file.file_data"),
        ({"type": "text", "text": "hi", "weight": 2}, "weight"),
        ({"type": "text"}, "text"),
        (
            {"type": "text", "text": "hi", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
            "prompt_cache_breakpoint.ttl",
        ),
        ({"type": "image"}, "type"),
        ({}, "type"),
    ],
)
def test_a_part_without_an_equal_is_refused_by_name(part, param):
    assert refused(user({"type": "text", "text": "see"}, part)) == f"messages[0].content[1].{param}"


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([{"role": "user", "content": "hi", "name": "ann"}], "messages[0].name"),
        ([{"role": "critic", "content": "hi"}], "messages[0].role"),
        ([{"role": "system", "content": "Be brief."}], "messages"),
        ([], "messages"),
        ([*HI, {"role": "assistant", "content": "yes"}, {"role": "system", "content": "no"}], "messages[2].role"),
        ("hi", "messages"),
        (["hi"], "messages[0]"),
        ([{"role": "user", "content": 3}], "messages[0].content"),
        ([{"role": "system", "content": [{"type": "image_url", "image_url": {"url": "https://a/b"}}]}], "messages[0].content"),
        ([*HI, {"role": "assistant", "audio": {"id": "audio_1"}}], "messages[1].audio"),
        ([*HI, {"role": "tool", "content": "x"}], "messages[1].tool_call_id"),
        ([*HI, {"role": "function", "name": "weather", "content": "x"}], "messages[1].name"),
        ([*HI, {"role": "assistant", "thinking_blocks": [{"type": "thinking", "thinking": "Hm."}]}], "messages[1].thinking_blocks[0].signature"),
        ([*HI, {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {}}]}], "messages[1].tool_calls[0].type"),
    ],
)  # fmt: skip
def test_a_message_without_an_equal_is_refused_by_name(messages, param):
    assert refused(messages) == param


@pytest.mark.parametrize("arguments", ["{", "[1]", "1", '"x"', '{"a":1,"a":2}', '{"a":NaN}', 3])
def test_arguments_that_are_no_object_are_refused_without_being_shown(arguments):
    messages = [*HI, {"role": "assistant", "tool_calls": [call(arguments=arguments)]}]

    assert refused(messages) == "messages[1].tool_calls[0].function.arguments"


# -- tools ----------------------------------------------------------------------------------------------------


def test_a_function_becomes_a_tool():
    assert translate(tools=[WEATHER])["tools"] == [
        {
            "name": "weather",
            "description": "The weather of a city.",
            "input_schema": WEATHER["function"]["parameters"],
        }
    ]


@pytest.mark.parametrize(
    ("parameters", "schema"),
    [(None, {"type": "object", "properties": {}}), ({}, {"type": "object"})],
)
def test_a_function_without_parameters_takes_an_object(parameters, schema):
    tool = {"type": "function", "function": {"name": "now", "parameters": parameters}}

    assert translate(tools=[tool])["tools"][0]["input_schema"] == schema


def strict():
    return {"type": "function", "function": {**WEATHER["function"], "strict": True}}


def test_strict_tools_stay_strict_where_the_model_can_be_held_to_a_schema():
    assert translate(tools=[strict()])["tools"][0]["strict"] is True
    assert refused(model=PLAIN, tools=[strict()]) == "tools[0].function.strict"


OTHER = {"type": "function", "function": {"name": "other", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("none", {"type": "none"}),
        ("auto", {"type": "auto"}),
        ("required", {"type": "any"}),
        ({"type": "function", "function": {"name": "weather"}}, {"type": "tool", "name": "weather"}),
    ],
)
def test_a_tool_choice_becomes_its_equal(choice, expected):
    assert translate(tools=[WEATHER], tool_choice=choice)["tool_choice"] == expected


def test_allowed_tools_are_the_only_ones_that_are_sent():
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "other"}}]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}

    document = translate(tools=[WEATHER, OTHER], tool_choice=choice)

    assert [tool["name"] for tool in document["tools"]] == ["other"]
    assert document["tool_choice"] == {"type": "any"}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", {"type": "any", "disable_parallel_tool_use": True}),
        ("none", {"type": "none"}),
    ],
)
def test_one_call_at_a_time_is_said_with_the_choice(choice, expected):
    document = translate(tools=[WEATHER], tool_choice=choice, parallel_tool_calls=False)

    assert document["tool_choice"] == expected


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tools": [WEATHER], "functions": [WEATHER["function"]]}, "functions"),
        ({"tools": [WEATHER], "tool_choice": "maybe"}, "tool_choice"),
        (
            {"tools": [WEATHER], "tool_choice": {"type": "custom", "custom": {"name": "x"}}},
            "tool_choice.type",
        ),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"model": "claude-opus-5-5", "tools": [WEATHER], "tool_choice": "required"}, "tool_choice"),
    ],
)
def test_a_tool_without_an_equal_is_refused_by_name(fields, param):
    assert refused(**fields) == param


# -- structured output ----------------------------------------------------------------------------------------


def test_a_strict_schema_is_held_by_the_models_that_can():
    document = translate(response_format=STRICT)

    assert document["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}}
    assert "tools" not in document


@pytest.mark.parametrize(
    ("model", "form", "name"),
    [(MODEL, LOOSE, "person"), (PLAIN, STRICT, "person"), (MODEL, {"type": "json_object"}, "json_answer")],
)
def test_any_other_format_is_a_tool_that_must_be_called(model, form, name):
    document = translate(model=model, response_format=form)

    assert document["tools"] == [IsPartialDict(name=name, input_schema=IsPartialDict(type="object"))]
    assert document["tool_choice"] == {"type": "tool", "name": name, "disable_parallel_tool_use": True}


def test_a_schema_that_is_left_out_is_any_object():
    form = {"type": "json_schema", "json_schema": {"name": "person"}}

    assert translate(response_format=form)["tools"][0]["input_schema"] == {"type": "object"}


def test_where_a_tool_must_be_called_there_is_no_text_to_format():
    with_format = translate(tools=[WEATHER], tool_choice="required", response_format=STRICT)

    assert with_format == translate(tools=[WEATHER], tool_choice="required")


def test_beside_tools_the_answer_is_one_of_them():
    document = translate(tools=[WEATHER], response_format={"type": "json_object"})

    assert [tool["name"] for tool in document["tools"]] == ["weather", "json_answer"]
    assert document["tool_choice"] == {"type": "any"}


def test_text_is_the_format_that_answers_have_anyway():
    assert translate(response_format={"type": "text"}) == translate()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": {"type": "json_object"}, "reasoning_effort": "low"}, "response_format"),
        ({"response_format": {"type": "json_object"}, "model": "claude-opus-5-5"}, "response_format"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"model": PLAIN, "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array"}}}},
         "response_format.json_schema.schema"),
        ({"tools": [WEATHER], "response_format": {"type": "json_schema", "json_schema": {"name": "weather", "schema": {}}}, "model": PLAIN},
         "response_format.json_schema.name"),
    ],
)  # fmt: skip
def test_a_format_without_an_equal_is_refused_by_name(fields, param):
    assert refused(**fields) == param


# -- settings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"max_tokens": 4096}),
        ({"max_tokens": 9}, {"max_tokens": 9}),
        ({"max_completion_tokens": 9}, {"max_tokens": 9}),
        ({"max_completion_tokens": 9, "max_tokens": 9}, {"max_tokens": 9}),
        ({"stop": None}, {}),
        ({"stop": []}, {}),
        ({"temperature": 0}, {"temperature": 0}),
        ({"temperature": 1}, {"temperature": 1}),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
        ({"user": "u1"}, {"metadata": {"user_id": "u1"}}),
        ({"safety_identifier": "u1", "user": "u1"}, {"metadata": {"user_id": "u1"}}),
        ({"metadata": {"user_id": "u1"}}, {"metadata": {"user_id": "u1"}}),
        ({"service_tier": "auto"}, {"service_tier": "auto"}),
        ({"service_tier": "default"}, {"service_tier": "standard_only"}),
        ({"top_k": 5}, {"top_k": 5}),
        ({"cache_control": {"type": "ephemeral"}}, {"cache_control": {"type": "ephemeral"}}),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}},
         {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 6096}),
        ({"reasoning_effort": "low"}, {"thinking": {"type": "enabled", "budget_tokens": 2048}, "max_tokens": 6144}),
        ({"reasoning_effort": "high", "max_tokens": 3000},
         {"thinking": {"type": "enabled", "budget_tokens": 1500}, "max_tokens": 3000}),
        ({"reasoning_effort": "none"}, {}),
        ({"model": NEWEST, "reasoning_effort": "minimal"},
         {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}, "max_tokens": 20480}),
        ({"model": NEWEST, "reasoning_effort": "max", "max_tokens": 5000},
         {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}, "max_tokens": 5000}),
        ({"model": "claude-opus-5", "reasoning_effort": "none"}, {"thinking": {"type": "disabled"}, "max_tokens": 4096}),
        ({"model": "claude-sonnet-5-5", "reasoning_effort": "none"}, {"thinking": {"type": "between_tools"}}),
        ({"model": "claude-opus-5", "thinking": {"type": "disabled"}}, {"max_tokens": 4096}),
        ({"model": "claude-opus-5-5", "response_format": LOOSE},
         {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}),
        ({"model": NEWEST, "reasoning_effort": "low", "tools": [WEATHER], "tool_choice": "required"},
         {"output_config": {"effort": "low"}, "max_tokens": 4096}),
        ({"model": NEWEST, "reasoning_effort": "low", "response_format": STRICT},
         {"output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}}}),
        ({"model": "claude-opus-4-5", "reasoning_effort": "medium"},
         {"thinking": {"type": "enabled", "budget_tokens": 8192}, "output_config": {"effort": "medium"}}),
        ({"model": "claude-fable-5"}, {"max_tokens": 20480}),
        ({"model": "claude-opus-5"}, {"max_tokens": 20480}),
        ({"model": "us.anthropic.claude-haiku-4-5"}, {"max_tokens": 4096}),
    ],
)  # fmt: skip
def test_a_setting_becomes_its_equal(fields, expected):
    document = translate(**fields)

    assert document == IsPartialDict(expected)
    if not {"reasoning_effort", "thinking"} & fields.keys():
        assert "thinking" not in document


def test_with_a_budget_a_turn_whose_thinking_was_not_sent_back_goes_on_without():
    messages = [
        *HI,
        {"role": "assistant", "tool_calls": [call()]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]

    assert "thinking" not in translate(messages, tools=[WEATHER], reasoning_effort="low")


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1}, {"n": None}, {"frequency_penalty": 0}, {"presence_penalty": 0.0}, {"logit_bias": {}}, {"logprobs": False},
        {"top_logprobs": 0}, {"store": False}, {"modalities": ["text"]}, {"verbosity": "medium"}, {"seed": None},
        {"audio": None}, {"prediction": None}, {"metadata": {}}, {"prompt_cache_options": {"mode": "implicit"}},
        {"stream": False}, {"stream_options": None}, {"tools": []}, {"tool_choice": None}, {"parallel_tool_calls": True},
        {"anything": None}, {"service_tier": None}, {"response_format": None},
    ],
)  # fmt: skip
def test_a_value_that_changes_nothing_passes(fields):
    assert translate(**fields) == translate()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"temperature": 1.2}, "temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"stop": 3}, "stop"),
        ({"stop": [3]}, "stop[0]"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"presence_penalty": -1}, "presence_penalty"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"seed": 7}, "seed"),
        ({"store": True}, "store"),
        ({"audio": {"voice": "alloy", "format": "wav"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"verbosity": "low"}, "verbosity"),
        ({"prompt_cache_key": "k"}, "prompt_cache_key"),
        ({"prompt_cache_retention": "24h"}, "prompt_cache_retention"),
        ({"prompt_cache_options": {"mode": "implicit", "ttl": "30m"}}, "prompt_cache_options.ttl"),
        ({"metadata": {"team": "a"}}, "metadata.team"),
        ({"user": "a", "safety_identifier": "b"}, "safety_identifier"),
        ({"service_tier": "flex"}, "service_tier"),
        (
            {"stream": True, "stream_options": {"include_obfuscation": True}},
            "stream_options.include_obfuscation",
        ),
        ({"moderation": {"model": "m"}}, "moderation"),
        ({"reasoning_effort": "xhigh"}, "reasoning_effort"),
        ({"reasoning_effort": "low", "max_tokens": 100}, "reasoning_effort"),
        ({"reasoning_effort": "low", "temperature": 0.5}, "temperature"),
        ({"reasoning_effort": "low", "thinking": {"type": "adaptive"}}, "reasoning_effort"),
        ({"reasoning_effort": "low", "tools": [WEATHER], "tool_choice": "required"}, "reasoning_effort"),
        ({"model": PLAIN, "reasoning_effort": "low"}, "reasoning_effort"),
        ({"model": "claude-opus-4-6", "reasoning_effort": "xhigh"}, "reasoning_effort"),
        ({"model": "claude-fable-5", "reasoning_effort": "none"}, "reasoning_effort"),
        ({"mood": "good"}, "mood"),
    ],
)
def test_what_anthropic_cannot_say_is_refused_by_name(fields, param):
    assert refused(**fields) == param


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"messages":[]}', b'{"model":3,"messages":[]}', b'{"model":"m","model":"n"}']
)
def test_what_is_no_request_is_an_unreadable_body(body):
    with pytest.raises(WireError):
        chat_to_messages(body)


def test_no_refusal_shows_what_was_said():
    secret = "Grandmother's cake"
    for messages in (
        [{"role": secret, "content": secret}],
        user({"type": secret, "text": secret}),
        [*HI, {"role": "assistant", "tool_calls": [call(arguments=secret)]}],
    ):
        with pytest.raises(Untranslatable) as caught:
            chat_to_messages(request(messages))
        assert secret not in str(caught.value)
