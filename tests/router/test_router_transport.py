"""The way to the provider: HTTP/1.1 and HTTP/2 over TLS, whose certificates are trusted, and which proxies see what."""

import asyncio
import gzip
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, closing
from datetime import UTC, datetime, timedelta

import openai
import pytest
from clients import CLAUDE, GPT, anthropic_of, openai_of
from patient import serving
from raw_http import answering, ask, connected, request, said
from tls_provider import NAME, Authority, Proxy, TlsProvider

from iron_adapters.proxies import proxy_in
from iron_adapters.router import LlmRouter
from iron_adapters.router.connections import Connections
from iron_adapters.router.sending import Patience, read_whole
from iron_adapters.router.upstreams import Upstream, Upstreams
from iron_adapters.testing import ProviderDouble, stalled

KEYS = {"openai": "sk-test-router", "anthropic": "sk-ant-test-router"}
ASK = {"model": GPT, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.certificate("localhost", NAME, "0.0.0.0")  # noqa: S104 - a name in a certificate


@pytest.fixture
def speaking(authority, certificate, monkeypatch):
    """Return what starts the provider double behind TLS, whose authority the router is told of."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    running = []

    def start(**details):
        double = ProviderDouble()
        details.setdefault("certificate", certificate)
        running.append(TlsProvider(double.app, **details))
        running[-1].double = double
        return running[-1]

    yield start
    for each in running:
        each.close()


@pytest.fixture
def before(speaking):
    """Return what starts a router before such a provider, over HTTP/2 unless it is told otherwise."""
    running = []

    def start(*, http2=True, **details):
        provider = speaking(**details)
        upstreams = {
            name: {"base_url": provider.url(), "dialect": name, "http2": http2}
            for name in ("openai", "anthropic")
        }
        running.append(LlmRouter(provider_key=KEYS, upstreams=upstreams))
        running[-1].behind = provider
        return running[-1]

    yield start
    for each in running:
        each.stop()


def texts(stream):
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


# -- versions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("http2", "protocols", "version"),
    [
        (False, ("h2", "http/1.1"), "1.1"),
        (True, ("h2", "http/1.1"), "2"),
        (True, ("http/1.1",), "1.1"),
        (True, ("h2",), "2"),
    ],
)
def test_calls_of_all_kinds_go_over_the_version_that_both_sides_speak(http2, protocols, version, before):
    router = before(http2=http2, protocols=protocols)
    with openai_of(router) as gpt, anthropic_of(router) as claude:
        whole = gpt.chat.completions.create(**ASK)
        streamed = texts(gpt.chat.completions.create(**ASK, stream=True))
        translated = texts(gpt.chat.completions.create(**{**ASK, "model": CLAUDE}, stream=True))
        message = claude.messages.create(**{**ASK, "model": CLAUDE})
        names = {model.id for model in gpt.models.list()}

    assert whole.choices[0].message.content == streamed == translated == "You said: Hello"
    assert message.content[0].text == "You said: Hello"
    assert {GPT, CLAUDE} & names
    assert router.behind.versions == {version}


def test_many_calls_at_once_share_one_http2_connection(before):
    router = before()
    with openai_of(router) as client, ThreadPoolExecutor(16) as pool:
        asked = [f"number {n}" for n in range(64)]

        def ask(text):
            asking = {**ASK, "messages": [{"role": "user", "content": text}]}
            return texts(client.chat.completions.create(**asking, stream=True))

        told = list(pool.map(ask, asked))

    assert told == [f"You said: {text}" for text in asked]
    assert (len(router.behind.calls), len(router.behind.connections)) == (64, 1)


def test_calls_above_the_servers_limit_of_streams_wait_and_are_all_answered(before):
    router = before(most_streams=2)
    with openai_of(router) as client, ThreadPoolExecutor(12) as pool:
        client.chat.completions.create(**ASK)  # whoever connects does not know the limit yet
        told = list(pool.map(lambda _: client.chat.completions.create(**ASK).choices, range(24)))

    assert all(told)
    assert router.behind.versions == {"2"}


@pytest.fixture
def impatient(speaking):
    """Return a router that reads on for nobody, before a provider that speaks HTTP/2."""
    provider = speaking()
    section = {"base_url": provider.url(), "http2": True}
    with serving(Patience(read_on_seconds=0.0), openai=section) as server:
        server.behind = provider
        yield server


def test_a_stream_whose_caller_leaves_is_reset_and_its_connection_serves_on(impatient):
    provider = impatient.behind
    provider.double.fail_next(stalled(after_events=2))
    with connected(impatient) as caller:
        caller.sendall(request(impatient, {**ASK, "stream": True}))
        assert caller.recv(1)
    assert provider.someone_left.wait(20)

    with openai_of(impatient) as client:
        assert client.chat.completions.create(**ASK).choices
    assert len(provider.calls) == 2
    assert len(provider.connections) == 1


async def torrent(scope, receive, send):
    """Answer with 10 MB under ``/v1/large`` and with 50 kB elsewhere."""
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(200 if scope["path"] == "/v1/large" else 1):
        await send({"type": "http.response.body", "body": b"x" * 50_000, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def test_streams_that_nobody_reads_hold_up_no_other_on_their_connection(
    authority, certificate, monkeypatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    with closing(TlsProvider(torrent, certificate)) as provider:
        upstream = Upstream(name="u", base_url=provider.url(), dialect="openai", http2=True)
        async with Connections(Patience(), Upstreams([upstream])) as connections, AsyncExitStack() as unread:

            def get(path):
                return connections.to(upstream).request("GET", upstream.url(path, "", ""), [], b"")

            for _ in range(3):
                response = await unread.enter_async_context(get("/large"))
                await response.read()
            for _ in range(20):
                async with asyncio.timeout(20), get("/small") as response:
                    assert len(await read_whole(response, 50_000)) == 50_000
        assert len(provider.connections) == 1


async def beginning_with_nothing(scope, receive, send):
    """Answer in gzip, first with a beginning that stands for no byte yet."""
    await receive()
    body = gzip.compress(b"hello")
    head = [(b"content-encoding", b"gzip"), (b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    for part in (body[:10], body[10:]):
        await send({"type": "http.response.body", "body": part, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b""})


async def test_a_part_that_decodes_to_nothing_yet_is_not_the_end(authority, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    with closing(TlsProvider(beginning_with_nothing, certificate)) as provider:
        upstream = Upstream(name="u", base_url=provider.url(), dialect="openai", http2=True)
        async with Connections(Patience(), Upstreams([upstream])) as connections, asyncio.timeout(20):
            client, url = connections.to(upstream), upstream.url("/x", "", "")
            async with client.request("GET", url, [], b"") as response:
                assert await read_whole(response, 100) == b"hello"


# -- certificates --------------------------------------------------------------------------------------------------


def refused(router):
    with openai_of(router) as client, pytest.raises(openai.APIStatusError) as told:
        client.chat.completions.create(**ASK)
    return told.value


def test_an_authority_that_nobody_named_is_a_502_that_says_what_to_set(before, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    router = before()
    told = refused(router)

    assert (told.status_code, told.code) == (502, "upstream_failed")
    assert "certificate is not trusted" in str(told)
    assert "SSL_CERT_FILE" in str(told)
    assert "localhost" not in str(told)
    assert router.behind.calls == []
    assert router.total_spent() == 0


@pytest.mark.parametrize(
    ("host", "details", "why"),
    [
        ("elsewhere.test", {}, "for another host"),
        ("localhost", {"not_before": LONG_AGO, "not_after": LONG_AGO + timedelta(days=1)}, "has expired"),
    ],
)
def test_a_certificate_that_does_not_hold_is_told_as_what_it_is(host, details, why, before, authority):
    told = refused(before(certificate=authority.certificate(host, **details)))

    assert told.status_code == 502
    assert why in str(told)


def test_plain_http_where_tls_is_spoken_is_a_502(speaking):
    url = speaking().url().replace("https", "http")
    with LlmRouter(provider_key=KEYS, upstreams={"openai": url}) as router:
        assert refused(router).status_code == 502


# -- proxies -------------------------------------------------------------------------------------------------------


@pytest.fixture
def proxy(speaking):
    provider = speaking()
    between = Proxy(provider.port)
    between.behind = provider
    yield between
    between.close()


def test_a_proxy_sees_the_host_of_a_call_over_tls_and_nothing_of_it(proxy, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    with LlmRouter(provider_key=KEYS, upstreams={"openai": proxy.behind.url(NAME)}) as router:
        assert ask(router).text == "You said: Hello"

    assert proxy.told.startswith(f"CONNECT {NAME}:".encode())
    assert KEYS["openai"].encode() not in proxy.told
    assert b"Hello" not in proxy.told


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"])
def test_a_key_on_plain_http_goes_through_no_proxy(variable, canary, double, monkeypatch):
    spy = canary(answering(said()))
    monkeypatch.setenv(variable, f"http://127.0.0.1:{spy.port}")
    here = double.openai_url.replace("127.0.0.1", "0.0.0.0")  # noqa: S104 - this machine, and no loopback address
    with LlmRouter(provider_key=KEYS, upstreams={"openai": here}) as router:
        assert ask(router).text == "You said: Hello"

    assert spy.received == []


def test_calls_to_this_machine_go_through_no_proxy(canary, speaking, monkeypatch):
    spy = canary()
    provider = speaking()
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{spy.port}")
    with (
        LlmRouter(provider_key=KEYS, upstreams={"openai": provider.url()}) as router,
        openai_of(router) as client,
    ):
        assert client.chat.completions.create(**ASK).choices

    assert spy.received == []


def test_hosts_in_no_proxy_are_reached_directly(canary, speaking, monkeypatch):
    spy = canary()
    provider = speaking()
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{spy.port}")
    monkeypatch.setenv("NO_PROXY", "0.0.0.0")  # noqa: S104 - this machine, and no loopback address
    url = provider.url("0.0.0.0")  # noqa: S104 - the same
    with LlmRouter(provider_key=KEYS, upstreams={"openai": url}) as router:
        assert ask(router).text == "You said: Hello"

    assert spy.received == []


@pytest.mark.parametrize("value", ["socks5://u:secret@proxy:1080", "http://u:secret@proxy:99999", "http://"])
def test_a_proxy_that_cannot_be_used_is_an_error_that_names_its_variable(value):
    with pytest.raises(ValueError, match="HTTPS_PROXY") as told:
        proxy_in({"HTTPS_PROXY": value})

    assert "secret" not in str(told.value)


def test_a_proxys_password_stands_in_no_repr():
    assert "secret" not in repr(proxy_in({"https_proxy": "u:secret@proxy:3128"}))


def test_an_environment_without_a_proxy_names_none():
    assert proxy_in({"HTTP_PROXY": "http://proxy:1", "HTTPS_PROXY": " "}) is None
