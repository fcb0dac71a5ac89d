"""Which upstream a call goes to, and with which headers: by its path, its model and the keys at hand."""

import pytest

from iron_adapters.providers import (
    ProviderMismatch,
    provider_of_key,
    provider_of_model,
    refuse_foreign_key,
)
from iron_adapters.router.doors import Unauthorized
from iron_adapters.router.headers import back, towards
from iron_adapters.router.keys import OwnKeys
from iron_adapters.router.paths import Paths
from iron_adapters.router.problems import NotServed
from iron_adapters.router.upstreams import Upstream, Upstreams, upstreams_of
from iron_policy import Policy
from iron_policy.document import Upstream as UpstreamSection

NAMES = ("openai", "anthropic", "vllm")


@pytest.mark.parametrize(
    ("key", "provider"),
    [
        ("sk-ant-api03-x", "anthropic"),
        ("sk-proj-x", "openai"),
        ("sk-x", "openai"),
        ("", "openai"),
        ("other", "openai"),
    ],
)
def test_a_keys_shape_tells_its_provider(key, provider):
    assert provider_of_key(key) == provider


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("claude-sonnet-4-20250514", "anthropic"),
        ("claude-3-opus", "anthropic"),
        ("claude-3-5-haiku-latest", "anthropic"),
        ("gpt-4o", "openai"),
        ("gpt-3.5-turbo", "openai"),
        ("gpt-5-nano", "openai"),
        ("o1", "openai"),
        ("o3-mini", "openai"),
        ("o4-mini", "openai"),
        ("chatgpt-4o-latest", "openai"),
        ("ft:gpt-4o-mini:org::id", "openai"),
        ("text-embedding-3-small", "openai"),
        ("codex-mini-latest", "openai"),
        ("llama-3", None),
        ("mistral-large", None),
        ("opus", None),
        ("", None),
    ],
)
def test_a_models_name_tells_its_provider(model, provider):
    assert provider_of_model(model) == provider


@pytest.mark.parametrize(
    ("path", "endpoint", "upstream"),
    [
        (b"/v1/chat/completions", "/chat/completions", None),
        (b"/chat/completions", "/chat/completions", None),
        (b"/anthropic/v1/messages", "/messages", "anthropic"),
        (b"/anthropic/messages", "/messages", "anthropic"),
        (b"/openai/v1/responses", "/responses", "openai"),
        (b"/openai/v1/chat/completions", "/chat/completions", "openai"),
        (b"/vllm/v1/embeddings", "/embeddings", "vllm"),
        (b"/v1/messages/count_tokens", "/messages/count_tokens", None),
    ],
)
def test_a_paths_first_part_names_the_upstream(path, endpoint, upstream):
    place = Paths(NAMES).call(path)

    assert (place.endpoint, place.upstream) == (endpoint, upstream)


@pytest.mark.parametrize(
    "path",
    [
        b"/openaifoo/v1/chat/completions",
        b"/v1/chat/completions/",
        b"/v1//chat/completions",
        b"/v1/%63hat/completions",
        b"/v1/../v1/chat/completions",
        b"/V1/chat/completions",
        b"/other/v1/messages",
        b"/v1/files",
        b"/",
        b"",
    ],
)
def test_a_path_that_is_not_in_the_list_is_nothing(path):
    assert Paths(NAMES).call(path) is None


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (b"/v1/models", (None, "")),
        (b"/openai/v1/models", ("openai", "")),
        (b"/v1/models/gpt-4o", (None, "gpt-4o")),
        (b"/anthropic/v1/models/claude-x", ("anthropic", "claude-x")),
        (b"/v1/models/", None),
        (b"/v1/modelsx", None),
        (b"/x/models/y", None),
    ],
)
def test_models_are_listed_and_looked_up(path, found):
    assert Paths(NAMES).models(path) == found


def upstreams(home=None, **sections):
    return Upstreams(upstreams_of(Policy.model_validate({"upstreams": sections}).upstreams), home)


@pytest.mark.parametrize(
    ("dialect", "model", "forced", "chosen"),
    [
        ("openai", "gpt-4o", None, "openai"),
        ("openai", "claude-3-haiku", None, "anthropic"),
        ("anthropic", "gpt-4o", None, "openai"),
        ("anthropic", "claude-3-haiku", None, "anthropic"),
        ("openai", "llama-3-70b", None, "vllm"),
        ("openai", "gpt-oss-20b", None, "vllm"),
        ("openai", "claude-3-haiku", "openai", "openai"),
        ("openai", "unheard-of", None, "ollama"),
        ("anthropic", "unheard-of", None, "anthropic"),
    ],
)
def test_a_call_goes_where_its_model_is(dialect, model, forced, chosen):
    known = upstreams(
        vllm={"base_url": "http://gpu:8000/v1", "models": ["llama-*", "gpt-oss-*"]},
        ollama="http://localhost:1/v1",
    )

    assert known.choose(dialect, model, forced).name == chosen


@pytest.mark.parametrize("model", ["anthropic/claude-haiku-4-5", "openai/gpt-4o-mini", "vllm/llama-3"])
def test_a_prefix_that_names_an_upstream_is_no_model_of_the_provider_itself(model):
    upstreams = Upstreams(
        upstreams_of({"vllm": UpstreamSection(base_url="http://127.0.0.1:8000/v1", models=("llama-*",))})
    )
    with pytest.raises(NotServed, match=r"leave '(anthropic|openai|vllm)/' out") as refused:
        upstreams.choose("openai", model)

    assert refused.value.status_code == 404
    gateway = Upstreams(upstreams_of({"openai": "https://gateway.example/v1"}))
    assert gateway.choose("openai", model).base_url == "https://gateway.example/v1"


async def test_a_caller_without_a_key_is_told_to_bring_the_providers():
    (openai,) = (each for each in upstreams_of({}) if each.name == "openai")
    with pytest.raises(Unauthorized, match="send your key for 'openai'"):
        await OwnKeys({}, takes_callers=True).access_to(openai, None)
    with pytest.raises(ProviderMismatch, match="this router has no key"):
        await OwnKeys({}).access_to(openai, "sk-x")


def test_a_model_that_nobody_knows_goes_to_the_provider_of_the_only_key():
    assert upstreams("anthropic").choose("openai", "unheard-of").name == "anthropic"


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("openai", "https://api.openai.com", "https://api.openai.com/v1"),
        ("openai", "https://api.openai.com/v1/", "https://api.openai.com/v1"),
        ("anthropic", "https://api.anthropic.com", "https://api.anthropic.com/v1"),
        ("anthropic", "https://gateway/anthropic", "https://gateway/anthropic/v1"),
        ("openrouter", "https://openrouter.ai/api/v1", "https://openrouter.ai/api/v1"),
        ("azure", "https://x.openai.azure.com/openai/v1", "https://x.openai.azure.com/openai/v1"),
    ],
)
def test_a_base_url_is_taken_with_its_version_or_without(name, given, taken):
    assert upstreams(**{name: given}).named(name).base_url == taken


def test_a_base_url_may_hold_the_models_name():
    azure = upstreams(azure="https://x.openai.azure.com/openai/deployments/{model}").named("azure")

    url = azure.url("/chat/completions", "my model/x", "api-version=2024-10-21")

    assert (
        url
        == "https://x.openai.azure.com/openai/deployments/my%20model%2Fx/chat/completions?api-version=2024-10-21"
    )


@pytest.mark.parametrize(("upstream", "key"), [("openai", "sk-ant-x"), ("anthropic", "sk-proj-x")])
def test_a_key_is_never_sent_to_another_provider(upstream, key):
    with pytest.raises(ProviderMismatch) as refused:
        refuse_foreign_key(upstream, key)

    assert key not in str(refused.value)


OPENAI = Upstream(name="openai", base_url="https://api.openai.com/v1", dialect="openai")
ANTHROPIC = Upstream(name="anthropic", base_url="https://api.anthropic.com/v1", dialect="anthropic")
AZURE = Upstream(name="azure", base_url="https://x.openai.azure.com/openai/v1", dialect="openai")


def test_headers_pass_but_for_credentials_and_those_of_one_connection():
    sent = {
        "host": "127.0.0.1",
        "authorization": "Bearer token",
        "x-api-key": "token",
        "cookie": "a=b",
        "connection": "keep-alive, x-mine",
        "x-mine": "1",
        "te": "trailers",
        "content-length": "3",
        "x-iron-agent": "support",
        "idempotency-key": "k",
        "anthropic-beta": "tools",
        "content-type": "application/json",
    }

    assert dict(towards(ANTHROPIC, "sk-ant-x", sent)) == {
        "idempotency-key": "k",
        "anthropic-beta": "tools",
        "content-type": "application/json",
        "anthropic-version": "2023-06-01",
        "x-api-key": "sk-ant-x",
    }


@pytest.mark.parametrize(
    ("upstream", "header"),
    [
        (OPENAI, ("authorization", "Bearer k")),
        (ANTHROPIC, ("x-api-key", "k")),
        (AZURE, ("api-key", "k")),
    ],
)
def test_each_upstream_gets_its_key_where_it_looks_for_it(upstream, header):
    assert header in towards(upstream, "k", {})


def test_the_callers_anthropic_version_is_kept():
    headers = towards(ANTHROPIC, "k", {"anthropic-version": "2024-01-01"})

    assert [value for name, value in headers if name == "anthropic-version"] == ["2024-01-01"]


def test_a_translated_call_leaves_its_own_dialects_headers_behind():
    sent = {"openai-organization": "org", "x-stainless-lang": "python", "idempotency-key": "k"}

    assert dict(towards(ANTHROPIC, None, sent, {"anthropic-beta": "x"})) == {
        "idempotency-key": "k",
        "anthropic-beta": "x",
        "anthropic-version": "2023-06-01",
    }


def test_the_providers_headers_come_back_but_for_those_of_its_connection():
    said = [
        (b"content-type", b"application/json"),
        (b"retry-after", b"3"),
        (b"x-request-id", b"r"),
        (b"transfer-encoding", b"chunked"),
        (b"content-encoding", b"gzip"),
        (b"set-cookie", b"a=b"),
        (b"access-control-allow-origin", b"*"),
    ]

    assert back(said) == [
        (b"content-type", b"application/json"),
        (b"retry-after", b"3"),
        (b"x-request-id", b"r"),
    ]


def test_headers_that_clients_refuse_a_reply_over_do_not_come_back():
    many = [(b"x-%d" % number, b"v") for number in range(3000)]

    assert back([(b"x-request-id", b"r"), (b"x-long", b"v" * 10_000)]) == [(b"x-request-id", b"r")]
    assert len(back(many)) < 100
