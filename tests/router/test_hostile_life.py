"""A router's end, again and again: under way, from several threads, half-way through its beginning, in a fork."""

import asyncio
import gc
import os
import pathlib
import socket
import subprocess
import sys
import threading
import warnings
import weakref

import pytest
from raw_http import ASK, DONE, ask, connected, delta, read_all, request, streaming

from iron_adapters.router import LlmRouter, llm_router
from iron_policy import PolicyError

PROC = pathlib.Path("/proc/self/fd")
STREAM = {**ASK, "stream": True}


@pytest.fixture(scope="module", autouse=True)
def _earlier_tests_are_forgotten():
    """Take what earlier tests have left out of the collector's sight: each test here asks it to go through everything."""
    gc.collect()
    gc.freeze()


def files():
    return len(list(PROC.iterdir()))


needs_proc = pytest.mark.skipif(not PROC.is_dir(), reason="counts open files by /proc")


@needs_proc
def test_many_routers_leave_nothing_behind(canary):
    behind = canary()

    def one():
        with LlmRouter(provider_key="sk-x", upstreams={"openai": behind.url}) as router:
            assert ask(router).status == 200

    one()
    gc.collect()
    threads, opened = threading.active_count(), files()
    for _ in range(10):
        one()
        ports = [LlmRouter(provider_key="sk-x", upstreams={"openai": behind.url}) for _ in range(3)]
        for router in ports:
            router.stop()
    gc.collect()

    assert files() <= opened + 2
    assert threading.active_count() <= threads + 30  # the canary's own, one for each call


FAILING = {
    "no key": ({}, ValueError),
    "budget": ({"provider_key": "sk-x", "budget": -1}, ValueError),
    "policy": ({"provider_key": "sk-x", "policy": {"odd": 1}}, PolicyError),
    "no file": ({"provider_key": "sk-x", "policy": "/nowhere.yaml"}, (PolicyError, OSError)),
    "upstream": ({"provider_key": "sk-x", "upstreams": {"x": "nonsense"}}, (PolicyError, ValueError)),
    "metadata": ({"provider_key": "sk-x", "upstreams": {"openai": "http://169.254.169.254/v1"}}, PolicyError),
    "port": ({"provider_key": "sk-x", "port": 99_999}, OverflowError),
    "host": ({"provider_key": "sk-x", "host": "203.0.113.1"}, OSError),
}


@needs_proc
@pytest.mark.parametrize("why", FAILING)
def test_a_router_that_cannot_begin_leaves_nothing_behind(why):
    settings, error = FAILING[why]
    gc.collect()
    threads, opened = set(threading.enumerate()), files()
    for _ in range(5):
        with pytest.raises(error):
            LlmRouter(**settings)
    gc.collect()

    assert files() <= opened
    assert {each for each in set(threading.enumerate()) - threads if "llm-router" in each.name} == set()


@needs_proc
def test_an_application_that_refuses_to_begin_leaves_nothing_behind(monkeypatch, canary):
    def refuse(*_args, **_more):
        raise RuntimeError("no")

    monkeypatch.setattr("iron_adapters.router.app.Calls", refuse)
    behind = canary()
    gc.collect()
    opened, running = files(), set(threading.enumerate())
    with pytest.raises(RuntimeError, match="could not start"):
        LlmRouter(provider_key="sk-x", upstreams={"openai": behind.url})
    gc.collect()

    assert files() <= opened
    assert {each for each in threading.enumerate() if "llm-router" in each.name} <= running


def test_a_port_is_free_as_soon_as_its_router_has_ended(canary):
    behind = canary()
    settings = {"provider_key": "sk-x", "upstreams": {"openai": behind.url}}
    with LlmRouter(**settings) as router:
        port = router.port
        ask(router)
    for _ in range(5):
        with LlmRouter(**settings, port=port) as router:
            assert ask(router).status == 200


def test_a_port_has_one_router(canary):
    behind = canary()
    settings = {"provider_key": "sk-x", "upstreams": {"openai": behind.url}}
    with LlmRouter(**settings) as router, pytest.raises(OSError, match="ddress"):
        LlmRouter(**settings, port=router.port)


def test_many_ends_at_once_are_one(before):
    router = before()
    threads = [threading.Thread(target=router.stop) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert not any(thread.is_alive() for thread in threads)
    assert not router.is_running


def test_an_end_lets_streams_finish_and_takes_no_more_calls(before):
    begun, go_on = threading.Event(), threading.Event()

    def answer(_request):
        yield streaming(delta("Hi "))
        begun.set()
        go_on.wait(20)
        yield delta("there", "stop") + DONE

    router = before(answer, budget=1)
    address = ("127.0.0.1", router.port)
    with connected(router) as connection:
        connection.sendall(request(router, STREAM))
        assert begun.wait(10)
        ending = threading.Thread(target=router.stop)
        ending.start()
        while True:
            try:
                socket.create_connection(address, timeout=1).close()
            except OSError:
                break
        go_on.set()
        received = read_all(connection)
        ending.join(10)

    assert b"there" in received
    assert received.endswith(b"0\r\n\r\n")
    assert router.total_spent() > 0
    assert router._scope.account.held_nanodollars == 0


def test_an_end_that_is_not_waited_for_breaks_calls_off_and_charges_them(before, monkeypatch):
    impatient = llm_router.configuration
    monkeypatch.setattr(llm_router, "configuration", lambda app: impatient(app, grace_seconds=1))
    begun, never = threading.Event(), threading.Event()

    def answer(_request):
        yield streaming(delta("Hi "))
        begun.set()
        never.wait(10)

    router = before(answer, budget=1)
    with connected(router) as connection:
        connection.sendall(request(router, STREAM))
        assert begun.wait(10)
        router.stop()
        received = read_all(connection)
    never.set()

    assert not received.endswith(b"0\r\n\r\n")
    assert router.total_spent() > 0
    assert router._scope.account.held_nanodollars == 0


async def test_a_router_lives_within_a_running_loop(canary):
    behind = canary()
    with LlmRouter(provider_key="sk-x", upstreams={"openai": behind.url}) as router:
        answers = await asyncio.gather(*(asyncio.to_thread(ask, router) for _ in range(8)))

    assert [answer.status for answer in answers] == [200] * 8


def test_a_router_lives_in_any_thread(canary):
    behind, statuses = canary(), []

    def run():
        with LlmRouter(provider_key="sk-x", upstreams={"openai": behind.url}) as router:
            statuses.append(ask(router).status)

    threads = [threading.Thread(target=run) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [200] * 5


def test_a_stopped_router_is_forgotten(canary):
    behind = canary()
    router = LlmRouter(provider_key="sk-x", upstreams={"openai": behind.url})
    ask(router)
    router.stop()
    gone = weakref.ref(router)
    del router
    gc.collect()

    assert gone() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_does_not_end_its_parents_router(before):
    """Its copy of the router has no thread; the port and the calls stay the parent's."""
    router = before()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # of a fork beside threads, which is what is tested
        child = os.fork()
    if child == 0:
        os._exit(1 if router.is_running else 0)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert ask(router).status == 200


def test_a_router_that_is_never_stopped_keeps_no_process_alive():
    code = (
        "from iron_adapters.router import LlmRouter\n"
        "router = LlmRouter(provider_key='sk-x')\n"
        "print(router.is_running, flush=True)\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603 - this very interpreter

    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_memory_does_not_grow_with_calls_that_fail(before):
    router = before()
    tries = [
        {"body": b"{", "headers": ["x-iron-agent: a"]},
        {"key": "wrong"},
        {"host": "evil.test"},
        {"path": "/nowhere"},
    ]
    for details in tries * 5:
        ask(router, **details)
    gc.collect()
    objects = len(gc.get_objects())
    for details in tries * 50:
        ask(router, **details)
    gc.collect()

    assert len(gc.get_objects()) < objects + 500
