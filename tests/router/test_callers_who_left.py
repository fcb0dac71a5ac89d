"""Callers who hang up: what their calls cost, and that nothing of them stays."""

import asyncio
import gc
import json
import socket
import struct
import time

import pytest

from iron_adapters.router.protocol import GuardedProtocol
from iron_adapters.testing import slow_start
from iron_policy.cost import price_of

ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}
PATIENCE_SECONDS = 20.0
AT_ONCE = struct.pack("ii", 1, 0)


def called(router, **more):
    """Return a connection over which a call was sent."""
    body = json.dumps({**ASK, **more}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{router.port}\r\nauthorization: Bearer {router.api_key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", router.port))
    connection.sendall(head.encode() + body)
    return connection


def until(holds):
    """Wait until *holds*; return whether it came to that."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()


def calls_kept():
    """Return the tasks of calls that are still in memory, ended or not."""
    gc.collect()
    tasks = [each for each in gc.get_objects() if isinstance(each, asyncio.Task)]
    return [task for task in tasks if "Turn.run" in repr(task.get_coro())]


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_whose_caller_left_costs_what_it_would_and_leaves_nothing_behind(stream, double, routed):
    router = routed(budget=1.0)
    for _ in range(3):
        double.fail_next(slow_start(0.3))
        seen = double.requests.received
        connection = called(router, stream=stream)
        assert until(lambda seen=seen: double.requests.received > seen)
        connection.close()
    assert until(lambda: len(double.bill.lines) == 3 and all(line.finished for line in double.bill.lines))

    billed = sum(price_of(line.model, "openai").cost(line.usage) for line in double.bill.lines)
    assert until(lambda: round(router.total_spent() * 10**9) == billed)
    assert until(lambda: not calls_kept())


def test_a_connection_that_its_caller_resets_after_the_reply_is_forgotten(router):
    connection = called(router)
    assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    connection.close()

    assert until(
        lambda: gc.collect() >= 0 and not any(type(each) is GuardedProtocol for each in gc.get_objects())
    )
