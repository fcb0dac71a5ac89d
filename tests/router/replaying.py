"""A provider that says again what was recorded, cut at random, on a real socket."""

import json
import random
import socketserver
import threading


class Replay:
    """Answers each request with the recording that its ``x-recording`` header names."""

    def __init__(self, recordings):
        self.recordings = {one.name: one for one in recordings}
        self.received = {}
        replay = self

        class Handler(socketserver.StreamRequestHandler):
            disable_nagle_algorithm = True

            def handle(self):
                while request := _read(self.rfile):
                    replay.received[request["headers"]["x-recording"]] = request
                    replay.answer(self.wfile, request)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler, bind_and_activate=True)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def answer(self, out, request):
        recording = self.recordings[request["headers"]["x-recording"]]
        kind = "text/event-stream; charset=utf-8" if recording.sse is not None else "application/json"
        body = recording.reply_body if recording.sse is None else recording.sse
        head = f"HTTP/1.1 {recording.status} Said\r\ncontent-type: {kind}\r\nx-request-id: req_{recording.name}\r\n"
        if recording.sse is None:
            out.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            return
        out.write(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
        for piece in pieces(body, recording.name):
            out.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            out.flush()
        out.write(b"0\r\n\r\n")

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _read(file):
    line = file.readline()
    if not line.strip():
        return None
    method, target, _ = line.decode().split(" ")
    headers = {}
    while (line := file.readline().decode("latin-1").strip()) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = file.read(int(headers.get("content-length", 0)))
    return {"method": method, "target": target, "headers": headers, "body": body}


def pieces(body, seed):
    """Yield *body* cut at random places, the same ones for the same seed."""
    chance = random.Random(seed)
    start = 0
    while start < len(body):
        end = start + chance.choice((1, 2, 7, 40, 200, 1500))
        yield body[start:end]
        start = end


def events(stream):
    """Return what the events of *stream* say: their names and their data as JSON."""
    found = []
    for block in stream.decode().replace("\r\n", "\n").split("\n\n"):
        fields = [line.partition(":") for line in block.split("\n") if line and not line.startswith(":")]
        name = next((value.strip() for field, _, value in fields if field == "event"), None)
        data = "\n".join(value.removeprefix(" ") for field, _, value in fields if field == "data")
        if fields:
            found.append((name, data if data == "[DONE]" else json.loads(data)))
    return found
