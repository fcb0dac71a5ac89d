"""Everything that the documents and the examples show, run against the provider double."""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the provider double needs the extra iron-adapters[testing]")
pytest.importorskip("uvicorn", reason="the provider double needs the extra iron-adapters[testing]")
pytest.importorskip("langchain_openai", reason="the examples need the extra iron-adapters[demo]")
pytest.importorskip("anthropic", reason="the examples need the extra iron-adapters[demo]")

from iron_adapters import uninstall
from iron_adapters.providers import OFFICIAL_URLS
from iron_adapters.testing.speaking import speak
from iron_policy import load_policy

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = "ana.silva@example.com"


def blocks(language, text=README):
    found = re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [pytest.param(block[1], id=f"line {text[: block.start()].count(chr(10)) + 1}") for block in found]


def talkative(asked):
    """Echo at such length that a budget of tenths of a cent is felt."""
    reply = speak(asked)
    return replace(reply, text=f"{reply.text} And so on." + 60 * " And so on.") if reply.text else reply


@pytest.fixture
def double(double, monkeypatch, tmp_path):
    """The provider for clients that are told of none, a policy.yaml beside them, nothing else in the environment."""
    shutil.copy(ROOT / "examples" / "policy.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_BASE_URL", double.openai_url)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", double.anthropic_url)
    # A router does not look for its providers where its own callers do: that would be itself.
    for name, url in (("openai", double.openai_url), ("anthropic", f"{double.anthropic_url}/v1")):
        monkeypatch.setitem(OFFICIAL_URLS, name, url)
    double.answer_with(talkative)
    yield double
    uninstall()


def test_readme_opens_with_its_main_snippet():
    assert README.index("```python") < README.index("pip install") < 2000


# Other tests have loaded libraries that install() warns of.
@pytest.mark.filterwarnings("ignore:calls through:UserWarning")
@pytest.mark.parametrize("code", blocks("python"))
def test_what_the_readme_shows_runs_and_no_address_leaves(code, double, capsys):
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})  # noqa: S102 - our own document

    assert all(ADDRESS not in request.text for request in double.requests)


@pytest.mark.parametrize("document", ["README.md", "docs/policy.md"])
def test_policies_in_the_documents_are_policies(document, tmp_path):
    for block in blocks("yaml", (ROOT / document).read_text(encoding="utf-8")):
        path = tmp_path / "policy.yaml"
        path.write_text(block.values[0], encoding="utf-8")
        load_policy(path)


@pytest.mark.parametrize("name", ["openai_sdk", "anthropic_sdk", "langchain_chat_model"])
def test_an_example_runs_and_its_reader_sees_the_address_that_nobody_was_sent(name, double, capsys):
    runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")

    assert ADDRESS in capsys.readouterr().out
    assert len(double.requests) > 0
    assert all(ADDRESS not in request.text for request in double.requests)
    assert all("<EMAIL_" in request.text for request in double.requests)


def demo(**environment):
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"OPENAI_API_KEY", "ANTHROPIC_API_KEY", "IRON_POLICY", "COLUMNS", "FORCE_COLOR"}
    }
    return subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, str(ROOT / "examples" / "demo.py")],
        env={**kept, "NO_COLOR": "1", "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_demo_tells_the_whole_story_without_a_key():
    started = time.monotonic()
    done = demo()

    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 30
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    for shown in (
        *("<EMAIL_", "[REDACTED_OPENAI_KEY]", "ToolNotAllowed", "ModelNotAllowed", "ContentBlocked"),
        *("refused before it was sent", "budget 'run'", "reported", "intact", "changed: its bytes"),
    ):
        assert shown in done.stdout, shown


@pytest.mark.parametrize("provider", ["OPENAI", "ANTHROPIC"])
def test_the_demo_talks_to_the_provider_whose_key_is_there(provider, double):
    url = double.openai_url if provider == "OPENAI" else double.anthropic_url

    done = demo(**{f"{provider}_API_KEY": "any", f"{provider}_BASE_URL": url})

    assert done.returncode == 0, done.stderr
    assert len(double.requests) > 0
    assert all(ADDRESS not in json.dumps(request.json) for request in double.requests)


def test_the_demo_goes_on_with_the_double_where_a_key_is_no_good(double):
    done = demo(OPENAI_API_KEY="bad-key", OPENAI_BASE_URL=double.openai_url)

    assert done.returncode == 0, done.stderr
    assert "OpenAI cannot be used here" in done.stdout
    assert "the provider double" in done.stdout
