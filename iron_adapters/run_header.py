"""The header by which a runtime knows the run that a call belongs to: ``x-iron-run``.

Owns its format, for both ends: base64url of a JSON array, one object for each scope that the call draws on, the
outermost first. A scope's id is its name between the processes; it is 128 bits that nobody can guess.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import weakref
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from iron_policy.exceptions import WireError

if TYPE_CHECKING:
    from iron_policy.scope import Scope

RUN_HEADER: Final = "x-iron-run"
ORIGIN_HEADER: Final = "x-iron-origin"
"""The server that a call was made for, where it is not the provider itself."""
MOST_NESTED: Final = 100
"""Scopes within one another."""
_LONGEST_NAME: Final = 200
_ID_LENGTH: Final = 32
_MOST_NANODOLLARS: Final = 2**63
_ids: weakref.WeakKeyDictionary[Scope, str] = weakref.WeakKeyDictionary()


class RunPart(NamedTuple):
    """One scope, as its own process tells of it."""

    id: str
    agent: str | None = None
    user: str | None = None
    path: str | None = None
    budget_nanodollars: int | None = None
    """The most that it may spend."""
    counts_loops: bool = True


def id_of(scope: Scope) -> str:
    """Return what *scope* is called between processes."""
    known = _ids.get(scope)
    return known if known is not None else _ids.setdefault(scope, secrets.token_hex(_ID_LENGTH // 2))


def written(scope: Scope) -> str:
    """Return the header of a call that draws on *scope*."""
    parts = [_said_of(each) for each in reversed(scope.lineage())]
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode()


def read(header: str) -> tuple[RunPart, ...]:
    """Return the scopes that *header* tells of, the outermost first.

    Raises:
        WireError: it cannot be read, so nobody knows what its calls may spend.
    """
    try:
        told: Any = orjson.loads(base64.b64decode(header.encode("ascii"), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        raise WireError(f"{RUN_HEADER}: this is no base64url of JSON") from None
    if not isinstance(told, list) or not 0 < len(told) <= MOST_NESTED:
        raise WireError(f"{RUN_HEADER}: an array of 1 to {MOST_NESTED} scopes is expected")
    return tuple(_part(each) for each in told)


def _said_of(scope: Scope) -> dict[str, Any]:
    budget = None if scope.account is None else scope.account.limit_nanodollars
    said = {
        "id": id_of(scope),
        "agent": scope.agent,
        "user": scope.user,
        "path": scope.path,
        "budget_nanodollars": budget,
    }
    told: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    return told if scope.counts_loops else {**told, "counts_loops": False}


def _part(told: Any) -> RunPart:
    """Return one scope of the header.

    Raises:
        WireError: it says something that no scope has.
    """
    if not isinstance(told, dict) or not told.keys() <= set(RunPart._fields):
        raise WireError(f"{RUN_HEADER}: a scope has {', '.join(RunPart._fields)}")
    if not _is_id(told.get("id")):
        raise WireError(f"{RUN_HEADER}: the id of a scope is {_ID_LENGTH} hexadecimal digits")
    if not all(_is_name(told.get(name)) for name in ("agent", "user", "path")):
        raise WireError(f"{RUN_HEADER}: a name has up to {_LONGEST_NAME} printable characters")
    budget = told.get("budget_nanodollars")
    if budget is not None and (type(budget) is not int or not 0 <= budget < _MOST_NANODOLLARS):
        raise WireError(f"{RUN_HEADER}: budget_nanodollars is a whole number of 0 or more")
    if type(told.get("counts_loops", True)) is not bool:
        raise WireError(f"{RUN_HEADER}: counts_loops is true or false")
    return RunPart(**told)


def _is_id(value: object) -> bool:
    return isinstance(value, str) and len(value) == _ID_LENGTH and not set(value) - set("0123456789abcdef")


def _is_name(value: object) -> bool:
    return value is None or (isinstance(value, str) and value.isprintable() and len(value) <= _LONGEST_NAME)
