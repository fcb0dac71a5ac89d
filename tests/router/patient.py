"""A router with a patience of its own, which ``LlmRouter`` does not offer."""

from contextlib import contextmanager

from iron_adapters.background_server import BackgroundServer, bound
from iron_adapters.router.app import Router, Setting
from iron_adapters.router.assembly import upstreams_for
from iron_adapters.router.doors import Doors
from iron_adapters.router.keys import OwnKeys
from iron_adapters.router.serving import configuration, loop_factory
from iron_policy import PolicyEngine


@contextmanager
def serving(patience, **sections):
    """Serve upstreams as *sections* of a policy have them, and with *patience*."""
    engine = PolicyEngine()
    setting = Setting(
        engine=engine,
        scope=engine.scope(counts_loops=False),
        upstreams=upstreams_for(engine.policy.model_validate({"upstreams": sections}), {}, sections),
        keys=OwnKeys(dict.fromkeys(sections, "sk-test-router")),
        doors=Doors(token=b"the-token"),
        patience=patience,
    )
    server = BackgroundServer(
        configuration(Router(setting)), bound("127.0.0.1", 0), name="router", loop_factory=loop_factory()
    )
    server.api_key, server.base_url = "the-token", f"http://127.0.0.1:{server.port}/v1"
    yield server
    server.stop()
