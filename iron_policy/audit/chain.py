"""The bytes of an audit file: events in lines, lines in chains.

Owns the format and nothing else: no files, no clock. A line is one JSON object and ends with a newline::

    {"hash":"<64 hex digits>","attributes":{...},"call_id":"...","chain":"<16 hex digits>","prev":"<64 hex digits>",
     "seq":7,"time":1790000000.25,"type":"call.settled"}

(without the line break). After ``hash`` come all other keys in sorted order, without white space, in UTF-8. ``hash``
is the SHA-256, in hex, of the line's own bytes without its first member: of ``{"attributes":...}``, as it stands.
With a key it is the HMAC-SHA256 of the same bytes. ``prev`` is the hash of the chain's line before, 64 zeros in its
first; ``seq`` counts from 0. So whoever wants to check a file needs no canonical form of JSON, only its bytes.

Each opening of a file starts a chain of its own, whose lines may stand between those of others. Its first line is
``chain.opened`` and names, as ``iron.audit.after``, the last hash that was in the file, which ties the chains to each
other; its last is ``chain.closed``, if its writer came to close it.

What this shows and what it does not: an edit, a removal, an insertion or a swap shows. Lines cut off the end of a chain that was
never closed do not show, from the file alone. Neither does a rewriting of the whole file by somebody who computes
the hashes anew, unless a key is used that they do not have.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from iron_policy.audit.events import AuditEvent

OPENED: Final = "chain.opened"
CLOSED: Final = "chain.closed"
AFTER: Final = "iron.audit.after"
KEYED: Final = "iron.audit.keyed"
DROPPED: Final = "iron.audit.dropped"

FIRST_PREV: Final = "0" * 64

_HEAD: Final = b'{"hash":"'
_HASH_END: Final = len(_HEAD) + 64


class Chain:
    """The writing end of one chain: what its next line must say."""

    __slots__ = ("_key", "id", "prev", "seq")

    def __init__(self, chain_id: str, key: bytes | None = None) -> None:
        self.id = chain_id
        self.seq = 0
        self.prev = FIRST_PREV
        self._key = key

    def line(self, event: AuditEvent) -> tuple[bytes, str]:
        """Return the next line and its hash. It becomes the last line only by :meth:`accept`.

        Raises:
            TypeError: an attribute that JSON cannot hold; never, where ``attributes`` went through :func:`plain`.
        """
        record = {
            "attributes": event.attributes,
            "call_id": event.call_id,
            "chain": self.id,
            "prev": self.prev,
            "seq": self.seq,
            "time": event.time,
            "type": event.type,
        }
        body = orjson.dumps(record, option=orjson.OPT_SORT_KEYS)
        digest = digest_of(body, self._key)
        return b"".join((_HEAD, digest.encode(), b'",', body[1:], b"\n")), digest

    def accept(self, digest: str) -> None:
        """Take it that the line with this hash has been written."""
        self.prev = digest
        self.seq += 1


def digest_of(body: bytes, key: bytes | None) -> str:
    """Return the hash of a line's bytes without its first member."""
    if key is None:
        return hashlib.sha256(body).hexdigest()
    return hmac.digest(key, body, "sha256").hex()


def split(line: bytes) -> tuple[str, bytes] | None:
    """Return the hash that a line states and the bytes that it is of; ``None`` if it is no line of this format."""
    if not line.startswith(_HEAD) or line[_HASH_END : _HASH_END + 2] != b'",':
        return None
    try:
        return line[len(_HEAD) : _HASH_END].decode("ascii"), b"{" + line[_HASH_END + 2 :]
    except UnicodeDecodeError:
        return None


def plain(value: Any) -> Any:
    """Return *value* as something that JSON can hold: by content where that is clear, else as the name of its type."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, str):
        # A lone surrogate has no UTF-8.
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return f"<{type(value).__name__}>"
