"""The log and memory as sinks."""

from __future__ import annotations

import json
import logging

import pytest

from iron_policy.audit import AuditEvent, LogSink, MemorySink


def logged(caplog, event: AuditEvent) -> str:
    with caplog.at_level(logging.INFO, "iron.audit"):
        LogSink().write(event)
    (record,) = caplog.records
    return record.getMessage()


@pytest.mark.parametrize(
    "text", ["a\nb", "a\r\nb", "a\u2028b", "a\x85b", "100%s", 'say "yes"', "naïve", "\ud800"]
)
def test_an_event_is_one_line_of_json_in_the_log_whatever_is_in_it(caplog, text):
    line = logged(caplog, AuditEvent("tool.refused", 1.5, "call-1", {"gen_ai.tool.name": text}))
    assert len(line.splitlines()) == 1
    record = json.loads(line)
    assert record["attributes"]["gen_ai.tool.name"] == text.replace("\ud800", "?")
    assert (record["type"], record["time"], record["call_id"]) == ("tool.refused", 1.5, "call-1")


def test_a_log_that_nobody_listens_to_costs_no_serialisation(caplog):
    logging.getLogger("iron.audit").setLevel(logging.ERROR)
    try:
        LogSink().write(AuditEvent("call.settled", 1.0, "c", {"would": object()}))
    finally:
        logging.getLogger("iron.audit").setLevel(logging.NOTSET)
    assert caplog.records == []


def test_memory_keeps_the_latest_events_and_no_more():
    sink = MemorySink(maxlen=3)
    for number in range(10):
        sink.write(AuditEvent("call.settled", float(number), f"call-{number}"))
    sink.close()
    assert [event.call_id for event in sink.events] == ["call-7", "call-8", "call-9"]
