"""The audit file: what is written, by whom, and what happens when it cannot be."""

from __future__ import annotations

import errno
import hashlib
import hmac
import json
import logging
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from types import MappingProxyType

import pytest

from iron_policy.audit import AuditEvent, JsonlSink, verify
from iron_policy.exceptions import PolicyError


def event(number: int = 0, **attributes) -> AuditEvent:
    return AuditEvent("call.settled", 1_790_000_000.25 + number, f"call-{number}", attributes)


def written(path) -> list[dict]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def run(program: str, path: Path) -> subprocess.Popen:
    arguments = [sys.executable, "-W", "error", "-c", program, str(path)]
    return subprocess.Popen(arguments, stderr=subprocess.DEVNULL)  # noqa: S603 - our own interpreter


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit.jsonl"


def test_a_line_is_json_with_the_hash_of_its_own_bytes(path):
    sink = JsonlSink(path)
    sink.write(event(1, **{"iron.cost_nanodollars": 377_700, "gen_ai.request.model": "gpt-4o-mini"}))
    sink.close()

    lines = path.read_bytes().splitlines()
    assert [record["type"] for record in written(path)] == ["chain.opened", "call.settled", "chain.closed"]
    assert [record["seq"] for record in written(path)] == [0, 1, 2]
    prev = "0" * 64
    for line in lines:
        record = json.loads(line)
        assert record["prev"] == prev
        prev = record["hash"]
        # As the format's description says it: strike out the first member, hash what is left.
        rest = line.replace(b'"hash":"%b",' % prev.encode(), b"", 1)
        assert hashlib.sha256(rest).hexdigest() == prev
    assert lines[1].startswith(b'{"hash":"')
    assert written(path)[1]["attributes"] == {
        "iron.cost_nanodollars": 377_700,
        "gen_ai.request.model": "gpt-4o-mini",
    }


def test_with_a_key_the_hash_is_an_hmac(path):
    sink = JsonlSink(path, key=b"secret")
    sink.write(event())
    sink.close()
    line = path.read_bytes().splitlines()[1]
    digest = json.loads(line)["hash"]
    rest = line.replace(b'"hash":"%b",' % digest.encode(), b"", 1)
    assert hmac.new(b"secret", rest, "sha256").hexdigest() == digest


def test_the_file_is_its_owners_alone(path):
    JsonlSink(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_sink_that_writes_nothing_leaves_no_lines(path):
    JsonlSink(path).close()
    assert path.read_bytes() == b""


def test_a_missing_directory_is_told_when_the_policy_is_loaded(tmp_path):
    with pytest.raises(
        PolicyError, match=r"no-such-dir/audit\.jsonl.*No such file or directory.*create its directory"
    ):
        JsonlSink(tmp_path / "no-such-dir" / "audit.jsonl")


def test_a_directory_is_no_audit_file(tmp_path):
    with pytest.raises(PolicyError, match="Is a directory"):
        JsonlSink(tmp_path)


def test_each_opening_starts_a_chain_that_names_the_last_line_before_it(path):
    for number in range(3):
        sink = JsonlSink(path)
        sink.write(event(number))
        sink.close()
    records = written(path)
    opened = [record for record in records if record["type"] == "chain.opened"]
    closed = [record for record in records if record["type"] == "chain.closed"]
    assert [record["attributes"]["iron.audit.after"] for record in opened] == [
        None,
        *(c["hash"] for c in closed[:2]),
    ]
    assert len({record["chain"] for record in records}) == 3
    assert verify(path).ok


def test_threads_share_one_chain(path):
    sink = JsonlSink(path)
    threads = [
        threading.Thread(
            target=lambda start: [sink.write(event(start + n)) for n in range(100)], args=(100 * t,)
        )
        for t in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sink.close()
    report = verify(path)
    assert report.ok
    assert (len(report.chains), report.lines) == (1, 802)


def test_processes_that_append_to_one_file_keep_chains_of_their_own(path):
    program = """
import sys
from iron_policy.audit import AuditEvent, JsonlSink
sink = JsonlSink(sys.argv[1])
for number in range(300):
    sink.write(AuditEvent("call.settled", float(number), "c", {"filler": "x" * (number % 500)}))
sink.close()
"""
    processes = [run(program, path) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0, 0, 0, 0]
    report = verify(path)
    assert report.ok, str(report)
    assert [chain.lines for chain in report.chains] == [302] * 4
    assert all(chain.closed for chain in report.chains)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_starts_a_chain_of_its_own(path):
    sink = JsonlSink(path)
    sink.write(event(1))
    child = os.fork()
    if child == 0:
        sink.write(event(2))
        sink.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    sink.write(event(3))
    sink.close()
    report = verify(path)
    assert report.ok, str(report)
    assert [chain.lines for chain in report.chains] == [4, 3]
    parent, forked = (record for record in written(path) if record["type"] == "chain.opened")
    assert forked["attributes"]["process.pid"] == child != parent["attributes"]["process.pid"]


def test_a_process_that_ends_without_closing_closes_its_chain(path):
    program = """
import sys, threading
from iron_policy.audit import AuditEvent, JsonlSink
def serve(sink, ready):
    sink.write(AuditEvent("call.settled", 1.0, "c"))
    ready.set()
    threading.Event().wait()
ready = threading.Event()
threading.Thread(target=serve, args=(JsonlSink(sys.argv[1]), ready), daemon=True).start()
ready.wait()
"""
    assert run(program, path).wait(60) == 0
    assert written(path)[-1]["type"] == "chain.closed"


def test_a_sink_that_is_dropped_closes_its_chain(path):
    sink = JsonlSink(path)
    sink.write(event())
    del sink
    assert written(path)[-1]["type"] == "chain.closed"


def test_what_json_cannot_hold_is_written_as_what_can_be_said_of_it(path):
    sink = JsonlSink(path)
    sink.write(
        event(
            1,
            frozen=MappingProxyType({"a": 1}),
            kinds={"EMAIL"},
            huge=2**70,
            lone="\ud800",
            other=object(),
            keys={1: "one"},
        )
    )
    sink.close()
    attributes = written(path)[1]["attributes"]
    assert attributes == {
        "frozen": {"a": 1},
        "kinds": ["EMAIL"],
        "huge": str(2**70),
        "lone": "?",
        "other": "<object>",
        "keys": {"1": "one"},
    }
    assert verify(path).ok
    assert sink.dropped == 0


def test_an_attribute_that_contains_itself_is_dropped_and_breaks_nothing(path, caplog):
    endless = {}
    endless["self"] = endless
    sink = JsonlSink(path)
    sink.write(event(1, endless=endless))
    sink.write(event(2))
    sink.close()
    assert sink.dropped == 1
    assert verify(path).ok


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_breaks_no_call_and_is_told_once(caplog):
    sink = JsonlSink("/dev/full")
    with caplog.at_level(logging.WARNING, "iron.audit"):
        for number in range(50):
            sink.write(event(number))
    sink.close()
    assert sink.dropped == 50
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "'/dev/full'" in caplog.text
    assert os.strerror(errno.ENOSPC) in caplog.text


def test_a_line_cut_short_by_a_limit_spoils_no_other(path):
    """With a limit on file size the system writes a part of a line, as it does when a disk fills up."""
    program = """
import resource, signal, sys
from iron_policy.audit import AuditEvent, JsonlSink
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sink = JsonlSink(sys.argv[1])
sink.write(AuditEvent("call.settled", 1.0, "before"))
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
import os
resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(sys.argv[1]) + 100, hard))
sink.write(AuditEvent("call.settled", 2.0, "cut"))
sink.write(AuditEvent("call.settled", 2.0, "refused"))
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
sink.write(AuditEvent("call.settled", 3.0, "after"))
sink.close()
assert sink.dropped == 2, sink.dropped
"""
    assert run(program, path).wait(60) == 0
    report = verify(path)
    assert [chain.ok for chain in report.chains] == [True]
    assert [(fault.kind, fault.line_number) for fault in report.faults] == [("torn", 3)]
    assert json.loads(path.read_bytes().splitlines()[-1])["attributes"]["iron.audit.dropped"] == 2


def test_a_new_chain_behind_a_torn_line_starts_on_a_line_of_its_own(path):
    sink = JsonlSink(path)
    sink.write(event())
    sink.close()
    with path.open("ab") as file:
        file.write(b'{"hash":"0123')
    sink = JsonlSink(path)
    sink.write(event())
    sink.close()
    report = verify(path)
    assert [chain.ok for chain in report.chains] == [True, True]
    assert [fault.kind for fault in report.faults] == ["torn"]


def test_an_event_after_the_end_is_dropped_and_not_written_elsewhere(path):
    sink = JsonlSink(path)
    sink.write(event())
    sink.close()
    size = path.stat().st_size
    sink.write(event())
    sink.close()
    assert (sink.dropped, path.stat().st_size) == (1, size)


def test_a_handler_of_the_log_that_leads_back_to_the_sink_does_not_lock_it(path):
    sink = JsonlSink(path)
    sink.close()

    class Back(logging.Handler):
        def emit(self, record):
            sink.write(event())

    handler = Back()
    logging.getLogger("iron.audit").addHandler(handler)
    try:
        sink.write(event())
    finally:
        logging.getLogger("iron.audit").removeHandler(handler)
    assert sink.dropped == 2
