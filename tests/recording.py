"""Cassettes: exchanges recorded through the real SDKs, scrubbed, with their origin, and played back without a network.

Owns where a cassette lies, what is kept of an exchange, and where a recording goes: to the provider whose real key
is in the environment, else to the provider double. A client never knows: it always talks to the provider's own URL,
and the redirection happens below vcrpy, so that a cassette holds no port.
"""

import contextlib
import importlib.metadata
import re
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import vcr
import vcr.patch
import yaml
from vcr.record_mode import RecordMode
from vcr.serializers import yamlserializer

CASSETTES = Path(__file__).parent.parent / "cassettes"
HOSTS = {"api.openai.com": "openai", "api.anthropic.com": "anthropic"}
SDKS = ("openai", "anthropic", "httpx", "httpx2", "langchain-core", "langchain-openai", "langchain-anthropic")

_REQUEST_HEADERS = {"content-type", "accept", "anthropic-version", "anthropic-beta"}
_RESPONSE_HEADERS = re.compile(
    r"content-type|retry-after|x-should-retry|(x-)?request-id|openai-(version|processing-ms)"
    r"|(x|anthropic)-ratelimit-[a-z-]+"
)
_ACCOUNT_IDS = re.compile(rb"\b(org|proj|user)[-_][A-Za-z0-9]{8,}")
_ORIGINALS = (
    "_HttpxHttpTransport_handle_request",
    "_HttpxAsyncHttpTransport_handle_async_request",
    "_Httpx2HttpTransport_handle_request",
    "_Httpx2AsyncHttpTransport_handle_async_request",
)
"""What vcrpy calls to send a request for real."""


def path_of(node):
    """Return where the cassette of a test lies: ``cassettes/<test module>/<test>.yaml``."""
    name = f"{node.cls.__name__}.{node.name}" if node.cls else node.name
    file_name = re.sub(r"[^\w.-]+", "-", name).strip("-") + ".yaml"
    return CASSETTES / node.path.stem / file_name


def playing(path):
    """Return vcrpy's context in which the exchanges in *path* are played back, and nothing is sent."""
    return _recorder({}).use_cassette(str(path), record_mode=RecordMode.NONE)


@contextlib.contextmanager
def recording(path, port, real):
    """Record what is sent into *path*, anew. Hosts of the providers named in *real* are reached, others at *port*."""
    path.unlink(missing_ok=True)
    ports = {host: port for host, name in HOSTS.items() if name not in real}
    origin = "+".join(sorted(real)) if real else "double"
    with contextlib.ExitStack() as stack:
        for name in _ORIGINALS:
            stack.enter_context(
                mock.patch.object(vcr.patch, name, _redirected(getattr(vcr.patch, name), ports))
            )
        recorder = _recorder({"recorded_against": origin, **_circumstances()})
        yield stack.enter_context(recorder.use_cassette(str(path), record_mode=RecordMode.ALL))


def _redirected(send, ports):
    """Return *send*, sync or async, with requests to the hosts in *ports* going to this machine."""

    def handle(transport, request):
        port = ports.get(request.url.host)
        if port is not None:
            url = request.url.copy_with(scheme="http", host="127.0.0.1", port=port)
            request = type(request)(
                request.method,
                url,
                headers=request.headers,
                stream=request.stream,
                extensions=request.extensions,
            )
        return send(transport, request)

    return handle


def _recorder(metadata):
    recorder = vcr.VCR(
        match_on=("method", "host", "path", "body"),
        before_record_request=_scrubbed_request,
        before_record_response=_scrubbed_response,
        decode_compressed_response=True,
        serializer="with-metadata",
    )
    recorder.register_serializer("with-metadata", _WithMetadata(metadata))
    return recorder


def _scrubbed_request(request):
    request.headers = {
        name: value for name, value in request.headers.items() if name.lower() in _REQUEST_HEADERS
    }
    return request


def _scrubbed_response(response):
    response["headers"] = {
        name.lower(): value
        for name, value in response["headers"].items()
        if _RESPONSE_HEADERS.fullmatch(name.lower())
    }
    response["body"]["string"] = _ACCOUNT_IDS.sub(rb"\1-scrubbed", response["body"]["string"])
    return response


def _circumstances():
    versions = {}
    for name in SDKS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {"recorded_on": datetime.now(UTC).date().isoformat(), "sdk_versions": versions}


class _Dumper(yaml.CSafeDumper):
    """Writes a text of several lines as one block, so that a stream can be read in the cassette."""


def _text(dumper, text):
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


class _WithMetadata:
    """vcrpy's YAML with the origin of the exchanges at its head, which it skips when it reads."""

    def __init__(self, metadata):
        self._metadata = metadata

    def serialize(self, cassette):
        return yaml.dump({**self._metadata, **cassette}, Dumper=_Dumper, sort_keys=False, allow_unicode=True)

    deserialize = staticmethod(yamlserializer.deserialize)
