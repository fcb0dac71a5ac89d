"""What signals and callers who hang up come to, at a router in a process of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket

import pytest
from router_process import RouterProcess

from iron_adapters.testing import slow_start, stalled


@pytest.fixture
def router(double, tmp_path):
    """Return a way to start routers before the double; none is left in the end, and none has complained."""
    started = []
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"upstreams: {{openai: '{double.openai_url}'}}", encoding="utf-8")

    def start(*options):
        # A shell ignores it for what it runs in the background, and so would the router.
        before = signal.signal(signal.SIGQUIT, signal.SIG_DFL)
        try:
            started.append(RouterProcess(*options, "--policy", str(policy), cwd=tmp_path))
        finally:
            signal.signal(signal.SIGQUIT, before)
        return started[-1]

    yield start
    for each in started:
        each.kill()
        assert "Exception" not in each.output


@pytest.mark.parametrize(
    "signals", [[signal.SIGQUIT], [signal.SIGTERM, signal.SIGTERM]], ids=["quit", "twice"]
)
def test_connections_that_nobody_ends_keep_no_router_that_is_told_to_break_off(signals, router, double):
    double.fail_next(stalled(after_events=3))
    started = router("--grace-seconds=100")
    connection, response = started.open(stream=True)
    idle = socket.create_connection(("127.0.0.1", started.port))
    with contextlib.closing(connection), contextlib.closing(idle):
        response.read1(100)
        *first, last = signals
        for number in first:
            started.process.send_signal(number)
            started.await_closing()
        code, said = started.end(last)

    assert (code, said["calls"]) == (0, 1)
    assert said["cost_usd"] > 0


def test_a_caller_who_hangs_up_within_a_call_is_a_499_in_the_log(router, double):
    double.fail_next(slow_start(1.0))
    started = router("--log-json")
    connection = http.client.HTTPConnection("127.0.0.1", started.port)
    body = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]})
    headers = {"content-type": "application/json", "authorization": "Bearer caller-key"}
    connection.request("POST", "/v1/chat/completions", body, headers)
    while not double.requests.received:
        pass
    connection.close()

    assert started.line()["status"] == 499
