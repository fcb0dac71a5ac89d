"""The provider of the soak: the double, with one model for each thing that can go wrong, and an eye on what reaches it.

Which models are used for what stands here, because the accounts are kept by model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from iron_adapters.testing import (
    Fault,
    ProviderDouble,
    cut_off,
    dropped,
    error_event,
    malformed,
    overloaded,
    rate_limited,
    server_error,
    slow_start,
    stalled,
    without_usage,
)
from iron_adapters.testing.catalogue import ANTHROPIC_MODELS, OPENAI_MODELS, dated_name
from iron_adapters.testing.speaking import speak

if TYPE_CHECKING:
    from iron_adapters.testing import Asked, Reply

PERSONAL = b"@soak-mail.com"
"""Stands in every address that callers write, and must never reach the provider."""
FOREVER = 1 << 60
LATE: dict[str, Fault] = {
    "gpt-4.1": stalled(after_events=4, seconds=2.0),
    "claude-opus-4-1": slow_start(1.0),
}
"""Models that are slow and then right, so that every one of their calls must be charged as billed."""
FAILING: dict[str, Fault] = {
    "gpt-4.1-nano": rate_limited(),
    "gpt-5-nano": server_error(),
    "claude-opus-4-0": overloaded(),
}
"""Models whose calls are refused by the provider, and cost nothing."""
UNTOLD: dict[str, Fault] = {
    "gpt-4": cut_off(after_events=6),
    "gpt-4-turbo": dropped(),
    "claude-3-7-sonnet-latest": cut_off(after_events=6),
    "claude-3-5-haiku-latest": error_event(after_events=6),
    "o4-mini": without_usage(),
    "gpt-5.1": malformed(),
    "gpt-5.2": stalled(after_events=6, seconds=30.0),
    "claude-opus-4-5": stalled(after_events=6, seconds=30.0),
}
"""Models that bill, or may bill, and do not say how much.

The last two stall until the router, which reads on for some seconds after a caller has left, closes their streams.
"""
PHASES = (
    {"pace": 0.0, "rechunk": None, "compress": None},
    {"pace": 0.015, "rechunk": None, "compress": None},
    {"pace": 0.0, "rechunk": 7, "compress": None},
    {"pace": 0.015, "rechunk": 11, "compress": "best"},
    {"pace": 0.0, "rechunk": None, "compress": "gzip"},
)
"""How the provider behaves, in turn."""


def dated(model: str) -> str:
    """Return the name that *model* answers under."""
    return dated_name(model, OPENAI_MODELS) or dated_name(model, ANTHROPIC_MODELS) or model


class Provider:
    """The double, set up."""

    def __init__(self) -> None:
        self.double = ProviderDouble(keep_requests=20, keep_bill_lines=1_000_000)
        self.leaks = 0
        """Requests in which somebody's address reached the provider."""
        for faults in (LATE, FAILING, UNTOLD):
            for model, fault in faults.items():
                self.double.fail_next(fault, times=FOREVER, model=model)
        self.double.answer_with(self._answer)

    def turn_to(self, phase: int) -> None:
        """Behave as phase number *phase* says."""
        how = PHASES[phase % len(PHASES)]
        self.double.pace(token_seconds=how["pace"])
        self.double.rechunk(how["rechunk"])
        self.double.compress(how["compress"])

    def _answer(self, asked: Asked) -> Reply:
        self.leaks += PERSONAL in orjson.dumps(asked.body)
        return speak(asked)
