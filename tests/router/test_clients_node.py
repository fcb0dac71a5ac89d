"""The official clients for Node through the router: what an application gets is what it gets without one."""

import json

import node_modules
import pytest
from clients import CLAUDE, GPT
from comparing import gist_of_chat, gist_of_message, plain

from iron_adapters.testing import rate_limited


@pytest.fixture(scope="module", autouse=True)
def _clients():
    node_modules.fetch()


def told(groups, openai_url, anthropic_url, key="any", *, gpt=GPT, claude=CLAUDE):
    """Return what came of the calls in *groups*, by name."""
    places = {"openai": openai_url, "anthropic": anthropic_url, "key": key}
    at = {**places, "gpt": gpt, "claude": claude, "groups": groups}
    return plain(json.loads(node_modules.run("clients.mjs", json.dumps(at))))


def told_by(router, groups, **models):
    return told(groups, router.base_url, router.base_url.removesuffix("/v1"), router.api_key, **models)


@pytest.fixture(scope="module")
def straight(addresses):
    """Return what the provider tells without a router."""
    return told(["either", "native"], addresses["openai"], addresses["anthropic"])


def test_everything_is_the_same_through_the_router(straight, double, clear_router):
    assert told_by(clear_router, ["either", "native"]) == straight
    refused = {name for name, said in straight.items() if "raised" in said}
    assert refused == {"badParameter", "unknownModel", "unknownModelStream", "badMessage", "unknownClaude"}


def test_either_providers_models_answer_either_client_alike(straight, double, standing_router):
    crossed = told_by(standing_router, ["either"], gpt=CLAUDE, claude=GPT)

    assert {name: gist(name, said) for name, said in crossed.items()} == {
        name: gist(name, straight[name]) for name in crossed
    }


def gist(name, said):
    return gist_of_chat(said) if name.startswith("chat") else gist_of_message(said)


def test_a_wrong_token_is_an_authentication_error(double, standing_router):
    refused = told_by(standing_router, ["refused"])

    assert {(error["raised"], error["status"]) for error in refused.values()} == {
        ("AuthenticationError", 401)
    }
    assert len(double.requests) == 0


def test_a_rate_limit_is_waited_out_by_the_clients_own_retries(double, routed):
    for model in (GPT, CLAUDE):
        double.fail_next(rate_limited(retry_after_seconds=0.01), times=2, model=model)

    answered = told_by(routed(), ["patient"])

    assert gist_of_chat(answered["chat"]) == ("You said: Hello", [], "stop")
    assert gist_of_message(answered["message"]) == (["You said: Hello"], "end_turn", None)
    assert len(double.requests) == 6
