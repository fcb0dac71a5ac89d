"""``LlmRouter``: its life, its money, and who may call."""

import gc
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import anthropic
import openai
import pytest

from iron_adapters.providers import ProviderMismatch
from iron_adapters.router import LlmRouter
from iron_policy import PolicyError
from iron_policy.cost import price_of, to_usd

ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}
CLAUDE = {"model": "claude-3-haiku-20240307", "messages": ASK["messages"], "max_tokens": 50}


@pytest.fixture
def client():
    """Return an OpenAI client of a router; all are closed at the end."""
    opened = []

    def open_client(router, **settings):
        given = {"base_url": router.base_url, "api_key": router.api_key, "max_retries": 0, **settings}
        opened.append(openai.OpenAI(**given))
        return opened[-1]

    yield open_client
    for each in opened:
        each.close()


@pytest.fixture
def claude():
    """Return an Anthropic client of a router; all are closed at the end."""
    opened = []

    def open_client(router):
        base_url = router.base_url.replace("/v1", "")
        opened.append(anthropic.Anthropic(base_url=base_url, api_key=router.api_key, max_retries=0))
        return opened[-1]

    yield open_client
    for each in opened:
        each.close()


# -- its life ------------------------------------------------------------------------------------------------------


def test_router_starts_and_stops(router):
    assert router.is_running
    assert 1024 < router.port < 65536
    assert router.base_url == f"http://127.0.0.1:{router.port}/v1"

    router.stop()

    assert not router.is_running


def test_router_context_manager(double):
    with LlmRouter(provider_key="sk-test", upstreams={"openai": double.openai_url}) as router:
        assert router.is_running

    assert not router.is_running


def test_stopping_twice_is_no_error(router):
    router.stop()
    router.stop()

    assert not router.is_running


@pytest.mark.parametrize("name", ["base_url", "api_key", "port", "provider"])
def test_a_stopped_router_has_no_address(name, router):
    router.stop()

    with pytest.raises(RuntimeError, match="Router is stopped"):
        getattr(router, name)


def test_what_was_spent_is_known_after_the_end(router, double, client):
    client(router).chat.completions.create(**ASK)
    spent = router.total_spent()
    router.stop()

    assert router.total_spent() == spent > 0
    assert (router.budget, router.budget_status) == (None, None)


def test_a_port_that_is_taken_is_an_error(routed):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="ddress"):
        routed(port=taken.getsockname()[1])


def test_the_port_can_be_chosen(routed):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    assert routed(port=port).port == port


def test_a_stopped_router_leaves_no_thread(router):
    before = threading.active_count()
    router.stop()

    assert threading.active_count() < before


def test_a_router_that_is_forgotten_still_serves(routed, double):
    base_url, api_key = (router := routed()).base_url, router.api_key
    del router
    gc.collect()

    with openai.OpenAI(base_url=base_url, api_key=api_key, max_retries=0) as asking:
        assert asking.chat.completions.create(**ASK).choices


def test_without_a_key_or_a_server_there_is_no_router():
    with pytest.raises(ValueError, match="Either 'provider_key' or both 'api_key' and 'server_url'"):
        LlmRouter(api_key="ic_token")


def test_a_key_under_another_providers_name_is_refused_without_being_told():
    with pytest.raises(ProviderMismatch) as refused:
        LlmRouter(provider_key={"openai": "sk-ant-secret"})

    assert "sk-ant" not in str(refused.value)


def test_a_key_for_nobody_is_refused_with_the_name_that_was_meant():
    with pytest.raises(
        ValueError, match="provider_key: 'opnai' is the name of no upstream; did you mean 'openai'"
    ):
        LlmRouter(provider_key={"opnai": "sk-x"})


@pytest.mark.parametrize(
    ("path", "said"),
    [("/v1/v1/messages", "leave it out of the base URL"), ("/v2/chat", "/v1/chat/completions")],
)
def test_a_path_that_is_not_served_teaches_those_that_are(path, said, router, client):
    with pytest.raises(openai.NotFoundError, match=said):
        client(router, base_url=f"http://127.0.0.1:{router.port}").post(path, cast_to=object)


def test_a_key_that_the_provider_refuses_is_told_to_whoever_runs_the_router(routed, client, double, caplog):
    with pytest.raises(openai.AuthenticationError):
        client(routed(provider_key="bad-key")).chat.completions.create(**ASK)

    assert "'openai' refuses the router's own key (401)" in caplog.text
    assert "bad-key" not in caplog.text


def test_neither_repr_nor_errors_hold_a_key(routed):
    router = routed("the-token", provider_key="sk-the-secret")

    assert "the-token" not in repr(router)
    assert "sk-the-secret" not in repr(vars(router))


# -- providers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "provider"), [("sk-ant-x", "anthropic"), ("sk-proj-x", "openai"), ("anything", "openai")]
)
def test_router_provider_detection(key, provider, routed):
    assert routed(provider_key=key).provider == provider


def test_router_api_key_passthrough(routed):
    assert routed("ic_mine").api_key == "ic_mine"


def test_tokens_that_nobody_gave_are_not_to_be_guessed(routed):
    first, second = routed().api_key, routed().api_key

    assert first != second
    assert len(first) > 30


def test_openai_chat_completion(router, client):
    reply = client(router).chat.completions.create(**ASK)

    assert reply.choices[0].message.content == "You said: Hello"


def test_one_router_serves_both_providers(router, client, claude):
    asking = client(router)

    assert asking.chat.completions.create(**ASK).model.startswith("gpt-4o-mini")
    assert asking.chat.completions.create(**CLAUDE).model == "claude-3-haiku-20240307"
    assert claude(router).messages.create(**CLAUDE).content[0].text == "You said: Hello"


def test_a_model_of_a_provider_without_a_key_is_a_mismatch_and_nothing_is_sent(routed, double, client):
    asking = client(routed(provider_key="sk-test"))

    with pytest.raises(openai.BadRequestError) as refused:
        asking.chat.completions.create(**CLAUDE)

    assert refused.value.code == "provider_mismatch"
    assert len(double.requests) == 0


def test_invalid_token_rejected(router, double, client):
    with pytest.raises(openai.AuthenticationError):
        client(router, api_key="wrong_token").chat.completions.create(**ASK)

    assert len(double.requests) == 0


def test_the_token_is_not_sent_to_the_provider(routed, double, client):
    client(routed("the-token")).chat.completions.create(**ASK)

    assert "the-token" not in str(double.requests.last.headers)


def test_further_upstreams_have_names_models_and_keys(routed, double, client):
    vllm = {"base_url": double.openai_url, "models": ["llama-*"], "api_key": "vllm-key"}
    router = routed(upstreams={"vllm": vllm})
    double.settings.openai_models = {**double.settings.openai_models, "llama-3": "llama-3"}

    reply = client(router).chat.completions.create(**{**ASK, "model": "llama-3"})

    assert reply.model == "llama-3"


@pytest.mark.parametrize(
    ("upstreams", "said"),
    [
        ({"a b": "http://x"}, "cannot be a name"),
        (
            {"openai": {"base_url": "http://x", "dialect": "anthropic"}},
            "give another server a name of its own",
        ),
        ({"x": "http://user:secret@x/v1"}, "keys go into the environment"),
        ({"x": "http://169.254.169.254/latest"}, "link-local"),
        ({"x": {"base_url": "http://x", "colour": "red"}}, "colour"),
        ({"x": "ftp://x"}, "upstreams.x"),
    ],
)
def test_an_upstream_that_cannot_be_used_names_itself(upstreams, said):
    with pytest.raises(PolicyError, match=said) as refused:
        LlmRouter(provider_key="sk-x", upstreams=upstreams)

    assert "secret" not in str(refused.value)


# -- money ---------------------------------------------------------------------------------------------------------


def test_budget_on_creation(routed):
    router = routed(budget=10.0)

    assert router.budget == 10.0
    assert router.budget_status == (0.0, 10.0)


def test_no_budget_means_unlimited(router, client):
    client(router).chat.completions.create(**ASK)

    assert router.budget is None
    assert router.budget_status is None
    assert router.total_spent() > 0


def test_openai_request_tracks_spending(routed, client):
    router = routed(budget=0.05)
    client(router).chat.completions.create(**ASK)
    spent, limit = router.budget_status

    assert 0 < spent < limit == 0.05
    assert spent == router.total_spent()


def test_anthropic_request_tracks_spending(routed, client):
    router = routed(budget=0.05)
    client(router).chat.completions.create(**CLAUDE)

    assert 0 < router.total_spent() < 0.05


@pytest.mark.parametrize("ask", [ASK, CLAUDE], ids=["openai", "anthropic"])
def test_budget_exceeded_returns_402(ask, routed, double, client):
    with pytest.raises(openai.APIStatusError) as refused:
        client(routed(budget=0.0)).chat.completions.create(**ask)

    assert refused.value.status_code == 402
    assert refused.value.body["type"] == "iron_cage_budget_exceeded"
    assert refused.value.code == "budget_exceeded"
    assert "Iron Cage budget limit exceeded" in str(refused.value)
    assert len(double.requests) == 0


def test_an_anthropic_client_is_told_in_its_own_words(routed, claude):
    router = routed(budget=0.0)

    with pytest.raises(anthropic.APIStatusError) as refused:
        claude(router).messages.create(**CLAUDE)

    assert refused.value.status_code == 402
    assert refused.value.body["error"]["type"] == "billing_error"


def test_openai_spend_until_limit_hit(routed, client):
    router = routed(budget=0.0005)
    asking = client(router)
    answered = []

    def ask_on():
        while len(answered) < 500:
            answered.append(asking.chat.completions.create(**ASK))

    with pytest.raises(openai.APIStatusError) as refused:
        ask_on()

    assert refused.value.status_code == 402
    assert answered
    spent, limit = router.budget_status
    assert spent <= limit


def test_openai_concurrent_spend_never_passes_the_limit(routed, client):
    router = routed(budget=0.0003)
    asking = client(router)

    def ask(_):
        try:
            return asking.chat.completions.create(**ASK) and 200
        except openai.APIStatusError as error:
            return error.status_code

    with ThreadPoolExecutor(5) as pool:
        outcomes = list(pool.map(ask, range(200)))

    assert set(outcomes) == {200, 402}
    spent, limit = router.budget_status
    assert spent <= limit


def test_set_budget_updates_limit(routed):
    router = routed(budget=5.0)
    router.set_budget(20.0)

    assert router.budget == 20.0


def test_set_budget_allows_more_requests(routed, client):
    router = routed(budget=0.0)
    asking = client(router)
    with pytest.raises(openai.APIStatusError):
        asking.chat.completions.create(**ASK)

    router.set_budget(0.05)

    assert asking.chat.completions.create(**ASK).choices


def test_a_budget_that_comes_later_counts_what_was_spent_before(router, client):
    client(router).chat.completions.create(**ASK)
    router.set_budget(1.0)

    assert router.budget_status == (router.total_spent(), 1.0)


@pytest.mark.parametrize("usd", [-1.0, float("nan"), float("inf")])
def test_a_budget_that_is_none_is_refused(usd, router):
    with pytest.raises(ValueError, match="US dollars"):
        router.set_budget(usd)
    with pytest.raises(ValueError, match="US dollars"):
        LlmRouter(provider_key="sk-x", budget=usd)


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_spent_is_what_the_provider_bills(stream, routed, double, client):
    router = routed(budget=1.0)
    reply = client(router).chat.completions.create(**ASK, stream=stream)
    for _ in reply if stream else ():
        pass
    ((model, usage),) = double.bill.by_model.items()

    assert router.total_spent() == float(to_usd(price_of(model).cost(usage)))
