"""A provider behind TLS that speaks HTTP/1.1 and HTTP/2, with a certificate of an authority of its own; and a proxy."""

import asyncio
import itertools
import socket
import ssl
import threading

import trustme
from hypercorn.asyncio import serve
from hypercorn.config import Config

NAME = "provider.test"
"""A host that no name server knows: only a proxy takes calls to it anywhere."""


class Authority:
    """Issues certificates, and stands in a file as ``SSL_CERT_FILE`` names one."""

    def __init__(self, folder):
        self._folder = folder
        self._authority = trustme.CA()
        self._numbers = itertools.count()
        self.path = folder / "authority.pem"
        self._authority.cert_pem.write_to_path(str(self.path))

    def certificate(self, *hosts, **details):
        """Return the path of a certificate for *hosts*, with its key."""
        path = self._folder / f"{hosts[0]}-{next(self._numbers)}.pem"
        self._authority.issue_cert(*hosts, **details).private_key_and_cert_chain_pem.write_to_path(str(path))
        return str(path)


class TlsProvider:
    """Serves *app* over TLS, speaking what *protocols* says by ALPN, and keeps what it sees of connections.

    ``calls`` are ``(version, connection)`` of each call, ``left`` the connections of those that were broken off.
    """

    def __init__(self, app, certificate, *, protocols=("h2", "http/1.1"), most_streams=100):
        self._app = app
        self.calls, self.left = [], []
        self.someone_left = threading.Event()
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        config = Config()
        config.bind = [f"fd://{listening.detach()}"]
        config.certfile = config.keyfile = certificate
        config.alpn_protocols = list(protocols)
        config.h2_max_concurrent_streams = most_streams
        config.errorlog = config.accesslog = None
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=(config,))
        self._thread.start()

    def _run(self, config):
        self._loop.set_exception_handler(_report)
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(serve(self._watched, config, shutdown_trigger=self._end.wait))
            except ssl.SSLError as error:
                if not _crossed_the_close(error):
                    raise

    async def _watched(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        place = tuple(scope["client"])
        self.calls.append((scope["http_version"], place))

        async def watched_receive():
            message = await receive()
            if message["type"] == "http.disconnect":
                self.left.append(place)
                self.someone_left.set()
            return message

        await self._app(scope, watched_receive, send)

    def url(self, host="localhost"):
        """Return the base URL under one of its names."""
        return f"https://{host}:{self.port}/v1"

    @property
    def versions(self):
        return {version for version, _ in self.calls}

    @property
    def connections(self):
        return {place for _, place in self.calls}

    def close(self):
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()


def _crossed_the_close(error):
    """Tell whether a client wrote on while the server closed its connection.

    A side that closes cannot know what is under way to it, so this is no fault of either; OpenSSL makes an error of it
    all the same. hypercorn waits for each connection's end and expects every other way in which a client can leave, but
    not this one: the error would go on to its event loop, and where the whole server closes, end its thread.
    """
    return isinstance(error, ssl.SSLError) and error.reason == "APPLICATION_DATA_AFTER_CLOSE_NOTIFY"


def _report(loop, context):
    if not _crossed_the_close(context.get("exception")):
        loop.default_exception_handler(context)


async def _live(receive, send):
    for _ in range(2):
        message = await receive()
        await send({"type": f"{message['type']}.complete"})


class Proxy:
    """An HTTP proxy that takes every CONNECT to *port* of this machine, and keeps all that it was told."""

    def __init__(self, port):
        self._port = port
        self.told = b""
        self._open = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.told += connection.recv(65536)
            beyond = socket.create_connection(("127.0.0.1", self._port))
            self._open += [connection, beyond]
            connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            for ends in [(connection, beyond), (beyond, connection)]:
                self._threads.append(
                    threading.Thread(target=self._pass_on, args=(*ends, ends[0] is connection))
                )
                self._threads[-1].start()

    def _pass_on(self, here, there, keeps):
        try:
            while data := here.recv(65536):
                self.told += data if keeps else b""
                there.sendall(data)
            there.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join()
        for each in self._open:
            each.close()
