"""``/iron/v1/runs/{id}``: what a run came to, for the process that it runs in, and its end.

Owns these two requests: GET asks, DELETE ends. Both answer with the run's sums.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

import orjson

from iron_adapters.router.problems import NotServed
from iron_adapters.router.reply import Answer
from iron_adapters.router.runs import told

if TYPE_CHECKING:
    from iron_adapters.router.asgi import Scope
    from iron_adapters.router.runs import Runs

RUNS_PATH: Final = b"/iron/v1/runs/"
_MOST_SECONDS: Final = 1.0
"""How long a run's last calls are waited for, which its own process has seen the end of."""
_BETWEEN_LOOKS_SECONDS: Final = 0.002


async def answer_about(runs: Runs | None, asked: Scope) -> Answer:
    """Answer a request about a run.

    ``?ended=3`` says that the run's own process has seen three calls end. One ends here a moment later, when its last
    byte is sent and it is charged.

    Raises:
        NotServed: no such run is kept, or the method is another.
    """
    if asked["method"] not in {"GET", "DELETE"}:
        raise NotServed(
            405,
            "method_not_allowed",
            "runs are asked for with GET, and ended with DELETE",
            allow="GET, DELETE",
        )
    run_id = asked["raw_path"][len(RUNS_PATH) :].decode("ascii", "replace")
    scope = None if runs is None else runs.known(run_id)
    if runs is None or scope is None:
        raise NotServed(404, "unknown_run", "this router keeps no run of that id")
    ended = parse_qs(asked["query_string"].decode("latin-1")).get("ended", ["0"])[0]
    give_up = time.monotonic() + _MOST_SECONDS
    while scope.ended < (int(ended) if ended.isdecimal() else 0) and time.monotonic() < give_up:  # noqa: ASYNC110 - short, and rare
        await asyncio.sleep(_BETWEEN_LOOKS_SECONDS)
    if asked["method"] == "DELETE":
        runs.end(run_id)
    return Answer(200, [(b"content-type", b"application/json")], orjson.dumps(told(scope)))
