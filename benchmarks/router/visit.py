"""One visit to one contender: start it, weigh it, drive it, read streams through it, end it."""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from contenders import CHAT, KEY, Contender, Iron
from load import CLEAN, WITH_FINDINGS, Load, LoadError, load
from provider import PACED_MODEL, REPLY, UNPACED_MODEL, nginx_answering
from served import Served, free_port, served
from streams import Reader, summed_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cores import Cores

DIRECT = "direct"
CONNECTIONS = (1, 16, 64)
_DIRECT_HEADERS = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each part takes."""

    runs: int = 3
    seconds: int = 10
    warm_up_seconds: int = 3
    paced: int = 20
    unpaced: int = 200

    @classmethod
    def quick(cls) -> Plan:
        """Return a plan that only shows that everything works."""
        return cls(runs=1, seconds=2, warm_up_seconds=1, paced=2, unpaced=10)


@dataclass(frozen=True, slots=True)
class Providers:
    """The ports of the two stand-ins for a provider."""

    whole: int
    streams: int


@contextlib.contextmanager
def providers() -> Iterator[Providers]:
    """Run both stand-ins, on the core that this process is on, for as long as the block lasts."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        whole, streams = free_port(), free_port()
        (folder / "nginx.conf").write_text(nginx_answering(whole, str(folder)))
        nginx = ["nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder)]
        stack.enter_context(served(nginx, port=whole, ready="/", folder=folder, environment={}))
        program = [sys.executable, str(Path(__file__).parent / "provider.py"), str(streams)]
        stack.enter_context(served(program, port=streams, ready="/", folder=folder, environment={}))
        yield Providers(whole, streams)


def visit(contender: Contender, ports: Providers, cores: Cores, plan: Plan) -> dict[str, float]:
    """Return every figure of one run of *contender*; one start for whole replies, one for streams."""
    with started(contender, ports.whole, cores, streams=False) as (server, folder):
        figures = {"ready_seconds": server.ready_seconds, "ready_cpu_seconds": server.ready_cpu_seconds}
        figures["idle_mb"] = _settled_mb(server)
        figures |= _driven(server, contender.headers(ports.whole), folder, plan)
        if isinstance(contender, Iron):
            _check_record(folder, sum(figures[f"requests_{connections}"] for connections in CONNECTIONS))
            figures |= _driven_with_findings(server, contender.headers(ports.whole), folder, plan)
        figures["loaded_mb"] = server.resident_mb()
    with started(contender, ports.streams, cores, streams=True) as (server, _):
        figures |= _streamed(server.port, contender.headers(ports.streams), plan)
    if isinstance(contender, Iron):
        figures |= _flagging(contender, ports, cores, plan)
    return figures


def _flagging(contender: Iron, ports: Providers, cores: Cores, plan: Plan) -> dict[str, float]:
    """Return what streams take where personal data in replies is flagged and not redacted, so that no word waits."""
    flagging = Iron(contender.runtime, output_pii="flag")
    with started(flagging, ports.streams, cores, streams=True) as (server, _):
        figures = _streamed(server.port, flagging.headers(ports.streams), plan)
    return {f"flagging_{name}": value for name, value in figures.items()}


def visit_direct(ports: Providers, plan: Plan) -> dict[str, float]:
    """Return what the same calls and streams take with nothing between."""
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for connections in CONNECTIONS:
            counted = _load(
                ports.whole, _DIRECT_HEADERS, Path(folder), connections=connections, seconds=plan.seconds
            )
            figures |= _figures(counted, connections)
    return figures | _streamed(ports.streams, _DIRECT_HEADERS, plan)


@contextlib.contextmanager
def started(
    contender: Contender, provider_port: int, cores: Cores, *, streams: bool
) -> Iterator[tuple[Served, Path]]:
    """Run *contender* on the measured core; make sure that it answers what the provider does."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        command = cores.on_measured(contender.command(folder, port, provider_port, streams=streams))
        with served(
            command, port=port, ready=contender.ready, folder=folder, environment=contender.environment
        ) as server:
            if not streams:
                _check(port, contender.headers(provider_port))
            yield server, folder


def _check(port: int, headers: dict[str, str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", CHAT, CLEAN, headers)
    response = connection.getresponse()
    said = response.read()
    connection.close()
    if response.status != 200:
        raise LoadError(f"the first call was answered with status {response.status}: {said[:300]!r}")
    if json.loads(said)["choices"][0]["message"]["content"] != _expected():
        raise LoadError("the first call was answered with another text than the provider's")


def _check_record(folder: Path, calls: float) -> None:
    with (folder / "audit.jsonl").open("rb") as record:
        lines = sum(1 for _ in record)
    if lines < calls:
        raise LoadError(f"{calls:.0f} calls were answered, and the record on disk has only {lines} lines")


def _expected() -> str:
    return str(json.loads(REPLY)["choices"][0]["message"]["content"])


def _settled_mb(server: Served) -> float:
    time.sleep(1)
    return server.resident_mb()


def _driven(server: Served, headers: dict[str, str], folder: Path, plan: Plan) -> dict[str, float]:
    _load(server.port, headers, folder, connections=16, seconds=plan.warm_up_seconds)
    figures = {}
    for connections in CONNECTIONS:
        busy, begin = server.cpu_seconds(), time.monotonic()
        counted = _load(server.port, headers, folder, connections=connections, seconds=plan.seconds)
        busy, took = server.cpu_seconds() - busy, time.monotonic() - begin
        figures |= _figures(counted, connections)
        figures[f"requests_{connections}"] = counted.requests
        figures[f"core_share_{connections}"] = busy / took
        figures[f"cpu_us_{connections}"] = 1e6 * busy / counted.requests
    return figures


def _driven_with_findings(
    server: Served, headers: dict[str, str], folder: Path, plan: Plan
) -> dict[str, float]:
    counted = _load(server.port, headers, folder, connections=16, seconds=plan.seconds, content=WITH_FINDINGS)
    return {"per_second_16_findings": counted.per_second}


def _load(
    port: int,
    headers: dict[str, str],
    folder: Path,
    *,
    connections: int,
    seconds: int,
    content: bytes = CLEAN,
) -> Load:
    url = f"http://127.0.0.1:{port}{CHAT}"
    return load(url, headers, connections=connections, seconds=seconds, folder=folder, content=content)


def _figures(counted: Load, connections: int) -> dict[str, float]:
    return {
        f"per_second_{connections}": counted.per_second,
        f"p50_{connections}_ms": counted.p50_ms,
        f"p99_{connections}_ms": counted.p99_ms,
    }


def _streamed(port: int, headers: dict[str, str], plan: Plan) -> dict[str, float]:
    figures = {}
    for kind, model, count in (("paced", PACED_MODEL, plan.paced), ("unpaced", UNPACED_MODEL, plan.unpaced)):
        reader = Reader(port, CHAT, headers, model)
        for _ in range(max(1, count // 10)):
            reader.read()
        summary = summed_up([reader.read() for _ in range(count)])
        reader.close()
        figures |= {f"{kind}_{name}_ms": value for name, value in summary.items()}
    return figures
