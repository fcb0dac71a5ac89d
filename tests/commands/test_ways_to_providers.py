"""What the environment says of the way to providers, authorities and proxies, and what is told where it leads nowhere."""

import json
import socket
import urllib.request
from urllib.error import HTTPError

import pytest

pytest.importorskip("uvicorn", reason="the router needs the extra iron-adapters[router]")
pytest.importorskip("pyreqwest", reason="the router needs the extra iron-adapters[router]")

from iron_adapters import LlmRouter
from iron_adapters.proxies import Proxy

BODY = json.dumps({"model": "m", "messages": []}).encode()


@pytest.mark.parametrize(
    ("not_for", "url", "is_for"),
    [
        ("", "https://api.example/v1", True),
        ("", "http://api.example/v1", False),
        ("api.example", "https://api.example/v1", False),
        ("example", "https://api.example:8443/v1", False),
        (".example", "https://API.example/v1", False),
        ("i.example", "https://api.example/v1", True),
        ("other, *", "https://api.example/v1", False),
        ("127.0.0.0/8", "https://127.0.0.1/v1", False),
        ("10.0.0.7", "https://10.0.0.7/v1", False),
        ("10.0.0.0/8,host", "https://11.0.0.7/v1", True),
        ("::1", "https://[::1]:1/v1", False),
    ],
)
def test_a_proxy_knows_which_calls_go_through_it(not_for, url, is_for):
    assert Proxy("http://proxy:1", not_for).is_for(url) is is_for


@pytest.fixture
def told(monkeypatch):
    """Return a way to call upstreams that are nowhere, through a proxy at which nobody is: what the caller is told."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:hidden@127.0.0.1:{port}")

    def call(url, *, http2=False):
        upstreams = {"away": {"base_url": url, "http2": http2}}
        with LlmRouter(upstreams=upstreams) as router:
            headers = {"content-type": "application/json", "authorization": f"Bearer {router.api_key}"}
            address = f"http://127.0.0.1:{router.port}/away/v1/chat/completions"
            with pytest.raises(HTTPError) as refusal:
                urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                    urllib.request.Request(address, BODY, headers),
                    timeout=60,
                )
        with refusal.value as answer:
            assert answer.code == 502
            return answer.read().decode()

    return call


@pytest.mark.parametrize("http2", [False, True])
def test_a_call_that_came_no_farther_than_the_proxy_names_its_variable_and_not_its_address(http2, told):
    said = told("https://provider.invalid/v1", http2=http2)

    assert "HTTPS_PROXY" in said
    assert "hidden" not in said
    assert "127.0.0.1" not in said


def test_a_call_that_no_proxy_is_for_says_nothing_of_one(told):
    assert "PROXY" not in told("https://127.0.0.1:1/v1")
    assert "PROXY" not in told("http://127.0.0.1:1/v1")


def test_authorities_that_are_not_there_are_an_error_of_the_constructor(monkeypatch, tmp_path):
    path = tmp_path / "none.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(path))

    with pytest.raises(ValueError, match="SSL_CERT_FILE") as refusal:
        LlmRouter(provider_key="sk-any")

    assert str(path) in str(refusal.value)
