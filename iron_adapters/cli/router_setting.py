"""What a router is made of that the command line starts: from its options and the environment to a ``Setting``.

Owns which environment variables count, and whose keys calls go with. What is wrong is said here, before anything listens.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from iron_adapters.cli.router_options import CannotServe
from iron_adapters.providers import OFFICIAL_URLS
from iron_adapters.proxies import proxy_in
from iron_adapters.resolve import engine_for
from iron_adapters.router.app import Limits, Setting
from iron_adapters.router.assembly import router_account, upstreams_for
from iron_adapters.router.doors import Doors, is_loopback
from iron_adapters.router.keys import OwnKeys
from iron_adapters.router.provider_keys import keys_in
from iron_adapters.router.request_log import RequestLog
from iron_policy.exceptions import PolicyError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from iron_adapters.cli.router_options import RouterOptions
    from iron_adapters.proxies import Proxy
    from iron_adapters.router.upstreams import Upstreams
    from iron_policy.budget import Account
    from iron_policy.document import Policy

_SERVER: Final = "IC_SERVER"
_IC_TOKEN: Final = "IC_TOKEN"  # noqa: S105 - its name
_KEY_SECONDS: Final = 300.0


class ControlledBy(NamedTuple):
    """The control plane that manages a router: its address, and the router's token for it."""

    server_url: str
    ic_token: str

    def __repr__(self) -> str:
        return f"ControlledBy({self.server_url!r})"

    @classmethod
    def found_in(cls, environment: Mapping[str, str]) -> Self | None:
        """Return the control plane that *environment* names, ``None`` where it names none.

        Raises:
            CannotServe: it names half of it, or no address.
        """
        server_url, ic_token = (environment.get(name, "").strip() for name in (_SERVER, _IC_TOKEN))
        if not server_url and not ic_token:
            return None
        if not server_url or not ic_token:
            there, missing = (_SERVER, _IC_TOKEN) if server_url else (_IC_TOKEN, _SERVER)
            raise CannotServe(f"{there} is set and {missing} is not: set both for a control plane, or none")
        if not server_url.startswith(("https://", "http://")) or "@" in server_url:
            raise CannotServe(f"{_SERVER}: write it like https://iron-cage.example.com")
        return cls(server_url, ic_token)


class Prepared(NamedTuple):
    """A router that can be started."""

    setting: Setting
    own_keys: frozenset[str]
    """Which upstreams it has keys of its own for, by name."""
    controlled_by: ControlledBy | None

    def as_served(self) -> Setting:
        """Return the setting to serve with. To be called in the process that serves, because it makes connections.

        Raises:
            CannotServe: the control plane's address or token is none.
        """
        if self.controlled_by is None:
            return self.setting
        from iron_adapters.control_plane import ControlPlane
        from iron_adapters.router.management import Management

        try:
            plane = ControlPlane(*self.controlled_by)
        except ValueError as error:
            raise CannotServe(f"{_SERVER}, {_IC_TOKEN}: {error}") from None
        setting = self.setting
        management = Management(plane, setting.keys, cache_ttl_seconds=_KEY_SECONDS, direct=False)
        return replace(
            setting,
            scope=management.scope_in(setting.scope),
            keys=management.keys,
            lend=management.lend,
            services=(management,),
        )


def prepared(options: RouterOptions, environment: Mapping[str, str]) -> Prepared:
    """Return what the router is made of.

    Raises:
        PolicyError: the policy cannot be used.
        ProviderMismatch: a key stands in another provider's variable.
        CannotServe: an option cannot be carried out, or goes with no other.
    """
    engine = engine_for(options.policy)
    options.refuse_divided(engine.policy)
    controlled_by = ControlledBy.found_in(environment)
    token = options.token_from(environment, default=controlled_by and controlled_by.ic_token)
    scope = engine.scope(counts_loops=False)
    scope.account = _account(options)
    named, official = {*engine.policy.upstreams}, {*OFFICIAL_URLS}
    own = _own_keys(environment, named - official if controlled_by else named | official)
    upstreams = _upstreams(engine.policy, own)
    keys = OwnKeys(own, takes_callers=token is None)
    if controlled_by is None:
        _refuse_keyless(keys, upstreams)
    setting = Setting(
        engine=engine,
        scope=scope,
        upstreams=upstreams,
        keys=keys,
        doors=Doors(token=None if token is None else token.encode(), loopback=is_loopback(options.host)),
        limits=Limits(most_body_bytes=options.most_body_bytes),
        log=RequestLog(upstream_names=[each.name for each in upstreams]) if options.log_json else None,
        keeps_runs=options.workers == 1,
        proxy=_proxy(environment),
    )
    return Prepared(setting, frozenset(own), controlled_by)


def _account(options: RouterOptions) -> Account | None:
    if options.budget is None:
        return None
    try:
        return router_account(options.budget)
    except ValueError as error:
        raise CannotServe(f"--budget: {error}") from None


def _own_keys(environment: Mapping[str, str], upstream_names: Iterable[str]) -> dict[str, str]:
    try:
        return keys_in(environment, sorted(upstream_names))
    except ValueError as error:
        raise CannotServe(str(error)) from None


def _upstreams(policy: Policy, key_names: Collection[str]) -> Upstreams:
    try:
        return upstreams_for(policy, {}, key_names)
    except PolicyError:
        raise
    except ValueError as error:
        raise CannotServe(str(error)) from None


def _proxy(environment: Mapping[str, str]) -> Proxy | None:
    try:
        return proxy_in(environment)
    except ValueError as error:
        raise CannotServe(str(error)) from None


def _refuse_keyless(keys: OwnKeys, upstreams: Upstreams) -> None:
    if not any(keys.has(upstream) for upstream in upstreams):
        raise CannotServe(
            "with a token, callers send that and no provider's key, so the router needs its own: set OPENAI_API_KEY "
            "or ANTHROPIC_API_KEY, or name an upstream in the policy that needs none"
        )
