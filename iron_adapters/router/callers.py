"""On whose behalf a call is made: the scope that it draws on.

Owns what callers may say about themselves in headers: ``x-iron-agent``, ``x-iron-user`` and ``x-iron-path`` name the
agent, the user and the place that budgets and the record are kept by. Every caller who has the token is believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from iron_adapters.router.problems import NotServed
from iron_policy.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_NAME: Final = 200
_KEPT_BY_PROVIDER: Final = "/responses"


class Callers:
    """The scopes of the calls that a router serves, all of them parts of *scope*."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def scope_of(self, endpoint: str, headers: Mapping[str, str]) -> Scope:
        """Return the scope of one call.

        It has a vault of its own, so that no caller's stand-ins turn into another's values. Only where the provider
        keeps a conversation, and a reply may hold stand-ins of an earlier request, callers share one.

        Raises:
            NotServed: a name is too long or holds what no name does.
        """
        scope = self._scope
        vault = scope.vault if endpoint == _KEPT_BY_PROVIDER else scope.engine.new_vault()
        if "x-iron-agent" not in headers and "x-iron-user" not in headers and "x-iron-path" not in headers:
            return Scope(scope.engine, vault, parent=scope, counts_loops=False)
        return Scope(
            scope.engine,
            vault,
            parent=scope,
            agent=_name(headers, "x-iron-agent"),
            user=_name(headers, "x-iron-user"),
            path=_name(headers, "x-iron-path"),
            counts_loops=False,
        )


def _name(headers: Mapping[str, str], header: str) -> str | None:
    name = headers.get(header)
    if name is None:
        return None
    if not name.isprintable() or len(name) > _LONGEST_NAME:
        raise NotServed(400, "bad_name", f"{header}: a name has up to {_LONGEST_NAME} printable characters")
    return name
