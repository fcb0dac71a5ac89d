"""``govern(client)``: what a user of the bare SDKs relies on."""

from __future__ import annotations

import copy
import gc
import json
import sys

import anthropic
import openai
import pytest

from iron_adapters import govern
from iron_adapters.testing import cut_off, dropped, rate_limited, server_error, without_usage
from iron_policy import (
    BudgetExceeded,
    ContentBlocked,
    EndpointNotAllowed,
    ModelNotAllowed,
    Policy,
    PolicyDenied,
    PolicyEngine,
    PolicyError,
    ToolNotAllowed,
)

EMAIL = "alice@example.com"
BUDGET = {"budgets": [{"scope": "global", "limit_usd": 1}]}


def engine(**document):
    return PolicyEngine(Policy.model_validate(document), sinks=[])


@pytest.fixture
def gpt(double):
    with openai.OpenAI(base_url=double.openai_url, api_key="test") as client:
        yield client


@pytest.fixture
def claude(double):
    with anthropic.Anthropic(base_url=double.anthropic_url, api_key="test") as client:
        yield client


def ask(client, text="Hello", **more):
    if isinstance(client, anthropic.Anthropic):
        return client.messages.create(
            **{
                "model": "claude-sonnet-4-5",
                "max_tokens": 200,
                "messages": [{"role": "user", "content": text}],
                **more,
            }
        )
    return client.chat.completions.create(
        **{"model": "gpt-4o-mini", "max_tokens": 200, "messages": [{"role": "user", "content": text}], **more}
    )


@pytest.fixture(params=["openai", "anthropic"])
def client(request, gpt, claude):
    return gpt if request.param == "openai" else claude


def test_the_same_client_comes_back_and_what_it_says_is_right(client):
    assert govern(client) is client
    reply = ask(client, f"Write to {EMAIL}")

    text = (
        reply.content[0].text if isinstance(client, anthropic.Anthropic) else reply.choices[0].message.content
    )
    assert EMAIL in text


def test_an_http_client_that_is_shared_stays_ungoverned(double, gpt):
    other = openai.OpenAI(base_url=double.openai_url, api_key="test", http_client=gpt._client)
    govern(gpt, {"access": {"models": {"allow": []}}})

    ask(other)
    with pytest.raises(ModelNotAllowed):
        ask(gpt)


def test_clients_made_from_a_governed_one_are_governed(gpt):
    govern(gpt, {"access": {"models": {"allow": []}}})

    for derived in (gpt.with_options(timeout=5), gpt.copy(api_key="other")):
        with pytest.raises(ModelNotAllowed):
            ask(derived)
    with pytest.raises(ModelNotAllowed):
        gpt.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=[])
    with (
        pytest.raises(ModelNotAllowed),
        gpt.chat.completions.with_streaming_response.create(model="gpt-4o-mini", messages=[]),
    ):
        pass


def test_governing_again_replaces_the_policy(gpt):
    govern(gpt, {"access": {"models": {"allow": []}}})
    govern(gpt)

    assert ask(gpt).choices


def test_a_governed_client_outlives_the_client_it_replaced(double):
    client = govern(openai.OpenAI(base_url=double.openai_url, api_key="test"))
    gc.collect()

    assert ask(client).choices
    client.close()


def test_a_policy_that_is_wrong_leaves_the_client_alone(gpt):
    before = gpt._client
    with pytest.raises(PolicyError):
        govern(gpt, {"mood": "strict"})

    assert gpt._client is before


@pytest.mark.parametrize("other", [object(), "client", openai])
def test_anything_else_is_refused_by_name(other):
    with pytest.raises(TypeError, match="OpenAI, AsyncOpenAI, Anthropic or AsyncAnthropic"):
        govern(other)


@pytest.mark.parametrize(
    ("document", "denied", "sdk_error", "status"),
    [
        ({"access": {"models": {"allow": []}}}, ModelNotAllowed, "PermissionDeniedError", 403),
        ({"safety": {"input": {"pii": "block"}}}, ContentBlocked, "PermissionDeniedError", 403),
        ({"budgets": [{"scope": "run", "limit_usd": 0}]}, BudgetExceeded, "APIStatusError", 402),
        ({"limits": [{"scope": "run", "tokens": 1}]}, PolicyDenied, "RateLimitError", 429),
    ],
)
def test_a_refusal_is_both_kinds_of_error_after_one_attempt_and_nothing_is_sent(
    client, double, document, denied, sdk_error, status
):
    record = engine(**document)
    attempts = []
    admit = record.admit
    record.admit = lambda *args, **kwargs: attempts.append(1) or admit(*args, **kwargs)
    module = sys.modules[type(client).__module__.partition(".")[0]]

    with pytest.raises(denied) as error:
        ask(govern(client, record), f"mail {EMAIL}")

    assert isinstance(error.value, getattr(module, sdk_error))
    assert error.value.status_code == status
    assert error.value.reason
    assert EMAIL not in str(error.value) + repr(error.value) + repr(error.value.body)
    assert attempts == [1]
    assert len(double.requests) == 0


def test_budget_figures_cross_into_the_sdks_error(gpt):
    with pytest.raises(BudgetExceeded) as error:
        ask(govern(gpt, {"budgets": [{"scope": "run", "limit_usd": "0.00001"}]}))

    assert (error.value.limit_usd, error.value.spent_usd, error.value.held_usd, error.value.scope) == (
        0.00001,
        0,
        0,
        "run",
    )
    assert copy.copy(error.value).limit_usd == 0.00001


def test_an_endpoint_that_nobody_can_read_is_refused_unless_the_policy_lets_it_pass(gpt, double):
    with pytest.raises(EndpointNotAllowed):
        govern(gpt).files.list()
    assert len(double.requests) == 0

    with pytest.raises(openai.NotFoundError):
        govern(gpt, {"access": {"endpoints": ["*/files*"]}}).files.list()
    assert len(double.requests) == 1


def test_lists_of_models_pass(client):
    assert list(govern(client).models.list())


def test_a_token_list_cannot_be_judged_and_is_not_sent(gpt, double):
    with pytest.raises(openai.BadRequestError, match="token"):
        govern(gpt).embeddings.create(model="text-embedding-3-small", input=[1, 2, 3])
    assert len(double.requests) == 0


@pytest.mark.parametrize("how", ["gzip", "br", "zstd"])
@pytest.mark.parametrize("streamed", [False, True])
def test_compressed_replies_are_read(client, double, how, streamed):
    double.compress(how)
    double.reply(f"Ask {EMAIL}")

    reply = ask(govern(client, {"safety": {"output": {"pii": "redact"}}}), stream=streamed)

    dumps = (
        json.dumps([event.model_dump(mode="json") for event in reply])
        if streamed
        else reply.model_dump_json()
    )
    assert EMAIL not in dumps
    assert "[REDACTED_EMAIL]" in dumps.replace('"}, {"', "") or streamed


def test_usage_is_asked_for_and_kept_from_a_caller_who_did_not_ask(gpt, double):
    governing = engine(**BUDGET)
    chunks = list(ask(govern(gpt, governing), stream=True))

    assert double.requests.last.json["stream_options"] == {"include_usage": True}
    assert all(chunk.choices for chunk in chunks)
    assert all(chunk.usage is None for chunk in chunks)
    assert governing.accounts()[0].spent_nanodollars > 0


def test_a_caller_who_asks_for_usage_gets_it(gpt):
    chunks = list(ask(govern(gpt), stream=True, stream_options={"include_usage": True}))

    assert chunks[-1].usage.total_tokens > 0


@pytest.mark.parametrize("streamed", [False, True])
def test_the_ledger_equals_the_providers_bill(client, double, streamed):
    governing = engine(**BUDGET)
    govern(client, governing)
    for number in range(3):
        reply = ask(client, f"Tell me {number} things", stream=streamed)
        if streamed:
            list(reply)

    from iron_policy.cost import price_of
    from iron_policy.messages import Usage

    ((model, billed),) = (
        double.bill.by_model.items() if hasattr(double.bill, "by_model") else double.bill.items()
    )
    usage = Usage(uncached_input_tokens=billed.input_tokens, output_tokens=billed.output_tokens)
    (account,) = governing.accounts()
    assert account.held_nanodollars == 0
    assert account.spent_nanodollars == price_of(model).cost(usage)


@pytest.mark.parametrize("fault", [rate_limited(), server_error(), 529])
def test_the_sdk_still_retries_what_providers_fail_at_and_each_failure_costs_nothing(client, double, fault):
    governing = engine(**BUDGET)
    double.fail_next(fault)

    ask(govern(client.with_options(max_retries=1), governing))

    assert len(double.requests) == 2
    assert governing.accounts()[0].held_nanodollars == 0
    assert governing.implicit_scope.summary().calls == 0


def test_a_reply_without_usage_is_charged_by_estimate(gpt, double):
    governing = engine(**BUDGET)
    double.script([without_usage()])

    ask(govern(gpt, governing))

    assert governing.accounts()[0].spent_nanodollars > 0
    assert governing.accounts()[0].held_nanodollars == 0


def test_a_connection_that_drops_keeps_its_hold_as_the_charge(gpt, double):
    governing = engine(**BUDGET)
    double.fail_next(dropped())

    with pytest.raises(openai.APIConnectionError):
        ask(govern(gpt.with_options(max_retries=0), governing))

    (account,) = governing.accounts()
    assert account.held_nanodollars == 0
    assert account.spent_nanodollars > 0


@pytest.mark.parametrize("way", ["broken off", "cut"])
def test_a_stream_that_ends_early_is_charged_for_what_came(gpt, double, way):
    governing = engine(**BUDGET)
    double.reply("one two three four five six seven eight nine ten " * 5)
    if way == "cut":
        double.fail_next(cut_off(8))
    stream = ask(govern(gpt.with_options(max_retries=0), governing), stream=True)

    if way == "cut":
        with pytest.raises(Exception, match=r"."):
            list(stream)
    else:
        for _ in range(5):
            next(stream)
        stream.close()

    (account,) = governing.accounts()
    assert account.held_nanodollars == 0
    assert 0 < account.spent_nanodollars < 50_000


def test_a_denied_tool_call_never_reaches_the_caller(client, double):
    double.reply(tools=(("shell_rm", {"path": "/"}),))

    with pytest.raises(ToolNotAllowed):
        ask(govern(client, {"access": {"tools": {"deny": ["shell_*"]}}}))


@pytest.mark.parametrize("streamed", [False, True])
def test_a_refused_reply_is_paid_for(client, double, streamed):
    governing = engine(safety={"output": {"pii": "block"}}, **BUDGET)
    double.reply(f"Ask {EMAIL}")

    with pytest.raises(ContentBlocked) as error:
        list(ask(govern(client, governing), stream=streamed))

    (account,) = governing.accounts()
    assert isinstance(error.value, openai.OpenAIError | anthropic.AnthropicError)
    assert len(double.requests) == 1
    assert account.spent_nanodollars > 0
    assert account.held_nanodollars == 0


def test_a_provider_that_ignores_the_limit_is_cut_with_a_proper_end(client, double):
    governing = engine(**BUDGET)
    long = "word " * 400

    class Ignorant:
        """A server that takes no notice of ``max_tokens``: it is never told."""

    double.answer_with(lambda asked: long)
    govern(client, governing)
    admit = governing.admit

    def admit_shortly(request, **kwargs):
        call = admit(request, **kwargs)
        call.request = call.request._replace(max_tokens=20)
        return call

    governing.admit = admit_shortly
    events = list(ask(client, stream=True, max_tokens=1000))

    if isinstance(client, openai.OpenAI):
        assert events[-1].choices[0].finish_reason == "length"
    else:
        assert events[-1].type == "message_stop"
        assert events[-2].delta.stop_reason == "max_tokens"
    assert len(events) < 60
    assert governing.accounts()[0].held_nanodollars == 0


async def test_async_clients_are_governed_alike(double):
    async with openai.AsyncOpenAI(base_url=double.openai_url, api_key="test") as gpt:
        govern(gpt, {"safety": {"input": {"pii": "block"}}})
        with pytest.raises(ContentBlocked):
            await gpt.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": EMAIL}]
            )
    async with anthropic.AsyncAnthropic(base_url=double.anthropic_url, api_key="test") as claude:
        govern(claude)
        async with claude.messages.stream(
            model="claude-sonnet-4-5", max_tokens=100, messages=[{"role": "user", "content": EMAIL}]
        ) as stream:
            assert EMAIL in await stream.get_final_text()
    assert EMAIL.encode() not in double.requests.last.body


def test_a_run_scope_takes_over_where_one_is_open(gpt):
    outer = engine(access={"models": {"allow": []}})
    govern(gpt)

    ask(gpt)
    with outer.run(), pytest.raises(ModelNotAllowed):
        ask(gpt)


def test_a_governed_client_with_a_policy_of_its_own_still_draws_on_the_enclosing_run(gpt):
    governing = engine()
    govern(gpt, engine(**BUDGET))

    with governing.run(budget_usd="0.00001"), pytest.raises(BudgetExceeded):
        ask(gpt)


def test_parsed_replies_and_helpers_work(gpt, claude):
    from pydantic import BaseModel

    class Answer(BaseModel):
        city: str

    govern(gpt)
    govern(claude)

    assert (
        gpt.chat.completions.parse(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "x"}], response_format=Answer
        )
        .choices[0]
        .message.parsed
    )
    assert gpt.responses.create(model="gpt-4o-mini", input=EMAIL).output_text.count(EMAIL) == 1
    with claude.messages.stream(
        model="claude-sonnet-4-5", max_tokens=100, messages=[{"role": "user", "content": EMAIL}]
    ) as stream:
        assert EMAIL in stream.get_final_text()
    assert (
        claude.messages.count_tokens(
            model="claude-sonnet-4-5", messages=[{"role": "user", "content": EMAIL}]
        ).input_tokens
        > 0
    )


def test_on_azure_the_deployment_has_to_be_allowed_too(double):
    policy = {"access": {"models": {"allow": ["gpt-4o-mini"]}}}
    azure = {
        "azure_endpoint": double.anthropic_url,
        "api_key": "test",
        "api_version": "2024-10-21",
        "max_retries": 0,
    }
    with (
        openai.AzureOpenAI(azure_deployment="gpt-4-turbo", **azure) as client,
        pytest.raises(ModelNotAllowed),
    ):
        ask(govern(client, policy))
    assert len(double.requests) == 0


def test_a_stream_of_claude_that_is_left_early_is_charged_for_what_came(claude, double):
    governing = engine(**BUDGET)
    double.reply("one two three four five six seven eight nine ten " * 20)
    stream = ask(govern(claude, governing), stream=True, max_tokens=500)
    for _ in range(100):
        next(stream)
    stream.close()

    assert governing.accounts()[0].spent_nanodollars > 50 * 15_000


def test_work_in_the_background_is_charged_as_it_was_held(gpt, double):
    import httpx2

    governing = engine(**BUDGET)
    body = {
        "id": "resp_1",
        "object": "response",
        "status": "queued",
        "background": True,
        "model": "gpt-4o",
        "output": [],
        "usage": None,
    }
    nowhere = httpx2.Client(transport=httpx2.MockTransport(lambda request: httpx2.Response(200, json=body)))
    client = govern(openai.OpenAI(api_key="test", http_client=nowhere), governing)
    client.responses.create(model="gpt-4o", input="Write a book", background=True, max_output_tokens=16_000)

    assert governing.accounts()[0].spent_nanodollars > 16_000 * 10_000
    client.close()


def test_two_upstreams_at_one_address_are_told_apart(double):
    """As behind a gateway that speaks both APIs: a price is then looked for under the right name."""
    policy = {
        "upstreams": {"openai": double.openai_url, "anthropic": double.anthropic_url},
        "budgets": [{"scope": "run", "limit_usd": 1}],
    }
    chat = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 20}
    message = {"model": "claude-haiku-4-5", "messages": chat["messages"], "max_tokens": 20}

    with govern(openai.OpenAI(base_url=double.openai_url, api_key="x", max_retries=0), policy) as client:
        assert client.chat.completions.create(**chat).choices
    with govern(
        anthropic.Anthropic(base_url=double.anthropic_url, api_key="x", max_retries=0), policy
    ) as client:
        assert client.messages.create(**message).content
