"""HTTP as bytes, on both sides of a router: a caller who may write anything, and a provider who may answer anything."""

import contextlib
import json
import socket
import threading

ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}
CLAUDE = {"model": "claude-3-haiku-20240307", "messages": ASK["messages"], "max_tokens": 50}
CHAT = "/v1/chat/completions"
MOST = 1 << 16


class Answered:
    """What came back: ``status``, ``headers`` with lower-case names, ``body`` with chunks put together, ``raw``."""

    def __init__(self, raw):
        self.raw = raw
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ")[1]) if first else 0
        self.headers = dict(_header(line) for line in lines)
        self.body = _unchunked(body) if "chunked" in self.headers.get("transfer-encoding", "") else body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def text(self):
        """Return what the model says, in either dialect."""
        said = self.json
        return said["choices"][0]["message"]["content"] if "choices" in said else said["content"][0]["text"]


def _header(line):
    name, _, value = line.partition(":")
    return name.lower(), value.strip()


def _unchunked(rest):
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size or b"0", 16)
        body += rest[:length]
        rest = rest[length + 2 :]
    return body


def request(
    router, body=ASK, *, path=CHAT, headers=(), method="POST", host=None, key=None, kind="application/json"
):
    """Return the bytes of a request that asks to be the connection's last; ``None`` leaves a header away."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"host: {f'127.0.0.1:{router.port}' if host is None else host}"] if host != "" else []
    lines += [f"authorization: Bearer {router.api_key if key is None else key}"] if key != "" else []
    lines += [f"content-type: {kind}"] if kind else []
    lines += [f"content-length: {len(data)}", "connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + data


def exchange(router, data):
    """Send *data* and return all that comes back until the connection's end."""
    with connected(router) as connection:
        return exchange_on(connection, data)


def exchange_on(connection, data):
    with contextlib.suppress(
        BrokenPipeError, ConnectionResetError
    ):  # who is refused early is told so all the same
        connection.sendall(data)
    return Answered(read_all(connection))


def ask(router, body=ASK, **details):
    """Send one request and return the answer."""
    return exchange(router, request(router, body, **details))


def connected(router, seconds=20):
    return socket.create_connection(("127.0.0.1", router.port), timeout=seconds)


def read_all(connection):
    received = b""
    try:
        while data := connection.recv(MOST):
            received += data
    except ConnectionResetError:
        pass
    return received


def replies_in(raw):
    """Return the statuses of all replies in *raw*."""
    return [int(part[:3]) for part in raw.split(b"HTTP/1.1 ")[1:]]


class Received:
    """A request as a provider gets it."""

    def __init__(self, head, body):
        self.raw = head + body
        self.body = body
        first, *lines = head.decode("latin-1").split("\r\n")
        self.target = first.split(" ")[1]
        self.headers = dict(_header(line) for line in lines if line)

    @property
    def json(self):
        return json.loads(self.body)


class Canary:
    """A provider of raw bytes: keeps what it receives and writes what *answer* returns for it; then hangs up.

    *answer* is bytes, or a function of the request that returns bytes or yields pieces of them.
    """

    def __init__(self, answer=b""):
        self.answer = answer
        self.received = []
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._threads = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            thread.start()
            self._threads.append(thread)

    def _serve(self, connection):
        with connection:
            try:
                received = _read_request(connection)
                if received is None:
                    return
                self.received.append(received)
                answer = self.answer(received) if callable(self.answer) else self.answer
                pieces = iter([answer]) if isinstance(answer, bytes) else answer
                with contextlib.closing(pieces) if hasattr(pieces, "close") else contextlib.nullcontext():
                    for piece in pieces:
                        connection.sendall(piece)
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(10)
                while connection.recv(MOST):
                    pass
            except OSError:
                return

    @property
    def seen(self):
        """Return everything that came here, as bytes."""
        return b"".join(each.raw for each in self.received)

    def close(self):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in [self._accepting, *self._threads]:
            thread.join()


def _read_request(connection):
    received = b""
    while b"\r\n\r\n" not in received:
        data = connection.recv(MOST)
        if not data:
            return None
        received += data
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ),
        0,
    )
    while len(body) < length:
        body += connection.recv(MOST)
    return Received(head + b"\r\n\r\n", body)


def answering(body, *, status=200, kind="application/json", headers=()):
    """Return the bytes of a provider's reply."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [
        f"HTTP/1.1 {status} X",
        f"content-type: {kind}",
        f"content-length: {len(data)}",
        "connection: close",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + data


def said(text="Hi", *, usage=None, **message):
    """Return a chat completion that says *text*."""
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, **message},
                "finish_reason": "stop",
            }
        ],
        "usage": usage or {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    }


def streaming(data, *, headers=()):
    """Return the bytes of a provider's reply that is a stream of *data* until the connection's end."""
    lines = ["HTTP/1.1 200 OK", "content-type: text/event-stream", "connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + data


def delta(content=None, finish=None, **more):
    """Return an event of a chat's stream."""
    given = {"content": content} if content is not None else {}
    choice = {"index": 0, "delta": {**given, **more}, "finish_reason": finish}
    chunk = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o-mini",
        "choices": [choice],
    }
    return f"data: {json.dumps(chunk)}\n\n".encode()


DONE = b"data: [DONE]\n\n"
