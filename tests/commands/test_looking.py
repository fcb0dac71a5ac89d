"""The commands of ``iron-runtime`` that look at something: policies, texts, records."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("typer", reason="the command line needs the extra iron-adapters[cli]")
pytest.importorskip("rich", reason="the command line needs the extra iron-adapters[cli]")

from iron_adapters.cli import main
from iron_policy import policy_schema
from iron_policy.audit import AuditEvent, JsonlSink

EMAIL = "alice@example.com"


@pytest.fixture
def iron_runtime(monkeypatch, capsys):
    """Return a way to give the command its arguments: its exit code, what it wrote, what it complained of."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["iron-runtime", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        written = capsys.readouterr()
        return exit_.value.code or 0, written.out, written.err

    return run


@pytest.fixture
def record(tmp_path):
    path = tmp_path / "audit.jsonl"
    sink = JsonlSink(path)
    sink.write(AuditEvent("call.settled", 1.0, "call", {"iron.cost_nanodollars": 5}))
    sink.close()
    return path


def test_every_fault_of_a_policy_is_named_with_its_line(iron_runtime, tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text("acces: {}\nbudgets:\n  - {scope: run, limit_usd: -1}\n")

    code, out, _ = iron_runtime("policy", "check", path)
    as_json = json.loads(iron_runtime("policy", "check", "--json", path)[1])

    assert code == 1
    assert f"{path}, line 1: acces: unknown key; did you mean 'access'?" in out
    assert f"{path}, line 3: budgets[0].limit_usd" in out
    assert (as_json["ok"], [fault["line"] for fault in as_json["faults"]]) == (False, [3, 1])


def test_what_this_version_cannot_carry_out_is_a_fault_too(iron_runtime, tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text("reliability: {timeout_seconds: 5, fallback: {a: [b]}}")

    code, out, _ = iron_runtime("policy", "check", path)

    assert code == 1
    assert "reliability.timeout_seconds: not carried out" in out
    assert "reliability.fallback: not carried out" in out


UNUSABLE = """
upstreams:
  "a b": "http://host:1/v1"
  v1: "http://host:1/v1"
  user: "http://me:hidden@host:1/v1"
  key: "http://host:1/v1?api_key=hidden"
  openai: {base_url: "http://host:1/v1", dialect: anthropic}
  good: {base_url: "http://host:1/v1?api-version=1", models: ["x-*"]}
reliability: {timeout_seconds: 5}
"""


def test_each_upstream_that_a_router_does_not_start_with_is_a_fault_with_its_line(iron_runtime, tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(UNUSABLE)

    code, out, _ = iron_runtime("policy", "check", path)
    as_json = json.loads(iron_runtime("policy", "check", "--json", path)[1])

    assert code == 1
    assert "hidden" not in out
    assert out.count("\n") == len(as_json["faults"]) == 6
    for line, told in (
        (3, "upstreams: 'a b' cannot be a name: use letters, digits"),
        (4, "upstreams: 'v1' cannot be a name, because the router's own paths begin with it"),
        (5, "upstreams.user: base_url holds a query, a fragment or a user"),
        (6, "upstreams.key: base_url must hold no key"),
        (7, "upstreams.openai: its dialect is 'openai'"),
        (9, "reliability.timeout_seconds: not carried out"),
    ):
        assert f"{path}, line {line}: {told}" in out
        assert line in {fault["line"] for fault in as_json["faults"]}


def test_a_policy_is_checked_without_what_the_router_needs(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text("upstreams: {'a b': 'http://host:1/v1'}")
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('uvicorn', 'httptools', 'uvloop', 'pyreqwest', 'certifi',"
        " 'aiohappyeyeballs'))); from iron_adapters.cli import main; main()"
    )

    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", code, "policy", "check", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (1, "")
    assert "'a b' cannot be a name" in done.stdout


def test_a_good_policy_passes_and_one_that_is_not_there_does_not(iron_runtime, tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text("version: 1")

    assert iron_runtime("policy", "check", path)[0] == 0
    assert json.loads(iron_runtime("policy", "check", "--json", path)[1])["faults"] == []
    assert iron_runtime("policy", "check", tmp_path / "none.yaml")[0] == 1


def test_the_schema_is_the_documents(iron_runtime):
    code, out, _ = iron_runtime("policy", "schema")

    assert code == 0
    assert json.loads(out) == json.loads(json.dumps(policy_schema()))


def test_a_scan_tells_kinds_and_places_and_never_the_values(iron_runtime, tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(f"Dear \u00e4unt,\nwrite to {EMAIL}\n", encoding="utf-8")

    code, out, _ = iron_runtime("scan", path)
    found = json.loads(iron_runtime("scan", "--json", path)[1])["findings"]

    assert code == 1
    assert "EMAIL" in out
    assert EMAIL not in out
    assert found == [{"kind": "EMAIL", "start": 20, "end": 37, "line": 2, "column": 10, "score": 1.0}]


def test_a_scan_reads_standard_input_and_finds_nothing_in_nothing(iron_runtime, monkeypatch, tmp_path):
    (tmp_path / "input").write_text("Nothing here.")
    with (tmp_path / "input").open() as given:
        monkeypatch.setattr(sys, "stdin", given)
        assert iron_runtime("scan")[:2] == (0, "-: nothing found\n")


def test_a_file_that_cannot_be_read_is_named(iron_runtime, tmp_path):
    (tmp_path / "latin").write_bytes(b"caf\xe9")

    code, out, err = iron_runtime("scan", "--json", tmp_path / "none")
    assert (code, json.loads(out)) == (
        2,
        {"error": f"{tmp_path / 'none'}: cannot be read (No such file or directory)"},
    )
    assert "cannot be read" in err
    assert "not UTF-8 at byte 3" in iron_runtime("scan", tmp_path / "latin")[2]
    assert iron_runtime("audit", "verify", tmp_path / "none")[0] == 2


def test_a_record_is_intact_until_somebody_changes_it(iron_runtime, record):
    code, out, _ = iron_runtime("audit", "verify", record)
    assert (code, "intact" in out) == (0, True)

    record.write_bytes(record.read_bytes().replace(b'nanodollars":5', b'nanodollars":1'))
    code, out, _ = iron_runtime("audit", "verify", "--json", record)
    assert (code, json.loads(out)["ok"]) == (1, False)
    assert json.loads(out)["chains"][0]["fault"]["kind"] == "changed"


def test_modes_that_are_not_there_are_refused_in_so_many_words(iron_runtime):
    code, _, err = iron_runtime("--mode=control", "--port=8080")

    assert code == 2
    assert "no control plane yet" in err
    assert "there is no such mode" in iron_runtime("--mode=routr")[2]


def test_an_option_of_the_router_is_not_ignored_where_there_is_none(iron_runtime):
    code, _, err = iron_runtime("--port=8080", "run", "--", "true")

    assert code == 2
    assert "--port belongs to the router: write iron-runtime --mode=router --port=8080" in err
    assert "leave 'scan' out" in iron_runtime("--mode=router", "scan")[2]


def test_without_a_command_it_helps_and_tells_its_version(iron_runtime):
    assert "policy" in iron_runtime()[1]
    code, out, _ = iron_runtime("--version")
    assert (code, out.split()[0]) == (0, "iron-runtime")


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_a_missing_extra_says_what_to_install(missing, iron_runtime, monkeypatch):
    for name in [*sys.modules]:
        if name.startswith("iron_adapters.cli.") or name.partition(".")[0] == "rich":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)

    assert iron_runtime("scan")[0] == f'iron-runtime needs {missing}: pip install "iron-adapters[cli]"'
