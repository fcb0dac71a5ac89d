"""The policy document: what it accepts, and how it says what is wrong."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise

import pytest

from iron_policy import Policy, PolicyEngine, PolicyError, load_policy, policy_schema

FULL = """
version: 1
mode: enforce
access:
  models: {allow: ["gpt-4o*", "claude-*"], deny: ["*-preview"]}
  tools: {allow: ["*"], deny: ["shell_*"]}
safety:
  input:  {pii: tokenize, secrets: redact, injection: flag}
  output: {pii: flag, secrets: redact, injection: flag}
  kinds:  {EMAIL: block, IP_ADDRESS: allow}
  custom: [{kind: EMPLOYEE_ID, pattern: 'E-\\d{6}', action: redact}]
  reveal: {tools: ["send_email"]}
  on_error: deny
budgets:
  - {scope: run, limit_usd: 1.00}
  - {scope: "team/research", limit_usd: 500, window: month, alert_at: [0.5, 0.8, 0.95]}
spending:
  when_short: [clamp, "model:gpt-4o-mini", deny]
  unknown_price: {assume_usd_per_mtok: 75}
limits:
  - {scope: agent, requests: 60, window: minute}
loops: {model_calls: 50, tool_calls: 100, identical_tool_calls: 5}
reliability:
  timeout_seconds: 120
  retry: {attempts: 3, respect_retry_after: true}
  breaker: {failures: 5, window_seconds: 60, cool_down_seconds: 30}
  fallback: {"gpt-4o": ["claude-sonnet-4-5"]}
upstreams: {openai: "https://api.openai.com/v1", vllm: {base_url: "http://gpu:8000/v1", dialect: openai, models: ["llama-*"]}}
audit: {path: iron-audit.jsonl, content: none}
state: "sqlite:///iron.db"
"""

FAULTS = {
    "an unknown key": ("mode: enforce\nsafty: {}\n", ["line 2", "safty", "did you mean 'safety'?"]),
    "an unknown nested key": ("safety:\n  input: {pi: block}\n", ["line 2", "safety.input.pi", "'pii'"]),
    "an unknown action": (
        "safety:\n  input:\n    pii: tokenise\n",
        ["line 3", "safety.input.pii", "'tokenize'"],
    ),
    "an unknown kind": ("safety:\n  kinds: {EMIAL: block}\n", ["safety.kinds", "'EMIAL'", "EMAIL"]),
    "a bad pattern": (
        "safety:\n  custom:\n    - {kind: X1, pattern: '('}\n",
        ["line 3", "safety.custom[0].pattern", "kind 'X1'", "RE2 takes (missing ): ()"],
    ),
    "a built-in kind as custom": (
        "safety:\n  custom: [{kind: EMAIL, pattern: x}]\n",
        ["'EMAIL'", "built in"],
    ),
    "a negative amount": ("budgets:\n  - {scope: run, limit_usd: -1}\n", ["line 2", "budgets[0].limit_usd"]),
    "an amount that is no number": (
        "budgets:\n  - {scope: run, limit_usd: .nan}\n",
        ["budgets[0].limit_usd"],
    ),
    "an infinite amount": ("budgets:\n  - {scope: run, limit_usd: .inf}\n", ["budgets[0].limit_usd"]),
    "a misspelt scope": (
        "budgets:\n  - {scope: runs, limit_usd: 1}\n",
        ["budgets[0].scope", "'runs'", "team/research"],
    ),
    "a bad rung": ("spending: {when_short: [squeeze]}\n", ["spending.when_short[0]", "'squeeze'", "clamp"]),
    "a key that stands twice": ("mode: enforce\nmode: monitor\n", ["line 2", "'mode'", "twice"]),
    "no YAML": ("mode: [enforce\n", ["line", "no YAML"]),
    "no mapping": ("- a\n- b\n", ["mapping"]),
    "a wrong version": ("version: 2\n", ["line 1", "version"]),
    "a bad upstream": ("upstreams: {openai: 'ftp://x'}\n", ["line 1", "upstreams.openai"]),
    "a limit on two things": (
        "limits:\n  - {scope: run, requests: 1, tokens: 5}\n",
        ["line 2", "limits[0]", "two entries"],
    ),
    "a limit on nothing": ("limits:\n  - {scope: run}\n", ["line 2", "limits[0]"]),
    "a NUL byte": ("mode: \0enforce\n", ["no YAML"]),
    "an alias bomb": (
        "a: &a [x, x]\n"
        + "".join(f"{n}: &{n} [*{p}, *{p}]\n" for p, n in pairwise("abcdefghijklmnopqrstuvw")),
        ["keys"],
    ),
    "an anchor that refers to itself": ("mode: enforce\nx: &a [*a]\n", ["line 2", "anchor", "itself"]),
    "too deep a nest": ("x: " + 5000 * "[", ["nested too deeply"]),
    "an upstream's port that is none": (
        "upstreams:\n  a: 'http://u:hidden@host:99999/v1'\n",
        ["line 2", "upstreams.a", "is no address"],
    ),
    "an upstream's host that is none": (
        "upstreams:\n  a: {base_url: 'http://[::1/v1'}\n",
        ["line 2", "upstreams.a.base_url", "is no address"],
    ),
    "a record without a name": ("audit: {path: ''}\n", ["line 1", "audit.path", "is empty", "name a file"]),
    "an unknown store": ("state: 'mongo://x'\n", ["line 1", "state"]),
}


def test_a_document_with_every_section_loads(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(FULL)

    policy = load_policy(path)

    assert policy.budgets[1].limit_usd == Decimal(500)
    assert policy.safety.custom[0].kind == "EMPLOYEE_ID"
    assert policy.upstreams["openai"] == "https://api.openai.com/v1"


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_with_its_line_its_key_and_a_remedy(tmp_path, name):
    content, expected = FAULTS[name]
    path = tmp_path / "policy.yaml"
    path.write_text(content)

    with pytest.raises(PolicyError) as error:
        load_policy(path)

    assert str(path) in str(error.value)
    assert "hidden" not in str(error.value)
    for part in expected:
        assert part in str(error.value)


def test_toml_faults_name_their_line(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text('mode = "enforce"\n\n[[budgets]]\nscope = "run"\nlimit_usd = -1\n')

    with pytest.raises(PolicyError, match=r"line 5: budgets\[0\]\.limit_usd"):
        load_policy(path)


def test_a_mapping_and_toml_and_yaml_give_the_same_policy(tmp_path):
    yaml_path, toml_path = tmp_path / "p.yaml", tmp_path / "p.toml"
    yaml_path.write_text("budgets: [{scope: run, limit_usd: 0.5}]\nmode: monitor\n")
    toml_path.write_text('mode = "monitor"\n[[budgets]]\nscope = "run"\nlimit_usd = 0.5\n')
    given = {"mode": "monitor", "budgets": [{"scope": "run", "limit_usd": 0.5}]}

    assert (
        load_policy(yaml_path) == load_policy(toml_path) == load_policy(given) == Policy.model_validate(given)
    )


def test_every_fault_is_reported_at_once():
    with pytest.raises(PolicyError) as error:
        Policy.model_validate({"mode": "x", "loops": {"model_calls": 0}, "nonsense": 1})

    assert len(str(error.value).splitlines()) == 3


def test_an_error_does_not_repeat_the_value_it_rejects():
    with pytest.raises(PolicyError) as error:
        Policy.model_validate({"state": "postgres-password-hunter2"})

    assert "hunter2" not in str(error.value)


def test_an_empty_file_is_the_default_policy(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text("# nothing yet\n")

    assert load_policy(path) == Policy()


def test_an_alias_that_stands_beside_its_anchor_is_what_it_refers_to(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text("access: {models: &names {deny: [x]}, tools: *names}\n")

    assert load_policy(path).access.tools.deny == ("x",)


def test_a_missing_file_is_a_policy_error(tmp_path):
    with pytest.raises(PolicyError, match=r"missing\.yaml: cannot be read"):
        load_policy(tmp_path / "missing.yaml")


def test_the_schema_describes_the_document():
    schema = policy_schema()

    assert schema["$schema"].endswith("2020-12/schema")
    assert set(schema["properties"]) == set(Policy.model_fields)
    json.dumps(schema)


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ({"state": "sqlite:///x.db"}, "state"),
        ({"reliability": {"retry": {"attempts": 2}}}, "reliability.retry"),
        ({"reliability": {"fallback": {"a": ["b"]}}}, "reliability.fallback"),
        ({"reliability": {"timeout_seconds": 5}}, "reliability.timeout_seconds"),
    ],
)
def test_what_cannot_be_carried_out_does_not_start(section, key):
    with pytest.raises(PolicyError, match=key):
        PolicyEngine(Policy.model_validate(section))
