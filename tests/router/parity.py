"""What it takes to run one agent in library mode and in router mode, and to compare what became of it.

Verdicts (types and attributes), texts, what the provider received, costs and summaries are compared. In router mode the
policy is only the router's, and so is the provider's key.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import anthropic
import openai
import pytest

from iron_adapters import protect_agent
from iron_adapters.router import LlmRouter

KEYS = {"openai": "test-key-openai", "anthropic": "sk-ant-test-key"}


class World:
    """Where an agent runs: its clients, and what became of it."""

    def __init__(self, double):
        self.double = double
        self.summaries: list[Any] = []
        self.said: list[Any] = []
        self.concurrent = False
        """Whether its calls come in any order."""

    def gpt(self, cls=openai.OpenAI, **settings):
        return cls(base_url=self.double.openai_url, api_key="test-key-openai", **settings)

    def claude(self, cls=anthropic.Anthropic, **settings):
        return cls(base_url=self.double.anthropic_url, api_key="sk-ant-test-key", **settings)

    def run(self, **settings):
        return protect_agent(on_end=self.summaries.append, **settings)


def chat(client, text, **body):
    asked = {"model": "gpt-4o-mini", "max_tokens": 100, "messages": [{"role": "user", "content": text}]}
    return client.chat.completions.create(**{**asked, **body})


def message(client, text, **body):
    asked = {"model": "claude-haiku-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": text}]}
    return client.messages.create(**{**asked, **body})


# -- the comparison ------------------------------------------------------------------------------------------------


def outcome(agent, world):
    """Run *agent*; return everything that a user could tell the modes apart by."""
    refusal = None
    try:
        done = agent(world)
        if asyncio.iscoroutine(done):
            asyncio.run(done)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
        refusal = told(error)
    received = [essence(request) for request in world.double.requests]
    return {
        "refusal": refusal,
        "said": world.said,
        "received": sorted(received) if world.concurrent else received,
        "summaries": [facts(summary) for summary in world.summaries],
    }


def told(error):
    """Return what *error* is, and says of itself; a call's id is another in each run."""
    bases = [cls.__name__ for cls in type(error).__mro__]
    own = {name: value for name, value in vars(error).items() if name not in SDKS_OWN}
    own["words"] = str(error)
    if (wait := own.get("retry_after_seconds")) is not None:
        # Less is left of the window in the mode whose calls took longer. The words tell the same number.
        left = f"try again in {wait:.1f} s"
        own = {
            name: value.replace(left, "later") if isinstance(value, str) else value
            for name, value in own.items()
        }
        own["retry_after_seconds"] = 0 < wait <= 60
    return bases, own, getattr(error, "status_code", None)


SDKS_OWN = ("call_id", "request", "response", "body", "message", "request_id", "param", "type", "__notes__")


def essence(request):
    """Return what the provider was asked, and how many keys it was shown."""
    keys = [name for name in request.headers if name in ("authorization", "x-api-key", "api-key")]
    return request.path, CALL_ID.sub("call-id", json.dumps(request.json, sort_keys=True)), len(keys)


CALL_ID = re.compile(r"(call|toolu)_\w+")


def facts(summary):
    return {
        name: getattr(summary, name)
        for name in ("calls", "refusals", "input_tokens", "output_tokens", "cost_usd", "findings", "note")
    }


@pytest.fixture
def policy_file(tmp_path):
    def write(policy):
        path = tmp_path / "policy.json"
        path.write_text(json.dumps(policy))
        return path

    return write


@pytest.fixture
def in_library_mode(double, monkeypatch, policy_file):
    def run(agent, policy):
        from iron_adapters.resolve import set_default_engine

        double.reset()
        set_default_engine(None)
        monkeypatch.setenv("IRON_POLICY", str(policy_file(policy)))
        monkeypatch.setenv("IRON_TOKEN_KEY", "k" * 32)
        try:
            return outcome(agent, World(double))
        finally:
            monkeypatch.delenv("IRON_POLICY")
            set_default_engine(None)

    return run


@pytest.fixture
def in_router_mode(double, monkeypatch):
    def run(agent, policy):
        double.reset()
        upstreams = {"openai": double.openai_url, "anthropic": double.anthropic_url}
        monkeypatch.setenv("IRON_TOKEN_KEY", "k" * 32)
        with LlmRouter(provider_key=KEYS, policy=policy, upstreams=upstreams) as router:
            monkeypatch.setenv("IRON_RUNTIME_URL", router.base_url)
            monkeypatch.setenv("IRON_RUNTIME_TOKEN", router.api_key)
            try:
                return outcome(agent, World(double))
            finally:
                monkeypatch.delenv("IRON_RUNTIME_URL")

    return run


def differences(agent, policy, in_library_mode, in_router_mode):
    """Return what differs between the modes, each as library mode and router mode have it."""
    library, router = in_library_mode(agent, policy), in_router_mode(agent, policy)
    return {name: (value, router[name]) for name, value in library.items() if value != router[name]}


def named(agents):
    """Return names for the *agents* of a table, in its order."""
    return [f"{agent.__name__}-{number}" for number, (agent, _) in enumerate(agents)]
