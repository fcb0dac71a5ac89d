"""``iron-runtime --mode=router``: the router as a process of its own, and what it came to."""

from __future__ import annotations

import errno
import gc
import logging
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from iron_adapters.background_server import bound
from iron_adapters.cli.router_options import CannotServe
from iron_adapters.cli.router_report import Report, started
from iron_adapters.cli.router_setting import prepared
from iron_adapters.providers import ProviderMismatch
from iron_adapters.router.app import Router
from iron_adapters.router.foreground import ForegroundServer
from iron_adapters.router.serving import configuration
from iron_adapters.router.supervisor import Supervisor, WorkersFailed
from iron_adapters.router.totals import Totals
from iron_adapters.router.warm_up import warm_up, warm_up_beside
from iron_adapters.router.worker import READY
from iron_policy.exceptions import PolicyError

if TYPE_CHECKING:
    import socket

    from iron_adapters.cli.router_options import RouterOptions
    from iron_adapters.cli.router_setting import Prepared

_CANNOT = 2
_log = logging.getLogger("iron.router")


def run_router(options: RouterOptions) -> NoReturn:
    """Serve until a signal ends it, tell on standard error what it did, and exit with 0; 2 where it cannot start."""
    report = Report(as_json=options.as_json, service_manager=os.environ.get("NOTIFY_SOCKET"))
    logging.getLogger().addHandler(report.handler())
    serve = _serve_here if options.workers == 1 else _serve_in_workers
    try:
        made = prepared(options, os.environ)
        listening = _listening(options)
        source = options.policy or os.environ.get("IRON_POLICY") or "built-in"
        report.started(started(options, made, port=listening.getsockname()[1], source=str(source)))
        _warn_of_nothing_to_spend(made)
        gc.freeze()  # what was loaded so far stays: the collector need not walk it, and workers go on sharing it
        totals = serve(options, made, listening, report)
    except (PolicyError, ProviderMismatch, CannotServe, WorkersFailed) as error:
        report.failed(str(error), code=_CANNOT)
        sys.exit(_CANNOT)
    made.setting.engine.close()
    report.ended(totals)
    sys.exit(0)


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


def _warn_of_nothing_to_spend(made: Prepared) -> None:
    account = made.setting.scope.account
    if account is not None and account.limit_nanodollars == 0:
        _log.warning("--budget is 0: every call that has a price is refused (402)")


def _serve_here(options: RouterOptions, made: Prepared, listening: socket.socket, report: Report) -> Totals:
    setting = made.as_served()

    def ready() -> None:
        report.ready()
        warm_up_beside(setting.engine)

    config = configuration(Router(setting), grace_seconds=options.grace_seconds)
    ForegroundServer(config, on_ready=ready).serve_on(listening)
    return _totals(made)


def _serve_in_workers(
    options: RouterOptions, made: Prepared, listening: socket.socket, report: Report
) -> Totals:
    warm_up(made.setting.engine)  # before the first fork, so that all workers share what it loads
    work = partial(_work, options, made, listening)
    return Supervisor(options.workers, work, listening, report, grace_seconds=options.grace_seconds).run()


def _work(
    options: RouterOptions, made: Prepared, listening: socket.socket, says: int, supervisor: int
) -> None:
    """Serve as one worker of several."""
    config = configuration(Router(made.as_served()), grace_seconds=options.grace_seconds)
    server = ForegroundServer(config, on_ready=lambda: _say(says, READY), supervisor=supervisor)
    server.serve_on(listening)
    _say(says, _totals(made).line())
    made.setting.engine.close()


def _say(says: int, line: bytes) -> None:
    os.write(says, line)


def _totals(made: Prepared) -> Totals:
    totals = Totals()
    totals.add(made.setting.scope.summary())
    return totals
