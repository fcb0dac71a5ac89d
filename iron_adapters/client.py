"""``govern(client)``: an OpenAI or Anthropic client whose every call is held to a policy.

Usage::

    from openai import OpenAI
    from iron_adapters import govern

    client = govern(OpenAI(), {"budgets": [{"scope": "run", "limit_usd": 1.00}]})
    client.chat.completions.create(model="gpt-4o-mini", messages=[...])

Covered: everything that the client sends over HTTP, with raw and streamed responses and ``with_options`` copies made
afterwards. Not covered: websockets (``client.realtime``), and clients copied from it before.
"""

from __future__ import annotations

import copy
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from iron_adapters.resolve import Governor
from iron_adapters.runtime_address import runtime_address
from iron_adapters.transport import transport_classes

if TYPE_CHECKING:
    from iron_adapters.resolve import PolicyLike

Client = TypeVar("Client")


def govern(client: Client, policy: PolicyLike = None) -> Client:
    """Hold every call of *client* to *policy*, and return it.

    The client is governed in place: its HTTP client is replaced by a copy, so that one that is shared with other
    code stays as it is. Governing a client again replaces its policy. A refusal is a ``PolicyDenied`` and the SDK's own
    error too, raised after one attempt.

    Args:
        client: ``OpenAI``, ``AsyncOpenAI``, ``Anthropic``, ``AsyncAnthropic``, or a subclass.
        policy: a policy, its engine, a mapping, a path, or ``None``: the enclosing scope's, ``$IRON_POLICY``, the default.

    Raises:
        TypeError: *client* is none of these.
        PolicyError: *policy* is no policy; the client is left as it was.
    """
    http_client = _http_client(client)
    governor = Governor(policy)
    ungoverned = http_client.__dict__.get("_iron_ungoverned", http_client)
    governed = copy.copy(ungoverned)
    own_class: Any = type(ungoverned)
    governed.__class__ = without_finalizer(own_class)
    governed._iron_ungoverned = ungoverned  # noqa: SLF001
    http = _http_module(ungoverned)
    sync, asynchronous = transport_classes(http)
    cls = sync if isinstance(ungoverned, http.Client) else asynchronous
    governed._transport = cls(governor, ungoverned._transport)  # noqa: SLF001
    mounts = {} if runtime_address() else ungoverned._mounts  # noqa: SLF001 - no proxy is needed to reach a runtime
    governed._mounts = {  # noqa: SLF001
        pattern: None if transport is None else cls(governor, transport)
        for pattern, transport in mounts.items()
    }
    client._client = governed  # type: ignore[attr-defined]  # noqa: SLF001
    return client


def _http_module(http_client: Any) -> Any:
    for cls in type(http_client).__mro__:
        if cls.__module__.partition(".")[0] in ("httpx", "httpx2"):
            return sys.modules[cls.__module__.partition(".")[0]]
    raise TypeError(f"{type(http_client).__name__} is no client of httpx or httpx2")


@cache
def without_finalizer(cls: Any) -> Any:
    """Return a subclass of *cls* that is collected quietly.

    The SDKs' own HTTP clients close themselves when they are collected. A copy must not: its transports are the
    original's, which it keeps, and which closes them when the last copy is gone.
    """

    class Copy(cls):  # type: ignore[misc]  # the class is a parameter
        def __del__(self) -> None:
            """Close nothing."""

    Copy.__name__, Copy.__qualname__ = cls.__name__, cls.__qualname__
    return Copy


def _http_client(client: Any) -> Any:
    roots = {cls.__module__.partition(".")[0] for cls in type(client).__mro__}
    http_client = getattr(client, "_client", None)
    if not roots & {"openai", "anthropic"} or not hasattr(http_client, "_transport"):
        raise TypeError(
            f"govern() takes an OpenAI, AsyncOpenAI, Anthropic or AsyncAnthropic client, not {type(client).__name__}"
        )
    return http_client
