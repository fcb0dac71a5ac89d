"""Who is measured, and with which settings: each is started the way its makers say, and told where the provider is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from provider import PACED_MODEL, UNPACED_MODEL, nginx_head

ROOT = Path(__file__).parents[2]
KEY = "sk-bench-0000000000000000000000000000"
CHAT = "/v1/chat/completions"


class Contender(Protocol):
    """A program between the caller and the provider."""

    name: str
    settings: str
    """What was set, in words for the report."""
    ready: str
    """The path that answers 200 once it serves."""
    environment: dict[str, str]

    def missing(self) -> str | None:
        """Return what has to be installed first, if anything."""

    def version(self) -> str:
        """Return which version is measured."""

    def command(self, folder: Path, port: int, provider_port: int, *, streams: bool) -> list[str]:
        """Write what it needs into *folder*; return how to start it."""

    def headers(self, provider_port: int) -> dict[str, str]:
        """Return what a caller sends besides the body."""


class _Plain:
    environment: dict[str, str] = {}  # noqa: RUF012 - never changed

    def headers(self, provider_port: int) -> dict[str, str]:
        del provider_port
        return {"content-type": "application/json", "authorization": f"Bearer {KEY}"}


@dataclass
class Iron(_Plain):
    """Ours, with every section of the policy at work.

    Attributes:
        runtime: the command that is measured.
        output_pii: what the policy does with personal data in replies; ``flag`` is its default.
    """

    runtime: Path = Path(sys.executable).parent / "iron-runtime"
    output_pii: str = "redact"
    name = "iron-runtime"
    ready = "/health"
    settings = (
        "everything on: access (models, tools, parameters), safety (PII tokenized, secrets redacted, injection flagged, a "
        "custom kind; replies scanned too), two budgets, rates for requests and tokens, loops, breaker, a hash-chained "
        "record on disk (the policy stands in `contenders.py`); budgets, rates and loops are too large to refuse anything"
    )
    environment = {"OPENAI_API_KEY": KEY}  # noqa: RUF012 - never changed

    def missing(self) -> str | None:
        return (
            None if self.runtime.exists() else f"{self.runtime} is missing: `make bench-router` installs it"
        )

    def version(self) -> str:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty"],  # noqa: S607 - whichever git there is
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return described.stdout.strip() or "unknown"

    def command(self, folder: Path, port: int, provider_port: int, *, streams: bool) -> list[str]:
        del streams
        policy = {**_POLICY, "upstreams": {"openai": f"http://127.0.0.1:{provider_port}/v1"}}
        policy["safety"] = {**_SAFETY, "output": {**_OUTPUT, "pii": self.output_pii}}
        policy["audit"] = {"path": str(folder / "audit.jsonl")}
        (folder / "policy.yaml").write_text(json.dumps(policy, indent=1))  # JSON is YAML
        return [str(self.runtime), "--mode=router", f"--port={port}", "--policy", str(folder / "policy.yaml")]


_OUTPUT = {"secrets": "redact", "injection": "flag"}
_SAFETY: dict[str, object] = {
    "input": {"pii": "tokenize", "secrets": "redact", "injection": "flag"},
    "custom": [{"kind": "EMPLOYEE_ID", "pattern": r"E-\d{6}", "action": "redact"}],
    "reveal": {"tools": ["send_email"]},
}
_POLICY: dict[str, object] = {
    "version": 1,
    "access": {
        "models": {"allow": ["gpt-*"], "deny": ["*-preview"]},
        "tools": {"deny": ["shell_*"]},
        "parameters": {"max_tokens": 4096, "choice_count": 4, "deny": ["logit_bias"]},
    },
    "budgets": [
        {"scope": "run", "limit_usd": 1_000_000},
        {"scope": "global", "limit_usd": 1_000_000, "window": "month", "alert_at": [0.5, 0.9]},
    ],
    "limits": [
        {"scope": "global", "requests": 100_000_000, "window": "minute"},
        {"scope": "global", "tokens": 100_000_000_000, "window": "minute"},
    ],
    "loops": {"model_calls": 1_000_000_000, "tool_calls": 100, "identical_tool_calls": 5},
    "reliability": {"breaker": {"failures": 5}},
}


class LiteLLM(_Plain):
    """LiteLLM's proxy, one worker."""

    name = "LiteLLM proxy"
    ready = "/health/readiness"
    settings = (
        "nothing on: one worker on uvicorn, no database, no callbacks, no master key, so that it checks none (which has to "
        "be permitted by name: `dangerously_permit_weak_or_unset_master_key`); `LITELLM_LOG=ERROR` and "
        "`LITELLM_MODE=PRODUCTION` as its guide for production says; prices from its package, not from the network"
    )
    environment = {  # noqa: RUF012 - never changed
        "LITELLM_LOG": "ERROR",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    _bin = ROOT / ".venv-bench-litellm" / "bin"

    def missing(self) -> str | None:
        return (
            None
            if (self._bin / "litellm").exists()
            else f"{self._bin} is missing: `make bench-router` makes it"
        )

    def version(self) -> str:
        ask = "import importlib.metadata as m; print(m.version('litellm'))"
        return _said([str(self._bin / "python"), "-c", ask])

    def command(self, folder: Path, port: int, provider_port: int, *, streams: bool) -> list[str]:
        del streams
        base = f"http://127.0.0.1:{provider_port}/v1"
        models = [
            {
                "model_name": model,
                "litellm_params": {"model": f"openai/{model}", "api_base": base, "api_key": KEY},
            }
            for model in (PACED_MODEL, UNPACED_MODEL)
        ]
        general = {"dangerously_permit_weak_or_unset_master_key": True}
        written = json.dumps({"model_list": models, "general_settings": general})
        (folder / "config.yaml").write_text(written)  # JSON is YAML
        flags = ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        return [str(self._bin / "litellm"), "--config", str(folder / "config.yaml"), *flags]


class Portkey(_Plain):
    """Portkey's gateway on Node."""

    name = "Portkey gateway"
    ready = "/"
    settings = (
        "nothing on: `--headless`, `NODE_ENV=production`, no guardrails, no cache, no retries asked for; "
        "`@hono/node-server` held at 1.14.1, because every stream fails with newer ones (Portkey-AI/gateway#1389)"
    )
    environment = {"NODE_ENV": "production"}  # noqa: RUF012 - never changed
    _package = ROOT / ".bench-node" / "node_modules" / "@portkey-ai" / "gateway"

    def missing(self) -> str | None:
        if shutil.which("node") is None:
            return "node is missing: install Node.js 20 or newer"
        return (
            None
            if self._package.exists()
            else f"{self._package} is missing: `make bench-router` installs it (with npm)"
        )

    def version(self) -> str:
        version = json.loads((self._package / "package.json").read_text())["version"]
        return f"{version} on Node {_said(['node', '--version'])}"

    def command(self, folder: Path, port: int, provider_port: int, *, streams: bool) -> list[str]:
        del folder, provider_port, streams
        return ["node", str(self._package / "build" / "start-server.js"), f"--port={port}", "--headless"]

    def headers(self, provider_port: int) -> dict[str, str]:
        base = f"http://127.0.0.1:{provider_port}/v1"
        return {
            **super().headers(provider_port),
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": base,
        }


class Nginx(_Plain):
    """nginx with proxy_pass, one worker: what forwarding bytes costs, and nothing else."""

    name = "nginx proxy_pass"
    ready = "/health"
    settings = (
        "one worker, kept connections to the provider, no access log; for streams, `proxy_buffering off`"
    )

    def missing(self) -> str | None:
        return None if shutil.which("nginx") else "nginx is missing: `apt-get install nginx-light`"

    def version(self) -> str:
        return _said(["nginx", "-v"]).rpartition("/")[2]

    def command(self, folder: Path, port: int, provider_port: int, *, streams: bool) -> list[str]:
        configuration = folder / "nginx.conf"
        configuration.write_text(f"""
{nginx_head(str(folder))}
    upstream provider {{ server 127.0.0.1:{provider_port}; keepalive 256; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /health {{ return 200; }}
        location / {{
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            {"proxy_buffering off;" if streams else ""}
        }}
    }}
}}
""")
        return ["nginx", "-c", str(configuration), "-p", str(folder)]


def _said(command: list[str]) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    return (ran.stdout or ran.stderr).strip()
