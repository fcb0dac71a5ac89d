"""The arrows between packages, the purity of the judging ones, and what an import may load."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FRAMEWORKS = {"langchain", "langchain_core", "langgraph", "openai", "anthropic", "httpx", "httpx2"}
SERVERS = {"starlette", "uvicorn", "rich"}
ADAPTERS = {path.parent.name for path in ROOT.glob("iron_adapters/*/__init__.py")} - {"wire", "control_plane"}
"""Packages below ``iron_adapters`` that stand side by side; ``wire`` is what they all rest on, ``control_plane`` what
the router does."""
RESTS_ON = {"cli": {"router", "control_plane"}, "router": {"control_plane"}}
"""Those that are made of others: a command starts the router, and the router asks a control plane."""

PURE = [
    path for name in ("rules", "detect", "redact", "cost") for path in ROOT.glob(f"iron_policy/{name}/*.py")
]
EFFECTS = {
    *("asyncio", "glob", "io", "logging", "os", "pathlib", "random", "secrets", "shutil", "signal"),
    *("socket", "sqlite3", "ssl", "subprocess", "tempfile", "time", "urllib", "uuid", "warnings"),
}
DEFAULTS = {
    "iron_policy/cost/catalogue.py": {"time"},
    "iron_adapters/wire/translation/chat_translation.py": {"time"},
}
"""Where a clock is read in default of an argument: a price is asked for at a time, and mostly at this one; a chat
completion says when it was made, and a message does not."""
EFFECTFUL_CALLS = {"open", "print", "input", "exec", "eval"}
CLOCKS = {"now", "utcnow", "today"}


def imports_of(path):
    """Yield the full name of every module that *path* imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively, line {node.lineno}"
            yield node.module


def effectful_calls_of(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(id=name) if name in EFFECTFUL_CALLS:
                    yield f"{name}()"
                case ast.Attribute(attr=name) if name in CLOCKS:
                    yield f".{name}()"


def top(module):
    return module.partition(".")[0]


def modules_after(statement):
    """Return the top-level names in ``sys.modules`` of a fresh interpreter that ran *statement*."""
    code = f"import sys; {statement}; import json; print(json.dumps(sorted({{m.partition('.')[0] for m in sys.modules}})))"
    done = subprocess.run(  # noqa: S603 - our own interpreter and statement
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(json.loads(done.stdout))


def relative(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", sorted(ROOT.glob("iron_policy/**/*.py")), ids=relative)
def test_the_engine_knows_no_adapter_and_no_framework(path):
    known = {top(module) for module in imports_of(path)}

    assert known & {"iron_adapters", *FRAMEWORKS, *SERVERS} == set()


@pytest.mark.parametrize(
    "path",
    sorted({*ROOT.glob("iron_adapters/**/*.py")} - {ROOT / "iron_adapters" / "__init__.py"}),
    ids=relative,
)
def test_adapters_do_not_know_each_other(path):
    own = path.relative_to(ROOT / "iron_adapters").parts[0]
    others = {f"iron_adapters.{name}" for name in ADAPTERS - RESTS_ON.get(own, set()) if name != own}

    assert {".".join(module.split(".")[:2]) for module in imports_of(path)} & others == set()


@pytest.mark.parametrize("path", sorted(ROOT.glob("iron_adapters/wire/**/*.py")), ids=relative)
def test_the_wire_reads_json_and_knows_no_transport(path):
    known = set(imports_of(path))

    effects = EFFECTS - DEFAULTS.get(relative(path), set())
    assert {top(module) for module in known} & {*FRAMEWORKS, *SERVERS, *effects} == set()
    assert {
        m for m in known if m.startswith("iron_adapters") and not m.startswith("iron_adapters.wire")
    } == set()


@pytest.mark.parametrize("path", sorted(PURE), ids=relative)
def test_what_judges_has_no_effects_and_no_clock(path):
    assert {top(module) for module in imports_of(path)} & EFFECTS <= DEFAULTS.get(relative(path), set())
    assert list(effectful_calls_of(path)) == []


@pytest.mark.parametrize("package", ["iron_policy", "iron_adapters"])
def test_an_import_loads_no_framework_and_no_sdk(package):
    loaded = modules_after(f"import {package}")

    assert package in loaded
    assert loaded & {*FRAMEWORKS, *SERVERS, "genai_prices"} == set()


def test_govern_is_found_without_loading_an_sdk():
    assert modules_after("from iron_adapters import govern") & {*FRAMEWORKS, *SERVERS} == set()
