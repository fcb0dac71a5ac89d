"""What a router says of itself on standard error: what it governs, when it is ready, what it did.

Owns the words and their form: a table on a terminal, plain lines elsewhere, lines of JSON for machines. Says whether
there is a key, never which.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from iron_adapters.cli.router_options import TOKEN_VARIABLE
from iron_adapters.router.provider_keys import variable_of
from iron_adapters.router.service_manager import tell_service_manager

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from iron_adapters.cli.router_options import RouterOptions
    from iron_adapters.cli.router_setting import Prepared
    from iron_adapters.router.totals import Totals
    from iron_adapters.router.upstreams import Upstream
    from iron_policy.document import Policy

_SHARED_RUN = " (all calls that name no run, together)"
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - told, not bound


def started(options: RouterOptions, made: Prepared, *, port: int, source: str) -> dict[str, Any]:
    """Return what there is to say of a router that is about to serve.

    Args:
        options: as they were given.
        made: what it is made of.
        port: where it listens.
        source: where its policy comes from.
    """
    host = _EVERYWHERE.get(options.host, options.host)
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    setting = made.setting
    policy = setting.engine.policy
    return {
        "openai_base_url": f"{address}/v1",
        "anthropic_base_url": address,
        "host": options.host,
        "port": port,
        "workers": options.workers,
        "control_plane": None if made.controlled_by is None else made.controlled_by.server_url,
        "token_needed": setting.doors.token is not None,
        "upstreams": [
            {"name": each.name, "base_url": each.base_url, "key": _key(each, made)}
            for each in setting.upstreams
        ],
        "policy": source,
        "mode": policy.mode,
        "rules": list(_rules(policy)),
        "budgets": _budgets(options, policy),
        "state": policy.state,
        "audit": policy.audit.path,
    }


class Report:
    """Says it on standard error.

    Args:
        as_json: whether a machine reads it.
        service_manager: where systemd listens, if this is a service of it.
    """

    def __init__(self, *, as_json: bool, service_manager: str | None = None) -> None:
        self._as_json = as_json
        self._service_manager = service_manager
        self._address = ""

    def handler(self) -> logging.Handler:
        """Return what hands on the warnings of all loggers, in the same form."""
        return _Warnings(self)

    def warn(self, record: logging.LogRecord) -> None:
        """Say what a logger warns of. Not its traceback, which may hold texts."""
        facts = {"level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        self._say("log", record.getMessage(), facts)

    def started(self, facts: Mapping[str, Any]) -> None:
        """Say what is about to be served, and under what."""
        self._address = facts["anthropic_base_url"]
        if self._as_json:
            self._say_json("started", facts)
        else:
            _table("iron-runtime: router", dict(_lines(facts)))

    def ready(self) -> None:
        """Say that calls are accepted."""
        self._say("ready", f"ready on {self._address}", {})
        tell_service_manager(self._service_manager, "READY=1")

    def failed(self, problem: str, *, code: int) -> None:
        """Say why there is no router, and with which *code* its process ends."""
        text = f"{problem}\nthe router is not started".replace("\n", "\niron-runtime: ")
        self._say("failed", text, {"message": problem, "exit_code": code})

    def worker_ended(self, pid: int, code: int, pause_seconds: float) -> None:
        """Say that a worker is gone."""
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        facts = {"pid": pid, "code": code, "restart_seconds": pause_seconds}
        self._say("worker_ended", f"worker {pid} {how}; another starts in {pause_seconds:g} s", facts)

    def ended(self, totals: Totals) -> None:
        """Say what was done."""
        numbers = totals.numbers()
        if self._as_json:
            self._say_json("ended", numbers)
            return
        found = ", ".join(f"{count} {kind}" for kind, count in sorted(totals.findings.items())) or "nothing"
        rows = {
            "calls": str(totals.calls),
            "tokens": f"{totals.input_tokens:,} in, {totals.output_tokens:,} out",
            "cost": f"${totals.cost_usd:.6f}",
            "found": found,
            "refused": str(totals.refusals),
        }
        if totals.lost_workers:
            rows["not counted"] = f"what {totals.lost_workers} workers did that were ended from outside"
        _table("iron-runtime: router", rows)

    def _say(self, event: str, text: str, facts: Mapping[str, Any]) -> None:
        if self._as_json:
            self._say_json(event, facts)
        else:
            _print(f"iron-runtime: {text}")

    @staticmethod
    def _say_json(event: str, facts: Mapping[str, Any]) -> None:
        _print(json.dumps({"event": event, **facts}))


class _Warnings(logging.Handler):
    """Takes what loggers of any name say, from warnings on."""

    def __init__(self, report: Report) -> None:
        super().__init__(logging.WARNING)
        self._report = report

    def emit(self, record: logging.LogRecord) -> None:
        """Say it."""
        self._report.warn(record)


def _key(upstream: Upstream, made: Prepared) -> str:
    """Return whose key calls to *upstream* go with."""
    if upstream.name in made.own_keys:
        return "own"
    if upstream.is_official and made.controlled_by is not None:
        return "control plane"
    if upstream.is_official:
        return "callers" if made.setting.doors.token is None else "none"
    return "none needed"


def _lines(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "OpenAI clients", f"base_url {facts['openai_base_url']}"
    yield "Anthropic clients", f"base_url {facts['anthropic_base_url']}"
    yield "API key", "the router's token" if facts["token_needed"] else _NO_TOKEN
    if facts["control_plane"]:
        yield "control plane", facts["control_plane"]
    for upstream in facts["upstreams"]:
        yield (
            upstream["name"],
            f"{upstream['base_url']}, {_WHOSE[upstream['key']].format(variable_of(upstream['name']))}",
        )
    yield "policy", f"{facts['policy']}, mode {facts['mode']}"
    yield "rules", "; ".join(facts["rules"]) or "none"
    yield "budgets", "; ".join(facts["budgets"]) or "none"
    yield (
        "state",
        _STATES.get(facts["state"], facts["state"])
        + (f", {facts['workers']} workers" if facts["workers"] > 1 else ""),
    )
    yield "record", facts["audit"] or "none: set audit.path in the policy"


_WHOSE = {
    "own": "with the key of {}",
    "control plane": "with the control plane's key, if it gives one",
    "callers": "with the caller's own key ({} is not set)",
    "none": "no key: set {}",
    "none needed": "without a key ({} is not set)",
}


_STATES = {"memory://": "in memory"}
_NO_TOKEN = f"any: whoever is on this machine can call; {TOKEN_VARIABLE} sets a token"


def _rules(policy: Policy) -> Iterator[str]:
    """Yield which sections of *policy* do something, in a few words each."""
    for way, safety in (("input", policy.safety.input), ("output", policy.safety.output)):
        actions = [
            f"{family} {action}" for family, action in safety.model_dump().items() if action != "allow"
        ]
        if actions:
            yield f"{way}: {', '.join(actions)}"
    if kinds := [*policy.safety.kinds, *(custom.kind for custom in policy.safety.custom)]:
        yield f"kinds: {', '.join(kinds)}"
    given = policy.access.model_dump(exclude_defaults=True)
    if given:
        yield f"access: {', '.join(given)}"
    for limit in policy.limits:
        yield f"{limit.scope}: {limit.requests or limit.tokens} {'requests' if limit.requests else 'tokens'} a {limit.window}"
    if policy.reliability.breaker is not None:
        yield "breaker"


def _budgets(options: RouterOptions, policy: Policy) -> list[str]:
    own = [] if options.budget is None else [f"router {_dollars(options.budget)}"]
    return [
        *own,
        *(
            f"{each.scope} {_dollars(each.limit_usd)}"
            + (f" a {each.window}" if each.window else "")
            + (_SHARED_RUN if each.scope == "run" else "")
            for each in policy.budgets
        ),
    ]


def _dollars(amount: object) -> str:
    """Return *amount* as money is written: to the cent, or as exactly as it was given."""
    exact = Decimal(str(amount))
    return f"${exact:,.2f}" if exact == round(exact, 2) else f"${exact:,f}"


def _table(title: str, rows: Mapping[str, str]) -> None:
    if not sys.stderr.isatty():
        width = max(map(len, rows))
        _print("\n".join([title, *(f"  {name:{width}}  {value}" for name, value in rows.items())]))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, show_header=False, title_justify="left")
    for name, value in rows.items():
        table.add_row(name, Text(value))
    Console(stderr=True).print(table)


def _print(text: str) -> None:
    with suppress(OSError, ValueError):  # a terminal that was closed must not end a server
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - a command's output
