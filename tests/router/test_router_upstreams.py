"""Servers that speak like a provider: Azure, OpenRouter, vLLM, Ollama, gateways. What reaches each, and what it costs."""

import json

import openai
import pytest
from clients import openai_of
from raw_http import Canary, answering, ask, said
from tls_provider import Authority, Proxy, TlsProvider

from iron_adapters.router import LlmRouter
from iron_policy import PolicyEngine, PolicyError, load_policy
from iron_policy.audit import MemorySink

AZURE = "resource.openai.azure.com"
ASK = {"model": "llama-3.3-70b", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}
MODELS = {
    "object": "list",
    "data": [{"id": "llama-3.3-70b", "object": "model", "created": 1, "owned_by": "vllm"}],
}
EMBEDDING = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
    "model": "nomic-embed-text",
    "usage": {"prompt_tokens": 1, "total_tokens": 1},
}
COMPLETION = {
    "id": "c",
    "object": "text_completion",
    "created": 1,
    "model": "llama-3.3-70b",
    "choices": [{"index": 0, "text": "Hi", "logprobs": None, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5",
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "output_tokens": 2},
}
BODIES = {"/models": MODELS, "/embeddings": EMBEDDING, "/messages": MESSAGE}


def server(received):
    """Answer as a server does that speaks either dialect."""
    path = received.target.partition("?")[0]
    if path.endswith("/completions") and not path.endswith("/chat/completions"):
        return answering(COMPLETION)
    return answering(next((body for end, body in BODIES.items() if path.endswith(end)), said()))


@pytest.fixture
def routing():
    """Return what starts a router with *upstreams* only; all are stopped at the end."""
    running = []

    def start(**settings):
        running.append(LlmRouter(**settings))
        return running[-1]

    yield start
    for router in running:
        router.stop()


# -- Azure OpenAI --------------------------------------------------------------------------------------------------


class Azure:
    """Takes calls to a resource's name over TLS, through the proxy that alone knows where it is."""

    def __init__(self, folder, monkeypatch):
        authority = Authority(folder)
        self.received = []
        self._provider = TlsProvider(self._answer, authority.certificate(AZURE))
        self._proxy = Proxy(self._provider.port)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
        monkeypatch.setenv("HTTPS_PROXY", self._proxy.url)

    async def _answer(self, scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        self.received.append((scope["path"], scope["query_string"].decode(), dict(scope["headers"])))
        head = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": json.dumps(said()).encode()})

    def close(self):
        self._proxy.close()
        self._provider.close()


@pytest.fixture
def azure(tmp_path, monkeypatch):
    running = Azure(tmp_path, monkeypatch)
    yield running
    running.close()


@pytest.mark.parametrize(
    ("base_url", "path", "query"),
    [
        (f"https://{AZURE}/openai/v1", "/openai/v1/chat/completions", ""),
        (
            f"https://{AZURE}/openai/v1?api-version=preview",
            "/openai/v1/chat/completions",
            "api-version=preview",
        ),
        (
            f"https://{AZURE}/openai/deployments/{{model}}?api-version=2024-10-21",
            "/openai/deployments/gpt-4o-mini/chat/completions",
            "api-version=2024-10-21",
        ),
    ],
)
def test_azure_gets_its_key_its_deployment_and_its_version(base_url, path, query, azure, routing):
    upstreams = {"azure": {"base_url": base_url, "models": ["gpt-*"], "api_key": "azure-key"}}
    router = routing(upstreams=upstreams, budget=1.0)
    told = ask(router, {**ASK, "model": "gpt-4o-mini"})
    [(path_seen, query_seen, headers)] = azure.received

    assert told.text == "Hi"
    assert (path_seen, query_seen) == (path, query)
    assert headers[b"api-key"] == b"azure-key"
    assert b"authorization" not in headers
    assert router.total_spent() > 0


def test_a_callers_query_is_added_and_changes_none_of_the_policys(canary, routing):
    behind = canary(server)
    upstreams = {"gateway": f"{behind.url}?api-version=2024-10-21&team=a"}
    ask(routing(upstreams=upstreams), path="/gateway/v1/chat/completions?api-version=1&trace=x&team=b")

    assert behind.received[0].target == "/v1/chat/completions?api-version=2024-10-21&team=a&trace=x"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("api-key=secret", "'api-key' sounds like one"),
        ("v=1&access_token=secret", "'access_token' sounds like one"),
        ("code=secret", "'code' sounds like one"),
        ("secret", "NAME=VALUE"),
        ("v=1#secret", "NAME=VALUE"),
        ("v=se cret", "NAME=VALUE"),
        ("v=1&", "NAME=VALUE"),
    ],
)
def test_a_query_that_holds_a_key_or_none_at_all_is_refused(query, said):
    with pytest.raises(PolicyError, match=said) as refused:
        LlmRouter(upstreams={"gateway": f"https://gateway.example/v1?{query}"})

    assert "secret" not in str(refused.value)


# -- servers that speak OpenAI's -----------------------------------------------------------------------------------


def test_openrouters_models_have_a_slash_and_its_own_fields_pass(canary, routing):
    model, routed = (
        "meta-llama/llama-3.3-70b",
        {"provider": {"order": ["groq"]}, "transforms": ["middle-out"]},
    )
    more = {"provider": "Groq", "native_finish_reason": "stop"}
    behind = canary(answering({**said(), **more}))
    base_url = behind.url.replace("/v1", "/api/v1")
    upstreams = {"openrouter": {"base_url": base_url, "models": ["*/*"], "api_key": "sk-or-v1-key"}}
    with openai_of(routing(upstreams=upstreams)) as client:
        told = client.chat.completions.create(
            **{**ASK, "model": model}, extra_body=routed, extra_headers={"x-title": "app"}
        )
    [received] = behind.received

    assert received.target == "/api/v1/chat/completions"
    assert received.headers["authorization"] == "Bearer sk-or-v1-key"
    assert received.headers["x-title"] == "app"
    assert {**received.json, **routed, "model": model} == received.json
    assert told.model_extra == more


def test_a_server_without_a_key_gets_none_on_any_endpoint(canary, routing):
    behind = canary(server)
    router = routing(upstreams={"ollama": {"base_url": behind.url, "models": ["llama*", "nomic-*"]}})
    with openai_of(router) as client:
        client.chat.completions.create(**ASK)
        client.completions.create(model=ASK["model"], prompt="Hello", max_tokens=5)
        client.embeddings.create(model="nomic-embed-text", input="Hello", encoding_format="float")
        assert [model.id for model in client.models.list()] == ["llama-3.3-70b"]

    ends = [each.target.removeprefix("/v1") for each in behind.received]
    assert ends == ["/chat/completions", "/completions", "/embeddings", "/models"]
    assert router.api_key.encode() not in behind.seen
    assert b"authorization" not in behind.seen.lower()


def test_the_path_names_an_upstream_whatever_the_model(canary, routing):
    first, second = canary(server), canary(server)
    router = routing(upstreams={"first": first.url, "second": second.url})
    told = ask(router, {**ASK, "model": "gpt-4o"}, path="/second/v1/chat/completions")

    assert told.status == 200
    assert (len(first.received), len(second.received)) == (0, 1)


def test_patterns_choose_among_several_in_their_order(canary, routing):
    large, small = canary(server), canary(server)
    upstreams = {
        "large": {"base_url": large.url, "models": ["llama-*-70b", "qwen*"]},
        "small": {"base_url": small.url, "models": ["llama-*"]},
    }
    router = routing(upstreams=upstreams)
    for model in ("llama-3.3-70b", "llama-3-8b", "qwen3"):
        ask(router, {**ASK, "model": model})

    assert [each.json["model"] for each in large.received] == ["llama-3.3-70b", "qwen3"]
    assert [each.json["model"] for each in small.received] == ["llama-3-8b"]


def test_a_list_of_models_is_without_those_of_a_server_that_is_down(canary, routing):
    up, down = canary(server), Canary()
    down.close()
    router = routing(upstreams={"up": up.url, "down": down.url})
    with openai_of(router) as client:
        assert [model.id for model in client.models.list()] == ["llama-3.3-70b"]


def test_where_every_server_is_down_the_list_is_a_502(routing):
    down = Canary()
    down.close()
    router = routing(upstreams={"down": down.url})
    with openai_of(router) as client, pytest.raises(openai.InternalServerError) as refused:
        client.models.list()

    assert refused.value.status_code == 502


# -- a server that speaks Anthropic's ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/bedrock/v1/messages"])
def test_a_gateway_that_speaks_anthropics_serves_both_dialects(path, canary, routing):
    behind = canary(server)
    base_url = behind.url.removesuffix("/v1") + "/anthropic"
    section = {
        "base_url": base_url,
        "dialect": "anthropic",
        "models": ["anthropic.*"],
        "api_key": "gateway-key",
    }
    told = ask(routing(upstreams={"bedrock": section}), {**ASK, "model": "anthropic.claude-haiku"}, path=path)
    [received] = behind.received

    assert told.text == "Hi"
    assert received.target == "/anthropic/v1/messages"
    assert received.headers["x-api-key"] == "gateway-key"
    assert received.headers["anthropic-version"] == "2023-06-01"
    assert received.json["model"] == "anthropic.claude-haiku"


# -- what it costs -------------------------------------------------------------------------------------------------


def test_a_model_without_a_price_under_a_budget_is_refused_with_what_to_set(canary, routing):
    behind = canary(server)
    told = ask(routing(upstreams={"vllm": behind.url}, budget=1.0), {**ASK, "model": "house-model"})

    assert (told.status, told.json["error"]["code"]) == (402, "unknown_price")
    assert "spending.unknown_price" in told.json["error"]["message"]
    assert behind.received == []


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}])
def test_an_assumed_price_is_charged_by_what_is_said_or_estimated(usage, canary, routing):
    body = {name: value for name, value in said("word " * 20).items() if name != "usage"}
    behind = canary(answering({**body, "usage": usage} if usage else body))
    sink = MemorySink()
    assumed = {"spending": {"unknown_price": {"assume_usd_per_mtok": 75}}}
    engine = PolicyEngine(load_policy(assumed), sinks=[sink])
    router = routing(upstreams={"vllm": behind.url}, budget=1.0, policy=engine)
    told = ask(router, {**ASK, "model": "house-model"})

    assert told.status == 200
    assert 0 < router.total_spent() < 1.0
    if usage:
        assert router.total_spent() == pytest.approx(7 * 75 / 1_000_000)
