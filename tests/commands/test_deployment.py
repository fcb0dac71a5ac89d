"""What stands in ``deploy`` and ``docs/router.md``: held against the options that the command really has."""

import json
import re
import shlex
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml

pytest.importorskip("typer", reason="the command line needs the extra iron-adapters[cli]")
pytest.importorskip("rich", reason="the command line needs the extra iron-adapters[cli]")
pytest.importorskip("pyreqwest", reason="the router needs the extra iron-adapters[router]")

import typer.main
from router_process import IRON_RUNTIME, RouterProcess

from iron_adapters.cli.commands import app
from iron_adapters.cli.router_options import TOKEN_VARIABLE
from iron_adapters.router.provider_keys import variable_of
from iron_policy import load_policy

DEPLOY = Path(__file__).parents[2] / "deploy"
DOCUMENT = (DEPLOY.parent / "docs" / "router.md").read_text(encoding="utf-8")
PROGRAM = "/opt/iron-runtime/bin/iron-runtime"


class Unit(ConfigParser):
    """A unit file, of which a key that is given twice says the last."""

    def __init__(self, path):
        super().__init__(strict=False, interpolation=None, delimiters=["="])
        self.optionxform = str
        self.read_string(path.read_text(encoding="utf-8"))


def unit():
    return Unit(DEPLOY / "iron-runtime.service")


def steps():
    """Return the Dockerfile's instructions, the latest of each kind, with their arguments."""
    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))


def service():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]["router"]


def commands():
    yield pytest.param(shlex.split(unit()["Service"]["ExecStart"]), id="systemd")
    entry = json.loads(steps()["ENTRYPOINT"])
    yield pytest.param([*entry, *json.loads(steps()["CMD"])], id="image")
    yield pytest.param([*entry, *service()["command"]], id="compose")


def parsed(command):
    """Return the options of *command* as the command line reads them; what it does not know, it refuses."""
    with typer.main.get_command(app).make_context("iron-runtime", command[1:]) as context:
        return context.params


@pytest.mark.parametrize("command", [*commands()])
def test_every_option_that_is_given_there_is_one(command):
    options = parsed(command)

    assert command[0] == PROGRAM
    assert (options["mode"], options["port"]) == ("router", 8080)
    assert str(options["policy"]) == "/etc/iron-runtime/policy.yaml"


def test_the_services_command_starts_a_router_under_the_policy_beside_it(tmp_path):
    _, *options = shlex.split(unit()["Service"]["ExecStart"])
    policy = f"--policy={DEPLOY / 'policy.yaml'}"
    router = RouterProcess(
        *options, policy, "--port=0", cwd=tmp_path, OPENAI_API_KEY="sk-any", IRON_RUNTIME_TOKEN="t" * 16
    )
    try:
        assert router.started["token_needed"] is True
        assert router.started["budgets"] == ["global $50.00 a day"]
        assert router.end()[0] == 0
        assert (tmp_path / "iron-audit.jsonl").exists()
    finally:
        router.kill()


def test_each_policy_that_is_named_has_no_fault():
    load_policy(DEPLOY / "policy.yaml")


@pytest.mark.parametrize("command", [*commands()])
def test_whoever_ends_it_waits_longer_than_it_lets_calls_go_on(command):
    patience = {
        int(unit()["Service"]["TimeoutStopSec"]),
        int(service()["stop_grace_period"].removesuffix("s")),
    }

    assert min(patience) > parsed(command)["grace_seconds"] + 5


def test_the_variables_of_the_container_are_those_that_the_router_reads():
    assert set(service()["environment"]) == {TOKEN_VARIABLE, variable_of("openai"), variable_of("anthropic")}
    assert service()["environment"][TOKEN_VARIABLE].startswith("${IRON_RUNTIME_TOKEN:?")


def test_the_container_is_reached_from_this_machine_only_and_may_little():
    found = service()

    assert found["ports"] == ["127.0.0.1:8080:8080"]
    assert (found["read_only"], found["cap_drop"]) == (True, ["ALL"])
    assert not steps()["USER"].startswith(("0", "root"))
    assert found["build"]["dockerfile"] == "deploy/Dockerfile"


def test_the_image_takes_in_what_the_package_is_made_of():
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    copied = [
        name for line in re.findall(r"^COPY (?!--)(.*) \S+$", text, re.MULTILINE) for name in line.split()
    ]

    assert [name for name in copied if not (DEPLOY.parent / name).exists()] == []
    assert [name for name in copied if f"!{name}" not in ignored] == []
    assert {"iron_policy", "iron_adapters", "iron_sdk.py", "iron_cage.py", "pyproject.toml"} <= {*copied}
    assert all(json.loads(run) for run in re.findall(r"^(?:RUN|ENTRYPOINT|CMD) (.*)$", text, re.MULTILINE))


def test_the_images_health_check_tells_a_router_that_serves_from_one_that_does_not(tmp_path):
    *_, code = json.loads(steps()["HEALTHCHECK"].partition(" CMD ")[2])
    router = RouterProcess(cwd=tmp_path)
    check = [IRON_RUNTIME[0], "-c", code.replace("8080", str(router.port))]
    try:
        assert subprocess.run(check, check=False).returncode == 0  # noqa: S603 - our own command
        router.end()
        assert subprocess.run(check, check=False, capture_output=True).returncode != 0  # noqa: S603 - as above
    finally:
        router.kill()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_finds_no_fault_in_the_unit_and_little_exposure(tmp_path):
    program = tmp_path / "iron-runtime"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    copy = tmp_path / "iron-runtime.service"
    text = (DEPLOY / "iron-runtime.service").read_text(encoding="utf-8")
    copy.write_text(text.replace(PROGRAM, str(program)), encoding="utf-8")

    for words in (["verify", "--man=no"], ["security", "--offline=yes", "--threshold=20"]):
        done = subprocess.run(  # noqa: S603 - systemd's own
            ["systemd-analyze", *words, str(copy)],  # noqa: S607 - found on the path
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_documentation_names_every_option_of_the_router_and_no_other():
    root = typer.main.get_command(app)
    options = {option for parameter in root.params for option in parameter.opts} - {"--mode", "--version"}
    named = set(re.findall(r"`(--[a-z-]+)", DOCUMENT.partition("## Options")[2].partition("\n## ")[0]))

    assert named == options


def test_policies_in_the_documentation_have_no_fault(tmp_path):
    for number, block in enumerate(re.findall(r"^```yaml\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)):
        path = tmp_path / f"{number}.yaml"
        path.write_text(block, encoding="utf-8")
        load_policy(path)
