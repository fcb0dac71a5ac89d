"""Server-sent events as bytes: cut at any boundary, read, and written back with only their data replaced.

Owns the event stream format (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream):
lines may end in LF, CRLF or CR, also mixed. Knows nothing of what the data say.
"""

from __future__ import annotations

import re

from iron_policy.exceptions import WireError

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
        start = raw.find(b"data: ")
        end = raw.find(b"\n", start)
        if start < 0 or end < 0 or b"\r" in raw or b"\ndata" in raw[end:] or not _is_line_start(raw, start):
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

    __slots__ = ("_buffer", "_searched")

    def __init__(self) -> None:
        self._buffer = b""
        self._searched = 0

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes; return the events that are complete.

        Raises:
            WireError: an event is larger than 64 MiB.
        """
        buffer = self._buffer + data if self._buffer else data
        events = []
        start, search_from = 0, self._searched
        while end := _BLANK_LINE.search(buffer, search_from):
            events.append(Event(buffer[start : end.end()]))
            start = search_from = end.end()
        self._buffer = buffer[start:]
        if len(self._buffer) > LONGEST_EVENT_BYTES:
            raise WireError("the stream has an event without an end")
        self._searched = max(0, len(self._buffer) - _LONGEST_END)
        return events

    def finish(self) -> Event | None:
        """Return what follows the last blank line, if anything does."""
        rest, self._buffer, self._searched = self._buffer, b"", 0
        return Event(rest) if rest else None


def write_event(data: bytes, name: str | None = None) -> bytes:
    """Return an event of our own."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + data + b"\n\n"
