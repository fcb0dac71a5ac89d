"""Faults on demand: what can go wrong between a client and a provider, as values.

Owns the kinds of faults and their names. Carries none of them out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

FaultKind: TypeAlias = Literal[
    "status", "drop", "cut", "stall", "error_event", "slow", "malformed", "no_usage"
]
"""What goes wrong. All but ``status`` and ``drop`` need an answer to spoil, so they use up a scripted one."""

UNTIL_THE_CLIENT_LEAVES = 86_400.0
"""Seconds that stand for a stall without an end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault, for one request."""

    kind: FaultKind
    status: int = 500
    """HTTP status of a ``status`` fault, or what an ``error_event`` stands for."""
    message: str | None = None
    """What the error body says; the provider's own words where it is ``None``."""
    code: str | None = None
    """OpenAI's error code."""
    retry_after_seconds: float | None = None
    after_events: int = 0
    """Events of a stream that are sent before it breaks, stalls or fails."""
    seconds: float = 0.0
    """How long a stall or a slow start takes."""


def rate_limited(retry_after_seconds: float | None = 1.0) -> Fault:
    """Answer 429, with ``retry-after`` unless that is ``None``."""
    return Fault(kind="status", status=429, retry_after_seconds=retry_after_seconds)


def out_of_quota() -> Fault:
    """Answer OpenAI's 429 that no retry mends: ``insufficient_quota``."""
    message = "You exceeded your current quota, please check your plan and billing details."
    return Fault(kind="status", status=429, message=message, code="insufficient_quota")


def server_error(status: int = 500) -> Fault:
    """Answer *status*, 500 or any other, with the provider's error body."""
    return Fault(kind="status", status=status)


def overloaded() -> Fault:
    """Answer Anthropic's 529."""
    return Fault(kind="status", status=529)


def dropped() -> Fault:
    """Close the connection before any reply."""
    return Fault(kind="drop")


def cut_off(after_events: int = 2) -> Fault:
    """Close the connection after *after_events* events of a stream, or in the middle of a whole body."""
    return Fault(kind="cut", after_events=after_events)


def stalled(after_events: int = 2, seconds: float = UNTIL_THE_CLIENT_LEAVES) -> Fault:
    """Send nothing for *seconds* after *after_events* events, or before a whole body; then go on."""
    return Fault(kind="stall", after_events=after_events, seconds=seconds)


def error_event(after_events: int = 2, status: int = 529) -> Fault:
    """Fail in the middle of a stream, as the provider does; a whole reply is answered with *status* instead."""
    return Fault(kind="error_event", after_events=after_events, status=status)


def slow_start(seconds: float) -> Fault:
    """Wait *seconds* before the first token, or before a whole body."""
    return Fault(kind="slow", seconds=seconds)


def malformed() -> Fault:
    """Send JSON that ends too early: the whole body, or the first event of a stream that carries tokens."""
    return Fault(kind="malformed")


def without_usage() -> Fault:
    """Answer without any usage; it is billed all the same."""
    return Fault(kind="no_usage")


def fault_of(what: Fault | int) -> Fault:
    """Return *what* as a fault; a number is an HTTP status, and 429 comes with ``retry-after: 1``."""
    if isinstance(what, Fault):
        return what
    return rate_limited() if what == 429 else server_error(what)  # noqa: PLR2004 - the status itself
