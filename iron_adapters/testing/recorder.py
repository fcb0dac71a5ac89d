"""What the double received: every request, without its credentials, and no more than the last so many.

Owns the record and its bound. Judges nothing.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import orjson

REDACTED = "<redacted>"
_CREDENTIALS = frozenset({"authorization", "x-api-key", "api-key", "cookie", "proxy-authorization"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRequest:
    """One request as it arrived."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Names in lower case; the values of credentials read ``<redacted>``."""
    body: bytes = field(default=b"", repr=False)

    @property
    def json(self) -> Any:
        """The body as JSON, or ``None`` where it is none."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")


class ReceivedRequests(Sequence[ReceivedRequest]):
    """The requests so far, oldest first. Thread-safe; reading takes a copy."""

    def __init__(self, most: int) -> None:
        self._kept: deque[ReceivedRequest] = deque(maxlen=most)
        self._lock = threading.Lock()
        self.received = 0
        """How many arrived since the last :meth:`clear`, kept or not."""

    def add(self, request: ReceivedRequest) -> None:
        """Keep *request*, less its credentials."""
        headers = {
            name: REDACTED if name in _CREDENTIALS else value for name, value in request.headers.items()
        }
        kept = ReceivedRequest(
            method=request.method, path=request.path, query=request.query, headers=headers, body=request.body
        )
        with self._lock:
            self._kept.append(kept)
            self.received += 1

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._kept.clear()
            self.received = 0

    @property
    def last(self) -> ReceivedRequest:
        """The latest request; ``IndexError`` where none has arrived."""
        return self[-1]

    def _copy(self) -> list[ReceivedRequest]:
        with self._lock:
            return list(self._kept)

    @overload
    def __getitem__(self, place: int) -> ReceivedRequest: ...
    @overload
    def __getitem__(self, place: slice) -> list[ReceivedRequest]: ...
    def __getitem__(self, place: int | slice) -> ReceivedRequest | list[ReceivedRequest]:
        return self._copy()[place]

    def __len__(self) -> int:
        with self._lock:
            return len(self._kept)

    def __iter__(self) -> Iterator[ReceivedRequest]:
        return iter(self._copy())
