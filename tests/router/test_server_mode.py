"""A router that a control plane manages: its keys, its lease, and what it tells."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anthropic
import openai
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "control_plane"))
from plane import HANGS_UP, TOKEN, Fault, Plane

from iron_adapters.router import LlmRouter

ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}
CLAUDE = {"model": "claude-3-haiku-20240307", "messages": ASK["messages"], "max_tokens": 50}
KEY_PATH, HANDSHAKE, RETURN, EVENTS = (
    "agents/provider-key",
    "budget/handshake",
    "budget/return",
    "analytics/events",
)


@pytest.fixture(scope="module")
def _plane_server():
    server = Plane()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def plane(_plane_server, double):
    _plane_server.reset()
    _plane_server.agent.base_url = double.openai_url
    return _plane_server


@pytest.fixture
def managed(plane, double):
    """Return what starts a router that *plane* manages; all are stopped at the end."""
    running = []

    def start(**settings):
        running.append(LlmRouter(TOKEN, plane.url, **settings))
        return running[-1]

    yield start
    for router in running:
        router.stop()


@pytest.fixture
def ask():
    """Return what sends one call through a router."""

    def asking(router, **more):
        with openai.OpenAI(base_url=router.base_url, api_key=router.api_key, max_retries=0) as client:
            return client.chat.completions.create(**{**ASK, **more})

    return asking


def within(seconds, met):
    """Wait until *met* holds, and tell whether it did."""
    end = time.monotonic() + seconds
    while not met() and time.monotonic() < end:
        time.sleep(0.01)
    return met()


def test_the_key_comes_from_the_control_plane(managed, plane, double, ask):
    router = managed()

    assert (router.provider, router.api_key) == ("openai", TOKEN)
    assert ask(router).choices[0].message.content == "You said: Hello"
    assert len(plane.seen(KEY_PATH)) == 1


def test_the_token_goes_to_the_control_plane_and_never_to_a_provider(managed, double, ask):
    ask(managed())

    assert TOKEN not in str(double.requests.last)
    assert TOKEN.encode() not in double.requests.last.body


def test_an_anthropic_key_serves_anthropic_and_the_openai_client(managed, plane, double, ask):
    plane.agent.keys = {"anthropic": "sk-ant-test-0123456789abcdef"}
    plane.agent.base_url = double.anthropic_url
    router = managed()

    assert router.provider == "anthropic"
    assert ask(router, **CLAUDE).choices[0].message.content == "You said: Hello"
    with anthropic.Anthropic(
        base_url=router.base_url.replace("/v1", ""), api_key=router.api_key, max_retries=0
    ) as client:
        assert client.messages.create(**CLAUDE).content[0].text == "You said: Hello"


def test_the_handshake_names_the_provider_that_the_agent_has(managed, plane, double):
    plane.agent.keys = {"anthropic": "sk-ant-test-0123456789abcdef"}
    managed()

    assert [sent["provider"] for sent in plane.seen(HANDSHAKE)] == ["anthropic"]


def test_another_providers_model_is_a_mismatch_and_nothing_is_sent(managed, double, ask):
    router = managed()

    with pytest.raises(openai.BadRequestError) as refused:
        ask(router, **CLAUDE)

    assert refused.value.code == "provider_mismatch"
    assert len(double.requests) == 0


def test_router_custom_cache_ttl(managed, plane, double, ask):
    router = managed(cache_ttl_seconds=60)
    ask(router)
    ask(router)

    assert len(plane.seen(KEY_PATH)) == 1


def test_without_a_cache_each_call_asks(managed, plane, double, ask):
    router = managed(cache_ttl_seconds=0)
    ask(router)
    ask(router)

    assert len(plane.seen(KEY_PATH)) >= 3


def test_a_key_that_the_provider_refuses_is_fetched_anew(managed, plane, double, ask):
    plane.agent.keys = {"openai": "bad-key"}
    router = managed()
    plane.agent.keys = {"openai": "sk-test-openai-new"}

    assert ask(router).choices
    assert (len(double.requests), len(plane.seen(KEY_PATH))) == (2, 2)


def test_a_control_plane_that_is_not_there_keeps_no_router_from_starting(double):
    with LlmRouter(TOKEN, "http://127.0.0.1:9") as router:
        assert router.is_running
        assert router.provider == "unknown"
        with (
            openai.OpenAI(base_url=router.base_url, api_key=router.api_key, max_retries=0) as client,
            pytest.raises(openai.APIStatusError) as refused,
        ):
            client.chat.completions.create(**ASK)

    assert refused.value.status_code == 503
    assert TOKEN not in str(refused.value)


def test_a_control_plane_that_comes_back_is_found(managed, plane, double, ask):
    plane.fail("provider-key", HANGS_UP, HANGS_UP)
    plane.fail("handshake", Fault())
    router = managed()
    assert router.provider == "unknown"

    assert within(10, lambda: router.provider == "openai")
    assert within(10, lambda: (router.budget or 0) > 0)
    assert ask(router).choices


def test_the_lease_is_the_budget_and_its_rest_goes_back(managed, plane, double, ask):
    router = managed()
    ask(router)
    spent, limit = router.budget_status
    router.stop()

    assert limit == 10.0
    ((lease,),) = (plane.leases.values(),)
    (returned,) = plane.seen(RETURN)
    assert 0 < returned["spent_microdollars"] <= 1 + spent * 1_000_000
    assert lease.status != "active"
    assert plane.agent.remaining == plane.agent.allocated - returned["spent_microdollars"]


def test_no_call_passes_when_nothing_is_lent(managed, plane, double, ask):
    plane.agent.allocated = 0
    router = managed()

    with pytest.raises(openai.APIStatusError) as refused:
        ask(router)

    assert refused.value.status_code == 402
    assert len(double.requests) == 0


def test_an_explicit_budget_holds_besides_the_lease(managed, plane, double, ask):
    router = managed(budget=0.0)

    with pytest.raises(openai.APIStatusError) as refused:
        ask(router)

    assert refused.value.status_code == 402
    assert len(plane.seen(HANDSHAKE)) == 1


def test_more_is_borrowed_when_the_lease_runs_out(managed, plane, double, ask):
    plane.agent.allocated = 400
    router = managed()

    def spend(_):
        try:
            return ask(router) and 200
        except openai.APIStatusError as error:
            return error.status_code

    with ThreadPoolExecutor(5) as pool:
        outcomes = list(pool.map(spend, range(120)))
    router.stop()

    assert set(outcomes) == {200, 402}
    assert plane.agent.spent <= plane.agent.allocated
    assert router.total_spent() <= plane.agent.allocated / 1_000_000


def test_analytics_tell_of_each_call_once_and_nothing_of_what_was_said(managed, plane, double, ask):
    router = managed()
    ask(router)
    with pytest.raises(openai.BadRequestError):
        ask(router, messages=[])
    router.stop()
    sent = plane.seen(EVENTS)

    assert sorted(event["event_type"] for event in sent) == ["llm_request_completed", "llm_request_failed"]
    assert len({event["event_id"] for event in sent}) == 2
    assert "Hello" not in str(sent)


def test_direct_mode_tells_the_server_too_and_borrows_nothing(plane, double, ask):
    with LlmRouter(
        TOKEN, plane.url, provider_key="sk-mine", budget=1.0, upstreams={"openai": double.openai_url}
    ) as router:
        ask(router)
        assert router.budget_status[1] == 1.0

    assert [event["event_type"] for event in plane.seen(EVENTS)] == ["llm_request_completed"]
    assert (plane.seen(KEY_PATH), plane.seen(HANDSHAKE)) == ([], [])


def test_a_managed_router_takes_no_other_token(managed, double):
    router = managed()

    with (
        openai.OpenAI(base_url=router.base_url, api_key="direct", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.chat.completions.create(**ASK)
