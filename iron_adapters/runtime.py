"""``AgentRuntime``: agents as processes of their own, governed from their first line, with a kill switch.

Usage::

    from iron_adapters import AgentRuntime

    with AgentRuntime(budget=5.0, policy="policy.yaml") as runtime:
        agent_id = runtime.start_agent("agent.py", "--customer", "1042")
        print(runtime.get_metrics(agent_id))
        runtime.stop_agent(agent_id)

Owns the life of the processes. What governs a call in them stands in ``governed_process``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias
from uuid import uuid4

from iron_adapters.run_folder import Report, RunFolder
from iron_adapters.supervision import numbers_of, settings_of, signal_group, start
from iron_policy.cost import to_nanodollars
from iron_policy.exceptions import IronError, PolicyError

if TYPE_CHECKING:
    from iron_adapters.resolve import PolicyLike
    from iron_adapters.run_folder import RunSettings

__all__ = ["AgentRuntime", "Runtime", "UnknownAgentError"]

Status: TypeAlias = Literal["running", "finished", "failed", "stopped"]
_POLL_SECONDS = 0.01
_GRACE_SECONDS = 5.0


class UnknownAgentError(IronError, KeyError):
    """This runtime has started no agent of that id."""

    def __str__(self) -> str:
        return str(self.args[0])


class AgentRuntime:
    """Start, watch and stop agents; each is a Python program in a process group of its own.

    Args:
        budget: the most, in USD, that each agent may spend; ``None`` leaves it to the policy, 0 lets no call pass that
            costs anything. It is each agent's own, not one for all: that needs a store that processes share, which this
            version has not. For the same reason only one process of an agent may spend it, the first that calls a model;
            calls by others (a pool of worker processes) are refused. The policy's own budgets are kept by each process.
        verbose: whether to tell on standard error what starts and what ends.
        policy: as everywhere; an agent keeps to it as it is now, whatever becomes of the file.

    Needs POSIX. Agents end with the runtime: with the ``with`` block, or with this process unless that is killed.

    Raises:
        PolicyError: the policy is none, or the budget no amount.
    """

    def __init__(
        self,
        budget: float | None = None,
        verbose: bool | None = False,
        *,
        policy: PolicyLike = None,
    ) -> None:
        try:
            amount = None if budget is None else str(budget)
            to_nanodollars(amount or 0)
        except ValueError as error:
            raise PolicyError(f"AgentRuntime: budget: {error}") from None
        self._budget = budget
        self._verbose = bool(verbose)
        self._settings = settings_of(policy, budget_usd=amount, leashed=True)
        self._agents: dict[str, _Agent] = {}
        self._finalizer = weakref.finalize(self, _end_all, self._agents)

    @property
    def budget(self) -> float | None:
        """The most, in USD, that each agent may spend."""
        return self._budget

    @property
    def verbose(self) -> bool:
        """Whether it tells on standard error what starts and what ends."""
        return self._verbose

    @property
    def agents(self) -> tuple[str, ...]:
        """The ids of all agents that were started, in order."""
        return tuple(self._agents)

    def start_agent(self, script_path: str | os.PathLike[str], *args: str) -> str:
        """Start ``python script_path args…``, governed, with this Python; return the agent's id.

        In budgets, limits and the record the agent goes by the name of its file.

        Raises:
            FileNotFoundError: there is no such script.
            RuntimeError: the runtime is closed.
        """
        if not self._finalizer.alive:
            raise RuntimeError("start_agent: this runtime is closed; make another")
        path = Path(script_path)
        if not path.is_file():
            raise FileNotFoundError(f"start_agent: there is no script {str(path)!r}")
        agent_id = f"agent_{uuid4()}"
        self._agents[agent_id] = agent = _Agent(self._settings, path, args)
        self._tell(f"{agent_id} started: {path} (process {agent.process.pid})")
        return agent_id

    def stop_agent(self, agent_id: str, *, grace_seconds: float = _GRACE_SECONDS) -> None:
        """End an agent for good: refuse its further calls, ask its processes to end, then kill them.

        From the moment that this is called no call of the agent passes, also of a process that has left its group.
        Stopping what has ended already ends what it may have left running, and changes nothing else.

        Args:
            agent_id: what :meth:`start_agent` returned.
            grace_seconds: how long it has between SIGTERM and SIGKILL.

        Raises:
            UnknownAgentError: there is no such agent.
        """
        agent = self._agent(agent_id)
        agent.stop(grace_seconds)
        self._tell(f"{agent_id} {agent.status()}")

    def wait(self, agent_id: str, timeout_seconds: float | None = None) -> int:
        """Wait until an agent's program ends; return its exit code, negative for the signal that ended it.

        Raises:
            UnknownAgentError: there is no such agent.
            TimeoutError: it has not ended in time.
        """
        code = self._agent(agent_id).wait(timeout_seconds)
        if code is None:
            raise TimeoutError(f"{agent_id} has not ended within {timeout_seconds} s")
        return code

    def get_metrics(self, agent_id: str) -> str:
        """Return what an agent has done so far, as JSON; while it runs, up to its last call that ended.

        ``agent_id``, ``status`` (``running``, ``finished``, ``failed``, ``stopped``), ``budget`` and ``budget_spent`` in
        USD, ``pii_detections``, and besides: ``exit_code``, ``processes``, ``calls``, ``unpriced_calls``,
        ``input_tokens``, ``output_tokens``, ``cost_usd``, ``cost_usd_by_basis``, ``findings`` by kind, ``refusals`` by
        code.

        Raises:
            UnknownAgentError: there is no such agent.
        """
        agent = self._agent(agent_id)
        status = agent.status()  # first: what has ended has reported everything
        numbers = numbers_of(agent.report())
        return json.dumps(
            {
                "agent_id": agent_id,
                "status": status,
                "budget": self._budget,
                "budget_spent": numbers["cost_usd"],
                "exit_code": agent.exit_code(),
                **numbers,
            }
        )

    def close(self) -> None:
        """Stop every agent. Metrics stay readable."""
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _agent(self, agent_id: str) -> _Agent:
        try:
            return self._agents[agent_id]
        except KeyError:
            raise UnknownAgentError(
                f"this runtime has started no agent {agent_id!r}; start_agent returns the id"
            ) from None

    def _tell(self, text: str) -> None:
        if self._verbose:
            sys.stderr.write(f"iron-runtime: {text}\n")


Runtime = AgentRuntime
"""The name that Iron Cage gives it."""


class _Agent:
    """One agent's processes. The first is reaped last, so that the number of its group is not given to others."""

    def __init__(self, settings: RunSettings, script: Path, args: tuple[str, ...]) -> None:
        self._folder = RunFolder.create(replace(settings, agent=script.stem))
        self._lock = threading.Lock()
        self._stopped = False
        self._last: Report | None = None
        try:
            command = [sys.executable, str(script), *args]
            self.process = start(command, self._folder, stdin=subprocess.DEVNULL)
        except BaseException:
            self._folder.remove()
            raise

    def exit_code(self) -> int | None:
        """Return the exit code of the first process, ``None`` while it runs."""
        if self.process.returncode is not None:
            return self.process.returncode
        try:
            ended: Any = os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # somebody else in this process has reaped it
            return self.process.wait()
        if ended is None:
            return None
        return int(ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status)

    def status(self) -> Status:
        """Return how it stands."""
        code = self.exit_code()
        if self._stopped:
            return "stopped"
        if code is None:
            return "running"
        return "finished" if code == 0 else "failed"

    def report(self) -> Report:
        """Return what it has done so far."""
        return self._last or self._folder.total()

    def wait(self, timeout_seconds: float | None) -> int | None:
        """Wait for the end of the first process; return its exit code, ``None`` if it has not ended in time."""
        give_up = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while (code := self.exit_code()) is None:
            if give_up is not None and time.monotonic() >= give_up:
                return None
            time.sleep(_POLL_SECONDS)
        return code

    def ask_to_end(self) -> None:
        """Let no call of it pass any more, and ask its processes to end."""
        with self._lock:
            if self.process.returncode is None:
                self._stopped = self._stopped or self.exit_code() is None
                self._folder.stop()
                signal_group(self.process.pid, signal.SIGTERM)

    def stop(self, grace_seconds: float) -> None:
        """End it, with all its processes."""
        self.ask_to_end()
        self.wait(grace_seconds)
        with self._lock:
            if self.process.returncode is None:
                signal_group(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def close(self) -> None:
        """End it, and keep what it has done."""
        self.stop(_GRACE_SECONDS)
        if self._last is None:
            self._last = self._folder.total()
            self._folder.remove()


def _end_all(agents: dict[str, _Agent]) -> None:
    for agent in agents.values():
        agent.ask_to_end()  # all before any is waited for
    for agent in agents.values():
        agent.close()
