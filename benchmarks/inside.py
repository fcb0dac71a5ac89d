"""What the parts take by themselves: scanning, long conversations, streams, the ledger, imports."""

from __future__ import annotations

import inspect
import pydoc
import re
import statistics
import subprocess
import sys
import time
from pydoc_data import topics
from typing import TYPE_CHECKING

from row import Row
from timing import per_call

from iron_policy import Policy, PolicyEngine
from iron_policy.budget import Account, Ledger
from iron_policy.detect import Scanner
from iron_policy.messages import Channel, ModelRequest, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(r" ?[A-Za-z]{1,7}|\d{1,3}|\s+|[^\sA-Za-z\d]{1,3}")
"""Pieces about as long as the tokens of models."""
_PLANTED = (
    "alice.smith@example.com",
    "4111 1111 1111 1111",
    "GB82 WEST 1234 5698 7654 32",
    "192.168.10.77",
    "ghp_" + "a1B2c3" * 6,
)


def rows() -> Iterator[Row]:
    """Measure every part."""
    yield from _scan_rows()
    yield from _conversation_rows()
    yield from _stream_rows()
    yield from _ledger_rows()
    yield from _import_rows()


def clean_text(size: int) -> str:
    """Return *size* characters with nothing to find: half prose, half code, both this interpreter's own."""
    prose, code = "\n".join(topics.topics.values()), inspect.getsource(pydoc) + inspect.getsource(subprocess)
    halves = [_without_addresses(text)[: size // 2 + 1] for text in (prose, code)]
    return "\n".join(halves)[:size]


def _without_addresses(text: str) -> str:
    return "\n".join(
        line for line in text.splitlines() if "@" not in line and "://" not in line and line.isascii()
    )


def _scan_rows() -> Iterator[Row]:
    scanner = Scanner()
    clean = clean_text(100_000)
    piece = len(clean) // 50
    planted = "".join(
        clean[i * piece : (i + 1) * piece - 40] + f" {_PLANTED[i % len(_PLANTED)]} " for i in range(50)
    )
    accented = clean.replace("the ", "thé ", 200)
    samples = (
        ("clean, 100 KB", clean, 500),
        ("clean, 100 KB, 200 letters not ASCII", accented, 500),
        ("50 hits in 100 KB", planted, 100),
    )
    for what, text, must in samples:
        seconds = per_call(lambda text=text: scanner.scan(text), calls=20)
        found = len(scanner.scan(text))
        rate = len(text.encode()) / seconds / 1e6
        yield Row(
            what=f"scan, {what}", value=rate, unit="MB/s", must=must, at_least=True, note=f"{found} findings"
        )
    yield _hostile_row(scanner)


def _hostile_row(scanner: Scanner) -> Row:
    """Compare 100 KB and 1 MB of what is worst for patterns; linear is 10."""
    worst, which = 0.0, ""
    for unit in ("a", " ", "7", "@", ":", "-", "a@", "1.", "sk-", "eyJ", "1 2 ", "+1"):
        small, large = unit * (100_000 // len(unit)), unit * (1_000_000 // len(unit))
        ratio = per_call(lambda t=large: scanner.scan(t), calls=1, repeats=3) / per_call(
            lambda t=small: scanner.scan(t), calls=1, repeats=5
        )
        if ratio > worst:
            worst, which = ratio, unit
    return Row(
        what="scan, hostile input: 1 MB over 100 KB (linear is 10)",
        value=worst,
        unit="×",
        must=20,
        note=f"worst: {which!r}",
    )


def _conversation_rows() -> Iterator[Row]:
    turns = [f"turn {number}: " + clean_text(1000) for number in range(200)]

    def judge_up_to(length: int) -> float:
        engine = PolicyEngine(Policy(), sinks=[])
        texts: list[Text] = []
        begin = time.perf_counter()
        for turn in turns[:length]:
            texts.append(Text(turn, "user", "messages[].content"))
            request = ModelRequest(provider_name="openai", model="gpt-4o-mini", texts=tuple(texts))
            engine.admit(request).fail("measured", sent=False)
        return time.perf_counter() - begin

    whole = statistics.median(judge_up_to(200) for _ in range(5))
    half = statistics.median(judge_up_to(100) for _ in range(5))
    yield Row(
        what="conversation of 1 KB turns: 200 turns over 100 (linear is 2)",
        value=whole / half,
        unit="×",
        must=3,
        note=f"{whole * 1e3:.1f} ms for 200 turns",
    )


def _stream_rows() -> Iterator[Row]:
    engine = PolicyEngine(Policy.model_validate({"safety": {"output": {"pii": "redact"}}}), sinks=[])
    words = clean_text(20_000).split(" ")
    channel = Channel("choices[0].delta.content")

    def stream() -> None:
        call = engine.admit(ModelRequest(provider_name="openai", model="gpt-4o-mini"))
        for word in words:
            call.push(channel, word + " ")
        call.finish(channel)
        call.fail("measured", sent=False)

    seconds = per_call(stream, calls=1) / len(words)
    yield Row(what="stream, redaction on: added to one piece", value=seconds * 1e3, unit="ms", must=0.1)
    employee = {"kind": "EMPLOYEE_ID", "pattern": r"E-\d{6}", "action": "redact"}
    all_redacted = {"output": {"pii": "redact", "secrets": "redact"}, "custom": [employee]}
    yield _held_row("the default policy (secrets redacted)", {}, must=1)
    yield _held_row("all redacted, mail addresses too, and a custom kind", all_redacted, must=5)


def _held_row(policy: str, safety: dict[str, object], *, must: float) -> Row:
    """Measure how much of prose and code, in pieces of the size of tokens, has come and not gone on."""
    engine = PolicyEngine(Policy.model_validate({"safety": safety}), sinks=[])
    call = engine.admit(ModelRequest(provider_name="openai", model="gpt-4o-mini"))
    channel = Channel("choices[0].delta.content")
    held: list[int] = []
    inside = 0
    for piece in _TOKEN.findall(clean_text(40_000)):
        inside += len(piece) - len(call.push(channel, piece))
        held.append(inside)
    call.finish(channel)
    call.fail("measured", sent=False)
    return Row(
        what=f"stream, {policy}: characters held back on average",
        value=statistics.mean(held),
        unit="characters",
        must=must,
        note=f"{held.count(0) / len(held):.0%} of {len(held)} pieces leave nothing behind",
    )


def _ledger_rows() -> Iterator[Row]:
    ledger = Ledger()
    accounts = (
        Account(scope="run", limit_nanodollars=10**15),
        Account(scope="global", limit_nanodollars=10**15),
    )

    def reserve_and_settle() -> None:
        ledger.reserve(accounts, 1000).settle(900)

    yield Row(
        what="ledger in memory: reserve and settle on two accounts",
        value=per_call(reserve_and_settle, calls=20_000) * 1e6,
        unit="µs",
        must=2,
    )


def _import_rows() -> Iterator[Row]:
    bare = statistics.median(_seconds("pass") for _ in range(7))
    taken = statistics.median(_seconds("import iron_adapters") for _ in range(7))
    yield Row(what="import iron_adapters", value=taken - bare, unit="s", must=0.15)


def _seconds(code: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - begin
