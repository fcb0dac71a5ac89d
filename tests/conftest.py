"""What every test stands on: no network, no real keys, one provider double, cassettes."""

import asyncio
import functools
import gc
import importlib
import os
import pathlib
import signal
from types import SimpleNamespace

import pytest
from loopback_only import loopback_only

from iron_adapters.testing import ProviderDouble

TEST_KEYS = {"OPENAI_API_KEY": "test-key-openai", "ANTHROPIC_API_KEY": "test-key-anthropic"}
_LEAKS = ("IRON_", "IC_", "OPENAI_", "ANTHROPIC_", "LANGCHAIN_", "LANGSMITH_")
_PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}
_REAL_KEYS = {name: os.environ.get(name, "") for name in TEST_KEYS}
_RECORD = "IRON_RECORD"


def _clean_environment():
    """Take out of the environment whatever would send a test elsewhere, or pay for it. Runs before any import."""
    for name in list(os.environ):
        if name.upper() in _PROXIES or (name.startswith(_LEAKS) and name != _RECORD):
            del os.environ[name]
    os.environ.update(TEST_KEYS)


_clean_environment()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Whoever runs the tests in the background has it ignored, and every process below would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption("--record", action="store_true", help="record the cassettes anew")
    parser.addoption("--conformance", metavar="FILE", help="add what the adapters' tests prove to FILE")


def pytest_configure(config):
    if (path := config.getoption("--conformance")) and not hasattr(config, "workerinput"):
        import conformance

        config.pluginmanager.register(conformance.Recorder(pathlib.Path(path)))
    # Rightly said wherever litellm has loaded boto3; the tests that are about it look for it themselves.
    config.addinivalue_line("filterwarnings", r"ignore:calls through .* are not governed:UserWarning")
    # The SDK says this of models that are still served; what a model is called is not what is tested.
    config.addinivalue_line("filterwarnings", r"ignore:The model '.*' is deprecated:DeprecationWarning")


@pytest.hookimpl(wrapper=True)
def pytest_collection(session):
    """Take what stays to the end, modules and thousands of collected tests, out of the garbage collector's sight.

    Otherwise it goes through all of that again and again, and tests that count what is left ask it to.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def _recording(config):
    return config.getoption("--record") or os.environ.get(_RECORD) == "1"


def _real_providers():
    """Return the providers that there is a real key for."""
    return {name.partition("_")[0].lower() for name, key in _REAL_KEYS.items() if key.startswith("sk-")}


@pytest.fixture(scope="session", autouse=True)
def _no_network(request):
    if _recording(request.config) and _real_providers():
        yield
        return
    with loopback_only():
        yield


@pytest.fixture(scope="session", autouse=True)
def _servers_end_at_once():
    """Let uvicorn look a hundred times a second whether it is to end, not ten times: hundreds of servers end here."""
    try:
        from uvicorn import server
    except ImportError:  # nor is there a server without it
        yield
        return
    hurried = SimpleNamespace(**{**vars(asyncio), "sleep": lambda seconds: asyncio.sleep(seconds / 10)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "asyncio", hurried)
        yield


@pytest.fixture(scope="session", autouse=True)
def _shared_tls_contexts():
    """Let clients on httpx share what they trust: reading it anew takes longer than most tests, and few speak TLS."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("httpx", "httpx2"):
            try:
                transport = importlib.import_module(f"{name}._transports.default")
            except ImportError:
                continue
            patch.setattr(transport, "create_ssl_context", _once_for_each_file(transport.create_ssl_context))
        yield


def _once_for_each_file(create):
    @functools.cache
    def created(file, folder, **how):
        return create(**how)

    return lambda **how: created(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"), **how)


@pytest.fixture(scope="session")
def _double_server():
    # Connections are closed after each answer: clients that outlive an event loop must not meet its connections.
    with ProviderDouble(keep_alive=False) as double:
        yield double


@pytest.fixture
def double(_double_server):
    """The provider double, with nothing scripted, received or billed yet."""
    _double_server.reset()
    yield _double_server
    _double_server.reset()


@pytest.fixture
def cassette(request, monkeypatch):
    """The cassette of this test: played back, or recorded with ``--record``. Clients keep the provider's own URL."""
    import recording

    path = recording.path_of(request.node)
    if _recording(request.config):
        real = _real_providers()
        for name, key in _REAL_KEYS.items():
            if name.partition("_")[0].lower() in real:
                monkeypatch.setenv(name, key)
        port = request.getfixturevalue("double").start()
        with recording.recording(path, port, real) as recorded:
            yield recorded
        return
    if not path.is_file():
        pytest.fail(f"{path.parent.name}/{path.name} is not recorded: run with --record")
    with recording.playing(path) as played:
        yield played
    assert played.all_played, f"the test no longer sends every request in {path.name}: record it anew"
