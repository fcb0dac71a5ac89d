"""OpenAI's own SDK speaks to Claude: every call below is translated on its way, and answered by the double."""

from __future__ import annotations

import json

import httpx2
import openai
import pydantic
import pytest

from iron_adapters.testing import Fault
from iron_adapters.wire.translation import chat_to_messages

CLAUDE = "claude-haiku-4-5"
HI = [{"role": "user", "content": "Hello there"}]
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
    },
}


class Person(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    name: str
    age: int


class Translating(httpx2.BaseTransport):
    """Send each chat completion to Anthropic instead, as the router does."""

    def __init__(self, base_url):
        self.provider = httpx2.Client(base_url=base_url, headers={"x-api-key": "any"})

    def handle_request(self, request):
        translated = chat_to_messages(request.read())
        headers = {**translated.headers, "content-type": "application/json"}
        answer = self.provider.post(translated.path, content=translated.body, headers=headers)
        if answer.status_code != 200:
            status, body = translated.error(answer.status_code, answer.content)
            return httpx2.Response(status, content=body)
        if json.loads(translated.body).get("stream"):
            translator = translated.stream()
            body = translator.feed(answer.content) + translator.finish()
            return httpx2.Response(200, content=body, headers={"content-type": "text/event-stream"})
        return httpx2.Response(200, content=translated.reply(answer.content))

    def close(self):
        self.provider.close()


@pytest.fixture
def client(double):
    http_client = httpx2.Client(transport=Translating(double.anthropic_url))
    with openai.OpenAI(api_key="any", max_retries=0, http_client=http_client) as client:
        yield client


def test_an_answer_comes_whole_and_in_chunks(client):
    whole = client.chat.completions.create(model=CLAUDE, messages=HI)
    chunks = client.chat.completions.create(
        model=CLAUDE, messages=HI, stream=True, stream_options={"include_usage": True}
    )
    *pieces, last = list(chunks)

    assert whole.choices[0].message.content == "You said: Hello there"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in pieces) == "You said: Hello there"
    assert last.usage.completion_tokens == whole.usage.completion_tokens


def test_a_tool_is_called_and_its_result_taken(client):
    messages = [{"role": "user", "content": "add 3 + 4"}]
    asked = client.chat.completions.create(model=CLAUDE, messages=messages, tools=[ADD])
    call = asked.choices[0].message.tool_calls[0]
    messages += [
        asked.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": "7"},
    ]
    told = client.chat.completions.create(model=CLAUDE, messages=messages, tools=[ADD])

    assert asked.choices[0].finish_reason == "tool_calls"
    assert json.loads(call.function.arguments) == {"a": 3, "b": 4}
    assert "7" in told.choices[0].message.content


@pytest.mark.parametrize("model", [CLAUDE, "claude-3-5-haiku-20241022"])
def test_an_answer_can_be_parsed_whether_the_model_knows_schemas_or_not(client, model):
    parsed = client.chat.completions.parse(model=model, messages=HI, response_format=Person)

    assert isinstance(parsed.choices[0].message.parsed, Person)
    assert parsed.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("model", [CLAUDE, "claude-3-5-haiku-20241022"])
def test_a_streamed_answer_can_be_parsed(client, model):
    with client.chat.completions.stream(model=model, messages=HI, response_format=Person) as stream:
        parsed = stream.get_final_completion()

    assert isinstance(parsed.choices[0].message.parsed, Person)


def test_json_mode_gives_an_object(client):
    form = {"type": "json_object"}
    answer = client.chat.completions.create(model=CLAUDE, messages=HI, response_format=form)

    assert isinstance(json.loads(answer.choices[0].message.content), dict)


def test_thinking_goes_there_and_back_with_a_tool(client, double):
    messages = [{"role": "user", "content": "add 3 + 4"}]
    asked = client.chat.completions.create(
        model=CLAUDE, messages=messages, tools=[ADD], reasoning_effort="low"
    )
    message = asked.choices[0].message
    messages += [message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "7"}]
    client.chat.completions.create(model=CLAUDE, messages=messages, tools=[ADD], reasoning_effort="low")

    sent = double.requests.last.json["messages"][1]["content"]
    assert message.reasoning_content
    assert [block["type"] for block in sent] == ["thinking", "tool_use"]
    assert sent[0] == message.thinking_blocks[0]


def test_a_model_that_is_unknown_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="claude-unknown-9", messages=HI)

    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("status", "error"), [(429, openai.RateLimitError), (529, openai.InternalServerError)]
)
def test_an_error_is_raised_as_openais(client, double, status, error):
    double.fail_next(status)

    with pytest.raises(error):
        client.chat.completions.create(model=CLAUDE, messages=HI)


def test_an_error_within_a_stream_is_raised_where_it_came(client, double):
    double.fail_next(Fault(kind="error_event", status=529))
    said = []

    with pytest.raises(openai.APIError):
        said += client.chat.completions.create(model=CLAUDE, messages=HI, stream=True)
