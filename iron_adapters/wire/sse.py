"""Server-sent events as bytes: cut at any boundary, read, and written back with only their data replaced.

Owns the event stream format (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream):
lines may end in LF, CRLF or CR, also mixed. Knows nothing of what the data say.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from iron_policy.exceptions import WireError

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_EVENT_BYTES = 64 * 1024 * 1024
"""Events bring images as base64, but none that is larger than this; a stream without any end of an event is none."""

_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"
_LONGEST_END = 4


class Event:
    """One block of lines up to and with its blank line.

    Attributes:
        raw: the bytes as they came.
        data: what its ``data`` lines say; ``None`` where it has none, such as a comment or a lone blank line.
    """

    __slots__ = ("_end", "_start", "data", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._start = self._end = 0
        self.data = self._read()

    def with_data(self, data: bytes) -> bytes:
        """Return the event with *data*, which has no line ends, in place of its own; all else as it came."""
        if self._end:
            return self.raw[: self._start] + data + self.raw[self._end :]
        return self._rebuilt(data)

    @property
    def name(self) -> bytes | None:
        """The ``event`` field; the last one counts."""
        name = None
        for field, value, _, _ in self._fields():
            if field == b"event":
                name = value
        return name

    def _read(self) -> bytes | None:
        raw = self.raw
        start = raw.find(b"data")
        end = raw.find(b"\n", start)
        plain = start >= 0 and end >= 0 and b"\r" not in raw and raw.find(b"\ndata", end) < 0
        if not plain or not raw.startswith(b"data: ", start) or not _is_line_start(raw, start):
            return self._read_slowly()
        self._start, self._end = start + 6, end
        return raw[self._start : end]

    def _read_slowly(self) -> bytes | None:
        lines = [(value, start, end) for field, value, start, end in self._fields() if field == b"data"]
        if len(lines) == 1 and lines[0][2] > lines[0][1]:
            _, self._start, self._end = lines[0]
        return b"\n".join(value for value, _, _ in lines) if lines else None

    def _fields(self) -> list[tuple[bytes, bytes, int, int]]:
        """Return each line's field and value, and where in ``raw`` the value starts and ends."""
        fields = []
        raw = self.raw
        position = len(_BOM) if raw.startswith(_BOM) else 0
        while position < len(raw):
            end = _LINE_END.search(raw, position)
            stop, following = (end.start(), end.end()) if end else (len(raw), len(raw))
            field, colon, value = raw[position:stop].partition(b":")
            start = stop - len(value)
            if value.startswith(b" "):
                start += 1
            if field or colon:
                fields.append((field, raw[start:stop], start, stop))
            position = following
        return fields

    def _rebuilt(self, data: bytes) -> bytes:
        """Write *data* for several ``data`` lines, keeping the other lines and the first line's way to end."""
        end = _LINE_END.search(self.raw)
        line_end = end.group() if end else b"\n"
        lines = [b"data: " + data]
        for field, value, _, _ in self._fields():
            if field != b"data":
                lines.append(field + b": " + value if field else b":" + value)
        return line_end.join([*lines, b"", b""])


def _is_line_start(raw: bytes, position: int) -> bool:
    return position == 0 or raw[position - 1] == ord("\n")


class EventParser:
    """Cut a stream into events, whatever the boundaries of the pieces it arrives in."""

    __slots__ = ("_buffer", "_searched", "_with_cr")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._with_cr = False

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes; return the events that are complete.

        Raises:
            WireError: an event is larger than 64 MiB.
        """
        self._with_cr = self._with_cr or b"\r" in data
        buffer: bytes | bytearray = data
        if self._buffer:
            self._buffer += data
            buffer = self._buffer
        events = []
        start = 0
        for end in self._ends(buffer):
            events.append(Event(bytes(buffer[start:end])))
            start = end
        self._keep(buffer, start)
        return events

    def finish(self) -> Event | None:
        """Return what follows the last blank line, if anything does."""
        rest, self._buffer, self._searched = bytes(self._buffer), bytearray(), 0
        return Event(rest) if rest else None

    def _ends(self, buffer: bytes | bytearray) -> Iterator[int]:
        """Yield where blank lines end in *buffer*."""
        start = self._searched
        if self._with_cr:
            for found in _BLANK_LINE.finditer(bytes(buffer[start:])):
                yield start + found.end()
            return
        while (found_at := buffer.find(b"\n\n", start)) >= 0:
            start = found_at + 2
            yield start

    def _keep(self, buffer: bytes | bytearray, start: int) -> None:
        """Keep what follows *start* for the next piece."""
        if buffer is self._buffer:
            del self._buffer[:start]
        elif start < len(buffer):
            self._buffer = bytearray(buffer[start:])
        if len(self._buffer) > LONGEST_EVENT_BYTES:
            raise WireError("the stream has an event without an end")
        self._searched = max(0, len(self._buffer) - _LONGEST_END)


def write_event(data: bytes, name: str | None = None) -> bytes:
    """Return an event of our own."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + data + b"\n\n"
