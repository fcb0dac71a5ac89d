"""``completion`` and ``acompletion``: what a caller without any SDK relies on, over real sockets."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import pickle
import subprocess
import sys
import threading
import time
from typing import get_type_hints

import pytest

pytest.importorskip("pyreqwest", reason="needs the extra iron-adapters[completion]")
from openai.types.chat import ChatCompletion, ChatCompletionChunk, completion_create_params

from iron_adapters import acompletion, completion
from iron_adapters.completions import ProviderError
from iron_adapters.testing import (
    cut_off,
    dropped,
    error_event,
    malformed,
    overloaded,
    rate_limited,
    slow_start,
    stalled,
)
from iron_policy import UpstreamError, WireError
from iron_policy.exceptions import Untranslatable

MODELS = {"openai": "openai/gpt-4o-mini", "anthropic": "anthropic/claude-haiku-4-5"}
HELLO = [{"role": "user", "content": "Hello there, all of you"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture(params=["sync", "async"])
def call(request):
    """``completion``, or ``acompletion`` run to its end; a stream as the list of its chunks."""
    return waited if request.param == "sync" else awaited


def waited(*args, **kwargs):
    reply = completion(*args, **kwargs)
    return list(reply) if kwargs.get("stream") else reply


def awaited(*args, **kwargs):
    async def run():
        reply = await acompletion(*args, **kwargs)
        return [chunk async for chunk in reply] if kwargs.get("stream") else reply

    return asyncio.run(run())


@pytest.fixture(params=["openai", "anthropic"])
def where(request, double):
    """A provider's model and address."""
    url = double.openai_url if request.param == "openai" else double.anthropic_url
    return {"model": MODELS[request.param], "base_url": url, "max_tokens": 200}


@pytest.fixture
def gpt(double):
    return {"model": MODELS["openai"], "base_url": double.openai_url}


def said(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def test_a_reply_has_openais_shape_whoever_gives_it(call, where, double):
    double.reply("Bonjour")

    reply = call(messages=HELLO, **where)

    assert reply.choices[0].message.content == "Bonjour"
    assert reply["choices"][0]["message"]["content"] == "Bonjour"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens > 0
    assert reply.model.startswith(where["model"].partition("/")[2])
    assert ChatCompletion.model_validate(reply.model_dump()).choices[0].message.content == "Bonjour"


def test_a_stream_says_what_a_whole_reply_says(call, where, double):
    double.reply("one two three four")

    chunks = call(messages=HELLO, stream=True, **where)

    assert said(chunks) == "one two three four"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert len(chunks) > 3
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk.model_dump())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_stream_may_be_cut_anywhere(call, where, double, seed):
    double.rechunk(seed)
    double.reply("Grüße aus Köln 🦀")

    assert said(call(messages=HELLO, stream=True, **where)) == "Grüße aus Köln 🦀"


def test_a_stream_comes_as_it_is_written(gpt, double):
    double.reply("one two three four five")
    double.pace(token_seconds=10)

    started = time.monotonic()
    with completion(messages=HELLO, stream=True, **gpt) as chunks:
        next(chunks)

    assert time.monotonic() - started < 9


def test_usage_of_a_stream_comes_to_who_asks_for_it(call, where):
    chunks = call(messages=HELLO, stream=True, stream_options={"include_usage": True}, **where)

    assert chunks[-1].usage.total_tokens > 0


def test_ritellms_example_runs(gpt, double):
    """The example of its document, with its parameters, in its order."""
    double.reply("Hi from Python!")
    model, messages = "openai/gpt-3.5-turbo", [{"role": "user", "content": "Hello from pure Rust!"}]

    response = completion(model, messages, 0.7, 100, gpt["base_url"], False, '{"top_p": 0.9}')

    assert response["choices"][0]["message"]["content"] == "Hi from Python!"
    assert double.requests.last.json == {
        "model": "gpt-3.5-turbo",
        "messages": messages,
        "temperature": 0.7,
        "max_tokens": 100,
        "top_p": 0.9,
    }


PARAMETERS = {
    "audio": {"voice": "alloy", "format": "wav"},
    "frequency_penalty": 0.5,
    "function_call": "auto",
    "functions": [{"name": "weather", "parameters": {"type": "object", "properties": {}}}],
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "max_completion_tokens": 50,
    "max_tokens": 50,
    "metadata": {"team": "research"},
    "modalities": ["text"],
    "moderation": {"model": "omni-moderation-latest"},
    "n": 2,
    "parallel_tool_calls": False,
    "prediction": {"type": "content", "content": "Hello"},
    "presence_penalty": -0.5,
    "prompt_cache_key": "key",
    "prompt_cache_options": {"ttl": "30m"},
    "prompt_cache_retention": "24h",
    "reasoning_effort": "low",
    "response_format": {"type": "json_object"},
    "safety_identifier": "u1",
    "seed": 7,
    "service_tier": "default",
    "stop": ["END"],
    "store": False,
    "stream_options": {"include_usage": True},
    "temperature": 0.0,
    "tool_choice": "auto",
    "tools": [WEATHER],
    "top_logprobs": 2,
    "top_p": 0.5,
    "user": "u1",
    "verbosity": "low",
    "web_search_options": {"search_context_size": "low"},
}


def test_the_table_below_has_every_parameter_of_the_endpoint():
    known = get_type_hints(completion_create_params.CompletionCreateParamsBase)

    assert set(known) - {"model", "messages"} <= set(PARAMETERS)


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("way", ["keyword", "additional_params"])
def test_every_parameter_of_the_endpoint_arrives(gpt, double, name, way):
    value = PARAMETERS[name]
    how = {name: value} if way == "keyword" else {"additional_params": json.dumps({name: value})}
    stream = name == "stream_options"
    double.answer_with(lambda asked: "{}")

    reply = completion(messages=HELLO, stream=stream, **how, **gpt)
    if stream:
        list(reply)

    assert double.requests.last.json[name] == value


def test_what_is_none_is_left_out_and_what_nobody_knows_passes(gpt, double):
    completion(messages=HELLO, temperature=None, tools=None, a_new_one={"deep": [1, None]}, **gpt)

    assert double.requests.last.json == {
        "model": "gpt-4o-mini",
        "messages": HELLO,
        "a_new_one": {"deep": [1, None]},
    }


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ('{"top_p": ', "additional_params is no JSON .line 1"),
        ("[1]", "additional_params: a JSON object .* not list"),
        ('{"seed": 2}', "additional_params: 'seed' is given as an argument of its own"),
        ('{"stream": true}', "additional_params: 'stream'"),
    ],
)
def test_bad_additional_params_are_a_value_error_that_names_them(call, gpt, double, given, problem):
    with pytest.raises(ValueError, match=problem):
        call(messages=HELLO, seed=1, additional_params=given, **gpt)
    assert len(double.requests) == 0


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"messages": "Hello"}, "messages: a list"),
        ({"messages": {"role": "user"}}, "messages: a list"),
        ({"stop": object()}, "no JSON: .*object"),
        ({"response_format": dict}, "no JSON"),
        ({"timeout": 0}, "timeout: a number of seconds"),
        ({"extra_headers": {"x-tag": "a\r\nb"}}, "extra_headers: the value of 'x-tag'"),
    ],
)
def test_a_wrong_argument_is_a_value_error_and_nothing_is_sent(gpt, double, wrong, problem):
    with pytest.raises(ValueError, match=problem):
        completion(**{"messages": HELLO, **gpt, **wrong})
    assert len(double.requests) == 0


def test_headers_of_the_callers_own_are_sent_and_come_before_ours(gpt, double):
    completion(
        messages=HELLO, extra_headers={"X-Tag": "blue", "Content-Type": "application/json; a=b"}, **gpt
    )

    assert double.requests.last.headers["x-tag"] == "blue"
    assert double.requests.last.headers["content-type"] == "application/json; a=b"


def test_an_agents_loop_with_parallel_tools(call, where, double):
    double.script(
        [
            lambda asked: (
                asked.tools and _uses(("weather", {"city": "Paris"}), ("weather", {"city": "Rome"}))
            ),
            "Sunny in both.",
        ]
    )
    messages = [{"role": "user", "content": "Paris and Rome?"}]

    reply = call(messages=messages, tools=[WEATHER], **where)
    calls = reply.choices[0].message.tool_calls
    messages.append(reply.choices[0].message)
    messages += [{"role": "tool", "tool_call_id": each.id, "content": "sunny"} for each in calls]
    last = call(messages=messages, tools=[WEATHER], **where)

    assert reply.choices[0].finish_reason == "tool_calls"
    assert [each.function.name for each in calls] == ["weather", "weather"]
    assert [json.loads(each.function.arguments) for each in calls] == [{"city": "Paris"}, {"city": "Rome"}]
    assert last.choices[0].message.content == "Sunny in both."
    assert last.choices[0].message.tool_calls is None


def _uses(*tools):
    from iron_adapters.testing import Reply, ToolUse

    return Reply("", tool_calls=tuple(ToolUse(*each) for each in tools))


def test_tool_calls_are_streamed_in_pieces_that_join(call, where, double):
    double.reply(tools=(("weather", {"city": "Paris"}), ("weather", {"city": "Rome"})))

    chunks = call(messages=HELLO, tools=[WEATHER], stream=True, **where)

    pieces = [piece for chunk in chunks if chunk.choices for piece in chunk.choices[0].delta.tool_calls or ()]
    joined = {}
    for piece in pieces:
        name, arguments = joined.get(piece.index, ("", ""))
        joined[piece.index] = (
            name + (piece.function.name or ""),
            arguments + (piece.function.arguments or ""),
        )
    assert [(name, json.loads(arguments)) for name, arguments in joined.values()] == [
        ("weather", {"city": "Paris"}),
        ("weather", {"city": "Rome"}),
    ]


def test_messages_of_an_sdk_are_taken_as_they_are(gpt, double):
    double.reply(tools=(("weather", {"city": "Paris"}),))
    theirs = ChatCompletion.model_validate(completion(messages=HELLO, tools=[WEATHER], **gpt).model_dump())
    message = theirs.choices[0].message
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"}

    completion(messages=(each for each in (*HELLO, message, result)), tools=[WEATHER], **gpt)

    assert double.requests.last.json["messages"][1]["tool_calls"][0]["function"]["name"] == "weather"


def test_structured_output(call, where, double):
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": schema}}

    reply = call(messages=HELLO, response_format=form, **where)

    assert set(json.loads(reply.choices[0].message.content)) == {"city"}


def test_an_image_arrives(call, where, double):
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
    ]

    call(messages=[{"role": "user", "content": parts}], **where)

    assert PIXEL in double.requests.last.text


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("fault", "status", "retry_after"), [(rate_limited(7), 429, 7.0), (500, 500, None), (401, 401, None)]
)
def test_a_providers_error_says_what_it_is_and_not_its_words(
    call, where, double, streamed, fault, status, retry_after
):
    double.fail_next(fault)

    with pytest.raises(ProviderError) as error:
        call(messages=HELLO, stream=streamed, **where)

    assert (error.value.status_code, error.value.retry_after_seconds) == (status, retry_after)
    assert isinstance(error.value, UpstreamError)
    assert error.value.body["message"] not in str(error.value)
    assert where["model"].partition("/")[0] in str(error.value)
    assert str(status) in str(error.value)
    assert error.value.code in str(error.value)
    assert pickle.loads(pickle.dumps(error.value)).status_code == status


def test_an_errors_words_stay_out_of_its_message_even_where_they_echo_the_prompt(gpt, double):
    double.fail_next(_echoing("the secret is 42"))

    with pytest.raises(ProviderError) as error:
        completion(messages=HELLO, **gpt)

    assert "secret" in error.value.body["message"]
    assert "secret" not in str(error.value) + repr(error.value)
    assert error.value.code == "invalid_request_error"


def _echoing(words):
    from iron_adapters.testing import Fault

    return Fault(kind="status", status=400, message=words, code=words)


def test_overload_of_anthropic_is_told(call, double):
    double.fail_next(overloaded())

    with pytest.raises(ProviderError) as error:
        call(MODELS["anthropic"], HELLO, base_url=double.anthropic_url, max_tokens=10)
    assert error.value.status_code >= 500
    assert "overloaded" in error.value.code


@pytest.mark.parametrize("streamed", [False, True])
def test_what_breaks_off_is_an_upstream_error(call, where, double, streamed):
    for fault in (dropped(), cut_off(2)):
        double.fail_next(fault)
        with pytest.raises(UpstreamError) as error:
            call(messages=HELLO, stream=streamed, **where)
        assert not isinstance(error.value, ProviderError)
        assert "127.0.0.1" not in str(error.value)


def test_an_error_in_the_middle_of_a_stream_comes_after_what_was_said(where, double):
    double.reply("one two three four five six")
    double.fail_next(error_event(5))
    stream, got = completion(messages=HELLO, stream=True, **where), []

    with pytest.raises(ProviderError, match="in the middle of its stream") as error:
        collect(stream, got)

    assert said(got).startswith("one")
    assert error.value.code != "upstream_failed"
    assert list(stream) == []
    assert completion(messages=HELLO, **where).choices


def collect(stream, got):
    for chunk in stream:
        got.append(chunk)


def test_a_reply_that_is_no_json_is_told_from_an_error(call, where, double):
    double.fail_next(malformed())

    with pytest.raises(WireError):
        call(messages=HELLO, **where)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_timeout_ends_the_call(call, gpt, double, streamed):
    double.fail_next(stalled(2, seconds=5) if streamed else slow_start(5))

    started = time.monotonic()
    with pytest.raises(UpstreamError, match="time"):
        call(messages=HELLO, stream=streamed, timeout=0.3, **gpt)
    assert time.monotonic() - started < 3


def test_nobody_listens_is_an_upstream_error(call, unused_tcp_port):
    with pytest.raises(UpstreamError, match=r"'openai': .*refused"):
        call(MODELS["openai"], HELLO, base_url=f"http://127.0.0.1:{unused_tcp_port}/v1")


def test_threads_share_a_client_and_wait_at_the_same_time(gpt, double):
    double.pace(first_token_seconds=1)
    done = []
    threads = [
        threading.Thread(target=lambda: done.append(completion(messages=HELLO, **gpt))) for _ in range(6)
    ]

    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(done) == 6
    assert time.monotonic() - started < 5


def test_event_loops_share_a_client(gpt):
    async def twice():
        return await asyncio.gather(*(acompletion(messages=HELLO, **gpt) for _ in range(2)))

    for _ in range(3):
        assert len(asyncio.run(twice())) == 2


def test_a_cancelled_call_ends_at_once(gpt, double):
    arrived = threading.Event()
    double.pace(first_token_seconds=5)
    double.answer_with(lambda asked: arrived.set() or "too late")

    async def run():
        task = asyncio.create_task(acompletion(messages=HELLO, **gpt))
        await asyncio.to_thread(arrived.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    started = time.monotonic()
    asyncio.run(run())
    assert time.monotonic() - started < 3


def test_a_stream_that_is_closed_early_ends(gpt, double):
    double.reply("word " * 50)
    with completion(messages=HELLO, stream=True, **gpt) as chunks:
        next(chunks)
    assert list(chunks) == []

    async def leave():
        async with await acompletion(messages=HELLO, stream=True, **gpt) as chunks:
            await anext(chunks)
        return [chunk async for chunk in chunks]

    assert asyncio.run(leave()) == []


def test_a_stream_that_is_forgotten_leaves_nothing_behind(gpt):
    next(completion(messages=HELLO, stream=True, **gpt))

    async def forget():
        await anext(await acompletion(messages=HELLO, stream=True, **gpt))

    asyncio.run(forget())
    gc.collect()


def test_what_anthropic_has_no_equal_for_is_named_and_not_sent(call, double):
    with pytest.raises(Untranslatable) as error:
        call(MODELS["anthropic"], HELLO, base_url=double.anthropic_url, max_tokens=10, n=2)
    assert error.value.param == "n"
    assert len(double.requests) == 0


def test_a_reply_is_a_dict_that_copies_pickles_and_hides_its_content(gpt):
    reply = completion(messages=HELLO, **gpt)

    assert json.loads(json.dumps(reply)) == json.loads(reply.model_dump_json()) == reply.model_dump() == reply
    for twin in (copy.copy(reply), copy.deepcopy(reply), pickle.loads(pickle.dumps(reply))):
        assert twin.choices[0].message.content == reply.choices[0].message.content
    assert type(reply.model_dump()["choices"][0]) is dict
    assert "refusal" in reply.model_dump()["choices"][0]["message"]
    assert "refusal" not in reply.model_dump(exclude_none=True)["choices"][0]["message"]
    assert "Hello" not in repr(reply) + repr(reply.choices) + str(reply.choices[0].message)


def test_an_absent_field_is_none_and_an_unknown_one_an_attribute_error(gpt):
    message = completion(messages=HELLO, **gpt).choices[0].message

    assert message.tool_calls is None
    assert message.audio is None
    with pytest.raises(AttributeError, match=r"this Message has no 'text'; it has .*'content'"):
        _ = message.text
    with pytest.raises(AttributeError):
        message.content = "other"
    assert not hasattr(message, "text")


def test_no_sdk_is_loaded(double):
    program = f"""
import asyncio, sys
from iron_adapters import acompletion, completion
for model, url in (("openai/gpt-4o-mini", {double.openai_url!r}), ("anthropic/claude-haiku-4-5", {double.anthropic_url!r})):
    where = dict(model=model, messages=[dict(role="user", content="Hello")], base_url=url, max_tokens=20)
    assert completion(**where).choices[0].message.content == "You said: Hello"
    assert list(completion(stream=True, **where))
    assert asyncio.run(acompletion(**where)).usage.total_tokens
print({{"openai", "anthropic", "httpx", "requests", "aiohttp"}} & set(sys.modules))
"""
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )

    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_a_missing_client_names_the_extra(monkeypatch):
    program = """
import sys
sys.modules["pyreqwest"] = None
from iron_adapters import govern, install
try:
    from iron_adapters import completion
except ImportError as error:
    print(error)
"""
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert 'pip install "iron-adapters[completion]"' in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_fork_of_a_process_that_called_is_told_and_does_not_hang(double):
    program = f"""
import os, signal
from iron_adapters import completion
from iron_policy import UpstreamError
where = dict(model="openai/gpt-4o-mini", messages=[dict(role="user", content="Hello")], base_url={double.openai_url!r})
completion(**where)
if os.fork() == 0:
    signal.alarm(20)
    try:
        completion(**where)
    except UpstreamError as error:
        print(error, flush=True)
    os._exit(0)
os.wait()
"""
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "was forked" in done.stdout
    assert "'spawn'" in done.stdout
