"""Anthropic's own client talks to the provider double's GPT through a loopback server that only translates."""

from __future__ import annotations

import base64
import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import anthropic
import pytest
from anthropic.types import TextBlock, ToolUseBlock
from messages_dialects import WEATHER
from pydantic import BaseModel

from iron_adapters.testing import error_event, out_of_quota, rate_limited, server_error, without_usage
from iron_adapters.wire.translation import messages_to_chat
from iron_policy.exceptions import Untranslatable

GPT = "gpt-4o-mini"
TOOLS = [{"name": "get_weather", "description": "Tells the weather", "input_schema": WEATHER}]
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(60)).decode()


class _Translating(BaseHTTPRequestHandler):
    """Take messages, send chats, answer in messages."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            translated = messages_to_chat(body)
        except Untranslatable as refusal:
            error = {"type": "invalid_request_error", "message": str(refusal)}
            self._answer(400, json.dumps({"type": "error", "error": error}).encode())
            return
        double = http.client.HTTPConnection(self.server.upstream)
        key = self.headers["x-api-key"] or self.headers["authorization"].removeprefix("Bearer ")
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        double.request("POST", translated.path, translated.body, headers)
        reply = double.getresponse()
        if reply.status != 200:
            self._answer(*translated.error(reply.status, reply.read()))
        elif json.loads(body).get("stream"):
            self._stream(translated.stream(), reply)
        else:
            self._answer(200, translated.reply(reply.read()))
        double.close()

    def _answer(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, translator, reply):
        self._answer(200, b"", "text/event-stream")
        while data := reply.read1(7):
            self.wfile.write(translator.feed(data))
        self.wfile.write(translator.finish())

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def client(double):
    with ThreadingHTTPServer(("127.0.0.1", 0), _Translating) as server:
        server.upstream = urlsplit(double.openai_url).netloc
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        with anthropic.Anthropic(base_url=f"http://127.0.0.1:{server.server_port}", max_retries=0) as client:
            yield client
        server.shutdown()
        thread.join()


@pytest.fixture
def ask(client):
    """Return what asks for a whole message, and for the message that a stream makes."""

    def send(text="Hello there", *, streamed=False, **more):
        more = {"model": GPT, "max_tokens": 100, "messages": [{"role": "user", "content": text}], **more}
        if not streamed:
            return client.messages.create(**more)
        with client.messages.stream(**more) as stream:
            return stream.get_final_message()

    return send


pytestmark = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


def test_an_answer_comes_as_a_message_with_its_usage(ask, double, streamed):
    double.reply("Paris", cache_read_tokens=2)

    message = ask(streamed=streamed, system="Be brief.", stop_sequences=["END"])

    assert [block.text for block in message.content] == ["Paris"]
    assert (message.stop_reason, message.role) == ("end_turn", "assistant")
    assert message.model == "gpt-4o-mini-2024-07-18"
    assert message.usage.cache_read_input_tokens == 2
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0
    assert [turn["role"] for turn in double.requests.last.json["messages"]] == ["system", "user"]


def test_a_round_with_parallel_tools_ends_in_an_answer(ask, double, streamed):
    double.reply(tools=(("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})))
    first = ask("Compare", streamed=streamed, tools=TOOLS)
    uses = [block for block in first.content if isinstance(block, ToolUseBlock)]
    results = [{"type": "tool_result", "tool_use_id": use.id, "content": "Sunny"} for use in uses]
    results[1] |= {"content": "No such city", "is_error": True}

    last = ask(
        streamed=streamed,
        tools=TOOLS,
        messages=[
            {"role": "user", "content": "Compare"},
            {"role": "assistant", "content": first.content},
            {"role": "user", "content": [*results, {"type": "text", "text": "Go on"}]},
        ],
    )

    assert first.stop_reason == "tool_use"
    assert [use.input for use in uses] == [{"city": "Paris"}, {"city": "Rome"}]
    assert last.stop_reason == "end_turn"
    sent = double.requests.last.json["messages"]
    assert [turn["role"] for turn in sent] == ["user", "assistant", "tool", "tool", "user"]
    assert [call["id"] for call in sent[1]["tool_calls"]] == [use.id for use in uses]


def test_a_tool_that_must_be_called_is_called(ask, streamed):
    message = ask(streamed=streamed, tools=TOOLS, tool_choice={"type": "tool", "name": "get_weather"})

    assert message.stop_reason == "tool_use"
    assert [block.name for block in message.content] == ["get_weather"]


def test_an_image_is_shown(ask, double, streamed):
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}

    ask(
        streamed=streamed,
        messages=[{"role": "user", "content": [image, {"type": "text", "text": "What is it?"}]}],
    )

    (sent,) = double.requests.last.json["messages"]
    assert sent["content"][0]["image_url"]["url"] == f"data:image/png;base64,{PIXEL}"


def test_an_answer_that_reaches_the_limit_says_so(ask, double, streamed):
    double.reply("one two three four five six seven eight nine ten")

    assert ask(streamed=streamed, max_tokens=3).stop_reason == "max_tokens"


class City(BaseModel):
    name: str
    size: int


def test_a_structured_answer_is_parsed_by_the_client(client, streamed):
    asked = {"model": GPT, "max_tokens": 100, "messages": [{"role": "user", "content": "Which city?"}]}
    if streamed:
        with client.messages.stream(**asked, output_format=City) as stream:
            message = stream.get_final_message()
    else:
        message = client.messages.parse(**asked, output_format=City)

    assert isinstance(message.parsed_output, City)


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [
        (rate_limited(), anthropic.RateLimitError, 429),
        (out_of_quota(), anthropic.APIStatusError, 402),
        (server_error(), anthropic.InternalServerError, 500),
        (server_error(404), anthropic.NotFoundError, 404),
        (server_error(503), anthropic.InternalServerError, 529),
    ],
)
def test_an_error_is_raised_as_anthropics(ask, double, fault, kind, status, streamed):
    double.fail_next(fault)

    with pytest.raises(kind) as error:
        ask(streamed=streamed)

    assert error.value.status_code == status
    assert error.value.body["error"]["message"]


def test_a_bad_key_is_anthropics_authentication_error(client, streamed):
    asked = {
        "model": GPT,
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": streamed,
    }
    with pytest.raises(anthropic.AuthenticationError):
        client.with_options(api_key="bad-key").messages.create(**asked)


def test_what_cannot_be_said_is_refused_before_anything_is_sent(ask, double, streamed):
    with pytest.raises(anthropic.BadRequestError, match="top_k"):
        ask(streamed=streamed, extra_body={"top_k": 5})

    assert double.requests.received == 0


def test_a_stream_that_fails_half_way_raises(ask, double, streamed):
    double.fail_next(error_event(after_events=2, status=500))

    with pytest.raises(anthropic.APIStatusError):
        ask("A long question about many things", streamed=streamed)


def test_a_server_that_does_not_count_still_answers(ask, double, streamed):
    double.fail_next(without_usage())

    message = ask(streamed=streamed)

    assert isinstance(message.content[0], TextBlock)
    assert message.usage.output_tokens == 0
