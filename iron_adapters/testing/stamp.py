"""Names and times of one exchange: ids in the providers' forms, paddings, and when it was.

Owns whatever looks random in a reply. Ids come from the request's bytes and its number, so that they never
repeat within one double and need no random source.
"""

from __future__ import annotations

import hashlib
import time

_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Stamp:
    """Ids, paddings and the time of one exchange."""

    def __init__(self, body: bytes, number: int) -> None:
        self._seed = hashlib.sha256(b"%d:%b" % (number, body)).digest()
        self.time = int(time.time())
        self.request_id = f"req_{self.name('request', 32)}"

    def name(self, part: str, length: int) -> str:
        """Return *length* letters and digits that stand for *part* of this exchange, and for nothing else."""
        stream = hashlib.shake_128(self._seed + part.encode()).digest(length)
        return "".join(_LETTERS[byte % len(_LETTERS)] for byte in stream)

    def padding(self, position: int, most: int) -> int:
        """Return how wide the padding of the event at *position* is: 0 to *most* characters."""
        return self._seed[position % len(self._seed)] % (most + 1)
