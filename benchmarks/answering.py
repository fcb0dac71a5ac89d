"""A provider in a process of its own that answers every request at once with the same bytes, over a loopback socket."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def answering(body: bytes) -> Iterator[str]:
    """Serve *body* for as long as the block lasts; give the URL to send to."""
    server = subprocess.Popen([sys.executable, Path(__file__)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        server.stdin.write(len(body).to_bytes(4) + body)
        server.stdin.flush()
        yield f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
    finally:
        server.stdin.close()
        server.wait()
        server.stdout.close()


class _Answer(asyncio.Protocol):
    """Read one request after another, as long as they come; answer each with the same bytes."""

    def __init__(self, reply: bytes) -> None:
        self._reply, self._read = reply, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, end, rest = self._read.partition(b"\r\n\r\n")
        if end and len(rest) >= _length(head):
            self._read = b""
            self._transport.write(self._reply)


def _length(head: bytes) -> int:
    fields = (line.partition(b":") for line in head.lower().split(b"\r\n"))
    return next((int(value) for name, _, value in fields if name == b"content-length"), 0)


async def _serve() -> None:
    body = sys.stdin.buffer.read(int.from_bytes(sys.stdin.buffer.read(4)))
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    server = await asyncio.get_running_loop().create_server(
        lambda: _Answer(head.encode() + body), "127.0.0.1", 0
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())
