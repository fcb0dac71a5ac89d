"""A control plane for tests: the contract's endpoints, statuses and texts on a loopback socket, and faults on demand.

Owns the server's side of the protocol as agents see it: tokens, keys, leases and their books, events. Money is whole
micro-dollars. Knows nothing of the client.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import NamedTuple

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from iron_adapters.testing.connection import HANG_UP
from iron_adapters.testing.server import LoopbackServer

TOKEN = "ic-token-of-agent-1"
KEYS = {"openai": "sk-test-openai-0123456789abcdef", "anthropic": "sk-ant-test-0123456789abcdef"}
LARGEST_REQUEST = 100_000_000
DEFAULT_REQUEST = 10_000_000
PATIENCE_SECONDS = 20


class Fault(NamedTuple):
    """An answer instead of the contract's: as it stands, after *gate* has opened, or none."""

    status: int = 500
    body: bytes = b'{"error": "Database error"}'
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    gate: threading.Event | None = None
    """Wait for it, then answer as the contract says."""
    hangs_up: bool = False


HANGS_UP = Fault(hangs_up=True)


class Received(NamedTuple):
    path: str
    body: dict
    headers: dict[str, str]


@dataclass
class Agent:
    """One agent's row: who it may call, and its money."""

    agent_id: int = 1
    keys: dict[str, str] = field(default_factory=lambda: {"openai": KEYS["openai"]})
    base_url: str | None = None
    disabled: bool = False
    heeds_wishes: bool = True
    """Whether the server knows of keys for several providers; else it hands out the first."""
    allocated: int = 100_000_000
    spent: int = 0

    @property
    def remaining(self) -> int:
        return self.allocated - self.spent


@dataclass
class LeaseRow:
    agent: Agent
    granted: int
    spent: int = 0
    status: str = "active"
    requests: dict[str, int] = field(default_factory=dict)


class Refused(Exception):  # noqa: N818 - what the server does
    def __init__(self, status: int, body: dict) -> None:
        super().__init__(status)
        self.status, self.body = status, body


def refuse(status: int, error: str, code: str | None = None, **more) -> Refused:
    return Refused(status, {"error": error, **({"code": code} if code else {}), **more})


class Plane:
    """A control plane on 127.0.0.1; what it holds may be read and changed at any time."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._server: LoopbackServer | None = None
        self.reset()

    def reset(self) -> None:
        self.agents = {TOKEN: Agent()}
        self.leases: dict[str, LeaseRow] = {}
        self.events: list[dict] = []
        self.received: list[Received] = []
        self.faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._numbers = itertools.count(1)

    def start(self) -> None:
        names = [
            "agents/provider-key",
            "budget/handshake",
            "budget/report",
            "budget/return",
            "analytics/events",
        ]
        routes = [Route(f"/api/v1/{name}", self._answer, methods=["POST"]) for name in names]
        self._server = LoopbackServer(Starlette(routes=routes))

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def agent(self) -> Agent:
        return self.agents[TOKEN]

    def fail(self, path: str, *faults: Fault) -> None:
        """Answer the next requests to *path* (its last part) with *faults*, one each."""
        self.faults[path].extend(faults)

    def seen(self, path: str) -> list[dict]:
        """Return the bodies of the requests to *path*, faults included."""
        return [received.body for received in self.received if received.path.endswith(path)]

    async def until(self, met) -> None:
        """Wait until *met()* is true; it is looked at after each answer."""

        def wait():
            with self._changed:
                return self._changed.wait_for(met, PATIENCE_SECONDS)

        assert await asyncio.to_thread(wait), "the control plane waited in vain for what the test expects"

    async def until_seen(self, path: str, count: int) -> None:
        await self.until(lambda: len(self.seen(path)) >= count)

    async def _answer(self, request) -> Response:
        path = request.url.path.removeprefix("/api/v1/")
        try:
            body = await request.json()
        except ValueError:
            return Response("Failed to parse the request body as JSON", 400)
        name = path.rpartition("/")[2]
        with self._changed:
            self.received.append(Received(path, body, dict(request.headers)))
            fault = self.faults[name].popleft() if self.faults[name] else None
            self._changed.notify_all()
        if fault is not None:
            if fault.hangs_up:
                request.scope["extensions"][HANG_UP]()
                return Response(status_code=500)
            if fault.gate is None:
                return Response(fault.body, fault.status, dict(fault.headers))
            assert await asyncio.to_thread(fault.gate.wait, PATIENCE_SECONDS), "nobody opened the gate"
        with self._changed:
            try:
                status, reply = getattr(self, "_" + name.replace("-", "_"))(body)
            except Refused as refused:
                status, reply = refused.status, refused.body
            self._changed.notify_all()
        return JSONResponse(reply, status)

    def _agent_of(self, body: dict, refused: Refused) -> Agent:
        agent = self.agents.get(body.get("ic_token", ""))
        if agent is None:
            raise refused
        return agent

    def _provider_key(self, body: dict) -> tuple[int, dict]:
        token = body.get("ic_token", "")
        if not token.strip():
            raise refuse(400, "ic_token cannot be empty", "INVALID_TOKEN")
        if len(token) > 2000:
            raise refuse(400, "ic_token too long (max 2000 characters)", "INVALID_TOKEN")
        agent = self._agent_of(body, refuse(401, "Invalid IC Token", "UNAUTHORIZED"))
        if not agent.keys:
            raise refuse(403, "Agent has no provider assigned", "NO_PROVIDER_ASSIGNED")
        if agent.disabled:
            raise refuse(403, "Provider key is disabled", "NO_PROVIDER_ASSIGNED")
        wish = body.get("provider") if agent.heeds_wishes else None
        provider = wish if wish in agent.keys else next(iter(agent.keys))
        reply = {"provider_key": agent.keys[provider], "provider": provider}
        return 200, reply if agent.base_url is None else {**reply, "base_url": agent.base_url}

    def _handshake(self, body: dict) -> tuple[int, dict]:
        wanted, provider = body.get("requested_budget", DEFAULT_REQUEST), body.get("provider", "")
        if not provider.strip():
            raise refuse(400, "provider cannot be empty")
        if wanted <= 0:
            raise refuse(400, "Invalid requested_budget: must be positive")
        if wanted > LARGEST_REQUEST:
            raise refuse(
                400,
                "Invalid requested_budget: exceeds maximum (100000000 microdollars / $100.00 USD)",
            )
        agent = self._agent_of(body, refuse(401, "Invalid IC Token"))
        if provider not in KEYS:
            raise refuse(400, f"Unsupported provider: {provider}")
        if provider not in agent.keys:
            raise refuse(404, "No API keys configured for provider")
        granted = min(wanted, agent.remaining)
        if granted <= 0:
            books = {"total_allocated": agent.allocated, "total_spent": agent.spent}
            raise refuse(403, "Budget limit exceeded", **books, budget_remaining=agent.remaining)
        agent.spent += granted
        lease_id = f"lease_{next(self._numbers)}"
        self.leases[lease_id] = LeaseRow(agent, granted)
        reply = {"ip_token": "AES256:aXY=:Y2lwaGVy:dGFn", "lease_id": lease_id, "budget_granted": granted}
        return 200, {**reply, "budget_remaining": agent.remaining, "expires_at": None}

    def _report(self, body: dict) -> tuple[int, dict]:
        for name, longest in (("lease_id", 100), ("request_id", 100), ("model", 100), ("provider", 50)):
            if not 0 < len(body[name]) <= longest:
                raise refuse(400, f"{name} too long (max {longest} characters)")
        if body["tokens"] <= 0 or body["cost_microdollars"] < 0:
            raise refuse(400, "Invalid tokens: must be positive")
        lease = self._lease(body)
        if lease.status == "revoked":
            raise refuse(403, "Lease has been revoked")
        if lease.status != "active":
            raise refuse(403, "Lease expired")
        if body["request_id"] not in lease.requests:
            if lease.granted - lease.spent < body["cost_microdollars"]:
                raise refuse(403, "Insufficient lease budget")
            lease.requests[body["request_id"]] = body["cost_microdollars"]
            lease.spent += body["cost_microdollars"]
        return 200, {"success": True, "budget_remaining": lease.agent.remaining}

    def _return(self, body: dict) -> tuple[int, dict]:
        lease = self._lease(body)
        if body["spent_microdollars"] < 0:
            raise refuse(400, "Invalid spent_microdollars: cannot be negative")
        if lease.status != "active":
            raise refuse(400, "Lease is not active")
        lease.status = "closed"
        returned = max(0, lease.granted - body["spent_microdollars"])
        lease.agent.spent -= returned
        return 200, {"success": True, "returned": returned}

    def _lease(self, body: dict) -> LeaseRow:
        lease = self.leases.get(body["lease_id"])
        if lease is None:
            raise refuse(404, "Lease not found")
        return lease

    def _events(self, body: dict) -> tuple[int, dict]:
        denied = Refused(401, {"error": "UNAUTHORIZED", "message": "Invalid or expired IC token"})
        self._agent_of(body, denied)
        fault = None
        if body["event_type"] not in {"llm_request_completed", "llm_request_failed"}:
            fault = "event_type must be 'llm_request_completed' or 'llm_request_failed'"
        elif body["provider"] not in {"openai", "anthropic", "unknown"}:
            fault = "provider must be 'openai', 'anthropic', or 'unknown'"
        elif body["event_type"] == "llm_request_completed" and not {"input_tokens", "output_tokens"} <= set(
            body
        ):
            fault = "input_tokens and output_tokens required for completed events"
        if fault:
            raise Refused(400, {"error": "VALIDATION_ERROR", "message": fault})
        event_id = body["event_id"]
        if event_id in [event["event_id"] for event in self.events]:
            return 200, {"event_id": event_id, "status": "duplicate"}
        self.events.append(body)
        return 202, {"event_id": event_id, "status": "accepted"}
