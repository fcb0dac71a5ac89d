"""``iron-runtime --mode=router`` with IC_TOKEN and IC_SERVER: keys, money and analytics of a control plane."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("typer", reason="the command line needs the extra iron-adapters[cli]")
pytest.importorskip("rich", reason="the command line needs the extra iron-adapters[cli]")
pytest.importorskip("pyreqwest", reason="the router needs the extra iron-adapters[router]")

sys.path.insert(0, str(Path(__file__).parents[1] / "control_plane"))
from plane import KEYS, TOKEN, Plane
from router_process import RouterProcess

from iron_adapters.cli.router_options import CannotServe
from iron_adapters.cli.router_setting import ControlledBy

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="workers fork")


@pytest.fixture
def plane(double):
    server = Plane()
    server.start()
    server.agent.base_url = double.openai_url
    yield server
    server.stop()


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=on_linux)])
def test_keys_and_money_come_from_the_control_plane_and_the_rest_is_given_back(
    workers, plane, double, tmp_path
):
    environment = {"IC_TOKEN": TOKEN, "IC_SERVER": plane.url, "OPENAI_API_KEY": "bad-key"}
    router = RouterProcess(f"--workers={workers}", cwd=tmp_path, **environment)
    try:
        assert router.started["control_plane"] == plane.url
        assert router.ask(key="another")[0] == 401
        assert router.ask(key=TOKEN)[0] == 200
        code, said = router.end()
    finally:
        router.kill()

    assert (code, said["calls"], said["lost_workers"]) == (0, 1, 0)
    assert len(double.requests) == 1
    assert [lease.status for lease in plane.leases.values()] == ["closed"] * workers
    assert 0 < plane.agent.spent < 1000
    assert len(plane.events) == 1
    assert not [secret for secret in (TOKEN, *KEYS.values()) if secret in router.output]


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({"IC_TOKEN": TOKEN}, "IC_TOKEN is set and IC_SERVER is not"),
        ({"IC_SERVER": "https://iron-cage.example.com"}, "IC_SERVER is set and IC_TOKEN is not"),
        ({"IC_TOKEN": TOKEN, "IC_SERVER": "iron-cage.example.com"}, "write it like https://"),
        (
            {"IC_TOKEN": TOKEN, "IC_SERVER": "https://user:secret@iron-cage.example.com"},
            "write it like https://",
        ),
    ],
)
def test_half_a_control_plane_is_none(environment, problem):
    with pytest.raises(CannotServe, match=problem):
        ControlledBy.found_in(environment)


def test_no_variable_means_no_control_plane():
    assert ControlledBy.found_in({"IC_TOKEN": " "}) is None
