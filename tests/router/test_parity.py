"""Library mode and router mode are the same to an agent: one table of agents, run both ways and compared."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import openai
import pytest
from parity import chat, differences, in_library_mode, in_router_mode, message, named, policy_file  # noqa: F401 - fixtures

from iron_adapters import carry, completion, govern, install, uninstall
from iron_policy import PolicyDenied
from iron_policy.exceptions import EndpointNotAllowed

EMAIL = "alice@example.com"
CARD = "4111 1111 1111 1111"
NOTE = {
    "type": "function",
    "function": {
        "name": "note",
        "description": "Keep a note.",
        "parameters": {"type": "object", "properties": {"text": {"type": "string"}}},
    },
}
CLAUDE_NOTE = {"name": "note", "description": "Keep a note.", "input_schema": NOTE["function"]["parameters"]}
DEFAULT: dict[str, Any] = {}


# -- the agents ----------------------------------------------------------------------------------------------------


def one_chat(world, text=f"I am {EMAIL}", **body):
    with world.gpt() as client, world.run():
        world.said.append(chat(client, text, **body).choices[0].message.content)


def one_message(world, text=f"I am {EMAIL}", **body):
    with world.claude() as client, world.run():
        world.said.append(message(client, text, **body).content[0].text)


def streamed_chat(world, text=f"I am {EMAIL}", **body):
    with world.gpt() as client, world.run():
        chunks = chat(client, text, stream=True, stream_options={"include_usage": True}, **body)
        for chunk in chunks:
            world.said += [choice.delta.content or "" for choice in chunk.choices]
    world.said = ["".join(world.said)]


def streamed_message(world, text=f"I am {EMAIL}", **body):
    with world.claude() as client, world.run():
        for event in message(client, text, stream=True, **body):
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                world.said.append(event.delta.text)
    world.said = ["".join(world.said)]


def streamed_response(world, text=f"I am {EMAIL}", **body):
    with world.gpt() as client, world.run():
        events = client.responses.create(model="gpt-4o-mini", input=text, stream=True, **body)
        world.said.append(
            "".join(event.delta for event in events if event.type == "response.output_text.delta")
        )


def embedding(world):
    with world.gpt() as client, world.run():
        made = client.embeddings.create(
            model="text-embedding-3-small", input=[EMAIL], encoding_format="float"
        )
        world.said.append(made.usage.total_tokens)


async def async_chat(world):
    async with world.gpt(openai.AsyncOpenAI) as client:

        @world.run(agent="asker", user="u-1")
        async def agent():
            whole = await chat(client, EMAIL)
            pieces = [chunk async for chunk in await chat(client, f"again {EMAIL}", stream=True)]
            told = [choice.delta.content or "" for chunk in pieces for choice in chunk.choices]
            return whole.choices[0].message.content, "".join(told)

        world.said.append(await agent())


async def async_message(world):
    async with world.claude(anthropic.AsyncAnthropic) as client:

        @world.run()
        async def agent():
            return (await message(client, EMAIL)).content[0].text

        world.said.append(await agent())


def tool_loop(world):
    """Call a tool as the model asks, and go on until it stops asking."""
    with world.gpt() as client, world.run(budget_usd=1.0):
        messages: list[Any] = [{"role": "user", "content": f"note down {EMAIL}"}]
        while True:
            reply = chat(client, "", messages=messages, tools=[NOTE]).choices[0].message
            messages.append(reply.model_dump(exclude_none=True))
            if not reply.tool_calls:
                break
            for call in reply.tool_calls:
                world.said.append(call.function.arguments)
                messages.append({"role": "tool", "tool_call_id": call.id, "content": f"noted {EMAIL}"})
        world.said.append(reply.content)


def claude_tool_loop(world):
    with world.claude() as client, world.run(budget_usd=1.0):
        messages: list[Any] = [{"role": "user", "content": f"note down {EMAIL}"}]
        while True:
            reply = message(client, "", messages=messages, tools=[CLAUDE_NOTE])
            messages.append({"role": "assistant", "content": [block.model_dump() for block in reply.content]})
            uses = [block for block in reply.content if block.type == "tool_use"]
            world.said += [block.text for block in reply.content if block.type == "text"]
            if not uses:
                break
            world.said += [use.input for use in uses]
            results = [{"type": "tool_result", "tool_use_id": use.id, "content": EMAIL} for use in uses]
            messages.append({"role": "user", "content": results})


def nested_runs(world):
    with world.gpt() as client:

        @world.run(agent="child", budget_usd=0.5)
        def child(text):
            return chat(client, text).choices[0].message.content

        with world.run(agent="parent", budget_usd=1.0):
            world.said += [child(EMAIL), chat(client, "here").choices[0].message.content, child("b")]


def child_spends_the_parents_budget(world):
    with world.gpt() as client:

        @world.run(agent="child", budget_usd=5)
        def child(text):
            return chat(client, text, max_tokens=1000).choices[0].message.content

        with world.run(agent="parent", budget_usd=0.0007):
            world.said.append(child("one"))
            world.said.append(child("two"))


async def fan_out(world):
    world.concurrent = True
    async with world.gpt(openai.AsyncOpenAI) as client:

        @world.run(agent="worker")
        async def worker(number):
            try:
                return (await chat(client, f"task {number} for {EMAIL}")).choices[0].message.content
            except PolicyDenied as denied:
                return type(denied).__name__

        with world.run(budget_usd=1.0):
            world.said.append(await asyncio.gather(*(worker(number) for number in range(8))))
    world.summaries.sort(key=lambda summary: summary.calls)


def threads(world):
    world.concurrent = True
    with world.gpt() as client, world.run(budget_usd=1.0), ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(carry(chat), client, f"{EMAIL} {number}") for number in range(3)]
        world.said.append([future.result().choices[0].message.content for future in asked])


def governed_client(world):
    with govern(world.gpt()) as client:
        world.said.append(chat(client, EMAIL).choices[0].message.content)
        world.said.append(chat(client, EMAIL, model="gpt-4o").choices[0].message.content)


async def governed_async_client(world):
    async with govern(world.claude(anthropic.AsyncAnthropic)) as client:
        world.said.append((await message(client, EMAIL)).content[0].text)


def installed(world):
    install()
    try:
        with world.gpt() as client:
            world.said.append(chat(client, EMAIL).choices[0].message.content)
            world.said.append(chat(client, CARD).choices[0].message.content)
    finally:
        uninstall()


def installed_governed_run(world):
    install()
    try:
        with govern(world.gpt()) as client, world.run(budget_usd=1.0):
            world.said.append(chat(client, EMAIL).choices[0].message.content)
    finally:
        uninstall()


def over_budget(world):
    with world.gpt() as client, world.run(budget_usd=0.00001):
        chat(client, "Hello")


def budget_used_up(world):
    with world.gpt() as client, world.run(budget_usd=0.00015):
        for _ in range(10):
            chat(client, "Hello")


def repeats(world):
    with world.gpt() as client, world.run():
        for _ in range(4):
            chat(client, "Hello")


def asks_for_a_tool(world):
    world.double.reply(tools=(("note", {"text": "x"}),))
    one_chat(world, "Hello", tools=[NOTE])


def streamed_tool(world):
    world.double.reply(tools=(("note", {"text": "x"}),))
    streamed_chat(world, "Hello", tools=[NOTE])


def streamed_claude_tool(world):
    world.double.reply(tools=(("note", {"text": "x"}),))
    streamed_message(world, "Hello", tools=[CLAUDE_NOTE])


def replied_card(world):
    world.double.reply(f"It is {CARD}, so to say.")
    one_chat(world, "Hello")


def streamed_card(world, ask=None):
    world.double.reply(f"Well, well, well, this is a long way to tell it: it is {CARD}, so to say.")
    (ask or streamed_chat)(world, "Hello")


def streamed_claude_card(world):
    streamed_card(world, streamed_message)


def streamed_response_card(world):
    streamed_card(world, streamed_response)


def unreadable(world):
    with world.gpt() as client, world.run():
        client.post("/chat/completions", body={"model": 5, "messages": "x"}, cast_to=object)


def unknown_endpoint(world):
    with world.gpt() as client, world.run(), pytest.raises(EndpointNotAllowed):
        client.files.list()


def completed(world):
    with world.run(budget_usd=1.0):
        for model, url in (
            ("openai/gpt-4o-mini", world.double.openai_url),
            ("anthropic/claude-haiku-4-5", world.double.anthropic_url),
        ):
            ask = [{"role": "user", "content": EMAIL}]
            reply = completion(model, ask, max_tokens=50, base_url=url)
            world.said.append(reply.choices[0].message.content)
            chunks = completion(model, ask, max_tokens=50, base_url=url, stream=True)
            world.said.append(
                "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
            )


def completion_refused(world):
    with world.run():
        completion("openai/gpt-4o", [{"role": "user", "content": "x"}], base_url=world.double.openai_url)


def completion_cut_short(world):
    world.double.reply(f"Well, well, well, this is a long way to tell it: it is {CARD}, so to say.")
    ask = [{"role": "user", "content": "x"}]
    with world.run():
        for chunk in completion("openai/gpt-4o-mini", ask, base_url=world.double.openai_url, stream=True):
            world.said += [choice.delta.content or "" for choice in chunk.choices]


BLOCK_CARDS = {"safety": {"input": {"pii": "tokenize"}, "kinds": {"CREDIT_CARD": "block"}}}
NO_NOTE = {"access": {"tools": {"deny": ["note"]}}}
ONLY_MINI = {"access": {"models": {"allow": ["gpt-4o-mini"]}}}
TWO_A_MINUTE = {"limits": [{"scope": "global", "requests": 2, "window": "minute"}]}

AGENTS = [
    (one_chat, DEFAULT),
    (one_message, DEFAULT),
    (streamed_chat, DEFAULT),
    (streamed_message, DEFAULT),
    (streamed_response, DEFAULT),
    (embedding, DEFAULT),
    (async_chat, DEFAULT),
    (async_message, DEFAULT),
    (tool_loop, DEFAULT),
    (claude_tool_loop, DEFAULT),
    (nested_runs, DEFAULT),
    (nested_runs, {"budgets": [{"scope": "run", "limit_usd": 0.5}, {"scope": "agent", "limit_usd": 0.1}]}),
    (child_spends_the_parents_budget, DEFAULT),
    (fan_out, DEFAULT),
    (threads, DEFAULT),
    (governed_client, DEFAULT),
    (governed_client, ONLY_MINI),
    (governed_async_client, DEFAULT),
    (governed_async_client, ONLY_MINI),
    (installed, DEFAULT),
    (installed, BLOCK_CARDS),
    (installed_governed_run, DEFAULT),
    (one_chat, {"safety": {"input": {"pii": "block"}}}),
    (one_message, {"safety": {"input": {"pii": "block"}}}),
    (async_chat, {"safety": {"input": {"pii": "block"}}}),
    (async_message, {"safety": {"input": {"pii": "block"}}}),
    (streamed_chat, {"safety": {"input": {"pii": "block"}}}),
    (one_message, ONLY_MINI),
    (replied_card, BLOCK_CARDS),
    (streamed_card, BLOCK_CARDS),
    (streamed_claude_card, BLOCK_CARDS),
    (streamed_response_card, BLOCK_CARDS),
    (asks_for_a_tool, NO_NOTE),
    (streamed_tool, NO_NOTE),
    (streamed_claude_tool, NO_NOTE),
    (over_budget, DEFAULT),
    (budget_used_up, DEFAULT),
    (repeats, {"loops": {"model_calls": 3}}),
    (repeats, TWO_A_MINUTE),
    (tool_loop, {"loops": {"tool_calls": 1, "identical_tool_calls": 1}}),
    (tool_loop, {"budgets": [{"scope": "run", "limit_usd": 0.0001}]}),
    (one_chat, {"access": {"parameters": {"max_tokens": 7}}}),
    (one_chat, {"mode": "monitor", "safety": {"input": {"pii": "block"}}}),
    (unreadable, DEFAULT),
    (unknown_endpoint, DEFAULT),
    (completed, DEFAULT),
    (completion_refused, ONLY_MINI),
    (completion_cut_short, BLOCK_CARDS),
]


@pytest.mark.parametrize(("agent", "policy"), AGENTS, ids=named(AGENTS))
def test_an_agent_cannot_tell_the_modes_apart(agent, policy, in_library_mode, in_router_mode):  # noqa: F811 - fixtures
    assert differences(agent, policy, in_library_mode, in_router_mode) == {}
