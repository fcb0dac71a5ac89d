"""``iron-runtime --mode=router``: the router as a process of its own, and what it came to."""

from __future__ import annotations

import errno
import gc
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from iron_adapters.background_server import bound
from iron_adapters.cli.complaint import complain
from iron_adapters.cli.router_options import CannotServe
from iron_adapters.cli.router_report import Report, started
from iron_adapters.providers import OFFICIAL_URLS, ProviderMismatch
from iron_adapters.resolve import engine_for
from iron_adapters.router.app import Limits, Router, Setting
from iron_adapters.router.assembly import router_account, upstreams_for
from iron_adapters.router.doors import Doors, is_loopback
from iron_adapters.router.foreground import ForegroundServer
from iron_adapters.router.keys import OwnKeys
from iron_adapters.router.provider_keys import keys_in
from iron_adapters.router.request_log import RequestLog
from iron_adapters.router.serving import configuration
from iron_adapters.router.totals import Totals
from iron_adapters.router.warm_up import warm_up, warm_up_beside
from iron_policy.exceptions import PolicyError

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Mapping

    from iron_adapters.cli.router_options import RouterOptions
    from iron_adapters.router.keys import Keys
    from iron_adapters.router.upstreams import Upstreams
    from iron_policy.budget import Account

_CANNOT = 2
_FAILED = 1


def run_router(options: RouterOptions) -> NoReturn:
    """Serve until a signal ends it, tell on standard error what it did, and exit with 0; 2 where it cannot start."""
    try:
        setting, own_keys = prepared(options, os.environ)
        listening = _listening(options)
    except (PolicyError, ProviderMismatch, CannotServe) as error:
        complain(f"{error}\nthe router is not started", code=_CANNOT)
    report = Report(as_json=options.as_json, service_manager=os.environ.get("NOTIFY_SOCKET"))
    source = options.policy or os.environ.get("IRON_POLICY") or "built-in"
    report.started(started(options, setting, own_keys, port=listening.getsockname()[1], source=str(source)))
    gc.freeze()  # what was loaded so far stays: the collector need not walk it, and workers go on sharing it
    serve = _serve_here if options.workers == 1 else _serve_in_workers
    totals = serve(options, setting, listening, report)
    setting.engine.close()
    report.ended(totals)
    sys.exit(0)


class Prepared(NamedTuple):
    """A router that could be started."""

    setting: Setting
    own_keys: frozenset[str]
    """Which upstreams it has keys of its own for, by name."""


def prepared(options: RouterOptions, environment: Mapping[str, str]) -> Prepared:
    """Return what the router is made of.

    Raises:
        PolicyError: the policy cannot be used.
        ProviderMismatch: a key stands in another provider's variable.
        CannotServe: an option cannot be carried out, or goes with no other.
    """
    engine = engine_for(options.policy)
    options.refuse_divided(engine.policy)
    token = options.token_from(environment)
    scope = engine.scope(counts_loops=False)
    scope.account = _account(options)
    keys = _own_keys(environment, {*engine.policy.upstreams, *OFFICIAL_URLS})
    upstreams = upstreams_for(engine.policy, {}, keys)
    setting = Setting(
        engine=engine,
        scope=scope,
        upstreams=upstreams,
        keys=_keys(keys, upstreams, token),
        doors=Doors(token=None if token is None else token.encode(), loopback=is_loopback(options.host)),
        limits=Limits(most_body_bytes=options.most_body_bytes),
        log=RequestLog() if options.log_json else None,
    )
    return Prepared(setting, frozenset(keys))


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


def _keys(own: Mapping[str, str], upstreams: Upstreams, token: str | None) -> Keys:
    """Return the keys that calls go with: the router's own; where it asks for no token, else the caller's.

    Raises:
        CannotServe: no call could ever be served.
    """
    keys = OwnKeys(own, takes_callers=token is None)
    if not any(keys.has(upstream) for upstream in upstreams):
        raise CannotServe(
            "with a token, callers send that and no provider's key, so the router needs its own: set OPENAI_API_KEY "
            "or ANTHROPIC_API_KEY, or name an upstream in the policy that needs none"
        )
    return keys


def _listening(options: RouterOptions) -> socket.socket:
    """Return the socket to serve on.

    Raises:
        CannotServe: the port cannot be had.
    """
    place = f"port {options.port} of {options.host}"
    try:
        return bound(options.host, options.port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            problem = f"{place} is taken: end the program that has it, or choose another with --port (0: any free one)"
        elif error.errno == errno.EACCES:
            problem = f"{place} is for the system's own programs: choose one above 1023 with --port"
        else:
            problem = (
                f"{place} cannot be listened on ({error.strerror}): --host takes an address of this machine"
            )
        raise CannotServe(problem) from None


def _serve_here(options: RouterOptions, setting: Setting, listening: socket.socket, report: Report) -> Totals:
    def ready() -> None:
        report.ready()
        warm_up_beside(setting.engine)

    config = configuration(Router(setting), grace_seconds=options.grace_seconds)
    ForegroundServer(config, on_ready=ready).serve_on(listening)
    return _totals(setting)


def _serve_in_workers(
    options: RouterOptions, setting: Setting, listening: socket.socket, report: Report
) -> Totals:
    from iron_adapters.router.supervisor import Supervisor, WorkersFailed

    warm_up(setting.engine)  # before the first fork, so that all workers share what it loads
    work = partial(_work, options, setting, listening)
    supervisor = Supervisor(options.workers, work, listening, report, grace_seconds=options.grace_seconds)
    try:
        return supervisor.run()
    except WorkersFailed as error:
        complain(str(error), code=_FAILED)


def _work(
    options: RouterOptions, setting: Setting, listening: socket.socket, says: int, supervisor: int
) -> None:
    """Serve as one worker of several."""
    from iron_adapters.router.worker import READY

    config = configuration(Router(setting), grace_seconds=options.grace_seconds)
    server = ForegroundServer(config, on_ready=lambda: _say(says, READY), supervisor=supervisor)
    server.serve_on(listening)
    _say(says, _totals(setting).line())
    setting.engine.close()


def _say(says: int, line: bytes) -> None:
    os.write(says, line)


def _totals(setting: Setting) -> Totals:
    totals = Totals()
    totals.add(setting.scope.summary())
    return totals
