"""The router as a process: started from the command line, weighed from outside, ended by a signal."""

from __future__ import annotations

import contextlib
import json
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from served import Served, free_port, served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soaking.provider import Provider

_KEYS = {
    "OPENAI_API_KEY": "sk-soak-00000000000000000000",
    "ANTHROPIC_API_KEY": "sk-ant-soak-0000000000000000",
}
_PRICELESS = 10**13
"""Output tokens that no budget has room for."""
_TOLD = re.compile(r"\$([\d.]+) are spent and \$([\d.]+) held")
_POLICY: dict[str, Any] = {
    "version": 1,
    "access": {"models": {"deny": ["o1*"]}, "tools": {"deny": ["shell_*"]}},
    "safety": {"reveal": {"tools": ["send_email"]}},
    "budgets": [
        {"scope": "global", "limit_usd": 1_000_000},
        {"scope": "agent", "limit_usd": 10_000_000},
        {"scope": "user", "limit_usd": 10_000_000, "window": "day", "alert_at": [0.5]},
    ],
    "spending": {"when_short": ["deny"]},
    "limits": [
        {"scope": "agent", "requests": 100_000_000, "window": "minute"},
        {"scope": "global", "tokens": 100_000_000_000, "window": "minute"},
    ],
    "reliability": {"breaker": {"failures": 1_000_000}},
}
"""Every section at work, and none so tight that it would refuse what the soak does not mean to be refused."""


@dataclass(frozen=True, slots=True)
class Weight:
    """One look at the process."""

    seconds: float
    """Since the load began."""
    resident_mb: float
    descriptors: int
    threads: int
    calls: int
    """Made so far."""


class Router:
    """The running command."""

    def __init__(self, server: Served, folder: Path) -> None:
        self.port = server.port
        self.record = folder / "audit.jsonl"
        self._server = server
        self._process = Path(f"/proc/{server._process.pid}")
        self._output = folder / "output.log"

    def weigh(self, seconds: float, calls: int) -> Weight:
        """Return what it takes now."""
        descriptors, threads = (sum(1 for _ in (self._process / name).iterdir()) for name in ("fd", "task"))
        return Weight(round(seconds, 1), round(self._server.resident_mb(), 2), descriptors, threads, calls)

    def told_by_refusal(self, *, patience_seconds: float = 60.0) -> tuple[str, str]:
        """Ask for what no budget has room for; return what is spent and held, in USD, once nothing is held any more."""
        until = time.monotonic() + patience_seconds
        user = {"role": "user", "content": "Hello"}
        body = {"model": "gpt-4o", "messages": [user], "max_tokens": _PRICELESS}
        while True:
            refusal = httpx.post(f"http://127.0.0.1:{self.port}/v1/chat/completions", json=body, timeout=60)
            found = _TOLD.search(refusal.json()["error"]["message"])
            assert found is not None, refusal.status_code
            if float(found[2]) == 0 or time.monotonic() > until:
                return found[1], found[2]
            time.sleep(0.25)

    def ended(self) -> dict[str, Any]:
        """Return what it said at its end."""
        said = [json.loads(line) for line in self._output.read_text().splitlines() if line.startswith("{")]
        return next(line for line in reversed(said) if line["event"] == "ended")

    def complaints(self) -> list[str]:
        """Return what it has said besides: nothing, where all went well."""
        return [line for line in self._output.read_text().splitlines() if not line.startswith("{")]


@contextlib.contextmanager
def running(provider: Provider, folder: Path, runtime: Path | None = None) -> Iterator[Router]:
    """Run the command in *folder* for as long as the block lasts."""
    double, port = provider.double, free_port()
    upstreams = {
        "openai": double.openai_url,
        "anthropic": {"base_url": double.anthropic_url, "dialect": "anthropic"},
    }
    policy = {**_POLICY, "upstreams": upstreams, "audit": {"path": str(folder / "audit.jsonl")}}
    (folder / "policy.yaml").write_text(json.dumps(policy, indent=1))  # JSON is YAML
    program = str(runtime or Path(sys.executable).parent / "iron-runtime")
    command = [program, "--mode=router", f"--port={port}", "--policy", str(folder / "policy.yaml"), "--json"]
    with served(command, port=port, ready="/health", folder=folder, environment=_KEYS) as server:
        yield Router(server, folder)
