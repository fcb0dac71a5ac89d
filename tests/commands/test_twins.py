"""The examples without a policy, their twins with one changed line, and the same by ``iron-runtime run`` without any."""

import ast
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("typer", reason="the command line needs the extra iron-adapters[cli]")
pytest.importorskip("rich", reason="the command line needs the extra iron-adapters[cli]")

EXAMPLES = Path(__file__).parents[2] / "examples"
NEEDS = {"plain_loop": "openai", "langgraph_fan_out": "langchain_openai"}


@pytest.fixture(params=NEEDS)
def example(request, double, monkeypatch):
    pytest.importorskip(NEEDS[request.param], reason="the examples need the extra iron-adapters[demo]")
    monkeypatch.setenv("OPENAI_BASE_URL", double.openai_url)
    return request.param


def statements(name):
    """Return the lines of an example without comments, docstring and imports."""
    tree = ast.parse((EXAMPLES / f"{name}.py").read_text(encoding="utf-8"))
    body = [node for node in tree.body[1:] if not isinstance(node, ast.Import | ast.ImportFrom)]
    lines = "\n".join(map(ast.unparse, body)).splitlines()
    return [line for line in lines if not line.startswith("POLICY = ")]


def addresses_sent(double):
    return sum("@example." in request.text for request in double.requests)


def test_a_twin_differs_by_one_line(example):
    plain, governed = statements(example), statements(f"{example}_governed")

    assert len(plain) == len(governed)
    assert sum(one != other for one, other in zip(plain, governed, strict=True)) == 1


def test_without_a_policy_addresses_leave_and_with_it_they_do_not(example, double, capsys):
    runpy.run_path(str(EXAMPLES / f"{example}.py"), run_name="__main__")
    seen, sent = capsys.readouterr().out, len(double.requests)
    assert addresses_sent(double) == sent > 0
    double.requests.clear()

    runpy.run_path(str(EXAMPLES / f"{example}_governed.py"), run_name="__main__")

    assert (len(double.requests), addresses_sent(double)) == (sent, 0)
    assert capsys.readouterr().out == seen


def test_without_any_change_the_command_governs_them_just_so(example, double, capsys):
    runpy.run_path(str(EXAMPLES / f"{example}.py"), run_name="__main__")
    seen, sent = capsys.readouterr().out, len(double.requests)
    double.requests.clear()
    main = "from iron_adapters.cli import main; main()"
    options = [
        "--policy",
        str(EXAMPLES / "policy.yaml"),
        "--",
        sys.executable,
        str(EXAMPLES / f"{example}.py"),
    ]

    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", main, "run", *options],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ},
    )

    assert done.stdout == seen
    assert (len(double.requests), addresses_sent(double)) == (sent, 0)
