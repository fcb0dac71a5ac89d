"""The recorded exchanges, and reviews that stand for the engine's."""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from iron_adapters.wire import PASS, codec_for

FOLDER = Path(__file__).parents[3] / "shared" / "recordings"
UNREADABLE = {
    "openai-completions-aee85df438.json": "a prompt of token ids",
    "openai-embeddings-f81a1304c5.json": "an input of token ids",
}
"""Recordings that are refused, because nobody can judge what they say."""


def recordings(keep=lambda recording: True):
    """Return the recorded exchanges as parameters of a test; one that is skipped where there are none."""
    if not FOLDER.is_dir():
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"no recordings at {FOLDER}"))]
    found = [recording(row["file"]) for row in index()]
    return [pytest.param(one, id=one.name) for one in found if keep(one)]


@cache
def index():
    with (FOLDER / "index.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@cache
def recording(name):
    return Recording(name)


class Recording:
    """One exchange: its request, its reply, and what the provider said it used."""

    def __init__(self, name):
        self.name = name
        row = next(row for row in index() if row["file"] == name)
        self.row = row
        self.usage = json.loads(row["usage_json"]) if row["usage_json"] else None
        self._text = (FOLDER / name).read_text()
        document = json.loads(self._text)
        request, self.response = document["request"], document["response"]
        self.status = self.response["status"]
        self.sse = self.response["sse"].encode() if "sse" in self.response else None
        self.codec = codec_for(request["method"], urlsplit(request["url"]).path)
        self.has_text = self.codec is not PASS
        self.readable = self.has_text and name not in UNREADABLE
        self.request_body = json.dumps(request["json"]).encode()
        self.reply_body = json.dumps(self.response["json"]).encode() if "json" in self.response else b""

    def read_request(self):
        return self.codec.read_request(self.request_body, {})

    def rewriter(self, review):
        return self.codec.stream(review, self.read_request())


class Unchanged:
    """Let every text pass, and keep what was seen."""

    def __init__(self):
        self.pushed = {}
        self.finished = []
        self.calls = []

    def push(self, channel, text):
        self.pushed[channel] = self.pushed.get(channel, "") + text
        return text

    def finish(self, channel):
        self.finished.append(channel)
        return ""

    def whole(self, text):
        return text.text

    def tool_call(self, call):
        self.calls.append(call)


class Replacing(Unchanged):
    """Put *new* in place of each *old*, holding back as many characters as an *old* may still need."""

    def __init__(self, old, new, held=None):
        super().__init__()
        self.old, self.new = old, new
        self.held = len(old) - 1 if held is None else held
        self.buffers = {}

    def push(self, channel, text):
        super().push(channel, text)
        buffer = self.buffers.get(channel, "") + text
        released = ""
        while len(buffer) > self.held:
            if buffer.startswith(self.old):
                released, buffer = released + self.new, buffer[len(self.old) :]
            else:
                released, buffer = released + buffer[0], buffer[1:]
        self.buffers[channel] = buffer
        return released

    def finish(self, channel):
        super().finish(channel)
        return self.buffers.pop(channel, "").replace(self.old, self.new)

    def whole(self, text):
        return text.text.replace(self.old, self.new)


def feed_all(rewriter, data, sizes=None):
    """Send *data* through *rewriter* in pieces of *sizes* bytes, all at once without; return what comes out."""
    if sizes is None:
        return rewriter.feed(data) + rewriter.finish()
    out, position = [], 0
    while position < len(data):
        size = next(sizes)
        out.append(rewriter.feed(data[position : position + size]))
        position += size
    return b"".join([*out, rewriter.finish()])


def events(data):
    """Read a stream of LF lines, independently of the code under test."""
    found = []
    for block in data.decode().split("\n\n"):
        lines = [line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:")]
        if lines and lines != ["[DONE]"]:
            found.append(json.loads("\n".join(lines)))
    return found


def said(data):
    """Return what each text of a stream says in all its deltas together, independently of the code under test."""
    texts = {}

    def add(key, text):
        if isinstance(text, str) and text:
            texts[key] = texts.get(key, "") + text

    for event in events(data):
        for choice in event.get("choices") or ():
            delta = choice.get("delta") or {"text": choice.get("text")}
            for field in ("content", "refusal", "reasoning_content", "text"):
                add((choice["index"], field), delta.get(field))
            for call in delta.get("tool_calls") or ():
                add((choice["index"], "tool", call["index"]), call.get("function", {}).get("arguments"))
            add((choice["index"], "function"), (delta.get("function_call") or {}).get("arguments"))
        kind = event.get("type", "")
        if kind == "content_block_delta":
            for field in ("text", "thinking", "partial_json"):
                add((event["index"], field), event["delta"].get(field))
        elif kind.endswith(".delta"):
            add(
                (kind, event["output_index"], event.get("content_index", event.get("summary_index"))),
                event["delta"],
            )
    return texts
