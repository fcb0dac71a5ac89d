"""What a runtime knows of the runs of this process: asked for, and freed at their end.

Owns the requests about runs, which are short, and what stands in a summary where they fail. A run that has sent the
runtime nothing is not asked for.
"""

from __future__ import annotations

import http.client
import logging
import threading
import weakref
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from iron_adapters.run_header import id_of
from iron_adapters.runtime_address import token_of_agent, usable
from iron_policy.cost import to_usd

if TYPE_CHECKING:
    from iron_adapters.runtime_address import RuntimeAddress
    from iron_policy.scope import RunSummary, Scope

_log = logging.getLogger("iron.runtime")
_MOST_SECONDS: Final = 2.0
"""How long the runtime may take to answer. It is on this machine, and has nothing to compute."""
_MOST_SECONDS_AT_THE_END: Final = 0.5
"""How long it may take to hear that a run has ended: nobody asked, and an event loop may be waiting."""
_OK: Final = 200


class _Linked:
    """What this process knows of a scope whose calls a runtime serves."""

    def __init__(self, address: RuntimeAddress) -> None:
        self.address = address
        self.ended = 0
        """How many of its calls have ended."""


_lock = threading.Lock()
_linked: weakref.WeakKeyDictionary[Scope, _Linked] = weakref.WeakKeyDictionary()
_tokens: weakref.WeakKeyDictionary[Scope, str] = weakref.WeakKeyDictionary()


def show_token(scope: Scope, token: str) -> None:
    """Let calls in *scope* show the runtime *token*, where the environment has none for it.

    Raises:
        PolicyError: it is none.
    """
    _tokens[scope] = usable(token, "ic_token")


def token_of(scope: Scope) -> str | None:
    """Return what calls in *scope* are to show."""
    if not _tokens:
        return None
    return next((_tokens[each] for each in scope.lineage() if each in _tokens), None)


def note_link(address: RuntimeAddress, scope: Scope) -> None:
    """Note that a call in *scope* is sent to the runtime at *address*."""
    with _lock:
        for each in scope.lineage():
            if each not in _linked:
                _linked[each] = _Linked(address)


def note_end(scope: Scope) -> None:
    """Note that a call in *scope* has ended."""
    with _lock:
        for each in scope.lineage():
            _linked[each].ended += 1


def with_the_runtimes(scope: Scope, summary: RunSummary) -> RunSummary:
    """Return *summary*, which tells of what was judged in this process, with what the runtime knows of the run.

    Waits for the runtime for 2 seconds at most. Where it cannot be asked, ``note`` says so.
    """
    linked = _linked.get(scope)
    if linked is None:
        return summary
    told = _ask(linked.address, "GET", scope, f"?ended={linked.ended}")
    if told is None:
        note = f"the runtime at {linked.address.url} could not be asked, so this is what was judged in process alone"
        return replace(summary, note=note)
    findings = Counter(summary.findings) | Counter(
        told["findings"]
    )  # either may have seen what the other has not
    return replace(
        summary,
        calls=told["calls"],
        refusals=summary.refusals + told["refusals"],
        input_tokens=told["input_tokens"],
        output_tokens=told["output_tokens"],
        cost_usd=to_usd(told["cost_nanodollars"]),
        findings=dict(findings),
    )


def end_run(scope: Scope) -> None:
    """Let the runtime forget what *scope* has told it, unless it is a part of another run that goes on."""
    linked = _linked.get(scope)
    if linked is not None and not any(each in _linked for each in scope.lineage()[1:]):
        _ask(linked.address, "DELETE", scope, "", seconds=_MOST_SECONDS_AT_THE_END)


def _ask(
    address: RuntimeAddress, method: str, scope: Scope, query: str, *, seconds: float = _MOST_SECONDS
) -> dict[str, Any] | None:
    """Return what the runtime says of the run *scope*, ``None`` where it says nothing."""
    connect = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = connect(address.host, address.port, timeout=seconds)
    token = address.token or token_of(scope) or token_of_agent()
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    try:
        connection.request(method, f"{address.path}/iron/v1/runs/{id_of(scope)}{query}", headers=headers)
        response = connection.getresponse()
        body = response.read()
        told: dict[str, Any] | None = orjson.loads(body) if response.status == _OK else None
    except (OSError, http.client.HTTPException, ValueError) as error:
        _log.warning("the runtime could not be asked about a run (%s)", type(error).__name__)
        return None
    finally:
        connection.close()
    return told
