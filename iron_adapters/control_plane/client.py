"""The client of an Iron Cage control plane: one method per endpoint, nothing remembered.

Owns addresses, time limits and the size of replies. Knows no cache, no budget and no buffer: those are beside it.
The token goes to the server that was named and nowhere else: no redirect is followed.
"""

from __future__ import annotations

import ipaddress
import logging
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import orjson

from iron_adapters.control_plane.errors import ControlPlaneError, refusal
from iron_adapters.control_plane.replies import (
    NANO_PER_MICRO,
    Lease,
    ProviderKey,
    lease_of,
    nanodollars_of,
    provider_key_of,
)
from iron_policy.cost.money import to_nanodollars

try:
    from pyreqwest.client import ClientBuilder
    from pyreqwest.exceptions import PyreqwestError
    from pyreqwest.http import Url

    from iron_adapters.proxies import proxy_in, with_proxy
except ModuleNotFoundError as error:
    raise ImportError('the control plane needs pyreqwest: pip install "iron-adapters[router]"') from error

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from pyreqwest.client import Client
    from pyreqwest.response import Response

LOGGER: Final = logging.getLogger("iron.control_plane")

_CONNECT_SECONDS: Final = 5.0
_RETURN_SECONDS: Final = 5.0
_LARGEST_REPLY: Final = 256 * 1024
_LONGEST_NAME: Final = 100  # what the contract allows for models and ids
_LONGEST_PROVIDER: Final = 50


class ControlPlane:
    """Speak to the control plane at *server_url* as the agent whose token is *ic_token*.

    Every method sends one request and raises :class:`ControlPlaneError` where it brings nothing. Connecting may take
    5 seconds and an exchange *timeout_seconds*, giving back a lease 5 in all. Usable from one event loop; its
    connections are kept.

    Raises:
        ValueError: *server_url* is no http(s) address of a server, or *ic_token* is empty or cannot be sent.
    """

    def __init__(self, server_url: str, ic_token: str, *, timeout_seconds: float = 30.0) -> None:
        self._base = _base(server_url)
        if not ic_token.strip() or not ic_token.isascii() or not ic_token.isprintable():
            raise ValueError("the IC token is empty, or has characters that cannot stand in a header")
        self._token = ic_token
        self._total = timeout_seconds
        self._client = _client(self._base)

    def __repr__(self) -> str:
        return f"ControlPlane({self._base!r})"

    async def fetch_key(self, provider: str | None = None) -> ProviderKey:
        """Return the agent's key, for *provider* if the server can choose; look at whose key it is."""
        wish = {} if provider is None else {"provider": provider}
        key = provider_key_of(await self._post("agents/provider-key", wish, "a provider key"))
        if key is None:
            raise _nonsense("a provider key")
        return key

    async def handshake(self, provider: str, requested_usd: Decimal | float | str | None = None) -> Lease:
        """Borrow a slice of the agent's budget for calls to *provider*; the server may grant less than asked for.

        Raises:
            ValueError: *requested_usd* is no amount of money.
        """
        body: dict[str, Any] = {"provider": provider}
        if requested_usd is not None:
            body["requested_budget"] = max(1, to_nanodollars(requested_usd) // NANO_PER_MICRO)
        lease = lease_of(await self._post("budget/handshake", body, "a lease"), provider)
        if lease is None:
            raise _nonsense("a lease")
        return lease

    async def report(
        self, lease: Lease, *, request_id: str, tokens: int, cost_microdollars: int, model: str, provider: str
    ) -> int | None:
        """Tell what one call used. The server may charge a *request_id* once only, whatever is sent again.

        Returns:
            What is left of the agent's budget, in nano-dollars, where the server says so.
        """
        body = {
            "lease_id": lease.lease_id,
            "request_id": request_id[:_LONGEST_NAME],
            "tokens": max(
                1, tokens
            ),  # the contract has no calls without tokens, and some fail before any is counted
            "cost_microdollars": cost_microdollars,
            "model": model[:_LONGEST_NAME] or "unknown",
            "provider": provider[:_LONGEST_PROVIDER] or "unknown",
        }
        return nanodollars_of(await self._post("budget/report", body, "a receipt"), "budget_remaining")

    async def return_lease(self, lease: Lease, spent_nanodollars: int) -> int | None:
        """Give a lease back, of which *spent_nanodollars* are used; what is less than a micro-dollar counts as one.

        Returns:
            What the server took back, in nano-dollars, where it says so.
        """
        body = {"lease_id": lease.lease_id, "spent_microdollars": -(-spent_nanodollars // NANO_PER_MICRO)}
        within = min(_RETURN_SECONDS, self._total)
        reply = await self._post("budget/return", body, "a lease's return", within_seconds=within)
        return nanodollars_of(reply, "returned")

    async def send_event(self, event: Mapping[str, Any]) -> None:
        """Send one analytics event. A second one with the same ``event_id`` is accepted and not counted."""
        await self._post("analytics/events", event, "a place to an event")

    async def close(self) -> None:
        """Close the connections. A request under way fails."""
        await self._client.close()

    async def _post(
        self, path: str, body: Mapping[str, Any], what: str, *, within_seconds: float | None = None
    ) -> dict[str, Any]:
        """Send *body* with the token; return the reply of a 2xx answer."""
        outcome = await self._exchange(
            path, body, what, self._total if within_seconds is None else within_seconds
        )
        if isinstance(outcome, ControlPlaneError):
            raise outcome
        return outcome

    async def _exchange(
        self, path: str, body: Mapping[str, Any], what: str, within_seconds: float
    ) -> dict[str, Any] | ControlPlaneError:
        """Send and read. Errors are returned: a traceback has the variables of its frames, and here are secrets."""
        request = (
            self._client.post(f"{self._base}/api/v1/{path}")
            .bearer_auth(self._token)
            .header("content-type", "application/json")
            .timeout(timedelta(seconds=within_seconds))
            .body_bytes(orjson.dumps({"ic_token": self._token, **body}))
            .streamed_read_buffer_limit(0)  # else as much as it takes is read before anybody can object
            .build_streamed()
        )
        try:
            async with request as response:
                status, reply = response.status, await _read(response)
        except PyreqwestError as error:
            kind = type(error).__name__
            return ControlPlaneError(f"the control plane at {self._base!r} gave no answer ({kind})")
        if not 200 <= status < 300:  # noqa: PLR2004 - success, RFC 9110 section 15.3
            return refusal(what, status, reply, self._token)
        return _nonsense(what, status) if reply is None else reply


async def _read(response: Response) -> dict[str, Any] | None:
    """Return the JSON object of *response*, ``None`` where it is none or too large to look at."""
    received = bytearray()
    while (chunk := await response.body_reader.read_chunk()) is not None:
        received += chunk
        if len(received) > _LARGEST_REPLY:
            return None
    try:
        reply = orjson.loads(received)
    except orjson.JSONDecodeError:
        return None
    return reply if isinstance(reply, dict) else None


def _nonsense(what: str, status: int = 200) -> ControlPlaneError:
    return ControlPlaneError(
        f"the control plane answered {status}, but not with {what}; is it an Iron Cage server?", status=status
    )


def _client(base: str) -> Client:
    builder = (
        ClientBuilder()
        .follow_redirects(False)
        .referer(False)
        .connect_timeout(timedelta(seconds=_CONNECT_SECONDS))
        # A small reply may be a large one in disguise; nothing here is worth compressing.
        .gzip(False)
        .brotli(False)
        .zstd(False)
        .deflate(False)
        .user_agent("iron-adapters")
    )
    if base.startswith("http://") and not _is_loopback(urlsplit(base).hostname or ""):
        LOGGER.warning(
            "the control plane at %r is spoken to without TLS: the token and the keys can be read on the way; "
            "use https",
            base,
        )
    return with_proxy(builder, proxy_in(os.environ)).build()


def _base(server_url: str) -> str:
    """Return *server_url* without slashes at its end, if it is an address that paths can be added to."""
    fault = ""
    try:
        parts = urlsplit(server_url.strip())
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
            fault = "it is no http(s) address of a server"
        elif parts.username is not None or parts.password is not None:
            fault = "it has a user name in it, which the protocol does not use"
        elif parts.query or parts.fragment:
            fault = "it has a query or a fragment"
        else:
            Url(server_url.strip())  # the client's own parser, which is stricter
    except (ValueError, PyreqwestError):
        fault = "it is no address"
    if fault:
        raise ValueError(f"server_url: {fault}; write it like 'https://iron-cage.example.com'")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
