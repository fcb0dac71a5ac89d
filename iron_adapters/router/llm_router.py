"""``LlmRouter``: the router in a background thread of this process.

Usage::

    with LlmRouter(provider_key=os.environ["OPENAI_API_KEY"], budget=10.0) as router:
        client = OpenAI(base_url=router.base_url, api_key=router.api_key)
        ...
        print(router.total_spent())

Owns the face that users see, and what it is put together from. It listens on the loopback interface unless told
otherwise, and whoever calls it needs ``router.api_key``.
"""

from __future__ import annotations

import os
import secrets
import threading
from typing import TYPE_CHECKING, Any, Self

from iron_adapters.background_server import BackgroundServer, bound
from iron_adapters.own_routers import close_router, open_router
from iron_adapters.proxies import proxy_in
from iron_adapters.resolve import engine_for
from iron_adapters.router.app import Router, Setting
from iron_adapters.router.assembly import refuse_strange_names, router_account, split_keys, upstreams_for
from iron_adapters.router.doors import Doors, is_loopback
from iron_adapters.router.keys import OwnKeys, by_provider
from iron_adapters.router.serving import configuration, loop_factory
from iron_policy.cost import to_nanodollars, to_usd

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from iron_adapters.resolve import PolicyLike
    from iron_adapters.router.keys import Keys
    from iron_adapters.router.management import Management

_NEITHER = (
    "LlmRouter needs a provider's key, or an Iron Cage server to get one from. Either 'provider_key' or both 'api_key' and 'server_url' must be provided. "
    "Use provider_key + api_key + server_url for direct mode with analytics sync."
)


class LlmRouter:
    """An OpenAI- and Anthropic-compatible server in this process, ready when the constructor returns.

    Args:
        api_key: what clients send as their API key: the Iron Cage token (IC token) in server mode. By default a random one.
        server_url: the Iron Cage control plane: keys and a lease come from there (server mode); with *provider_key*
            only analytics go there.
        cache_ttl_seconds: how long a key from the control plane is used without asking again; 0 asks each time.
        budget: the most that may be spent through this router, in USD; ``None`` is no limit of its own.
        provider_key: your own key (direct mode), or several by provider: ``{"openai": …, "anthropic": …}``.
        policy: a policy, its engine, a mapping, a path, or ``None``: the enclosing run's, ``$IRON_POLICY``, the default.
        upstreams: further servers by name, or other addresses of ``openai`` and ``anthropic``, over those of the
            policy: a URL, or a mapping with ``base_url`` and, if need be, ``dialect``, ``models`` and ``api_key``.
        port: where to listen; 0 is any free port.
        host: the interface to listen on.

    Raises:
        ValueError: no key and no server to get one from, *budget* is negative or no number, ``$HTTPS_PROXY`` is no
            address, or ``$SSL_CERT_FILE`` holds no certificates.
        ProviderMismatch: a key is another provider's than the one it was given for.
        PolicyError: *policy* or *upstreams* cannot be used.
        OSError: the port cannot be had.
    """

    def __init__(
        self,
        api_key: str | None = None,
        server_url: str | None = None,
        cache_ttl_seconds: int = 300,
        budget: float | None = None,
        provider_key: str | Mapping[str, str] | None = None,
        *,
        policy: PolicyLike = None,
        upstreams: Mapping[str, str | Mapping[str, Any]] | None = None,
        port: int = 0,
        host: str = "127.0.0.1",
    ) -> None:
        if not provider_key and not upstreams and not (api_key and server_url):
            raise ValueError(_NEITHER)
        engine = engine_for(policy)
        sections, keys = split_keys(upstreams or {})
        keys |= by_provider(provider_key) if provider_key else {}
        all_upstreams = upstreams_for(engine.policy, sections, keys)
        refuse_strange_names(keys, all_upstreams)
        self._api_key = api_key or f"iron-{secrets.token_urlsafe(24)}"
        self._host = host
        self._provider = next(iter(keys), None)
        self._lock = threading.Lock()
        self._stopped = False
        own = OwnKeys(keys)
        self._management = _managed(server_url, api_key, own, cache_ttl_seconds, direct=bool(keys))
        self._scope = engine.scope(counts_loops=False)
        if self._management is not None:
            self._scope = self._management.scope_in(self._scope)
        if budget is not None:
            self.set_budget(budget)
        setting = Setting(
            engine=engine,
            scope=self._scope,
            upstreams=all_upstreams,
            keys=own if self._management is None else self._management.keys,
            doors=Doors(token=self._api_key.encode(), loopback=is_loopback(host)),
            lend=None if self._management is None else self._management.lend,
            services=() if self._management is None else (self._management,),
            proxy=proxy_in(os.environ),
        )
        self._server = BackgroundServer(
            configuration(Router(setting)), bound(host, port), name="llm-router", loop_factory=loop_factory()
        )
        open_router(self._server.port, host)

    def __repr__(self) -> str:
        return f"LlmRouter(port={self._server.port}, is_running={self.is_running})"

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes as ``base_url``; an Anthropic client takes it without its ``/v1``."""
        self._refuse_stopped()
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._server.port}/v1"

    @property
    def api_key(self) -> str:
        """What clients send as their API key."""
        self._refuse_stopped()
        return self._api_key

    @property
    def port(self) -> int:
        """Where the router listens."""
        self._refuse_stopped()
        return self._server.port

    @property
    def provider(self) -> str:
        """Whose key the router has: ``openai``, ``anthropic``, an upstream's name, or ``unknown``."""
        self._refuse_stopped()
        if self._provider is not None:
            return self._provider
        return "unknown" if self._management is None else self._management.provider

    @property
    def is_running(self) -> bool:
        """Whether the router accepts calls."""
        return not self._stopped and self._server.is_running

    @property
    def budget(self) -> float | None:
        """The limit in USD: the router's own, else what the control plane has lent; ``None`` where there is none."""
        status = self.budget_status
        return None if status is None else status[1]

    @property
    def budget_status(self) -> tuple[float, float] | None:
        """What is spent and the limit, both in USD; ``None`` where there is no limit, and after the end."""
        account = self._scope.account
        if account is None and self._management is not None:
            account = self._management.account
        if account is None or self._stopped:
            return None
        return float(to_usd(account.spent_nanodollars)), float(to_usd(account.limit_nanodollars))

    def total_spent(self) -> float:
        """Return what was spent through this router so far, in USD. It stays after the end."""
        return float(self._scope.summary().cost_usd)

    def set_budget(self, usd: float) -> None:
        """Change the limit from now on; 0 refuses every call that costs anything.

        Raises:
            ValueError: *usd* is negative or no number.
        """
        try:
            nanodollars = to_nanodollars(usd)
        except ValueError as error:
            raise ValueError(f"budget: {error}") from None
        with self._lock:
            account = self._scope.account
            if account is not None:
                account.set_limit(nanodollars)
                return
            self._scope.account = router_account(usd)
            self._scope.account.spent_nanodollars = to_nanodollars(self._scope.summary().cost_usd)
            self._scope.accounts_by_engine.clear()

    def stop(self) -> None:
        """Accept no further calls, let those under way end (30 seconds at most), and end the server.

        In server mode, what was not spent of the lease is given back then; analytics are flushed.
        """
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
        self._server.stop()
        close_router(self._server.port)

    def __enter__(self) -> Self:
        """Return the router, which runs already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def _refuse_stopped(self) -> None:
        if self._stopped:
            raise RuntimeError("Router is stopped")


def _managed(
    server_url: str | None, ic_token: str | None, own: Keys, cache_ttl_seconds: float, *, direct: bool
) -> Management | None:
    """Return what runs beside a router that a control plane manages, where one does."""
    if not server_url or not ic_token:
        return None
    from iron_adapters.control_plane import ControlPlane
    from iron_adapters.router.management import Management

    plane = ControlPlane(server_url, ic_token)
    return Management(plane, own, cache_ttl_seconds=cache_ttl_seconds, direct=direct)
