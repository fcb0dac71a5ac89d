"""Check an audit file against the hashes in it.

Owns the reading of chains and the words for what is wrong with them. Streams: a file of any size takes the memory
of its number of chains. What a check can and cannot show stands in ``chain``.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import orjson

from iron_policy.audit.chain import AFTER, CLOSED, FIRST_PREV, KEYED, OPENED, digest_of, split

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

FaultKind: TypeAlias = Literal["changed", "removed", "inserted", "reordered", "torn", "key"]

_LONGEST_LINE: Final = 16 << 20
"""Bytes; a longer line is none of ours, and must not fill the memory."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it was written."""

    line_number: int
    """The line where it shows, from 1."""
    kind: FaultKind
    """``key``: not wrong, but written with a key that was not given."""
    detail: str

    def __str__(self) -> str:
        return f"line {self.line_number}: {self.kind}: {self.detail}"


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What one opening of the file left in it."""

    chain: str
    lines: int
    first_line_number: int
    closed: bool
    """Whether its writer came to close it; lines cut off the end of one that is not closed do not show."""
    fault: Fault | None
    """The first one."""

    @property
    def ok(self) -> bool:
        """Whether every line is as it was written."""
        return self.fault is None

    def __str__(self) -> str:
        end = "closed" if self.closed else "not closed (still being written, or its writer was killed)"
        verdict = "intact" if self.fault is None else str(self.fault)
        return f"chain {self.chain}: {self.lines} lines from line {self.first_line_number}, {end}: {verdict}"


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What a check of one file found."""

    path: str
    lines: int
    chains: tuple[ChainReport, ...]
    """In the order in which they begin."""
    faults: tuple[Fault, ...]
    """Lines that belong to no chain: the first hundred."""

    @property
    def ok(self) -> bool:
        """Whether every line is as it was written."""
        return not self.faults and all(chain.ok for chain in self.chains)

    def __str__(self) -> str:
        verdict = "intact" if self.ok else "NOT INTACT"
        head = f"{self.path}: {verdict}: {self.lines} lines in {len(self.chains)} chains"
        return "\n".join(
            [head, *(f"  {chain}" for chain in self.chains), *(f"  {fault}" for fault in self.faults)]
        )


def verify(path: str | os.PathLike[str], *, key: bytes | None = None) -> VerifyReport:
    """Check every line of an audit file, as far as it is written now.

    Args:
        path: the file.
        key: the key that it was written with; chains without a key then count as changed.

    Raises:
        OSError: the file cannot be read.
    """
    path = Path(path)
    size = path.stat().st_size
    reading = _Reading(key, _hashes_that_chains_follow(path, size))
    for number, line in _lines(path, size):
        reading.take(number, line)
    return VerifyReport(
        path=str(path),
        lines=reading.lines,
        chains=tuple(follower.report() for follower in reading.followers.values()),
        faults=tuple(reading.faults),
    )


class _Reading:
    """What is known after the lines so far."""

    def __init__(self, key: bytes | None, wanted: set[str]) -> None:
        self.lines = 0
        self.followers: dict[str, _Follower] = {}
        self.faults: list[Fault] = []
        self._key = key
        self._wanted = wanted
        self._seen: set[str] = set()

    def take(self, number: int, line: bytes) -> None:
        self.lines += 1
        parts = split(line.removesuffix(b"\n"))
        record = _record(parts[1]) if parts is not None else None
        if parts is None or record is None or not line.endswith(b"\n"):
            self._stray(number, line)
            return
        digest, body = parts
        follower = self.followers.setdefault(record["chain"], _Follower(record["chain"], number))
        intact = hmac.compare_digest(digest, digest_of(body, self._key))
        if record["type"] == OPENED:
            follower.keyed = record["attributes"].get(KEYED) is True and self._key is None
            after = record["attributes"].get(AFTER)
            if isinstance(after, str) and after in self._wanted and after not in self._seen:
                follower.note(
                    number, "removed", "the line that was the file's last when this chain began is missing"
                )
        if digest in self._wanted:
            self._seen.add(digest)
        follower.take(number, record, digest, intact=intact)

    def _stray(self, number: int, line: bytes) -> None:
        if len(self.faults) == 100:  # noqa: PLR2004 - enough to see what happened
            return
        if not line.startswith(b'{"hash":"'):
            self.faults.append(Fault(number, "inserted", "the line is no audit line"))
        elif line.endswith(b"}\n"):
            self.faults.append(Fault(number, "changed", "the line no longer says what chain it belongs to"))
        else:
            self.faults.append(Fault(number, "torn", "the line is not whole: its event is lost"))


class _Follower:
    """Follows one chain line by line."""

    def __init__(self, chain: str, number: int) -> None:
        self.keyed = False
        self._chain = chain
        self._first_line_number = number
        self._lines = 0
        self._seq = 0
        self._prev = FIRST_PREV
        self._suspects = 0
        self._gap = range(0)
        self._closed = False
        self._fault: Fault | None = None

    def report(self) -> ChainReport:
        return ChainReport(self._chain, self._lines, self._first_line_number, self._closed, self._fault)

    def note(self, number: int, kind: FaultKind, detail: str) -> None:
        """Keep a fault, if it is the chain's first."""
        if self._fault is None:
            self._fault = Fault(number, kind, detail)

    def take(self, number: int, record: dict[str, Any], digest: str, *, intact: bool) -> None:
        """Judge the chain's next line."""
        self._lines += 1
        if self.keyed:
            self.note(number, "key", "written with a key; verify it with that key")
        elif not intact:
            self._suspects += 1
            self.note(
                number, "changed", "its bytes are not those that its hash was made of (or the key is another)"
            )
        elif self._belongs(number, record["seq"], record["prev"]):
            self._seq, self._prev, self._suspects = record["seq"] + 1, digest, 0
        self._closed = self._closed or record["type"] == CLOSED

    def _belongs(self, number: int, seq: int, prev: str) -> bool:
        """Note what is wrong with the place of an intact line; return whether the chain goes on from it."""
        if self._closed:
            self.note(number, "inserted", "it stands behind the end of its chain")
        elif seq < self._seq:
            self._out_of_turn(number, seq)
            return False
        elif seq > self._seq + self._suspects:
            if self._fault is None:
                self._gap = range(self._seq, seq)
            self.note(
                number,
                "removed",
                f"{seq - self._seq - self._suspects} lines of its chain before it are missing",
            )
        elif self._suspects and seq == self._seq:
            self._reword("inserted", "it has no place in its chain")
        elif not self._suspects and prev != self._prev:
            self.note(
                number, "changed", "it does not follow from the line before it, which must have been replaced"
            )
        return True

    def _out_of_turn(self, number: int, seq: int) -> None:
        if seq in self._gap:
            self._reword("reordered", f"place {seq} of its chain comes after it, on line {number}")
        else:
            self.note(number, "inserted", f"place {seq} of its chain is taken already")

    def _reword(self, kind: FaultKind, detail: str) -> None:
        """Say better what the first fault was, now that a later line shows it."""
        if self._fault is not None and self._fault.kind in {"changed", "removed"}:
            self._fault = Fault(self._fault.line_number, kind, detail)


def _record(body: bytes) -> dict[str, Any] | None:
    """Return a line as what it says, ``None`` unless everything that a check needs is there."""
    try:
        record = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    shape = {"attributes": dict, "chain": str, "prev": str, "seq": int, "type": str}
    if isinstance(record, dict) and all(isinstance(record.get(name), kind) for name, kind in shape.items()):
        return record
    return None


def _hashes_that_chains_follow(path: Path, size: int) -> set[str]:
    """Return the hashes that first lines of chains name as the file's last; one per chain at most."""
    hashes: set[str] = set()
    for _, line in _lines(path, size):
        if (
            OPENED.encode() in line
            and (parts := split(line.removesuffix(b"\n")))
            and (record := _record(parts[1]))
        ):
            after = record["attributes"].get(AFTER)
            if record["type"] == OPENED and isinstance(after, str):
                hashes.add(after)
    return hashes


def _lines(path: Path, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of the first *size* bytes, less empty ones; of a line too long to be ours, its beginning."""
    number = 0
    with path.open("rb") as file:
        while file.tell() < size and (line := file.readline(min(_LONGEST_LINE, size - file.tell()))):
            number += 1
            whole = line
            while not whole.endswith(b"\n") and file.tell() < size:
                whole = file.readline(min(_LONGEST_LINE, size - file.tell()))
            if line != b"\n":
                yield number, line
