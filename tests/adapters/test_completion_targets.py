"""Where ``completion`` sends a call, and with which key."""

from __future__ import annotations

import pytest

pytest.importorskip("pyreqwest", reason="needs the extra iron-adapters[completion]")

from iron_adapters import completion
from iron_adapters.completions import ProviderError
from iron_adapters.completions.targets import target_of
from iron_adapters.providers import ProviderMismatch
from iron_policy import Policy, UpstreamError

HELLO = [{"role": "user", "content": "Hello"}]
KEYS = {"OPENAI_API_KEY": "sk-proj-1", "ANTHROPIC_API_KEY": "sk-ant-1"}
NAMED = {
    "vllm": {"base_url": "http://gpu:8000/v1", "models": ["llama-*"]},
    "claude-gateway": {"base_url": "http://gate/v1", "dialect": "anthropic"},
    "anthropic": {"base_url": "https://eu.example.com"},
    "openai": "https://proxy.example.com/v1/",
}


def target(model, environment=None, *, upstreams=None, **more):
    policy = Policy.model_validate({"upstreams": upstreams or {}})
    return target_of(model, policy, KEYS if environment is None else environment, **more)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"model": "openai/gpt-4o"}, "https://api.openai.com/v1/chat/completions"),
        ({"model": "anthropic/claude-haiku-4-5"}, "https://api.anthropic.com/v1/messages"),
        (
            {"model": "openai/gpt-4o", "base_url": "http://here:1/v1?api-version=2"},
            "http://here:1/v1/chat/completions?api-version=2",
        ),
        (
            {"model": "openai/gpt-4o", "environment": {**KEYS, "OPENAI_BASE_URL": "http://env/v1"}},
            "http://env/v1/chat/completions",
        ),
        (
            {"model": "anthropic/c", "environment": {**KEYS, "ANTHROPIC_BASE_URL": "http://env/"}},
            "http://env/v1/messages",
        ),
        (
            {
                "model": "openai/gpt-4o",
                "environment": {**KEYS, "OPENAI_BASE_URL": "http://env/v1"},
                "upstreams": NAMED,
            },
            "https://proxy.example.com/v1/chat/completions",
        ),
        (
            {"model": "anthropic/claude-haiku-4-5", "upstreams": NAMED},
            "https://eu.example.com/v1/messages",
        ),
        ({"model": "vllm/llama-3", "upstreams": NAMED}, "http://gpu:8000/v1/chat/completions"),
        ({"model": "claude-gateway/x", "upstreams": NAMED}, "http://gate/v1/messages"),
        (
            {"model": "openai/gpt-4o", "base_url": "http://here/v1", "upstreams": NAMED},
            "http://here/v1/chat/completions",
        ),
    ],
)
def test_addresses_in_their_order(given, url):
    assert target(given.pop("model"), given.pop("environment", None), **given).address.url == url


def test_a_models_own_name_may_hold_slashes():
    assert target("openai/org/model:free").model == "org/model:free"


@pytest.mark.parametrize("model", ["gpt-4o", "azure/gpt-4o", "openai/", "/gpt-4o", ""])
def test_an_unknown_prefix_is_a_value_error_that_says_what_is_known(model):
    with pytest.raises(
        ValueError, match=r"names no provider: write 'openai/\.\.\.', 'anthropic/\.\.\.', 'vllm"
    ):
        target(model, upstreams=NAMED)


def test_a_model_that_an_upstream_does_not_take_is_named():
    with pytest.raises(ValueError, match=r"upstreams.vllm.models lets llama-\* go there, and not 'gpt-4o'"):
        target("vllm/gpt-4o", upstreams=NAMED)


@pytest.mark.parametrize("address", ["gpu:8000/v1", "ftp://here/v1", "https://"])
def test_an_address_that_is_none_is_a_value_error(address):
    with pytest.raises(ValueError, match="no http"):
        target("openai/gpt-4o", base_url=address)


@pytest.mark.parametrize(
    ("prefix", "variable"), [("openai", "OPENAI_API_KEY"), ("anthropic", "ANTHROPIC_API_KEY")]
)
def test_a_missing_key_names_both_places(prefix, variable):
    with pytest.raises(ValueError, match=rf"api_key=\.\.\. or set {variable}"):
        target(f"{prefix}/m", {})


def test_a_target_does_not_show_its_key():
    assert "sk-" not in repr(target("openai/m"))


def test_keys_come_from_the_argument_then_the_environment_of_that_provider():
    assert target("openai/m", api_key="sk-2").headers["authorization"] == "Bearer sk-2"
    assert target("openai/m").headers["authorization"] == "Bearer sk-proj-1"
    assert target("anthropic/m").headers["x-api-key"] == "sk-ant-1"
    assert "authorization" not in target("anthropic/m").headers


def test_a_server_of_ones_own_gets_its_own_key_or_none_and_never_openais():
    assert "authorization" not in target("vllm/llama-3", upstreams=NAMED).headers
    own = target("vllm/llama-3", {**KEYS, "VLLM_API_KEY": "k"}, upstreams=NAMED)
    assert own.headers["authorization"] == "Bearer k"
    hyphen = target("claude-gateway/x", {"CLAUDE_GATEWAY_API_KEY": "k"}, upstreams=NAMED)
    assert hyphen.headers["x-api-key"] == "k"


@pytest.mark.parametrize(
    ("model", "key", "more"),
    [
        ("openai/gpt-4o", "sk-ant-secret", {}),
        ("openai/gpt-4o", "sk-ant-secret", {"base_url": "https://eu.api.openai.com/v1"}),
        ("anthropic/claude-haiku-4-5", "sk-proj-secret", {}),
        ("anthropic/claude-haiku-4-5", "sk-secret", {"base_url": "http://elsewhere"}),
        ("mine/gpt-4o", "sk-ant-secret", {"upstreams": {"mine": "https://api.openai.com/v1"}}),
    ],
)
def test_a_key_is_never_sent_to_the_other_provider(model, key, more):
    with pytest.raises(ProviderMismatch, match=r"nothing is sent.*'upstreams'") as error:
        target(model, api_key=key, **more)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("model", "key", "more"),
    [
        ("openai/claude-haiku-4-5", "sk-ant-1", {"base_url": "https://api.anthropic.com/v1"}),
        ("mine/m", "sk-ant-1", {"upstreams": {"mine": "http://gateway/v1"}}),
        ("claude-gateway/m", "sk-1", {"upstreams": NAMED}),
    ],
)
def test_a_key_goes_to_its_own_provider_and_to_servers_that_the_policy_names(model, key, more):
    assert key in "".join(target(model, api_key=key, **more).headers.values())


@pytest.mark.parametrize("key", ["sk-secret\n", "sk-secret x", "sk-sécret"])
def test_a_key_that_no_header_can_hold_is_not_shown(key):
    with pytest.raises(ValueError, match=r"^api_key holds .*; strip it$"):
        target("openai/m", api_key=key)
    with pytest.raises(ValueError, match=r"^OPENAI_API_KEY holds "):
        target("openai/m", {"OPENAI_API_KEY": key})


def test_the_environment_and_the_policy_are_read_at_each_call(double, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", double.openai_url)
    assert completion("openai/gpt-4o-mini", HELLO).choices
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    with pytest.raises(UpstreamError):
        completion("openai/gpt-4o-mini", HELLO)
    monkeypatch.setenv("OPENAI_API_KEY", "bad-key")
    with pytest.raises(ProviderError) as error:
        completion("openai/gpt-4o-mini", HELLO, base_url=double.openai_url)
    assert error.value.status_code == 401

    monkeypatch.setenv("MINE_API_KEY", "test-key")
    upstreams = {"mine": {"base_url": double.openai_url}}
    assert completion("mine/gpt-4o-mini", HELLO, policy={"upstreams": upstreams}).choices


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("stream", [False, True])
def test_a_redirect_is_not_followed(double, status, stream):
    double.fail_next(status)

    with pytest.raises(UpstreamError, match=f"redirects the call .{status}"):
        completion("openai/gpt-4o-mini", HELLO, base_url=double.openai_url, stream=stream)
    assert len(double.requests) == 1
