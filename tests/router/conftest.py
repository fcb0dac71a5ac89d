"""A router in front of the provider double."""

import pytest
from raw_http import Canary, answering, said

from iron_adapters.router import LlmRouter

ANSWER = answering(said())
KEYS = {"openai": "sk-test-router", "anthropic": "sk-ant-test-router"}


@pytest.fixture
def routed(double):
    """Return a router with keys of both providers; what it is given goes to its constructor. All are stopped at the end."""
    running = []

    def start(api_key=None, **settings):
        settings.setdefault("provider_key", KEYS)
        upstreams = {"openai": double.openai_url, "anthropic": double.anthropic_url}
        settings["upstreams"] = {**upstreams, **settings.get("upstreams", {})}
        running.append(LlmRouter(api_key, **settings))
        return running[-1]

    yield start
    for router in running:
        router.stop()


@pytest.fixture
def router(routed):
    return routed()


@pytest.fixture(scope="session")
def addresses(_double_server):
    return {"openai": _double_server.openai_url, "anthropic": _double_server.anthropic_url}


@pytest.fixture(scope="session")
def standing_router(addresses):
    """Return a router under the default policy that many tests share."""
    with LlmRouter(provider_key=KEYS, upstreams=addresses) as running:
        yield running


@pytest.fixture(scope="session")
def clear_router(addresses):
    """Return a router that looks for nothing, so that streams come in the provider's own pieces."""
    nothing = {"pii": "allow", "secrets": "allow", "injection": "allow"}
    policy = {"safety": {"input": nothing, "output": nothing}, "audit": {"path": "/dev/null"}}
    with LlmRouter(provider_key=KEYS, upstreams=addresses, policy=policy) as running:
        yield running


@pytest.fixture
def canary():
    """Return what starts a provider of raw bytes; see :class:`raw_http.Canary`. All are closed at the end."""
    running = []

    def start(answer=ANSWER):
        running.append(Canary(answer))
        return running[-1]

    yield start
    for each in running:
        each.close()


@pytest.fixture
def before(canary):
    """Return what starts a router before both providers at one canary, which it has as ``.canary``."""
    running = []

    def start(answer=ANSWER, **settings):
        behind = answer if isinstance(answer, Canary) else canary(answer)
        settings.setdefault("provider_key", KEYS)
        settings.setdefault("upstreams", {"openai": behind.url, "anthropic": behind.url})
        running.append(LlmRouter(**settings))
        running[-1].canary = behind
        return running[-1]

    yield start
    for router in running:
        router.stop()
