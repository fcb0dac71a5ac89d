"""What a check of an audit file shows."""

from __future__ import annotations

import hashlib
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iron_policy.audit import AuditEvent, JsonlSink, verify


def write(path, count: int, *, key: bytes | None = None, start: int = 0) -> None:
    sink = JsonlSink(path, key=key)
    for number in range(start, start + count):
        sink.write(
            AuditEvent(
                "call.settled", float(number), f"call-{number}", {"iron.cost_nanodollars": 1_000 + number}
            )
        )
    sink.close()


@pytest.fixture
def path(tmp_path):
    """Ten lines: opened, call-0 to call-7, closed."""
    path = tmp_path / "audit.jsonl"
    write(path, 8)
    return path


def edit(path, change) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(change(lines)))


def first_fault(path) -> tuple[str, int]:
    report = verify(path)
    (chain,) = report.chains
    assert not report.ok
    assert chain.fault is not None
    return chain.fault.kind, chain.fault.line_number


def resealed(line: bytes, **changes) -> bytes:
    """Return the line changed, with a hash that is right for what it now says."""
    record = json.loads(line)
    del record["hash"]
    body = json.dumps({**record, **changes}, sort_keys=True, separators=(",", ":")).encode()
    return b'{"hash":"%b",%b\n' % (hashlib.sha256(body).hexdigest().encode(), body[1:])


def test_an_untouched_file_is_intact(path):
    report = verify(path)
    assert report.ok
    assert report.lines == 10
    assert str(report).splitlines()[0] == f"{path}: intact: 10 lines in 1 chains"
    assert "10 lines from line 1, closed: intact" in str(report)


def test_a_changed_amount_shows_where_it_is(path):
    edit(path, lambda lines: [*lines[:4], lines[4].replace(b"1003", b"9003"), *lines[5:]])
    assert first_fault(path) == ("changed", 5)
    assert "NOT INTACT" in str(verify(path))
    assert "line 5: changed" in str(verify(path))


def test_a_line_that_is_no_json_any_more_is_a_change_and_missing_from_its_chain(path):
    edit(path, lambda lines: [*lines[:4], lines[4].replace(b"1003", b"0003"), *lines[5:]])
    assert [(fault.kind, fault.line_number) for fault in verify(path).faults] == [("changed", 5)]
    assert first_fault(path) == ("removed", 6)


def test_white_space_is_a_change_too(path):
    edit(path, lambda lines: [*lines[:4], lines[4].replace(b'"seq":', b'"seq": '), *lines[5:]])
    assert first_fault(path) == ("changed", 5)


def test_a_change_with_a_new_hash_shows_on_the_line_after(path):
    edit(path, lambda lines: [*lines[:4], resealed(lines[4], attributes={}), *lines[5:]])
    assert first_fault(path) == ("changed", 6)


def test_two_changed_lines_in_a_row_are_two_changes_and_no_more(path):
    edit(path, lambda lines: [*lines[:4], *(line.replace(b"100", b"200") for line in lines[4:6]), *lines[6:]])
    assert first_fault(path) == ("changed", 5)


@pytest.mark.parametrize("gone", [0, 1, 5, 8])
def test_a_removed_line_shows_on_the_line_after(path, gone):
    edit(path, lambda lines: lines[:gone] + lines[gone + 1 :])
    assert first_fault(path) == ("removed", gone + 1)


def test_a_repeated_line_is_an_insertion(path):
    edit(path, lambda lines: [*lines[:6], lines[3], *lines[6:]])
    assert first_fault(path) == ("inserted", 7)


def test_a_made_up_line_is_an_insertion(path):
    forged = b'{"hash":"%b",' % (b"0" * 64)
    edit(path, lambda lines: [*lines[:6], forged + lines[5].partition(b",")[2], *lines[6:]])
    assert first_fault(path) == ("inserted", 7)


def test_a_made_up_line_that_takes_a_place_in_the_chain_shows_when_the_rightful_one_comes(path):
    def insert(lines):
        before = json.loads(lines[5])
        return [*lines[:6], resealed(lines[5], seq=before["seq"] + 1, prev=before["hash"]), *lines[6:]]

    edit(path, insert)
    assert first_fault(path) == ("inserted", 8)


def test_a_line_behind_the_end_of_its_chain_is_an_insertion(path):
    def append(lines):
        last = json.loads(lines[-1])
        return [*lines, resealed(lines[-2], seq=last["seq"] + 1, prev=last["hash"])]

    edit(path, append)
    assert first_fault(path) == ("inserted", 11)


@pytest.mark.parametrize(("one", "other"), [(3, 4), (2, 7), (0, 1)])
def test_swapped_lines_are_told_from_missing_ones(path, one, other):
    def swap(lines):
        lines[one], lines[other] = lines[other], lines[one]
        return lines

    edit(path, swap)
    assert first_fault(path) == ("reordered", one + 1)


def test_a_torn_last_line_is_told_as_such(path):
    path.write_bytes(path.read_bytes()[:-20])
    report = verify(path)
    assert [(fault.kind, fault.line_number) for fault in report.faults] == [("torn", 10)]
    assert not report.ok
    assert not report.chains[0].closed


def test_the_end_cut_off_a_chain_shows_as_not_closed(path):
    edit(path, lambda lines: lines[:-3])
    report = verify(path)
    assert report.ok, "nothing in the file tells it from one that is still being written"
    assert not report.chains[0].closed
    assert "not closed" in str(report)


def test_a_whole_chain_taken_out_shows_in_the_one_after_it(path):
    for number in range(1, 3):
        write(path, 2, start=100 * number)
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 18
    path.write_bytes(b"".join(lines[:10] + lines[14:]))
    report = verify(path)
    first, second = report.chains
    assert first.ok
    assert (second.fault.kind, second.fault.line_number) == ("removed", 11)


def test_each_chain_has_a_verdict_of_its_own(path):
    write(path, 3, start=50)
    edit(path, lambda lines: [*lines[:2], lines[2].replace(b"1001", b"9001"), *lines[3:]])
    assert [chain.ok for chain in verify(path).chains] == [False, True]


def test_a_foreign_line_belongs_to_no_chain(path):
    edit(path, lambda lines: [*lines[:3], b"hello\n", b"[1,2]\n", b"\n", *lines[3:]])
    report = verify(path)
    assert report.chains[0].ok
    assert [(fault.kind, fault.line_number) for fault in report.faults] == [("inserted", 4), ("inserted", 5)]


def test_a_file_of_foreign_lines_gives_a_bounded_report(tmp_path):
    path = tmp_path / "other.log"
    path.write_bytes(b"hello\n" * 10_000)
    report = verify(path)
    assert len(report.faults) == 100
    assert report.lines == 10_000


def test_a_keyed_file_needs_its_key(tmp_path):
    path = tmp_path / "keyed.jsonl"
    write(path, 4, key=b"right")
    assert verify(path, key=b"right").ok
    assert first_fault(path)[0] == "key"
    assert not verify(path, key=b"wrong").ok


def test_whoever_lacks_the_key_cannot_rewrite_the_file(tmp_path):
    path = tmp_path / "keyed.jsonl"
    write(path, 4, key=b"right")
    prev, forged = "0" * 64, []
    for line in path.read_bytes().splitlines():
        forged.append(resealed(line, prev=prev))
        prev = json.loads(forged[-1])["hash"]
    path.write_bytes(b"".join(forged))
    assert not verify(path, key=b"right").ok


def test_an_empty_file_is_intact_and_a_missing_one_is_an_error(tmp_path):
    (tmp_path / "empty").touch()
    assert verify(tmp_path / "empty").ok
    with pytest.raises(FileNotFoundError):
        verify(tmp_path / "missing")


@pytest.mark.parametrize("name", ["attributes", "chain", "prev", "seq", "type"])
@pytest.mark.parametrize("value", [None, [], {"a": 1}, "x", 7])
def test_no_value_of_a_wrong_type_stops_the_check(path, name, value):
    edit(path, lambda lines: [resealed(lines[0], **{name: value}), *lines[1:]])
    assert not verify(path).ok


def test_no_nonsense_in_the_opening_line_stops_the_check(path):
    nonsense = {"iron.audit.after": ["x"], "iron.audit.keyed": "yes"}
    edit(path, lambda lines: [resealed(lines[0], attributes=nonsense), *lines[1:]])
    assert not verify(path).ok


@given(seed=st.integers(0, 2**32), position=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_any_changed_byte_shows(tmp_path_factory, seed, position, byte):
    path = tmp_path_factory.getbasetemp() / "fuzzed.jsonl"
    if not path.exists():
        write(path, 5)
        path.with_suffix(".original").write_bytes(path.read_bytes())
    content = bytearray(path.with_suffix(".original").read_bytes())
    at = int(position * len(content))
    content[at] = (
        byte if content[at] != byte else random.Random(seed).choice([b for b in range(256) if b != byte])
    )
    path.write_bytes(content)
    assert not verify(path).ok
