"""A request for a message becomes a chat that asks the same, or is refused by the name of the field that cannot."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages_dialects import GPT, HELLO, WEATHER, chat, translated
from recorded import recordings

from iron_adapters.wire import codec_for
from iron_adapters.wire.translation import messages_to_chat
from iron_policy.exceptions import Untranslatable, WireError

PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQ="}
CACHE = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
USE = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Paris"}}
CALL = {"id": "toolu_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}
THINKING = {"type": "thinking", "thinking": "hm", "signature": "EqQBCg=="}
DAY = {"type": "json_schema", "schema": {"type": "object", "properties": {}, "additionalProperties": False}}
FORM = {
    "type": "json_schema",
    "json_schema": {"name": "answer", "schema": DAY["schema"], "strict": True},
}


def text(words, **fields):
    return {"type": "text", "text": words, **fields}


def turns(*messages):
    return chat(messages=[*messages, HELLO])["messages"][:-1]


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def result(content=None, **fields):
    said = {"type": "tool_result", "tool_use_id": "toolu_1", **fields}
    return said if content is None else {**said, "content": content}


# -- parameters ----------------------------------------------------------------------------------------------

SAID = [
    ({}, {}),
    ({"temperature": 0.5, "top_p": 1}, {"temperature": 0.5, "top_p": 1}),
    ({"stop_sequences": ["a", "b", "c", "d"]}, {"stop": ["a", "b", "c", "d"]}),
    ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
    ({"metadata": {"user_id": "u-1"}}, {"safety_identifier": "u-1"}),
    ({"service_tier": "standard_only"}, {"service_tier": "default"}),
    ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"reasoning_effort": "low"}),
    ({"thinking": {"type": "enabled", "budget_tokens": 4096}}, {"reasoning_effort": "low"}),
    ({"thinking": {"type": "enabled", "budget_tokens": 4097}}, {"reasoning_effort": "medium"}),
    ({"thinking": {"type": "enabled", "budget_tokens": 16384}}, {"reasoning_effort": "medium"}),
    ({"thinking": {"type": "enabled", "budget_tokens": 31999}}, {"reasoning_effort": "high"}),
    ({"thinking": {"type": "disabled"}}, {"reasoning_effort": "none"}),
    ({"thinking": {"type": "adaptive", "display": "summarized"}}, {}),
    ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, {"reasoning_effort": "max"}),
    ({"output_config": {"effort": "xhigh"}}, {"reasoning_effort": "xhigh"}),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 1024}, "output_config": {"effort": "high"}},
        {"reasoning_effort": "high"},
    ),
    ({"output_config": {"format": DAY}}, {"response_format": FORM}),
    ({"output_format": DAY}, {"response_format": FORM}),
    ({"seed": 7, "verbosity": "low"}, {"seed": 7, "verbosity": "low"}),
    ({"reasoning_effort": "minimal"}, {"reasoning_effort": "minimal"}),
]

LEFT_OUT = [
    {"stream": False},
    {"stop_sequences": []},
    {"service_tier": "auto"},
    {"speed": "standard"},
    {"metadata": {}},
    {"metadata": {"user_id": None}},
    {"mcp_servers": [], "container": None, "top_k": None, "betas": [], "fallbacks": []},
    {"tools": [], "tool_choice": {"type": "auto"}},
    {"tool_choice": {"type": "none"}},
    {"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}},
    {"context_management": {"edits": []}},
    {"output_config": {}},
    {"system": ""},
    {"system": []},
    CACHE,
]
"""What asks for nothing, or only for what a chat does anyway."""


@pytest.mark.parametrize(("asked", "said"), SAID)
def test_a_parameter_is_said_in_openais_words(asked, said):
    assert chat(**asked) == {
        "model": GPT,
        "messages": [HELLO],
        "max_completion_tokens": 100,
        **said,
    }


@pytest.mark.parametrize("asked", LEFT_OUT)
def test_what_asks_for_nothing_is_left_out(asked):
    assert chat(**asked) == chat()


REFUSED = [
    ("max_tokens", {"max_tokens": None}),
    ("max_tokens", {"max_tokens": 0}),
    ("max_tokens", {"max_tokens": True}),
    ("max_tokens", {"max_tokens": "100"}),
    ("model", {"model": 7}),
    ("messages", {"messages": "Hello"}),
    ("messages[0]", {"messages": ["Hello"]}),
    ("temperature", {"temperature": "warm"}),
    ("top_k", {"top_k": 5}),
    ("stop_sequences", {"stop_sequences": list("abcde")}),
    ("stop_sequences", {"stop_sequences": [1]}),
    ("stream", {"stream": 1}),
    ("metadata.session_id", {"metadata": {"session_id": "x"}}),
    ("service_tier", {"service_tier": "batch"}),
    ("speed", {"speed": "fast"}),
    ("container", {"container": "container_1"}),
    ("container", {"container": {"skills": []}}),
    ("mcp_servers", {"mcp_servers": [{"type": "url", "url": "https://x", "name": "x"}]}),
    ("betas", {"betas": ["context-1m-2025-08-07"]}),
    ("fallbacks", {"fallbacks": [{"model": "claude-haiku-4-5"}]}),
    ("inference_geo", {"inference_geo": "eu"}),
    ("diagnostics", {"diagnostics": {"previous_message_id": None}}),
    ("user_profile_id", {"user_profile_id": "u"}),
    ("workspace_id", {"workspace_id": "w"}),
    ("context_management.edits", {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}),
    ("context_management.*", {"context_management": {"anything": 1}}),
    ("n", {"n": 2}),
    ("logprobs", {"logprobs": True}),
    ("*", {"my own field": 1}),
    ("thinking.type", {"thinking": {}}),
    ("thinking.type", {"thinking": {"type": "deep"}}),
    ("thinking.budget_tokens", {"thinking": {"type": "enabled"}}),
    ("thinking.display", {"thinking": {"type": "adaptive", "display": "all"}}),
    ("thinking.type", {"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}),
    ("output_config.effort", {"output_config": {"effort": "some"}}),
    ("output_config.task_budget", {"output_config": {"task_budget": {"type": "tokens", "total": 9}}}),
    ("output_config.format", {"output_config": {"format": DAY}, "output_format": DAY}),
    ("output_config.format.type", {"output_config": {"format": {"type": "regex"}}}),
    ("reasoning_effort", {"reasoning_effort": "low", "output_config": {"effort": "low"}}),
    ("tools", {"tools": {}}),
    ("tool_choice.type", {"tool_choice": {}}),
    ("tool_choice.name", {"tool_choice": {"type": "tool"}}),
]


@pytest.mark.parametrize(("param", "asked"), REFUSED)
def test_what_a_chat_cannot_say_is_refused_by_its_name(param, asked):
    with pytest.raises(Untranslatable) as refusal:
        translated(**asked)

    assert refusal.value.param == param
    assert repr(param) in str(refusal.value) or param in str(refusal.value)


@pytest.mark.parametrize(
    ("model", "limit", "user_field"),
    [
        ("gpt-4o", "max_completion_tokens", "safety_identifier"),
        ("o3-mini", "max_completion_tokens", "safety_identifier"),
        ("chatgpt-4o-latest", "max_completion_tokens", "safety_identifier"),
        ("ft:gpt-4.1-mini:acme::1", "max_completion_tokens", "safety_identifier"),
        ("gpt-oss-120b", "max_tokens", "user"),
        ("llama-3.3-70b", "max_tokens", "user"),
        ("olmo-2", "max_tokens", "user"),
    ],
)
def test_the_limit_and_the_user_have_the_names_that_the_models_server_knows(model, limit, user_field):
    said = chat(model=model, metadata={"user_id": "u-1"})

    assert said[limit] == 100
    assert said[user_field] == "u-1"
    assert len(said) == 4


def test_a_user_that_is_longer_than_openai_takes_becomes_a_name_of_the_same_user():
    long = json.dumps({"device_id": "d" * 64, "account_uuid": "", "session_id": "s" * 36})

    names = [chat(metadata={"user_id": name})["safety_identifier"] for name in (long, long, long + "x")]

    assert names[0] == names[1] != names[2]
    assert {len(name) for name in names} == {64}


@pytest.mark.parametrize(
    ("model", "effort"),
    [
        ("gpt-5.1", "none"),
        ("gpt-6-sol", "none"),
        ("gpt-4o", None),
        ("gpt-5.1-chat-latest", None),
        ("llama-3", None),
    ],
)
def test_a_model_that_is_not_to_think_is_told_so_where_it_would(model, effort):
    assert chat(model=model, thinking={"type": "disabled"}).get("reasoning_effort") == effort


@pytest.mark.parametrize("model", ["o3", "gpt-5", "gpt-5-mini", "gpt-5.2-pro", "gpt-5.1-codex"])
def test_a_model_that_always_thinks_cannot_be_told_not_to(model):
    with pytest.raises(Untranslatable, match="always thinks; leave out thinking"):
        translated(model=model, thinking={"type": "disabled"})


# -- tools ---------------------------------------------------------------------------------------------------


def test_a_tool_of_the_callers_own_becomes_a_function():
    own = {"name": "weather", "description": "Tells it", "input_schema": WEATHER}
    more = {"type": "custom", "name": "time", "input_schema": WEATHER, "strict": True, "defer_loading": False}

    tools = chat(
        tools=[{**own, **CACHE}, {**more, "allowed_callers": ["direct"], "eager_input_streaming": True}]
    )["tools"]

    assert tools == [
        {
            "type": "function",
            "function": {"name": "weather", "description": "Tells it", "parameters": WEATHER},
        },
        {"type": "function", "function": {"name": "time", "parameters": WEATHER, "strict": True}},
    ]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        ({"type": "tool", "name": "t"}, {"tool_choice": {"type": "function", "function": {"name": "t"}}}),
        ({"type": "auto", "disable_parallel_tool_use": False}, {"tool_choice": "auto"}),
        (
            {"type": "any", "disable_parallel_tool_use": True},
            {"tool_choice": "required", "parallel_tool_calls": False},
        ),
    ],
)
def test_a_choice_of_tools_is_said(choice, said):
    tools = [{"name": "t", "input_schema": WEATHER}]

    whole = chat(tools=tools, tool_choice=choice)

    assert {key: whole[key] for key in whole.keys() & {"tool_choice", "parallel_tool_calls"}} == said


@pytest.mark.parametrize(
    ("field", "tool"),
    [
        ("type", {"type": "web_search_20250305", "name": "web_search"}),
        ("type", {"type": "bash_20250124", "name": "bash"}),
        ("type", {"type": "something"}),
        ("name", {"name": None}),
        ("input_schema", {"input_schema": None}),
        ("defer_loading", {"defer_loading": True}),
        ("allowed_callers", {"allowed_callers": ["code_execution_20250825"]}),
        ("input_examples", {"input_examples": [{"city": "Paris"}]}),
        ("max_uses", {"max_uses": 3}),
    ],
)
def test_a_tool_that_is_more_than_a_function_is_refused(field, tool):
    with pytest.raises(Untranslatable) as refusal:
        translated(
            tools=[{"name": "t", "input_schema": WEATHER}, {"name": "u", "input_schema": WEATHER, **tool}]
        )

    assert refusal.value.param == f"tools[1].{field}"


# -- the conversation ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("system", "said"),
    [
        ("Be brief.", "Be brief."),
        ([text("Be brief.", **CACHE)], "Be brief."),
        ([text("Be brief."), text("Be kind.")], [text("Be brief."), text("Be kind.")]),
    ],
)
def test_a_system_prompt_is_the_first_message(system, said):
    assert chat(system=system)["messages"] == [{"role": "system", "content": said}, HELLO]


def test_a_system_message_stays_where_it_is():
    later = {"role": "system", "content": [text("Be kind.")]}

    assert turns(HELLO, later) == [HELLO, {"role": "system", "content": "Be kind."}]


USERS = [
    (text("Hi", **CACHE), "Hi"),
    (text("Hi", citations=[]), "Hi"),
    (
        {"type": "image", "source": PNG, **CACHE},
        [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}],
    ),
    (
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}],
    ),
    (
        {"type": "document", "source": PDF, "title": "Bill", "citations": {"enabled": False}},
        [
            text("Bill"),
            {
                "type": "file",
                "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQ="},
            },
        ],
    ),
    (
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "All"},
            "context": "Law",
        },
        [text("Law"), text("All")],
    ),
    ({"type": "document", "source": {"type": "content", "content": "All"}}, "All"),
    (
        {"type": "document", "source": {"type": "content", "content": [text("A"), text("B")]}},
        [text("A"), text("B")],
    ),
    (
        {"type": "search_result", "source": "https://x", "title": "X", "content": [text("Found")]},
        [text("https://x"), text("X"), text("Found")],
    ),
]


@pytest.mark.parametrize(("block", "content"), USERS)
def test_what_a_user_shows_becomes_parts(block, content):
    assert turns(user(block)) == [{"role": "user", "content": content}]


def test_several_blocks_stay_in_their_order():
    (said,) = turns(user(text("A"), {"type": "image", "source": PNG}, text("B")))

    assert [part["type"] for part in said["content"]] == ["text", "image_url", "text"]


def test_results_of_tools_come_before_what_the_user_says():
    said = turns(HELLO, assistant(USE), user(result("Sunny", **CACHE), text("Thanks")))

    assert said[2:] == [
        {"role": "tool", "tool_call_id": "toolu_1", "content": "Sunny"},
        {"role": "user", "content": "Thanks"},
    ]


@pytest.mark.parametrize(
    ("block", "content"),
    [
        (result(), ""),
        (result([]), ""),
        (result("Sunny"), "Sunny"),
        (result([text("Sun"), text("ny")]), [text("Sun"), text("ny")]),
        (result("No such city", is_error=True), [text("The tool failed:"), text("No such city")]),
        (result(is_error=True), "The tool failed:"),
        (result("Sunny", is_error=False), "Sunny"),
    ],
)
def test_a_tools_result_is_a_message_of_its_own(block, content):
    assert turns(user(block)) == [{"role": "tool", "tool_call_id": "toolu_1", "content": content}]


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ([text("Hi")], {"content": "Hi"}),
        ([text("A"), text("B")], {"content": [text("A"), text("B")]}),
        ([USE], {"content": None, "tool_calls": [CALL]}),
        (
            [text("Wait"), {**USE, "caller": {"type": "direct"}, **CACHE}],
            {"content": "Wait", "tool_calls": [CALL]},
        ),
        ([THINKING, text("Hi")], {"content": "Hi"}),
        ([{"type": "redacted_thinking", "data": "EqQB"}, USE], {"content": None, "tool_calls": [CALL]}),
    ],
)
def test_what_the_assistant_said_and_called_is_one_message(blocks, said):
    assert turns(HELLO, assistant(*blocks)) == [HELLO, {"role": "assistant", **said}]


def test_a_turn_that_was_nothing_but_thinking_is_left_out():
    assert turns(HELLO, assistant(THINKING)) == [HELLO]


def test_arguments_keep_numbers_that_only_integers_hold():
    body = b'{"model":"gpt-4o","max_tokens":9,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t",'
    body += b'"name":"n","input":{"id":123456789012345678901234567890,"x":1.0}}]},{"role":"user","content":"Hi"}]}'

    said = json.loads(messages_to_chat(body).body)

    assert said["messages"][0]["tool_calls"][0]["function"]["arguments"] == (
        '{"id":123456789012345678901234567890,"x":1.0}'
    )


IMPOSSIBLE = [
    ("[0].role", {"role": "tool", "content": "x"}),
    ("[0].name", {"role": "user", "content": "x", "name": "Ann"}),
    ("[0].content", {"role": "user"}),
    ("[0].content", user()),
    ("[0].content", assistant()),
    ("[0].content[0]", user("Hi")),
    ("[0].content[0].type", user({"type": "hologram"})),
    ("[0].content[0].type", user({})),
    ("[0].content[0].type", user({"type": ["text"]})),
    ("[0].content[0].type", assistant({"type": {}})),
    ("[0].content[0].type", user(USE)),
    ("[0].content[0].type", user(THINKING)),
    ("[0].content[0].text", user({"type": "text"})),
    ("[0].content[0].citations", user(text("Hi", citations=[{"type": "char_location"}]))),
    ("[0].content[0].*", user(text("Hi", colour="red"))),
    ("[0].content[0].source", user({"type": "image"})),
    ("[0].content[0].source.type", user({"type": "image", "source": {"type": "file", "file_id": "file_1"}})),
    ("[0].content[0].transformations", user({"type": "image", "source": PNG, "transformations": {"a": 1}})),
    ("[0].content[0].source.type", user({"type": "document", "source": {"type": "url", "url": "https://x"}})),
    ("[0].content[0].source.type", user({"type": "document", "source": {"type": "file", "file_id": "f"}})),
    (
        "[0].content[0].source.media_type",
        user({"type": "document", "source": {**PDF, "media_type": "text/html"}}),
    ),
    ("[0].content[0].citations", user({"type": "document", "source": PDF, "citations": {"enabled": True}})),
    ("[0].content[0].type", user({"type": "container_upload", "file_id": "file_1"})),
    ("[0].content[0].content", user(result([{"type": "image", "source": PNG}]))),
    ("[0].content[0].content", user(result([{"type": "document", "source": PDF}]))),
    ("[0].content[0].content[0].type", user(result([{"type": "tool_reference", "tool_name": "x"}]))),
    ("[0].content[0].tool_use_id", user({"type": "tool_result"})),
    ("[0].content[0].is_error", user(result("x", is_error="yes"))),
    (
        "[0].content[0].type",
        assistant({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}),
    ),
    ("[0].content[0].type", assistant({"type": "image", "source": PNG})),
    ("[0].content[0].input", assistant({**USE, "input": "Paris"})),
    (
        "[0].content[0].caller",
        assistant({**USE, "caller": {"type": "code_execution_20250825", "tool_id": "x"}}),
    ),
    ("[0].content[0].toolset_name", assistant({**USE, "toolset_name": "x"})),
    ("[0].content[0].type", {"role": "system", "content": [{"type": "tool_addition", "tool": {}}]}),
]


@pytest.mark.parametrize(("place", "turn"), IMPOSSIBLE)
def test_a_block_that_a_chat_cannot_say_is_refused_at_its_place(place, turn):
    with pytest.raises(Untranslatable) as refusal:
        translated(messages=[turn, HELLO])

    assert refusal.value.param == f"messages{place}"


def test_a_beginning_of_the_answer_is_refused_because_gpt_would_start_a_new_one():
    with pytest.raises(Untranslatable, match="end with a user's") as refusal:
        translated(messages=[HELLO, {"role": "assistant", "content": "The answer is ("}])

    assert refusal.value.param == "messages[1]"


def test_no_refusal_repeats_what_the_caller_wrote():
    secret = "sk-live-1234"
    for fields in (
        {"top_k": secret},
        {secret: 1},
        {"messages": [user({"type": secret})]},
        {"messages": [{"role": secret, "content": secret}]},
        {"tools": [{"type": secret, "name": secret}]},
        {"thinking": {"type": secret}},
        {"tools": [{"name": "t", "input_schema": WEATHER, secret: secret}]},
    ):
        with pytest.raises(Untranslatable) as refusal:
            translated(**fields)
        assert secret not in f"{refusal.value} {refusal.value.param}"


# -- all together --------------------------------------------------------------------------------------------


def test_what_claude_code_sends_is_said():
    """Its parameters, as its requests have them; two rounds of a conversation with a tool and thinking."""
    said = chat(
        max_tokens=32000,
        temperature=1,
        stream=True,
        system=[text("You are an agent.", **CACHE), text("Rules", **CACHE)],
        metadata={"user_id": "user_" + "0" * 64 + "_account__session_" + "1" * 36},
        thinking={"type": "enabled", "budget_tokens": 31999},
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        tools=[
            {"name": "Bash", "description": "Runs", "input_schema": WEATHER, "eager_input_streaming": True}
        ],
        messages=[
            user(text("<system-reminder>"), text("Do it", **CACHE)),
            assistant(THINKING, text("Yes."), USE),
            user(result("exit 1", is_error=True, **CACHE), text("Go on")),
        ],
    )

    assert [turn["role"] for turn in said["messages"]] == ["system", "user", "assistant", "tool", "user"]
    assert said["reasoning_effort"] == "high"
    assert said["stream_options"] == {"include_usage": True}


UNTRANSLATABLE = 18
"""Files and PDFs behind a URL (4), citations (3), tools that Anthropic runs or knows (6), their blocks (3), a tool to be
searched for (1), a beginning of the answer (1)."""


@pytest.mark.parametrize("recording", recordings(lambda recording: recording.row["endpoint"] == "messages"))
def test_a_recorded_request_is_said_or_refused_by_name(recording):
    try:
        body = messages_to_chat(recording.request_body).body
    except Untranslatable as refusal:
        named = refusal.param
    else:
        _says_all_of(recording, body)
        return
    assert named


def _says_all_of(recording, body):
    texts = codec_for("POST", "/v1/chat/completions").read_request(body, {}).request.texts
    said = "\n".join(text.text for text in texts if text.role != "tool")
    for given_text in recording.read_request().request.texts:
        if given_text.role in {"system", "user"} and "metadata" not in given_text.place:
            assert given_text.text in said


def test_most_of_the_recorded_requests_can_be_said():
    found = recordings(lambda recording: recording.row["endpoint"] == "messages")
    if found[0].values == (None,):
        pytest.skip("no recordings")
    refused = 0
    for parameter in found:
        try:
            messages_to_chat(parameter.values[0].request_body)
        except Untranslatable:
            refused += 1

    assert (len(found), refused) == (71, UNTRANSLATABLE)


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
KEYS = st.sampled_from(
    """model max_tokens messages role content type text source data media_type url tool_use_id input name id system
    tools input_schema tool_choice thinking budget_tokens output_config effort format schema metadata user_id stream
    stop_sequences citations is_error context_management edits cache_control service_tier title context""".split()  # noqa: SIM905 - a page otherwise
)
WORDS = st.sampled_from(
    """user assistant system text image document base64 tool_use tool_result thinking enabled disabled custom auto tool
    json_schema gpt-4o search_result content direct""".split()  # noqa: SIM905 - a page otherwise
)
DOCUMENTS = st.recursive(
    SCALARS | WORDS,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(KEYS | st.text(), children, max_size=6),
    max_leaves=30,
)


@settings(deadline=None)
@given(
    st.dictionaries(KEYS, DOCUMENTS, max_size=6)
    | st.fixed_dictionaries(
        {"model": st.just("gpt-4o"), "max_tokens": st.just(5)},
        optional={
            "messages": st.lists(DOCUMENTS, max_size=4),
            "tools": DOCUMENTS,
            "system": DOCUMENTS,
            "thinking": DOCUMENTS,
        },
    )
    | DOCUMENTS
)
def test_any_document_is_said_or_refused(document):
    try:
        body = messages_to_chat(json.dumps(document).encode()).body
    except WireError:
        return

    assert json.loads(body)["messages"] is not None


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"\xff", b'{"model": NaN}', b'{"a":1,"a":2}', b"[" * 9999]
)
def test_what_is_no_request_is_refused(body):
    with pytest.raises(WireError):
        messages_to_chat(body)


FULL = {
    "model": GPT,
    "max_tokens": 100,
    "system": [text("Be brief.", **CACHE)],
    "thinking": {"type": "enabled", "budget_tokens": 1024, "display": "omitted"},
    "output_config": {"effort": "low", "format": DAY},
    "metadata": {"user_id": "u"},
    "tools": [{"name": "weather", "description": "Tells it", "input_schema": WEATHER}],
    "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
    "stop_sequences": ["END"],
    "context_management": {"edits": [{"type": "clear_thinking_20251015"}]},
    "messages": [
        user(*(block for block, _ in USERS)),
        assistant(THINKING, text("Wait"), USE),
        user(result([text("Sunny")], is_error=True), text("Go on")),
    ],
}


def test_a_request_with_everything_is_said():
    assert [turn["role"] for turn in chat(**FULL)["messages"]] == [
        "system",
        "user",
        "assistant",
        "tool",
        "user",
    ]


@settings(deadline=None)
@given(st.data())
def test_a_request_with_anything_in_any_place_is_said_or_refused(data):
    document = json.loads(json.dumps(FULL))
    holder = document
    while True:
        key = data.draw(st.sampled_from(list(holder) if isinstance(holder, dict) else range(len(holder))))
        if not holder[key] or not isinstance(holder[key], dict | list) or data.draw(st.booleans()):
            break
        holder = holder[key]
    holder[key] = data.draw(DOCUMENTS)
    try:
        body = messages_to_chat(json.dumps(document).encode()).body
    except WireError:
        return

    assert json.loads(body)["model"] == document["model"]
