"""One line of JSON for each request, for whoever runs the router.

Owns what the line says: never a header, a query, a body, a key or a path that is not the router's own, because people
put all sorts of things there.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO

import orjson

if TYPE_CHECKING:
    from starlette.types import Scope

    from iron_adapters.router.reply import Reply


class RequestLog:
    """Writes to *stream*, by default standard error."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream

    def write(self, scope: Scope, reply: Reply, seconds: float, *, known: bool) -> None:
        """Write the line of one request, *seconds* after it began. Status 499 is a caller that hung up (nginx's word)."""
        line = {
            "time": round(time.time(), 3),
            "method": scope["method"],
            "path": scope["raw_path"].decode("ascii", "replace") if known else None,
            "status": reply.status or 499,
            "seconds": round(seconds, 4),
            "upstream": reply.upstream,
            "call_id": reply.call_id,
        }
        try:
            self._stream.write(orjson.dumps(line).decode() + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            return  # a closed terminal must not break a call
