"""One answer, ready to be said in a dialect, and what an endpoint must be able to do with it.

Owns the seam between deciding and saying. Knows no JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from iron_adapters.testing.asked import Asked
    from iron_adapters.testing.choices import Choice
    from iron_adapters.testing.dialects import Dialect
    from iron_adapters.testing.events import Event
    from iron_adapters.testing.stamp import Stamp
    from iron_policy.messages import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is said in reply to one request."""

    asked: Asked
    choices: tuple[Choice, ...]
    usage: Usage
    model: str
    """The dated name."""
    stamp: Stamp
    reports_usage: bool = True
    """False where a fault withholds the usage."""


class ModelEndpoint(Protocol):
    """An endpoint that asks a model."""

    path: str
    dialect: Dialect

    def read(self, body: Mapping[str, Any], body_bytes: int) -> Asked:
        """Return what *body* asks for; raise :class:`Problem` where it is not valid."""
        ...

    def whole(self, answer: Answer) -> dict[str, Any]:
        """Return the body of a reply in one piece."""
        ...

    def events(self, answer: Answer) -> Iterator[Event]:
        """Yield the events of a streamed reply; their tokens sum to the answer's output tokens."""
        ...

    def error_events(self, status: int, message: str, position: int, /) -> Iterator[Event]:
        """Yield what a stream says when it fails after *position* events."""
        ...
