"""The documents that the product comes from: their Python that protects an agent runs as it stands."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import SimpleNamespace

import openai
import pytest

SEEDS = Path(__file__).parents[3] / "shared" / "seeds"
EMAIL = "alice@example.com"


def snippets():
    """Return every Python block in the seeds that defines a protected agent."""
    if not SEEDS.is_dir():
        return []
    blocks = [
        (path.name, block)
        for path in sorted(SEEDS.glob("*.txt"))
        for block in re.findall(r"```(?:python)?\n(.*?)```", path.read_text(), re.DOTALL)
    ]
    return [
        pytest.param(block, id=f"{name}-{number}")
        for number, (name, block) in enumerate(blocks)
        if "@protect_agent" in block
    ]


@pytest.fixture
def llm(double):
    """What the snippets call ``llm``: something with a ``chat`` that asks a model."""

    def chat(prompt):
        reply = client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": prompt}]
        )
        return reply.choices[0].message.content

    with openai.OpenAI(base_url=double.openai_url, api_key="test", max_retries=0) as client:
        yield SimpleNamespace(chat=chat)


@pytest.mark.skipif(
    not SEEDS.is_dir(), reason="the seeds lie beside the project, in ../shared/seeds, and are not here"
)
@pytest.mark.parametrize("snippet", snippets())
def test_a_protected_agent_runs_as_the_document_has_it(snippet, llm, double):
    names = {"llm": llm, "os": os}
    exec(compile(snippet, "seed", "exec"), names)  # noqa: S102 - the document's own code

    assert names["my_agent"](f"I am {EMAIL}") == f"You said: I am {EMAIL}"
    assert EMAIL.encode() not in double.requests.last.body


def test_there_are_such_documents():
    if not SEEDS.is_dir():
        pytest.skip("the seeds lie beside the project, in ../shared/seeds, and are not here")
    assert len(snippets()) >= 2
