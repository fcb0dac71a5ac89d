"""How a process ends that has called ``completion`` or ``acompletion``: at once, and never by an abort."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("pyreqwest", reason="needs the extra iron-adapters[completion]")

SETTING = """
import asyncio, contextlib, signal, sys, time
from iron_adapters import acompletion, completion
where = dict(model="openai/gpt-4o-mini", messages=[dict(role="user", content="Hello")], base_url={url!r})
"""
WAKING_SLOWLY = """
wake = asyncio.BaseEventLoop.call_soon_threadsafe
def wake_slowly(self, *arguments, **context):
    wake(self, *arguments, **context)
    time.sleep(0.3)
asyncio.BaseEventLoop.call_soon_threadsafe = wake_slowly
asyncio.run(acompletion(**where))
"""
LEAVING_STREAMS = """
waited = completion(stream=True, **where)
next(waited)
async def leave():
    global awaited
    awaited = await acompletion(stream=True, **where)
    await anext(awaited)
    sys.exit()
asyncio.run(leave())
"""
INTERRUPTED = """
async def ask():
    asyncio.get_running_loop().call_later(0.3, signal.raise_signal, signal.SIGINT)
    await acompletion(**where)
with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(ask())
"""


def ended(program, double):
    """Run *program*; return how it ended, and what it said of that."""
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-W", "error", "-c", SETTING.format(url=double.openai_url) + program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


def test_no_thread_is_met_in_the_interpreter_however_long_it_takes_to_wake_a_loop(double):
    assert ended(WAKING_SLOWLY, double) == (0, "")


@pytest.mark.parametrize(
    ("program", "first_token_seconds"),
    [(LEAVING_STREAMS, 0), (INTERRUPTED, 100)],
    ids=["streams", "interrupted"],
)
def test_what_is_still_under_way_keeps_no_process(program, first_token_seconds, double):
    double.answer_with(lambda asked: "word " * 20)
    double.pace(first_token_seconds=first_token_seconds, token_seconds=100)

    assert ended(program, double) == (0, "")
