"""``iron-runtime --mode=router``: a process of its own over real sockets, and the provider double behind it."""

import contextlib
import http.client
import json
import logging
import os
import pty
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

pytest.importorskip("typer", reason="the command line needs the extra iron-adapters[cli]")
pytest.importorskip("rich", reason="the command line needs the extra iron-adapters[cli]")
pytest.importorskip("pyreqwest", reason="the router needs the extra iron-adapters[router]")

from router_process import IRON_RUNTIME, KEYS, RouterProcess

from iron_adapters.cli.router_report import Report
from iron_adapters.testing.faults import stalled

EMAIL = "alice.canary@example.com"
OPENAI_KEY = "sk-canary-of-openai-0123456789"
ANTHROPIC_KEY = "sk-ant-canary-of-anthropic-0123456789"
TOKEN = "token-canary-0123456789"
CANARIES = (EMAIL, "alice.canary", OPENAI_KEY, ANTHROPIC_KEY, TOKEN, "caller-key")

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="workers are found by /proc")


@pytest.fixture
def policy(double, tmp_path):
    """Return a way to write a policy down, in which the double is both providers."""

    def write(text=""):
        path = tmp_path / "policy.yaml"
        upstreams = f"upstreams: {{openai: '{double.openai_url}', anthropic: '{double.anthropic_url}'}}"
        path.write_text(f"{upstreams}\n{text}", encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def router(policy, tmp_path):
    """Return a way to start routers; none is left in the end, and none has told a secret."""
    started = []

    def start(*options, text="", **environment):
        started.append(RouterProcess(*options, cwd=tmp_path, IRON_POLICY=policy(text), **environment))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        assert not [canary for canary in CANARIES if canary in each.output]


@pytest.fixture(scope="module")
def logging_router(_double_server, tmp_path_factory):
    """Return a router that tells of each request, for tests that make one and read its line; it tells no secret."""
    folder = tmp_path_factory.mktemp("logging")
    path = folder / "own.yaml"
    path.write_text(f"upstreams: {{my-gpu: {{base_url: '{_double_server.openai_url}'}}}}", encoding="utf-8")
    started = RouterProcess("--log-json", "--policy", str(path), cwd=folder, OPENAI_API_KEY=OPENAI_KEY)
    yield started
    started.kill()
    assert not [canary for canary in CANARIES if canary in started.output]


@pytest.fixture
def refused(policy, tmp_path):
    """Return a way to start a router that cannot be started: what it complains of."""

    def start(*options, text="", **environment):
        kept = {name: value for name, value in os.environ.items() if name not in KEYS}
        done = subprocess.run(  # noqa: S603 - our own command
            [*IRON_RUNTIME, "--mode=router", "--port=0", *options],
            env={**kept, "IRON_POLICY": policy(text), **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2, done.stderr
        assert "the router is not started" in done.stderr
        assert not [canary for canary in CANARIES if canary in done.stderr + done.stdout]
        return done.stderr

    return start


# -- one process ----------------------------------------------------------------------------------------------


def test_the_command_as_it_is_documented_serves_on_8080(policy, double, tmp_path):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", 8080))
        except OSError:
            pytest.skip("another program has port 8080")
    environment = {**os.environ, "IRON_POLICY": policy(), "OPENAI_API_KEY": OPENAI_KEY}
    del environment["ANTHROPIC_API_KEY"]
    command = [*IRON_RUNTIME, "--mode=router", "--port=8080"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        said = []
        for line in process.stderr:
            said.append(line)
            if "ready on http://127.0.0.1:8080" in line:
                break
        with urllib.request.urlopen("http://127.0.0.1:8080/health") as reply:
            assert json.loads(reply.read()) == {"status": "healthy"}
        process.send_signal(signal.SIGINT)
        said.append(process.stderr.read())

    output = "".join(said)
    assert process.returncode == 0
    for shown in (
        "base_url http://127.0.0.1:8080/v1",
        "with the key of OPENAI_API_KEY",
        "ANTHROPIC_API_KEY is not set",
    ):
        assert shown in output
    assert "calls    0" in output
    assert OPENAI_KEY not in output


def test_a_client_that_changes_nothing_but_the_base_url_is_served_and_governed(router, double):
    openai = pytest.importorskip("openai", reason="a client is on the OpenAI SDK")
    started = router()
    with openai.OpenAI(base_url=started.started["openai_base_url"], api_key="caller-key") as client:
        reply = client.chat.completions.create(
            model="gpt-4o-mini", max_tokens=50, messages=[{"role": "user", "content": f"I am {EMAIL}"}]
        )

    assert reply.choices[0].message.content == f"You said: I am {EMAIL}"
    assert EMAIL not in double.requests.last.text
    assert started.ask(key="bad-key")[0] == 401  # so it is the caller's key that the provider was shown
    code, said = started.end()
    assert (code, said["calls"], said["refusals"], said["findings"]) == (0, 2, 0, {"EMAIL": 1})
    assert said["cost_usd"] > 0
    assert said["input_tokens"] > 0


def test_the_routers_own_keys_go_to_their_own_providers(router, double):
    started = router(OPENAI_API_KEY="bad-key\n", ANTHROPIC_API_KEY=ANTHROPIC_KEY)

    assert started.ask(key="caller-key")[0] == 401
    assert started.ask(path="/v1/messages", model="claude-sonnet-4-5", key="bad-key")[0] == 200
    assert [("authorization" in each.headers, "x-api-key" in each.headers) for each in double.requests] == [
        (True, False),
        (False, True),
    ]
    assert [each["key"] for each in started.started["upstreams"]] == ["own", "own"]


def test_an_upstream_of_the_policy_has_its_key_in_the_variable_of_its_name(router, double, tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(
        f"upstreams: {{my-gpu: {{base_url: '{double.openai_url}', models: ['gpt-*']}}}}", encoding="utf-8"
    )
    started = router("--policy", str(path), MY_GPU_API_KEY="bad-key")

    assert started.ask(key="caller-key")[0] == 401
    assert len(double.requests) == 1
    assert started.started["policy"] == str(path)


@pytest.mark.parametrize("how", ["variable", "option", "file"])
def test_where_there_is_a_token_nobody_calls_without_it(how, router, double, tmp_path):
    (tmp_path / "token").write_text(TOKEN + "\n", encoding="utf-8")
    options = {"variable": [], "option": ["--token", TOKEN], "file": ["--token-file", "token"]}[how]
    variables = {"IRON_RUNTIME_TOKEN": TOKEN} if how == "variable" else {}
    started = router(*options, OPENAI_API_KEY=OPENAI_KEY, **variables)

    assert started.ask(key="another")[0] == 401
    assert len(double.requests) == 0
    assert started.ask(key=TOKEN)[0] == 200
    assert double.requests.last.headers["authorization"]
    assert started.started["token_needed"] is True


def test_a_budget_of_the_routers_own_holds_and_the_refusal_is_in_the_summary(router, double):
    started = router("--budget", "0")

    status, reply = started.ask()

    assert "--budget is 0: every call that has a price is refused (402)" in started.output
    assert status == 402 or reply["error"]["code"] == "budget_exceeded"
    assert len(double.requests) == 0
    code, said = started.end()
    assert (code, said["calls"], said["refusals"]) == (0, 0, 1)


def test_a_body_above_the_limit_is_not_read(router, double):
    started = router("--max-body-mb", "1")

    assert started.ask("x" * 1_200_000)[0] == 413
    assert len(double.requests) == 0


def test_each_request_has_a_line_that_tells_no_text_and_no_key(router):
    started = router("--log-json")
    started.ask(f"I am {EMAIL}")

    line = started.line()
    assert (line["path"], line["status"], line["upstream"]) == ("/v1/chat/completions", 200, "openai")


def test_the_line_of_a_refusal_has_the_call_of_its_record(router):
    started = router("--log-json", "--budget", "0")
    status, reply = started.ask(path="/v1/messages", model="claude-sonnet-4-5")

    line = started.line()
    assert (line["status"], line["call_id"]) == (status, reply["request_id"])
    assert line["call_id"]


@pytest.mark.parametrize(
    ("asked", "logged"),
    [
        ("/", "/"),
        ("/health", "/health"),
        ("/v1/health", "/v1/health"),
        ("/v1/models", "/v1/models"),
        ("/my-gpu/v1/models", "/my-gpu/v1/models"),
        ("/v1/models/alice.canary", "/v1/models/*"),
        ("/iron/v1/runs/alice.canary", "/iron/v1/runs/*"),
        ("/v1/v1/chat/completions", "/v1/v1/chat/completions"),
        ("/v1/files/alice.canary/content", "/v1/files/*"),
        ("/alice.canary/v1/models", "/*"),
        ("/v1/models?key=alice.canary", "/v1/models"),
        ("/v1" * 9, "/v1/v1/v1/v1/v1/v1/v1/*"),
    ],
)
def test_the_line_tells_which_path_was_asked_for_and_no_word_that_the_caller_made_up(
    asked, logged, logging_router
):
    connection = http.client.HTTPConnection("127.0.0.1", logging_router.port, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", asked)
        connection.getresponse().read()

    assert logging_router.line()["path"] == logged


def test_a_run_budget_is_shared_by_all_calls_that_name_no_run_and_the_banner_says_so(router):
    started = router(text="budgets: [{scope: run, limit_usd: 0.00005}, {scope: agent, limit_usd: 1}]")

    assert started.started["budgets"] == [
        "run $0.00005 (all calls that name no run, together)",
        "agent $1.00",
    ]
    answers = [started.ask() for _ in range(10)]
    assert (answers[0][0], answers[-1][0]) == (200, 402)


def test_on_a_terminal_it_is_a_table(policy, tmp_path):
    terminal, below = pty.openpty()
    environment = {**os.environ, "IRON_POLICY": policy(), "COLUMNS": "120", "OPENAI_API_KEY": OPENAI_KEY}
    environment.pop("ANTHROPIC_API_KEY")
    command = [*IRON_RUNTIME, "--mode=router", "--port=0"]
    with subprocess.Popen(command, env=environment, stderr=below) as process:  # noqa: S603 - our own command
        os.close(below)
        seen = b""
        while b"ready on" not in seen:
            seen += os.read(terminal, 4096)
        process.terminate()
        with contextlib.suppress(OSError):  # the last of it is closed
            while True:
                seen += os.read(terminal, 4096)
    os.close(terminal)

    assert process.returncode == 0
    assert "│ policy" in seen.decode()
    assert "│ calls" in seen.decode()
    assert "in memory" in seen.decode()


def test_what_loggers_warn_of_is_said_in_json_too_and_without_a_traceback(capsys):
    logger, handler = logging.getLogger("iron.some"), Report(as_json=True).handler()
    logger.addHandler(handler)
    try:
        raise ValueError(EMAIL)
    except ValueError:
        logger.exception("it failed %d times", 2)
    logger.info("not this")
    logger.removeHandler(handler)

    assert json.loads(capsys.readouterr().err) == {
        "event": "log",
        "level": "error",
        "logger": "iron.some",
        "message": "it failed 2 times",
    }


def test_systemd_is_told_when_calls_are_accepted(router, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        router(NOTIFY_SOCKET=str(tmp_path / "notify"))

        assert manager.recv(100) == b"READY=1"


# -- what is refused ------------------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_named_with_the_remedy(refused):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        complaint = refused(f"--port={port}")

    assert f"port {port} of 127.0.0.1 is taken" in complaint
    assert "--port" in complaint


def test_other_machines_are_let_in_with_a_token_only_and_no_short_one(refused):
    assert "IRON_RUNTIME_TOKEN" in refused("--host=0.0.0.0", OPENAI_API_KEY=OPENAI_KEY)
    assert "16 characters" in refused("--host=0.0.0.0", "--token=short", OPENAI_API_KEY=OPENAI_KEY)
    assert "printable ASCII" in refused("--token=two words", OPENAI_API_KEY=OPENAI_KEY)
    assert "give one of them" in refused("--token=x", "--token-file=y", OPENAI_API_KEY=OPENAI_KEY)
    assert "none cannot be read: No such file" in refused("--token-file=none", OPENAI_API_KEY=OPENAI_KEY)


def test_a_file_that_holds_no_text_is_no_token(refused, tmp_path):
    (tmp_path / "token").write_bytes(b"\xff" * 20)

    assert "token is no text in UTF-8" in refused("--token-file=token", OPENAI_API_KEY=OPENAI_KEY)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--mode=router", "--budget=much"], "--budget"),
        (["--mode=router", "--token-file=none"], "--token-file: none cannot be read"),
        (["--mode=routr"], "there is no such mode"),
    ],
)
def test_what_keeps_it_from_starting_is_one_line_of_json_for_machines(options, problem, tmp_path):
    done = subprocess.run(  # noqa: S603 - our own command
        [*IRON_RUNTIME, *options, "--port=0", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    said = json.loads(done.stderr)
    assert (done.stdout, said["event"], said["exit_code"], done.returncode) == ("", "failed", 2, 2)
    assert problem in said["message"]


def test_a_key_in_another_providers_variable_is_named_by_the_variable(refused):
    complaint = refused(OPENAI_API_KEY=ANTHROPIC_KEY)
    assert "OPENAI_API_KEY" in complaint
    assert "put it into ANTHROPIC_API_KEY" in complaint
    assert "ANTHROPIC_API_KEY: by its form, this is no key of 'anthropic'" in refused(
        ANTHROPIC_API_KEY=OPENAI_KEY
    )
    assert "OPENAI_API_KEY: holds white space" in refused(OPENAI_API_KEY=f"{OPENAI_KEY} {OPENAI_KEY}")


def test_one_variable_never_feeds_two_upstreams(refused, tmp_path):
    path = tmp_path / "two.yaml"
    path.write_text(
        "upstreams: {a-b: 'http://127.0.0.1:9/v1', a_b: 'http://127.0.0.1:10/v1'}", encoding="utf-8"
    )

    assert "A_B_API_KEY: both 'a-b' and 'a_b'" in refused("--policy", str(path), A_B_API_KEY=OPENAI_KEY)


def test_a_router_that_could_serve_no_call_does_not_start(refused):
    assert "set OPENAI_API_KEY" in refused("--token", TOKEN)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=on_linux)])
def test_a_router_that_fails_while_it_starts_says_so_and_ends(workers, refused):
    complaint = refused(f"--workers={workers}", IC_TOKEN=TOKEN, IC_SERVER="http://")

    assert (
        "it is no http(s) address" if workers == 1 else "a worker ended before all were ready"
    ) in complaint


def test_a_policy_with_faults_and_a_budget_that_is_none_start_nothing(refused):
    assert "line 2" in refused(text="bugdets: []")
    assert "budget" in refused("--budget=-1")
    assert "budget" in refused("--budget=much")


def test_every_upstream_that_cannot_be_used_is_named_at_once(refused, tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("upstreams: {'a b': 'http://host/v1', v1: 'http://host/v1'}")

    complaint = refused(f"--policy={path}")

    assert "'a b' cannot be a name" in complaint
    assert "'v1' cannot be a name" in complaint


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "cannot be read"), ("", "holds no certificate"), ("no PEM", "holds no certificate")],
)
def test_authorities_that_cannot_be_read_start_nothing(content, why, refused, tmp_path):
    policy, path = tmp_path / "own.yaml", tmp_path / "authorities.pem"
    policy.write_text("version: 1")  # so that calls would go to the providers, over TLS
    if content is not None:
        path.write_text(content)

    complaint = refused(f"--policy={policy}", OPENAI_API_KEY="any", SSL_CERT_FILE=str(path))

    assert f"SSL_CERT_FILE: {str(path)!r} {why}" in complaint


def test_a_router_that_calls_nobody_over_tls_needs_no_authorities(router, double, tmp_path):
    started = router(OPENAI_API_KEY=OPENAI_KEY, SSL_CERT_FILE=str(tmp_path / "none.pem"))

    assert started.ask()[0] == 200


def test_a_proxy_that_cannot_be_used_starts_nothing_and_is_not_told(refused):
    complaint = refused(HTTPS_PROXY="socks5://user:hidden@proxy:1080")

    assert "HTTPS_PROXY" in complaint
    assert "hidden" not in complaint


@pytest.mark.parametrize(
    ("options", "text", "name"),
    [
        (["--budget=1"], "", "--budget"),
        ([], "budgets: [{scope: global, limit_usd: 1}]", "budgets"),
        ([], "limits: [{scope: global, requests: 1}]", "limits"),
    ],
)
def test_what_each_worker_would_count_for_itself_is_refused(options, text, name, refused):
    complaint = refused("--workers=2", *options, text=text)

    assert f"--workers=2: {name} would hold for each worker alone" in complaint
    assert "--workers=1" in complaint


# -- the end --------------------------------------------------------------------------------------------------


def said_in(stream):
    """Return the text of a chat's stream."""
    events = [event for event in stream.decode().split("\n\n") if event and not event.endswith("[DONE]")]
    choices = [choice for event in events for choice in json.loads(event.removeprefix("data: "))["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=on_linux)])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stream_under_way_ends_before_the_router_does(workers, number, router, double):
    double.reply(" ".join(f"word{n}" for n in range(40)))
    double.pace(token_seconds=0.03)
    started = router(f"--workers={workers}")
    connection, response = started.open(stream=True)
    with contextlib.closing(connection):
        begun = response.read1(100)
        started.process.send_signal(number)
        started.await_closing()
        rest = response.read()

    assert b"[DONE]" not in begun
    assert said_in(begun + rest).endswith("word38 word39")
    assert rest.endswith(b"data: [DONE]\n\n")
    code, said = started.end(None)
    assert (code, said["calls"], said["lost_workers"]) == (0, 1, 0)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=on_linux)])
def test_a_second_signal_breaks_off_what_goes_on_and_it_is_charged_all_the_same(workers, router, double):
    double.fail_next(stalled(after_events=3))
    started = router(f"--workers={workers}", "--grace-seconds=100")
    connection, response = started.open(stream=True)
    with contextlib.closing(connection):
        response.read1(100)
        started.process.send_signal(signal.SIGTERM)
        started.await_closing()
        code, said = started.end(signal.SIGTERM)

    assert (code, said["calls"], said["lost_workers"]) == (0, 1, 0)
    assert said["cost_usd"] > 0


def test_calls_that_outlast_the_grace_are_broken_off(router, double):
    double.fail_next(stalled(after_events=3))
    started = router("--grace-seconds=0")
    connection, response = started.open(stream=True)
    with contextlib.closing(connection):
        response.read1(100)
        started.process.send_signal(signal.SIGTERM)

        assert started.process.wait() == 0
