"""What stands where the provider would be: nginx for whole replies, a small server of our own for streams.

Run as a program, it is the latter: ``python provider.py PORT``.
"""

from __future__ import annotations

import asyncio
import json
import sys

PROSE = "The quarterly report is due on Friday, and the team has asked for one more look at the figures. "
PACED_MODEL = "gpt-4o-mini"
UNPACED_MODEL = "gpt-4o"
EVENTS = 64
PACE_SECONDS = 0.020
TOKENS = tuple(f"{' ' * (number > 0)}{word}" for number, word in enumerate((PROSE * 4).split()[:EVENTS]))
"""What a stream says, a word an event."""

REPLY = json.dumps(
    {
        "id": "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012",
        "object": "chat.completion",
        "created": 1760000000,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": (PROSE * 4)[:270],
                    "refusal": None,
                    "annotations": [],
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 110,
            "completion_tokens": 78,
            "total_tokens": 188,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
    }
)


def nginx_answering(port: int, folder: str) -> str:
    """Return the configuration of an nginx that answers everything with :data:`REPLY`."""
    return f"""
{nginx_head(folder)}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        default_type application/json;
        location / {{ return 200 '{REPLY}'; }}
    }}
}}
"""


def nginx_head(folder: str) -> str:
    """Return what both nginx configurations begin with: one worker, no access log, connections that stay open."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "\n".join(f"    {kind}_temp_path {folder}/{kind};" for kind in kinds)
    return f"""
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
{paths}
"""


class _Streaming(asyncio.Protocol):
    """Answer each request with :data:`TOKENS` as a stream: paced, or all at once, as its model says."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._read = transport, b""

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, end, body = self._read.partition(b"\r\n\r\n")
        if not end or not _whole(head.lower(), body):
            return
        self._read = b""
        if head.startswith(b"GET"):
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        else:
            self._stream(json.loads(body[body.index(b"{") : body.rindex(b"}") + 1]))

    def _stream(self, asked: dict[str, object]) -> None:
        pace = PACE_SECONDS if asked["model"] == PACED_MODEL else 0.0
        model = str(asked["model"])
        self._transport.write(_HEAD + _chunk(model, {"role": "assistant", "content": TOKENS[0]}))
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for number, token in enumerate(TOKENS[1:], start=1):
            event = _chunk(model, {"content": token})
            if pace:
                loop.call_at(begin + pace * number, self._send, event)
            else:
                self._send(event)
        last = (
            _chunk(model, {}, finish="stop") + (_usage(model) if "stream_options" in asked else b"") + _DONE
        )
        if pace:
            loop.call_at(begin + pace * EVENTS, self._send, last)
        else:
            self._send(last)

    def _send(self, event: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(event)


_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


def _whole(head: bytes, body: bytes) -> bool:
    fields = dict(line.partition(b": ")[::2] for line in head.split(b"\r\n"))
    if b"transfer-encoding" in fields:
        return body.endswith(b"0\r\n\r\n")
    return len(body) >= int(fields.get(b"content-length", 0))


def _framed(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _event(body: dict[str, object]) -> bytes:
    return _framed(b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n")


def _common(model: str) -> dict[str, object]:
    return {
        "id": "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012",
        "object": "chat.completion.chunk",
        "created": 1760000000,
        "model": model,
        "system_fingerprint": "fp_0123456789",
    }


def _chunk(model: str, delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _event({**_common(model), "choices": [choice], "usage": None})


def _usage(model: str) -> bytes:
    usage = {"prompt_tokens": 110, "completion_tokens": EVENTS, "total_tokens": 110 + EVENTS}
    return _event({**_common(model), "choices": [], "usage": usage})


_DONE = _framed(b"data: [DONE]\n\n") + b"0\r\n\r\n"


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Streaming, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
