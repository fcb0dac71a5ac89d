"""The documents that the product comes from: their Python that uses ``LlmRouter`` runs as it stands."""

import inspect
import os
import re
import sys
from pathlib import Path

import anthropic
import openai
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "control_plane"))
from plane import TOKEN, Plane

import iron_cage
from iron_adapters.resolve import set_default_engine
from iron_adapters.router import LlmRouter

SEEDS = Path(__file__).parents[3] / "shared" / "seeds"
GIVEN = """model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello!"}]"""
DIALECTS = {"anthropic": "claude", "openai": "gpt"}


def snippets():
    """Return every Python block in the seeds that uses the router, but for the one that is a signature."""
    blocks = [
        (path.name, block)
        for path in sorted(SEEDS.glob("*.txt"))
        for block in re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)
    ]
    return [
        pytest.param(block, id=f"{name}-{number}")
        for number, (name, block) in enumerate(blocks)
        if "LlmRouter(" in block and "api_key: str," not in block
    ] or [pytest.param("", marks=pytest.mark.skip(reason=f"no documents at {SEEDS}"))]


@pytest.fixture(scope="module")
def _plane_server():
    server = Plane()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def plane(_plane_server, double, monkeypatch, tmp_path):
    """A control plane that has a key for both providers, and an environment as the documents expect it."""
    _plane_server.reset()
    _plane_server.agent.keys = {"openai": "sk-test-openai", "anthropic": "sk-ant-test-anthropic"}
    _plane_server.agent.base_url = double.openai_url
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"upstreams: {{openai: '{double.openai_url}', anthropic: '{double.anthropic_url}'}}\n")
    for name, value in {
        "IC_TOKEN": TOKEN,
        "IC_SERVER": _plane_server.url,
        "OPENAI_API_KEY": "sk-test-openai",
        "IRON_POLICY": str(policy),
    }.items():
        monkeypatch.setenv(name, value)
    set_default_engine(None)  # what $IRON_POLICY names is read once in a process
    yield _plane_server
    set_default_engine(None)


@pytest.mark.parametrize("snippet", snippets())
def test_a_router_runs_as_the_document_has_it(snippet, plane, double, capsys):
    # Dots stand for what a reader fills in, and an address of dots for their own server.
    code = snippet.replace("create(...)", f"create({GIVEN})").replace('"https://..."', f'"{plane.url}"')
    code = code.replace('"ic_xxx"', f'"{TOKEN}"')
    names = {"ic_token": TOKEN, "token": TOKEN, "ic_server": plane.url, "url": plane.url}
    names |= {"os": os, "LlmRouter": LlmRouter, "OpenAI": openai.OpenAI}

    exec(compile(code, "seed", "exec"), names)  # noqa: S102 - the document's own code

    for client in (
        value for value in names.values() if isinstance(value, openai.OpenAI | anthropic.Anthropic)
    ):
        client.close()
    if "router" in names:
        assert not names["router"].is_running
    if "print(response" in code:
        assert capsys.readouterr().out.splitlines()[0].startswith("You said: Hello!")
    if "create(" in code:
        assert double.requests.last.json["model"].startswith(tuple(DIALECTS.values()))


def test_the_documented_arguments_are_all_there():
    parameters = list(inspect.signature(iron_cage.LlmRouter).parameters)

    assert parameters[:5] == ["api_key", "server_url", "cache_ttl_seconds", "budget", "provider_key"]


def test_the_three_names_are_one_class():
    import iron_adapters
    import iron_sdk

    assert iron_cage.LlmRouter is iron_sdk.LlmRouter is iron_adapters.LlmRouter is LlmRouter
