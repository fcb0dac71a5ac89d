"""What the double keeps: the script that it follows, the requests that it received, the bill that it wrote."""

import asyncio
import threading

import anthropic
import httpx
import openai
import pytest

from iron_adapters.testing import ProviderDouble, Reply, ToolUse, count_tokens
from iron_policy.messages import Usage

PROMPT = [{"role": "user", "content": "Hello there"}]
GPT, DATED = "gpt-4o-mini", "gpt-4o-mini-2024-07-18"


@pytest.fixture
def client(double):
    with openai.OpenAI(base_url=double.openai_url, max_retries=0) as client:
        yield client


def ask(client, **more):
    return client.chat.completions.create(**{"model": GPT, "messages": PROMPT, **more})


def test_scripted_replies_come_in_order_and_then_the_echo(double, client):
    double.reply("one")
    double.script(["two", Reply("three"), lambda asked: f"{asked.model} heard {asked.user_text!r}"])

    texts = [ask(client).choices[0].message.content for _ in range(5)]
    assert texts == ["one", "two", "three", "gpt-4o-mini heard 'Hello there'", "You said: Hello there"]


def test_another_speaker_answers_until_it_is_taken_back(double, client):
    double.answer_with(lambda asked: "always this")
    assert ask(client).choices[0].message.content == "always this"

    double.answer_with(None)
    assert ask(client).choices[0].message.content == "You said: Hello there"


def test_a_script_may_call_tools_that_nobody_offered_with_broken_arguments(double, client):
    double.reply("", tools=(("delete_all", '{"sure": tr'), ("add", {"a": 1})))

    calls = ask(client).choices[0].message.tool_calls
    assert [(call.function.name, call.function.arguments) for call in calls] == [
        ("delete_all", '{"sure": tr'),
        ("add", '{"a":1}'),
    ]


def test_a_script_may_say_what_was_cached_and_thought(double, client):
    scripted = Reply("Yes", reasoning="Let me see", cache_read_tokens=2, cache_creation_tokens=1)
    double.script([scripted, scripted])
    usage = ask(client).usage
    with anthropic.Anthropic(base_url=double.anthropic_url) as claude:
        message = claude.messages.create(model="claude-haiku-4-5", max_tokens=50, messages=PROMPT)

    assert usage.prompt_tokens_details.cached_tokens == 2
    assert usage.completion_tokens_details.reasoning_tokens == 3
    assert usage.completion_tokens == 4
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert (message.usage.cache_read_input_tokens, message.usage.cache_creation_input_tokens) == (2, 1)
    assert message.usage.input_tokens + 3 == usage.prompt_tokens


def test_a_request_is_kept_as_it_arrived_but_for_its_credentials(double, client):
    ask(client, temperature=0.5)
    request = double.requests.last

    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.json["temperature"] == 0.5
    assert request.body.startswith(b'{"')
    assert request.headers["authorization"] == "<redacted>"
    assert "Hello" not in repr(request)


def test_requests_that_are_refused_are_kept_too(double):
    httpx.post(f"{double.anthropic_url}/no/such/path?x=1", content=b"not json")

    assert (double.requests.last.path, double.requests.last.query) == ("/no/such/path", "x=1")
    assert double.requests.last.json is None


def test_only_the_last_requests_are_kept():
    with ProviderDouble(keep_requests=2, keep_alive=False) as double:
        for number in range(3):
            httpx.get(f"{double.openai_url}/models/{number}")

        assert [request.path[-1] for request in double.requests] == ["1", "2"]
        assert double.requests.received == 3
        double.requests.clear()
        assert len(double.requests) == 0


def test_the_bill_equals_what_was_reported(double, client):
    replies = [ask(client, n=2), ask(client, max_tokens=1)]
    *_, last = ask(client, stream=True, stream_options={"include_usage": True})
    usages = [*(reply.usage for reply in replies), last.usage]

    billed = double.bill.by_model[DATED]
    assert billed.input_tokens == sum(usage.prompt_tokens for usage in usages)
    assert billed.output_tokens == sum(usage.completion_tokens for usage in usages)
    assert double.bill.calls == 3
    assert all(line.finished for line in double.bill.lines)


def test_the_bill_keeps_the_last_calls_and_counts_them_all():
    with (
        ProviderDouble(keep_bill_lines=2, keep_alive=False) as double,
        openai.OpenAI(base_url=double.openai_url, max_retries=0) as client,
    ):
        for _ in range(3):
            ask(client)
        assert (len(double.bill.lines), double.bill.calls) == (2, 3)

        double.reset()
        ask(client)
        assert (len(double.bill.lines), double.bill.calls) == (1, 1)


def test_the_bill_has_a_total_for_each_model(double, client):
    ask(client)
    client.embeddings.create(model="text-embedding-3-small", input="one two")
    with anthropic.Anthropic(base_url=double.anthropic_url) as claude:
        message = claude.messages.create(model="claude-haiku-4-5", max_tokens=50, messages=PROMPT)

    assert set(double.bill.by_model) == {DATED, "text-embedding-3-small", "claude-haiku-4-5-20251001"}
    assert double.bill.by_model["text-embedding-3-small"] == Usage(uncached_input_tokens=2)
    assert double.bill.by_model["claude-haiku-4-5-20251001"].output_tokens == message.usage.output_tokens


def test_what_costs_nothing_is_not_billed(double, client):
    client.models.list()
    client.moderations.create(input="hello")
    with pytest.raises(openai.NotFoundError):
        ask(client, model="gpt-99")

    assert double.bill.calls == 0


def test_a_stream_that_the_client_leaves_is_billed_for_what_was_sent(double, client):
    double.reply("word " * 500)
    double.pace(token_seconds=0.01)
    stream = ask(client, stream=True)
    for _, _ in zip(range(4), stream, strict=False):
        pass
    stream.close()

    usage = double.bill.by_model[DATED]
    assert 3 <= usage.output_tokens < 500
    assert usage.input_tokens > 0
    assert not double.bill.lines[0].finished


def test_many_clients_at_once_are_all_billed(double):
    async def main():
        async with openai.AsyncOpenAI(base_url=double.openai_url) as client:
            asks = (
                client.chat.completions.create(model=GPT, messages=PROMPT, stream=bool(n % 2))
                for n in range(40)
            )
            for reply in await asyncio.gather(*asks):
                if hasattr(reply, "__aiter__"):
                    assert [chunk async for chunk in reply]

    asyncio.run(main())

    assert double.bill.calls == 40
    assert double.bill.by_model[DATED].output_tokens == 40 * count_tokens("You said: Hello there")


def test_after_a_reset_nothing_is_left(double, client):
    ask(client)
    double.reply("never said")
    double.fail_next(500)
    double.rechunk(1)
    double.reset()

    assert (len(double.requests), double.bill.calls, double.unused_lines) == (0, 0, 0)
    assert ask(client).choices[0].message.content == "You said: Hello there"


def test_threads_may_script_and_ask_at_once(double, client):
    def work():
        double.script([Reply(tool_calls=(ToolUse("t", {}),))])
        assert ask(client).choices

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (double.unused_lines, double.requests.received) == (0, 8)
