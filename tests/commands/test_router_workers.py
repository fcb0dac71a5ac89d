"""``iron-runtime --mode=router --workers=N``: several processes on one port, what they share, and how they fare."""

import contextlib
import os
import re
import signal
import sys

import pytest

pytest.importorskip("typer", reason="the command line needs the extra iron-adapters[cli]")
pytest.importorskip("rich", reason="the command line needs the extra iron-adapters[cli]")
pytest.importorskip("pyreqwest", reason="the router needs the extra iron-adapters[router]")

from router_process import RouterProcess

from iron_policy.audit import verify

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are found by /proc")

EMAIL = "alice.canary@example.com"


@pytest.fixture
def router(double, tmp_path):
    """Return a way to start a router of two workers that keeps a record; none is left in the end."""
    path = tmp_path / "policy.yaml"
    path.write_text(
        f"upstreams: {{openai: '{double.openai_url}'}}\naudit: {{path: audit.jsonl}}\n", encoding="utf-8"
    )
    started = []

    def start(*options):
        started.append(RouterProcess("--workers=2", "--policy", str(path), *options, cwd=tmp_path))
        return started[-1]

    yield start
    for each in started:
        each.kill()


@pytest.fixture
def only():
    """Return a way to let one worker alone answer, by keeping the others from running."""
    stopped = []

    def let(worker, others):
        for other in others:
            if other != worker:
                os.kill(other, signal.SIGSTOP)
                stopped.append(other)

    def let_all():
        while stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(stopped.pop(), signal.SIGCONT)

    let.all = let_all
    yield let
    let_all()


def each_in_turn(started, only, ask):
    answers = {}
    workers = started.workers()
    for worker in workers:
        only(worker, workers)
        answers[worker] = ask()
        only.all()
    return answers


def ended(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_each_worker_answers_on_the_one_port_and_the_summary_is_of_all(router, only, tmp_path):
    started = router()
    answers = each_in_turn(started, only, lambda: started.ask()[0])

    assert list(answers.values()) == [200, 200]
    code, said = started.end()
    assert (code, said["calls"], said["lost_workers"]) == (0, 2, 0)
    report = verify(tmp_path / "audit.jsonl")
    assert report.ok
    assert [chain.closed for chain in report.chains] == [True, True]


def test_workers_say_the_same_stand_in_for_the_same_value(router, only, double):
    started = router()
    each_in_turn(started, only, lambda: started.ask(f"I am {EMAIL}"))

    said = [re.findall("<EMAIL_[^>]+>", request.text) for request in double.requests]
    assert len(said) == 2
    assert said[0] == said[1] != []


def test_a_worker_that_was_killed_is_replaced_and_meanwhile_the_other_serves(router, only, tmp_path):
    started = router()
    killed, other = started.workers()
    os.kill(killed, signal.SIGKILL)

    assert started.ask()[0] == 200
    told = started.event("worker_ended")
    assert (told["pid"], told["code"], told["restart_seconds"]) == (killed, -signal.SIGKILL, 0.5)
    while len(started.workers()) < 2:
        pass
    (new,) = {*started.workers()} - {other}
    only(new, started.workers())
    assert started.ask()[0] == 200
    only.all()
    code, said = started.end()
    assert (code, said["calls"], said["lost_workers"]) == (0, 2, 1)
    assert verify(tmp_path / "audit.jsonl").ok


def test_no_worker_outlives_the_process_that_started_it(router):
    started = router()
    workers = started.workers()
    started.process.kill()
    started.process.wait()

    while not all(ended(worker) for worker in workers):
        pass
    assert not started.is_open()


def test_a_signal_to_the_whole_group_is_one_signal_to_each_worker(double, router):
    double.reply(" ".join(f"word{n}" for n in range(40)))
    double.pace(token_seconds=0.03)
    started = router()
    connection, response = started.open(stream=True)
    response.read1(100)
    for pid in (*started.workers(), started.process.pid):
        os.kill(pid, signal.SIGTERM)
    rest = response.read()
    connection.close()

    assert rest.endswith(b"data: [DONE]\n\n")
    assert started.end(None)[1]["calls"] == 1


def test_a_worker_that_does_not_end_is_killed_after_its_grace(router, only):
    started = router("--grace-seconds=0")
    first, second = started.workers()
    only(first, [first, second])

    code, said = started.end()
    assert (code, said["lost_workers"]) == (0, 1)
    assert ended(second)
