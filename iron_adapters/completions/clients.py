"""The HTTP clients of this process, and what their errors mean.

Owns pyreqwest's settings. One sync and one async client serve every thread and every event loop: what waits is a thread
of their own. Redirects are never followed, because they would carry the key and the texts on.
"""

from __future__ import annotations

import asyncio
import atexit
import os
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from iron_adapters.client_faults import innermost_cause, was_sent
from iron_policy.exceptions import UpstreamError

try:
    from pyreqwest.client import BaseClientBuilder, ClientBuilder, SyncClientBuilder
    from pyreqwest.exceptions import PyreqwestError

    from iron_adapters.proxies import proxy_in, with_proxy
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "pyreqwest":
        raise
    raise ImportError('completion() needs pyreqwest: pip install "iron-adapters[completion]"') from error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from pyreqwest.client import Client, SyncClient

    from iron_adapters.completions.calls import PreparedCall

Builder = TypeVar("Builder", bound=BaseClientBuilder)

SILENCE_SECONDS = 600.0
"""How long a provider may send nothing: what the SDKs of OpenAI and Anthropic wait."""
_CONNECT_SECONDS = 10.0
_NOWHERE = "none://nowhere"


def sync_client() -> SyncClient:
    """Return this process's client for sync calls."""
    return _sync_client(os.getpid())


def async_client() -> Client:
    """Return this process's client for async calls."""
    return _async_client(os.getpid())


@lru_cache(maxsize=1)
def _sync_client(pid: int) -> SyncClient:
    with _saying_what_a_fork_costs(pid):
        return _set_up(SyncClientBuilder()).build()


@lru_cache(maxsize=1)
def _async_client(pid: int) -> Client:
    with _saying_what_a_fork_costs(pid):
        client = _set_up(ClientBuilder()).build()
    atexit.register(_end, client, pid)
    return client


def _end(client: Client, pid: int) -> None:
    """Have pyreqwest's thread leave the interpreter for good, as the process *pid* ends.

    That thread wakes an event loop by a call of Python, which gives the interpreter's lock away and takes it back. Python
    ends a thread that wants the lock while the interpreter goes away, and Rust aborts the process over that. So calls under
    way are cut off, and the thread gets one more errand, whose answer to a waiting thread takes no call of Python: it does
    everything in turn, and is out of all earlier wakings once it has refused an address that nobody can ask.
    """
    if os.getpid() != pid:  # a fork of that process has the client and not its thread
        return
    asyncio.run(_awaited(client.close()))
    with suppress(PyreqwestError):
        SyncClientBuilder().runtime_multithreaded(False).no_proxy().build().get(_NOWHERE).build().send()


async def _awaited(closing: Awaitable[None]) -> None:
    await closing


def _set_up(builder: Builder) -> Builder:
    builder = (
        builder.runtime_multithreaded(False)  # for _end(); it is the default
        .follow_redirects(False)
        .referer(False)
        .tcp_nodelay(True)
        .user_agent("iron-adapters")
        .connect_timeout(timedelta(seconds=_CONNECT_SECONDS))
        .read_timeout(timedelta(seconds=SILENCE_SECONDS))
    )
    return with_proxy(builder, proxy_in(os.environ))


@contextmanager
def _saying_what_a_fork_costs(pid: int) -> Iterator[None]:
    """Turn pyreqwest's refusal to start in a fork of a process that used it into an error of ours."""
    try:
        yield
    except RuntimeError as error:
        raise UpstreamError(
            f"process {pid} was forked from one that had called completion(), whose HTTP client cannot be used in a fork; "
            "start processes by 'spawn', or call completion() only after forking"
        ) from error


@contextmanager
def settling(call: PreparedCall) -> Iterator[None]:
    """End *call* if the block that sends it or reads its reply fails.

    Raises:
        UpstreamError: the provider could not be reached, or its reply broke off.
    """
    try:
        yield
    except PyreqwestError as error:
        sent = was_sent(error)
        call.broke(error, sent=sent)
        if call.link is not None and not sent:
            raise call.link.address.unreachable(type(error).__name__) from None
        raise UpstreamError(f"{call.target.name!r}: {innermost_cause(error)}") from None
    except BaseException as error:
        call.broke(error, sent=not isinstance(error, ValueError))  # pyreqwest's, for a URL or a header
        raise


@contextmanager
def reading(provider: str) -> Iterator[None]:
    """Turn what breaks the stream of *provider* into an error of ours.

    Raises:
        UpstreamError: the stream broke off, or nothing came for too long.
    """
    try:
        yield
    except PyreqwestError as error:
        raise UpstreamError(f"the stream of {provider!r} broke off: {innermost_cause(error)}") from None
