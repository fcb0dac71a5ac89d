"""``iron-runtime --mode=router`` as a process of its own, for tests that talk to it over sockets."""

import http.client
import json
import os
import signal
import subprocess
import sys

IRON_RUNTIME = [sys.executable, "-c", "from iron_adapters.cli import main; main()"]
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "IRON_RUNTIME_TOKEN")


class RouterProcess:
    """One router that says in JSON what it does. It is ready when the constructor returns."""

    def __init__(self, *options, cwd, **environment):
        kept = {name: value for name, value in os.environ.items() if name not in KEYS}
        self.process = subprocess.Popen(  # noqa: S603 - our own command
            [*IRON_RUNTIME, "--mode=router", "--port=0", "--json", *options],
            env={**kept, **environment},
            cwd=cwd,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.output = ""
        self.started = self.event("started")
        self.port = self.started["port"]
        self.event("ready")

    def event(self, kind):
        """Read on until the router says something of this *kind*; return it."""
        for line in self.process.stderr:
            self.output += line
            said = json.loads(line)
            if said.get("event") == kind:
                return said
        raise AssertionError(f"the router ended without {kind!r}: {self.output}")

    def line(self):
        """Return the next line that the router writes."""
        line = self.process.stderr.readline()
        self.output += line
        return json.loads(line)

    def ask(self, text="hello", **more):
        """Make a call; return the status and the reply."""
        connection, response = self.open(text, **more)
        try:
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def open(
        self, text="hello", *, key="caller-key", path="/v1/chat/completions", model="gpt-4o-mini", **body
    ):
        """Make a call; return the connection and the reply, of which only the head was read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        document = {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": text}], **body}
        headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
        connection.request("POST", path, json.dumps(document), headers)
        return connection, connection.getresponse()

    def is_open(self):
        """Tell whether the port takes connections."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.connect()
        except ConnectionError:  # refused, or reset because nobody will take it any more
            return False
        finally:
            connection.close()
        return True

    def await_closing(self):
        """Wait until the port takes no more connections."""
        while self.is_open():
            pass

    def workers(self):
        """Return the ids of the processes below this one."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as children:  # noqa: PTH123
            return [int(pid) for pid in children.read().split()]

    def end(self, number=signal.SIGTERM):
        """Send it a signal, and wait; return its exit code and what it says it did."""
        if number is not None:
            self.process.send_signal(number)
        said = self.event("ended")
        self.output += self.process.stderr.read()
        return self.process.wait(), said

    def kill(self):
        """See to it that nothing of it is left."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()
