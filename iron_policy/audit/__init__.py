"""The record of what was decided and what it cost: events, the sinks that keep them, the check of a kept file.

Owns the format of the record. Knows no call and no policy, and adds nothing to an event but its place in a chain.
"""

from __future__ import annotations

from iron_policy.audit.events import AuditEvent, Json, Sink
from iron_policy.audit.sinks import JsonlSink, LogSink, MemorySink
from iron_policy.audit.verify import ChainReport, Fault, VerifyReport, verify

__all__ = [
    "AuditEvent",
    "ChainReport",
    "Fault",
    "Json",
    "JsonlSink",
    "LogSink",
    "MemorySink",
    "Sink",
    "VerifyReport",
    "verify",
]
