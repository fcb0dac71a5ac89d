"""One stream read as a caller reads it: when which token was there."""

from __future__ import annotations

import http.client
import json
import statistics
import time
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from load import LoadError, body
from provider import TOKENS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ENDS = tuple(accumulate(len(token) for token in TOKENS))


@dataclass(frozen=True, slots=True)
class Streamed:
    """When the caller held each token whole, in milliseconds since it asked."""

    arrived_ms: tuple[float, ...]
    first_event_ms: float
    """When anything of the reply's body was there; what is in between may send an event before it releases a text."""

    @property
    def first_ms(self) -> float:
        """Time to the first token."""
        return self.arrived_ms[0]

    @property
    def gaps_ms(self) -> tuple[float, ...]:
        """Time between one token and the next."""
        return tuple(later - earlier for earlier, later in pairwise(self.arrived_ms))


class Reader:
    """A caller with one kept connection."""

    def __init__(self, port: int, path: str, headers: Mapping[str, str], model: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._path, self._headers = path, dict(headers)
        self._content, self._number = body("meeting NUMBER", model=model, stream=True), 0

    def read(self) -> Streamed:
        """Ask once, read to the end; raise :class:`LoadError` where it is not the text that was sent."""
        self._number += 1
        letters = "".join(chr(97 + int(digit)) for digit in f"{self._number:06}").encode()
        content = self._content.replace(b"NUMBER", letters)
        begin = time.perf_counter()
        self._connection.request("POST", self._path, content, self._headers)
        response = self._connection.getresponse()
        pieces = list(_pieces(response))
        if response.status != 200:
            raise LoadError(f"a stream was answered with status {response.status}")
        moments = tuple((moment - begin) * 1e3 for moment in _moments(pieces))
        return Streamed(moments, (pieces[0][0] - begin) * 1e3)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def _pieces(response: http.client.HTTPResponse) -> Iterator[tuple[float, bytes]]:
    while piece := response.read1(65536):
        yield time.perf_counter(), piece


def _moments(pieces: list[tuple[float, bytes]]) -> list[float]:
    """Return the moment at which each token was there whole."""
    said, moments, rest = "", [], b""
    for moment, piece in pieces:
        *events, rest = (rest + piece).replace(b"\r\n", b"\n").split(b"\n\n")
        said += "".join(_text(event) for event in events)
        reached = sum(end <= len(said) for end in _ENDS[len(moments) :])
        moments += [moment] * reached
    if said != "".join(TOKENS):
        raise LoadError(f"a stream held {len(said)} characters, other than the {_ENDS[-1]} that were sent")
    return moments


def _text(event: bytes) -> str:
    data = event.partition(b"data: ")[2]
    if not data or data == b"[DONE]":
        return ""
    return "".join(choice["delta"].get("content") or "" for choice in json.loads(data)["choices"])


def summed_up(streams: list[Streamed]) -> dict[str, float]:
    """Return the figures of the report, in milliseconds."""
    gaps = [gap for stream in streams for gap in stream.gaps_ms]
    return {
        "event_p50": statistics.median(stream.first_event_ms for stream in streams),
        "first_p50": statistics.median(stream.first_ms for stream in streams),
        "gap_mean": statistics.fmean(gaps),
        "gap_p50": statistics.median(gaps),
        "gap_p99": statistics.quantiles(gaps, n=100)[98],
        "last_p50": statistics.median(stream.arrived_ms[-1] for stream in streams),
        "token_mean": statistics.fmean(moment for stream in streams for moment in stream.arrived_ms),
    }
