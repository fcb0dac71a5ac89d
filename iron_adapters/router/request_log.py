"""One line of JSON for each request, for whoever runs the router.

Owns what the line says: never a header, a query, a body, a key or a word of a path that a caller made up, because people
put all sorts of things there.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final, TextIO

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable

    from iron_adapters.router.asgi import Scope
    from iron_adapters.router.reply import Reply

_WORDS: Final = frozenset(
    (
        *("v1", "chat", "completions", "responses", "input_tokens", "embeddings", "moderations", "models"),
        *("messages", "count_tokens", "health", "iron", "runs", "anthropic", "openai"),
        *("files", "batches", "uploads", "images", "generations", "edits", "variations", "audio", "speech"),
        *("transcriptions", "translations", "realtime", "fine_tuning", "jobs", "assistants", "threads"),
        *("vector_stores", "conversations", "complete", "engines", "docs", "metrics", "favicon.ico"),
    )
)
"""The words of the router's own paths, and those of the providers' APIs that it does not serve."""
_MOST_PARTS: Final = 8
_ELSE: Final = "*"


class RequestLog:
    """Writes to *stream*, by default standard error.

    Args:
        stream: where lines go.
        upstream_names: words that paths may begin with, besides those of the APIs.
    """

    def __init__(self, stream: TextIO | None = None, *, upstream_names: Iterable[str] = ()) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._words = _WORDS.union(upstream_names, ("",))

    def write(self, scope: Scope, reply: Reply, seconds: float, *, known: bool, left: bool) -> None:
        """Write the line of one request, *seconds* after it began. Status 499 is a caller that hung up (nginx's word).

        Args:
            scope: the request.
            reply: what was answered.
            seconds: how long that took.
            known: whether its path is one of the router's own, to the last word.
            left: whether the caller hung up before the answer was whole.
        """
        path = scope["raw_path"].decode("ascii", "replace")
        line = {
            "time": round(time.time(), 3),
            "method": scope["method"],
            "path": path if known else self._shortened(path),
            "status": 499 if left else reply.status or 499,
            "seconds": round(seconds, 4),
            "upstream": reply.upstream,
            "call_id": reply.call_id,
        }
        try:
            self._stream.write(orjson.dumps(line).decode() + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            return  # a closed terminal must not break a call

    def _shortened(self, path: str) -> str:
        """Return the known words that *path* begins with, and a star for all that follows: an id, a model, a secret."""
        told: list[str] = []
        for part in path.split("/", _MOST_PARTS):
            if part not in self._words:
                return "/".join([*told, _ELSE]) if told else _ELSE
            told.append(part)
        return "/".join(told)
