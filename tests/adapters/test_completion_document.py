"""What ``docs/completion.md`` shows, run against the provider double."""

import re
from pathlib import Path

import pytest

pytest.importorskip("pyreqwest", reason="needs the extra iron-adapters[completion]")

DOCUMENT = (Path(__file__).parents[2] / "docs" / "completion.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
ADDRESS = "ana.silva@example.com"


@pytest.mark.parametrize("code", BLOCKS)
def test_what_it_shows_runs_and_no_address_leaves(code, double, monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_BASE_URL", double.openai_url)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", double.anthropic_url)
    double.answer_with(lambda asked: f"{asked.user_text} And so on." + 60 * " And so on.")

    exec(compile(code, "docs/completion.md", "exec"), {})  # noqa: S102 - our own document

    said = capsys.readouterr().out
    assert said
    assert ADDRESS not in "".join(request.text for request in double.requests)
    assert (ADDRESS in said) == (ADDRESS in code)
    if "BudgetExceeded" in code:
        assert "of $0.01 are spent" in said
