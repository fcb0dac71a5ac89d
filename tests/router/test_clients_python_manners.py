"""What the official clients do besides asking: keys, retries, time limits, headers, compression, lists of models."""

import contextlib
import gzip
import json
import re

import anthropic
import anthropic_calls
import openai
import openai_calls
import pytest
from clients import CLAUDE, GPT, anthropic_of, openai_of
from comparing import plain
from raw_http import Canary, answering

from iron_adapters.router import LlmRouter
from iron_adapters.testing import Fault, rate_limited, server_error, slow_start

SOON = rate_limited(retry_after_seconds=0.01)
KINDS = {
    "openai": (openai, openai_of, openai_calls.chat),
    "anthropic": (anthropic, anthropic_of, anthropic_calls.message),
}
STREAMS = {"openai": openai_calls.chat_stream, "anthropic": anthropic_calls.message_stream}

both_clients = pytest.mark.parametrize("kind", KINDS)
both_models = pytest.mark.parametrize("model", [GPT, CLAUDE])


def said(reply):
    """Return the text of either client's reply."""
    return reply.choices[0].message.content if hasattr(reply, "choices") else reply.content[0].text


@pytest.fixture
def fresh(routed):
    """Return a router whose provider has never failed before: circuits are its own."""
    return routed()


# -- keys ----------------------------------------------------------------------------------------------------------


@both_clients
@both_models
def test_a_wrong_token_is_an_authentication_error(model, kind, double, standing_router):
    sdk, client_of, ask = KINDS[kind]

    with (
        client_of(standing_router, api_key="sk-wrong") as client,
        pytest.raises(sdk.AuthenticationError) as refused,
    ):
        ask(client, model)

    assert refused.value.status_code == 401
    assert "LlmRouter.api_key" in str(refused.value)
    assert len(double.requests) == 0


@both_clients
@both_models
def test_a_key_that_the_provider_refuses_is_the_providers_word(model, kind, double, fresh):
    sdk, client_of, ask = KINDS[kind]
    double.fail_next(Fault(kind="status", status=401, message="this key is revoked"))

    with client_of(fresh) as client, pytest.raises(sdk.AuthenticationError, match="this key is revoked"):
        ask(client, model)

    assert len(double.requests) == 1


# -- errors and retries --------------------------------------------------------------------------------------------


@both_clients
@both_models
def test_a_rate_limit_of_the_provider_is_waited_out_by_the_clients_own_retries(model, kind, double, fresh):
    _, client_of, ask = KINDS[kind]
    double.fail_next(SOON, times=2)

    with client_of(fresh, max_retries=2) as client:
        assert said(ask(client, model)) == "You said: Hello"

    assert len(double.requests) == 3


@both_clients
@both_models
def test_a_rate_limit_that_stays_is_told_with_when_to_come_back(model, kind, double, fresh):
    sdk, client_of, ask = KINDS[kind]
    double.fail_next(rate_limited(retry_after_seconds=7))

    with client_of(fresh) as client, pytest.raises(sdk.RateLimitError) as refused:
        ask(client, model)

    assert refused.value.response.headers["retry-after"] == "7"


@both_clients
@both_models
def test_a_stream_that_is_refused_at_first_is_asked_for_again(model, kind, double, fresh):
    _, client_of, _ = KINDS[kind]
    double.fail_next(SOON)

    with client_of(fresh, max_retries=1) as client:
        assert STREAMS[kind](client, model)

    assert len(double.requests) == 2


@both_clients
@both_models
@pytest.mark.parametrize("status", [500, 503])
def test_a_failure_of_the_provider_keeps_its_status(status, model, kind, double, fresh):
    sdk, client_of, ask = KINDS[kind]
    double.fail_next(server_error(status))

    with client_of(fresh) as client, pytest.raises(sdk.APIStatusError) as failed:
        ask(client, model)

    assert failed.value.status_code in {status, 529}  # Anthropic's word for a 503


@both_clients
@both_models
def test_what_is_wrong_with_a_request_is_a_bad_request_and_is_not_repeated(model, kind, double, fresh):
    sdk, client_of, _ = KINDS[kind]
    bad = {"openai": openai_calls.bad_parameter, "anthropic": anthropic_calls.bad_parameter}[kind]

    with client_of(fresh, max_retries=2) as client, pytest.raises(sdk.BadRequestError):
        bad(client, model)

    assert len(double.requests) <= 1


@pytest.mark.parametrize(("kind", "model"), [("openai", "claude-none"), ("anthropic", "gpt-none")])
def test_an_unknown_model_of_the_other_provider_is_not_found(kind, model, double, fresh):
    sdk, client_of, ask = KINDS[kind]

    with client_of(fresh) as client, pytest.raises(sdk.NotFoundError):
        ask(client, model)


@both_clients
@both_models
def test_a_client_that_will_not_wait_gets_its_own_timeout(model, kind, double, fresh):
    sdk, client_of, ask = KINDS[kind]
    double.fail_next(slow_start(0.4))

    with client_of(fresh, timeout=0.1) as client, pytest.raises(sdk.APITimeoutError):
        ask(client, model)


# -- headers -------------------------------------------------------------------------------------------------------


def test_openais_headers_pass_to_the_client(double, standing_router):
    with openai_of(standing_router) as client:
        raw = client.chat.completions.with_raw_response.create(model=GPT, messages=openai_calls.HELLO)
        reply = raw.parse()

    assert raw.headers["x-request-id"] == reply._request_id
    assert raw.headers["x-ratelimit-remaining-requests"] == "9999"
    assert raw.headers["openai-version"] == "2020-10-01"
    assert raw.headers["x-iron-call-id"]


def test_anthropics_headers_pass_to_the_client(double, standing_router):
    with anthropic_of(standing_router) as client:
        raw = client.messages.with_raw_response.create(
            model=CLAUDE, messages=anthropic_calls.HELLO, max_tokens=50
        )
        reply = raw.parse()

    assert raw.headers["request-id"] == reply._request_id
    assert raw.headers["anthropic-ratelimit-requests-remaining"] == "3999"
    assert raw.headers["x-iron-call-id"]


def test_a_refusal_says_which_call_it_is_in_the_record(double):
    policy = {"access": {"models": {"deny": [GPT]}}}
    router = LlmRouter(
        provider_key={"openai": "sk-test-router"}, upstreams={"openai": double.openai_url}, policy=policy
    )
    with router, openai_of(router) as client, pytest.raises(openai.PermissionDeniedError) as told:
        client.chat.completions.create(model=GPT, messages=openai_calls.HELLO)

    assert told.value.response.headers["x-iron-call-id"] == told.value.body["iron"]["call_id"]
    assert len(double.requests) == 0


def test_what_a_client_always_says_reaches_the_provider(double, standing_router):
    settings = {"default_headers": {"x-mine": "yes"}, "organization": "org-1", "project": "proj_1"}
    with openai_of(standing_router, **settings) as client:
        openai_calls.chat(client, GPT)

    sent = double.requests.last.headers
    assert (sent["x-mine"], sent["openai-organization"], sent["openai-project"]) == ("yes", "org-1", "proj_1")


def test_betas_reach_anthropic(double, standing_router):
    with anthropic_of(standing_router, default_headers={"x-mine": "yes"}) as client:
        anthropic_calls.beta_message(client, CLAUDE)

    sent = double.requests.last.headers
    assert (sent["x-mine"], sent["anthropic-beta"]) == ("yes", "token-efficient-tools-2025-02-19")


def test_an_auth_token_is_as_good_as_a_key_to_an_anthropic_client(double, standing_router):
    with anthropic_of(standing_router, api_key=None, auth_token=standing_router.api_key) as client:
        assert said(anthropic_calls.message(client, CLAUDE)) == "You said: Hello"


@both_models
def test_a_streamed_response_is_read_line_by_line(model, double, standing_router):
    with (
        openai_of(standing_router) as client,
        client.chat.completions.with_streaming_response.create(
            model=model, messages=openai_calls.HELLO, max_tokens=50, stream=True
        ) as response,
    ):
        lines = [line for line in response.iter_lines() if line]

    assert response.headers["content-type"].startswith("text/event-stream")
    assert lines[-1] == "data: [DONE]"
    assert all(
        json.loads(line.removeprefix("data: "))["object"] == "chat.completion.chunk" for line in lines[:-1]
    )


@both_models
def test_an_anthropic_response_is_read_as_it_comes(model, double, standing_router):
    with (
        anthropic_of(standing_router) as client,
        client.messages.with_streaming_response.create(
            model=model, messages=anthropic_calls.HELLO, max_tokens=50
        ) as response,
    ):
        assert json.loads(b"".join(response.iter_bytes()))["content"][0]["text"] == "You said: Hello"


# -- bodies --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def zipping(client_of, router, sdk):
    """Open a client that sends its bodies in gzip."""

    def zip_body(request):
        zipped = gzip.compress(request.read())
        again = type(request)(request.method, request.url, content=zipped)
        request.stream = again.stream
        request.headers.update({"content-length": str(len(zipped)), "content-encoding": "gzip"})

    http_client = sdk.DefaultHttpxClient(event_hooks={"request": [zip_body]})
    with client_of(router, http_client=http_client) as client:
        yield client


@both_clients
@both_models
def test_bodies_may_come_in_gzip(model, kind, double, standing_router):
    sdk, client_of, ask = KINDS[kind]

    with zipping(client_of, standing_router, sdk) as client:
        assert said(ask(client, model)) == "You said: Hello"

    assert "content-encoding" not in double.requests.last.headers


# -- streams -------------------------------------------------------------------------------------------------------


@both_models
def test_the_arguments_of_a_call_are_over_when_the_next_call_begins(model, double, standing_router):
    with openai_of(standing_router) as client:
        chunks = openai_calls.parallel_tools_stream(client, model)

    calls = [call for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or ()]
    assert [call.index for call in calls] == sorted(call.index for call in calls)


# -- conversations that the provider keeps -------------------------------------------------------------------------


def test_what_stood_in_an_earlier_message_of_a_thread_comes_back_as_it_was(routed):
    def answer(received):
        asked = received.json["messages"][0]["content"]
        tokens.extend(re.findall(r"<EMAIL_\w+>", asked))
        content = [{"type": "text", "text": f"I write to {tokens[0]}."}]
        usage = {"input_tokens": 9, "output_tokens": 9}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": CLAUDE, "content": content}
        return answering({**message, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage})

    tokens = []
    provider = Canary(answer)
    with contextlib.closing(provider), anthropic_of(routed(upstreams={"anthropic": provider.url})) as client:
        for text, thread in (
            ("Write to jane.roe@example.com", {"type": "create"}),
            ("To whom?", {"type": "continue", "previous_message_id": "msg_1"}),
        ):
            messages = [{"role": "user", "content": text}]
            reply = client.messages.create(
                model=CLAUDE, messages=messages, max_tokens=50, extra_body={"thread": thread}
            )
            assert said(reply) == "I write to jane.roe@example.com."


# -- models --------------------------------------------------------------------------------------------------------


def test_both_clients_list_the_models_of_both_providers(double, standing_router):
    with openai_of(standing_router) as client:
        of_openai = {model.id for model in client.models.list()}
    with anthropic_of(standing_router) as client:
        of_anthropic = {model.id for model in client.models.list()}

    assert of_openai == of_anthropic >= {GPT, "claude-haiku-4-5-20251001"}


def test_each_client_looks_up_the_other_providers_models(double, standing_router):
    with openai_of(standing_router) as client:
        assert client.models.retrieve(CLAUDE).id == "claude-haiku-4-5-20251001"
    with anthropic_of(standing_router) as client:
        assert client.models.retrieve(GPT).id == "gpt-4o-mini-2024-07-18"


def test_a_clients_own_list_is_had_under_its_providers_name(double, standing_router):
    base_url = standing_router.base_url.replace("/v1", "/openai/v1")
    with openai_of(standing_router, base_url=base_url) as through:
        listed = plain(through.models.list())
    with openai.OpenAI(base_url=double.openai_url, api_key="any") as straight:
        assert listed == plain(straight.models.list())
