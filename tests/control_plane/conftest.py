"""One control plane for all tests here, emptied before each; a client of it; a clock that tests turn."""

import pytest
from plane import TOKEN, Plane

from iron_adapters.control_plane import ControlPlane


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        return self.now

    def pass_seconds(self, seconds):
        self.now += seconds


@pytest.fixture(scope="session")
def _plane_server():
    server = Plane()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def plane(_plane_server):
    _plane_server.reset()
    return _plane_server


@pytest.fixture
async def client(plane):
    made = ControlPlane(plane.url, TOKEN)
    yield made
    await made.close()


@pytest.fixture
def clock():
    return Clock()
