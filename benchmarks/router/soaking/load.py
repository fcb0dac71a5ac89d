"""The load: callers that each make one call after the other, and what came of every one."""

from __future__ import annotations

import asyncio
import gzip
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson
from soaking.asks import KINDS, Ask, Caller, foreign, partial
from soaking.connection import BrokenError, Connection, Got, HangUp
from soaking.faults import FAULTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from soaking.provider import Provider
    from soaking.router import Router, Weight

LEAVING = 0.22
"""The share of callers who mean to hang up: with those for whom it was over before, and those of faults, a fifth does."""
FAULTY = 0.05
"""The share of calls whose provider fails; nobody hangs up on most of those."""
_PATIENCE_SECONDS = 120.0
"""Far more than any reply takes, so that a loaded machine makes no errors of its own."""
_MOST_ERRORS = 50
_PHASE_SECONDS = 7.0


@dataclass(slots=True)
class Counts:
    """What became of the calls."""

    made: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    """By kind: how many were left by their callers."""
    ways: Counter[str] = field(default_factory=Counter)
    """By moment and way: how callers left."""
    errors: Counter[str] = field(default_factory=Counter)
    """By kind: how many came back wrong."""
    told: list[str] = field(default_factory=list)
    """The first errors, in words."""
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def calls(self) -> int:
        """How many calls were made."""
        return self.made.total()

    def wrong(self, ask: Ask, what: str) -> None:
        """Note an error."""
        self.errors[ask.kind] += 1
        if len(self.told) < _MOST_ERRORS:
            self.told.append(f"{ask.kind}, call {ask.number}, stream {ask.stream}: {what}")


class Load:
    """Callers who share a router and their counts."""

    def __init__(
        self, router: Router, provider: Provider, *, seed: int = 1, pause_seconds: float = 0.4
    ) -> None:
        self.counts = Counts()
        self.weights: list[Weight] = []
        self._router, self._provider = router, provider
        self._seed, self._pause = seed, pause_seconds
        self._number = 0

    async def run(
        self, seconds: float, *, callers: int, every_seconds: float, tell: Callable[[Weight, Counts], None]
    ) -> None:
        """Let *callers* call for *seconds*, and weigh the router meanwhile."""
        began = time.monotonic()
        until = began + seconds
        async with asyncio.TaskGroup() as group:
            for number in range(callers):
                group.create_task(self._caller(self._seed * 1000 + number, until))
            phase, next_weighing = 0, began + every_seconds
            while (now := time.monotonic()) < until:
                self._provider.turn_to(phase)
                phase += now > began + (phase + 1) * _PHASE_SECONDS
                if now >= next_weighing:
                    self.weights.append(self._router.weigh(now - began, self.counts.calls))
                    tell(self.weights[-1], self.counts)
                    next_weighing += every_seconds
                await asyncio.sleep(0.25)
        self._provider.turn_to(0)

    async def _caller(self, seed: int, until: float) -> None:
        """Make calls until the time is over, over a connection that is kept in most cases."""
        caller, kept = Caller(seed), None
        while time.monotonic() < until:
            ask = self._ask(caller)
            leave = self._leave(ask, caller.choose)
            if kept is not None and (not kept.reusable or caller.choose.random() < 0.2):
                kept.close()
                kept = None
            connection = kept or await Connection.open(self._router.port)
            kept = connection if await self._call(connection, ask, leave, caller.choose) else None
            await asyncio.sleep(caller.choose.uniform(0, 2 * self._pause))
        if kept is not None:
            kept.close()

    def _ask(self, caller: Caller) -> Ask:
        self._number += 1
        kinds = FAULTS if caller.choose.random() < FAULTY else KINDS
        make = caller.choose.choices(list(kinds), list(kinds.values()))[0]
        return make(caller, self._number)

    @staticmethod
    def _leave(ask: Ask, choose: random.Random) -> HangUp | None:
        if ask.leaves is True:  # in a stream that stalls, so after what it brings
            return HangUp("after the first byte", choose.choice(("FIN", "RST")), 0.5, 0)
        leaves = ask.leaves is None and choose.random() < LEAVING
        return HangUp.at_random(choose) if leaves else None

    async def _call(
        self, connection: Connection, ask: Ask, leave: HangUp | None, choose: random.Random
    ) -> bool:
        """Make one call; return whether its connection can serve another."""
        counts = self.counts
        counts.made[ask.kind] += 1
        head, body = _request(ask, choose)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                got = await connection.exchange(head, body, leave)
        except (TimeoutError, BrokenError) as error:
            if leave is None:
                counts.wrong(ask, f"{type(error).__name__}: {error}")
            else:  # it left at a moment when the other side had closed already
                counts.wrong(ask, f"before it could leave {leave.moment}: {error}")
            connection.close()
            return False
        if got.left and leave is not None:
            counts.left[ask.kind] += 1
            counts.ways[f"{leave.moment}, {leave.way}"] += 1
        counts.statuses[got.status] += 1
        problem = self._problem(ask, got)
        if problem is not None:
            counts.wrong(ask, problem)
        if got.left:
            return False
        return "close" not in got.headers.get("connection", "")

    @staticmethod
    def _problem(ask: Ask, got: Got) -> str | None:
        """Return what is wrong with what came back, also with a part of it."""
        if foreign(ask, got, partial(ask, got).text):
            return "another caller's address"
        if not got.left:
            return ask.check(ask, got)
        right = {0, 200, 400, 403, 404} if ask.kind.startswith("caller's") else {0, 200}
        return None if got.status in right else f"status {got.status} before its caller left"


def _request(ask: Ask, choose: random.Random) -> tuple[bytes, bytes]:
    """Return head and body as they are sent: whole or in chunks, compressed or not."""
    body = orjson.dumps(ask.body) if ask.raw is None else ask.raw
    headers = {
        "host": "127.0.0.1",
        "content-type": "application/json",
        "x-iron-agent": f"agent-{ask.number % 12}",
        "x-iron-user": f"user-{ask.number % 200}",
        **ask.headers,
    }
    if ask.path.startswith("/v1/messages"):
        headers |= {"anthropic-version": "2023-06-01", "x-api-key": "any"}
    else:
        headers["authorization"] = "Bearer any"
    if choose.random() < 0.15:
        body, headers["content-encoding"] = gzip.compress(body, 1), "gzip"
    if choose.random() < 0.15:
        cut = len(body) // 3 or 1
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:cut], body[cut:]) if part)
        body, headers["transfer-encoding"] = body + b"0\r\n\r\n", "chunked"
    else:
        headers["content-length"] = str(len(body))
    lines = [f"POST {ask.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n", body
