"""The matrix: text place by endpoint by streaming by sync/async by action, over real sockets, through the real SDKs.

Each cell proves that the provider received the rewritten text, and nothing else changed, and that the caller saw the
right one.
"""

from __future__ import annotations

import json

import anthropic
import openai
import pytest
import pytest_asyncio
from matrix import ACTIONS, KEY, REQUEST_PLACES, TEXT, VALUE, reply_cells, request_cells, rewritten

from iron_adapters import govern
from iron_policy import ContentBlocked, Policy, PolicyEngine
from iron_policy.redact import Vault

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def engines():
    def policy(action):
        return Policy.model_validate(
            {"safety": {"input": {"pii": action}, "output": {"pii": action}}, "loops": {"tool_calls": None}}
        )

    return {action: PolicyEngine(policy(action), sinks=[], token_key=KEY) for action in ACTIONS}


@pytest.fixture
def ask(double, clients, engines):
    double.rechunk(7)

    async def ask(cell, body):
        client = govern(clients[cell.endpoint == "messages", cell.asynchronous], engines[cell.action])
        create = {
            "chat.completions": lambda: client.chat.completions.create,
            "responses": lambda: client.responses.create,
            "completions": lambda: client.completions.create,
            "embeddings": lambda: client.embeddings.create,
            "messages": lambda: client.messages.create,
        }[cell.endpoint]()
        style = {"stream": True} if cell.streamed else {}
        reply = await create(**body, **style) if cell.asynchronous else create(**body, **style)
        if not cell.streamed:
            return [reply.model_dump()]
        return (
            [event.model_dump() async for event in reply]
            if cell.asynchronous
            else [event.model_dump() for event in reply]
        )

    return ask


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clients(_double_server):
    keys = {"api_key": "test", "max_retries": 0}
    openai_keys, anthropic_keys = (
        {**keys, "base_url": _double_server.openai_url},
        {**keys, "base_url": _double_server.anthropic_url},
    )
    made = {
        (False, False): openai.OpenAI(**openai_keys),
        (False, True): openai.AsyncOpenAI(**openai_keys),
        (True, False): anthropic.Anthropic(**anthropic_keys),
        (True, True): anthropic.AsyncAnthropic(**anthropic_keys),
    }
    yield made
    for (_, asynchronous), client in made.items():
        await client.close() if asynchronous else client.close()


def said(dumps, place="text"):
    """Return what the caller was given to read in *place*, joined over the events of a stream."""
    found = []
    for dump in dumps:
        for choice in dump.get("choices") or ():
            part = choice.get("delta") or choice.get("message") or choice
            calls = part.get("tool_calls") or ()
            found += (
                [part.get("content") or choice.get("text")]
                if place == "text"
                else [call["function"]["arguments"] for call in calls]
            )
        if dump.get("type") in WHOLE_DELTAS.get(place, ()):
            found.append(dump["delta"])
        elif isinstance(dump.get("delta"), dict):
            found.append(
                dump["delta"].get({"text": "text", "reasoning": "thinking"}.get(place, "partial_json"))
            )
        for block in (dump.get("content") or ()) if isinstance(dump.get("content"), list) else ():
            wanted = {"text": block.get("text"), "reasoning": block.get("thinking")}
            found.append(wanted.get(place, json.dumps(block.get("input"))))
        for item in dump.get("output") or () if dump.get("object") == "response" else ():
            found += [item["arguments"]] if place.startswith("tool") and "arguments" in item else []
            found += [
                part["text"] for part in item.get("content") or () if place == "text" and "text" in part
            ]
    return "".join(filter(None, found))


WHOLE_DELTAS = {
    "text": ("response.output_text.delta",),
    "tool call, argument": ("response.function_call_arguments.delta",),
}


def canonical(value):
    """Return *value* with JSON in strings parsed, so that its spacing does not count."""
    if isinstance(value, dict):
        return {key: canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [canonical(item) for item in value]
    if isinstance(value, str) and value.startswith("{"):
        return canonical(json.loads(value))
    return value


@pytest.mark.parametrize("cell", request_cells(), ids=str)
async def test_a_request_arrives_rewritten_and_its_reply_comes_back_right(ask, double, cell):
    build = REQUEST_PLACES[cell.endpoint][cell.place]
    sent_text = rewritten(TEXT, cell.action)
    double.reply(f"Noted: {sent_text}")

    if cell.action == "block":
        with pytest.raises(ContentBlocked) as refusal:
            await ask(cell, build(TEXT))
        assert isinstance(
            refusal.value,
            anthropic.PermissionDeniedError if cell.endpoint == "messages" else openai.PermissionDeniedError,
        )
        assert len(double.requests) == 0
        return
    reply = await ask(cell, build(TEXT))

    received = double.requests.last
    expected = canonical(build(sent_text))
    assert canonical({name: received.json[name] for name in expected}) == expected
    assert (VALUE.encode() in received.body) == (cell.action == "flag")
    if cell.endpoint != "embeddings":
        restored = TEXT if cell.action == "tokenize" else sent_text
        assert said(reply) == f"Noted: {restored}"


@pytest.mark.parametrize("cell", reply_cells(), ids=str)
async def test_what_a_model_writes_itself_is_held_to_the_policy(ask, double, cell):
    if cell.place == "text":
        double.reply(TEXT)
    elif cell.place == "reasoning":
        double.reply("Done.", reasoning=TEXT)
    else:
        double.reply(tools=(("note", {"text": TEXT}),))
    body = {"text": "user message", "reasoning": "user message"}.get(cell.place, "tool description")
    build = REQUEST_PLACES[cell.endpoint].get(body) or next(iter(REQUEST_PLACES[cell.endpoint].values()))

    if cell.action == "block":
        with pytest.raises(ContentBlocked):
            await ask(cell, build("Hello"))
        return
    reply = await ask(cell, build("Hello"))

    written = said(reply, cell.place)
    if cell.place.startswith("tool"):
        assert json.loads(written) == {"text": rewritten(TEXT, cell.action)}
    else:
        assert written == rewritten(TEXT, cell.action)
    assert cell.action == "flag" or VALUE not in json.dumps(reply)


async def test_a_token_in_a_tool_call_is_real_only_for_tools_that_the_policy_names(clients, double):
    policy = Policy.model_validate({"safety": {"reveal": {"tools": ["send_email"]}}})
    client = govern(clients[False, False], PolicyEngine(policy, sinks=[], token_key=KEY))
    token = Vault(KEY).token_for("EMAIL", VALUE)
    for streamed in (False, True):
        for name, seen in (("send_email", VALUE), ("log", token)):
            double.reply(tools=((name, {"to": token}),))
            reply = client.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": TEXT}], stream=streamed
            )
            dumps = [event.model_dump() for event in reply] if streamed else [reply.model_dump()]
            assert json.loads(said(dumps, "tool call, argument")) == {"to": seen}
