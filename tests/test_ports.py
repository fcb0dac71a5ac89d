"""Every test that ``docs/iron-cage-tests.md`` leads to exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
TABLE = (TESTS.parent / "docs" / "iron-cage-tests.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([^`|]+)` \| (.+) \|$", TABLE, re.MULTILINE)
OURS = sorted({here.strip("`") for _, here in ROWS if not here.startswith("none: ")})


@cache
def functions_in(path):
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {node.name for node in functions}


@pytest.mark.parametrize("name", OURS)
def test_what_the_table_leads_to_is_a_test(name):
    path, _, function = name.partition("::")

    assert function.startswith("test_")
    assert function in functions_in(path)


def test_every_row_leads_somewhere_or_says_why_not():
    rows = [line for line in TABLE.splitlines() if line.startswith("| `")]

    assert len(rows) == len(ROWS) > 250
    assert all(re.fullmatch(r"`[\w/]+\.py::\w+`|none: .{10,}", here) for _, here in ROWS)
