"""The load: wrk with a body that is new in every request, and what came of it."""

from __future__ import annotations

import itertools
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from provider import PACED_MODEL

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCRIPT = Path(__file__).parent / "post.lua"
_SYSTEM = (
    "You are the assistant of a planning team. Answer in short sentences, name the figures that you rely on, "
    "and say so where you do not know. Do not repeat the question, and leave out what was settled last week."
)
_QUESTION = (
    "Here are the notes of {}. The quarterly report is due on Friday, and the team has asked for one more look at the "
    "figures before it goes out. Which of the open points should be settled first, and by whom? Keep it to three "
    "sentences."
)


def body(notes_of: str, *, model: str = PACED_MODEL, stream: bool = False) -> bytes:
    """Return a request body of about 0.6 kB; ``NUMBER`` in it stands for six letters that differ."""
    messages = [
        {"role": "system", "content": _SYSTEM},
        {"role": "user", "content": _QUESTION.format(notes_of)},
    ]
    asked = {"model": model, "messages": messages, "temperature": 0.2, "max_tokens": 256}
    return json.dumps({**asked, "stream": True} if stream else asked).encode()


CLEAN = body("meeting NUMBER")
WITH_FINDINGS = body("the meeting, by maria.NUMBER@northwind-traders.com")
"""The same with an e-mail address in it, a new one in every request."""
_begin = itertools.count(0, 3_000_000)


class LoadError(Exception):
    """Some answers were not what was asked for, so that the figures would mean nothing."""


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk counted."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Requests answered a second."""
        return self.requests / self.seconds


def load(
    url: str,
    headers: Mapping[str, str],
    *,
    connections: int,
    seconds: float,
    folder: Path,
    content: bytes = CLEAN,
) -> Load:
    """Send *content* to *url* over *connections* for *seconds*; raise :class:`LoadError` on any other answer than 2xx."""
    (folder / "body.json").write_bytes(content)
    flags = [flag for name, value in headers.items() for flag in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "30s", *flags]
    command += ["-s", str(_SCRIPT), url, "--", str(folder / "body.json"), str(next(_begin))]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    counted = json.loads(said.splitlines()[-1])
    wrong = {name: counted[name] for name in ("not_2xx", "broken", "timeouts") if counted[name]}
    if wrong or not counted["requests"]:
        raise LoadError(
            f"{counted['requests']} answers at {connections} connections, of which wrong: {wrong}"
        )
    return Load(
        counted["requests"], counted["microseconds"] / 1e6, counted["p50"] / 1e3, counted["p99"] / 1e3
    )
