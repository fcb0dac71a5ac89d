"""``AgentRuntime``: real processes, governed, watched and stopped."""

import json
import os
import signal
import sys

import pytest

from iron_adapters import AgentRuntime, Runtime
from iron_adapters.runtime import UnknownAgentError
from iron_policy import PolicyError

pytest.importorskip("httpx", reason="the agents speak HTTP")

EMAIL = "alice@example.com"
AGENT = """
import os, signal, sys
try: import httpx2 as http
except ImportError: import httpx as http
url, fifo = sys.argv[1:3]
def tell(text):
    with open(fifo, "w") as out: out.write(text)
def say(text):
    body = {"model": "gpt-4o-mini", "max_tokens": 100, "messages": [{"role": "user", "content": text}]}
    reply = http.post(url + "/chat/completions", headers={"authorization": "Bearer x"}, json=body)
    return reply.json()["choices"][0]["message"]["content"]
"""


@pytest.fixture
def policy(double):
    return {"upstreams": {"openai": double.openai_url}}


@pytest.fixture
def start(double, tmp_path):
    """Return a way to start an agent, and the pipe through which it tells."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    def start(runtime, code):
        path = tmp_path / "agent.py"
        path.write_text(AGENT + code, encoding="utf-8")
        return runtime.start_agent(path, double.openai_url, str(fifo)), fifo

    return start


def metrics(runtime, agent_id):
    return json.loads(runtime.get_metrics(agent_id))


def test_an_agents_metrics_are_live_while_it_runs_and_stay_when_it_is_over(start, policy, double):
    with AgentRuntime(budget=1.0, policy=policy) as runtime:
        agent_id, fifo = start(runtime, f"tell(say('I am {EMAIL}'))\nsignal.pause()\n")
        assert fifo.read_text() == f"You said: I am {EMAIL}"
        live = metrics(runtime, agent_id)

    assert EMAIL not in double.requests.last.text
    assert (live["agent_id"], live["status"], live["pii_detections"], live["calls"]) == (
        agent_id,
        "running",
        1,
        1,
    )
    assert (
        0
        < live["budget_spent"]
        == live["cost_usd_by_basis"]["reported"]
        < live["budget"]
        == runtime.budget
        == 1.0
    )
    assert metrics(runtime, agent_id) == {**live, "status": "stopped", "exit_code": -signal.SIGTERM}


def test_stopping_ends_every_process_of_an_agent_also_those_that_will_not(start, policy):
    stubborn = """
import subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN)
below = "import signal; print('ready', flush=True); signal.pause()"
subprocess.run([sys.executable, "-c", below], stdout=open(fifo, "w"))
"""
    with AgentRuntime(policy=policy) as runtime:
        agent_id, fifo = start(runtime, stubborn)
        with fifo.open() as held_by_the_one_below:
            assert held_by_the_one_below.readline() == "ready\n"
            runtime.stop_agent(agent_id, grace_seconds=0.05)

            assert held_by_the_one_below.read() == ""
        assert metrics(runtime, agent_id)["status"] == "stopped"
        assert runtime.wait(agent_id) == -signal.SIGKILL
        runtime.stop_agent(agent_id)


def test_from_the_stop_on_no_call_passes_also_of_a_process_that_has_left_the_group(
    start, policy, double, tmp_path
):
    escaping = """
say("before")
if os.fork() == 0:
    os.setsid()
    tell("ready")
    open(fifo).read()
    try: tell(say("after"))
    except Exception as error: tell(type(error).__name__)
    os._exit(0)
signal.pause()
"""
    with AgentRuntime(policy={**policy, "mode": "monitor"}) as runtime:
        agent_id, fifo = start(runtime, escaping)
        assert fifo.read_text() == "ready"
        runtime.stop_agent(agent_id)
        fifo.write_text("go on")
        assert fifo.read_text() == "RunStopped"

        assert metrics(runtime, agent_id)["refusals"] == {"run_stopped": 1}
    assert [request.json["messages"][0]["content"] for request in double.requests] == ["before"]


def test_an_agent_spends_at_most_its_budget_and_its_workers_nothing(start, policy, double):
    code = """
import multiprocessing
def ask(number):
    try: return say("Tell me a story.")
    except Exception as error: return type(error).__name__
mine = [ask(number) for number in range(30)]
with multiprocessing.get_context("fork").Pool(2) as pool: theirs = pool.map(ask, range(2))
tell(f"{mine[0]} {mine[-1]} {sorted(set(theirs))}")
"""
    with AgentRuntime(budget=0.0001, policy=policy) as runtime:
        agent_id, fifo = start(runtime, code)
        assert fifo.read_text() == "You said: Tell me a story. BudgetExceeded ['BudgetExceeded']"
        assert runtime.wait(agent_id) == 0

        spent = metrics(runtime, agent_id)
        assert spent["status"] == "finished"
        assert 0 < spent["budget_spent"] <= 0.0001
        assert spent["calls"] == len(double.requests)


def test_a_budget_of_nothing_lets_nothing_pass_and_an_agent_that_fails_says_so(start, policy, double):
    with Runtime(0.0, policy=policy) as runtime:
        agent_id, _ = start(runtime, "say('Hello')")

        assert runtime.wait(agent_id, timeout_seconds=60) == 1
        assert (metrics(runtime, agent_id)["status"], metrics(runtime, agent_id)["budget_spent"]) == (
            "failed",
            0,
        )
    assert len(double.requests) == 0


def test_waiting_has_an_end_and_a_verbose_runtime_tells_what_it_does(start, policy, capsys):
    with AgentRuntime(verbose=True, policy=policy) as runtime:
        agent_id, _ = start(runtime, "signal.pause()")
        with pytest.raises(TimeoutError, match=agent_id):
            runtime.wait(agent_id, timeout_seconds=0)
        runtime.stop_agent(agent_id)

    told = capsys.readouterr().err
    assert f"{agent_id} started" in told
    assert f"{agent_id} stopped" in told
    assert (runtime.verbose, runtime.agents) == (True, (agent_id,))


def test_what_cannot_be_is_refused_by_name(tmp_path):
    with pytest.raises(PolicyError, match="budget"):
        AgentRuntime(budget=-1)
    with pytest.raises(PolicyError, match="did you mean 'access'"):
        AgentRuntime(policy={"acces": {}})
    with AgentRuntime() as runtime:
        assert (runtime.budget, runtime.verbose) == (None, False)
        for ask in (runtime.get_metrics, runtime.stop_agent, runtime.wait):
            with pytest.raises(KeyError, match="has started no agent 'agent_x'; start_agent returns the id"):
                ask("agent_x")
        with pytest.raises(UnknownAgentError):
            runtime.get_metrics("")
        with pytest.raises(FileNotFoundError, match=r"no script '.*nothing\.py'"):
            runtime.start_agent(tmp_path / "nothing.py")
    with pytest.raises(RuntimeError, match="closed"):
        runtime.start_agent(__file__)


def test_the_names_are_those_of_iron_cage():
    import iron_cage

    assert iron_cage.Runtime is iron_cage.AgentRuntime is AgentRuntime
    assert sys.modules["iron_adapters"].Runtime is Runtime
