"""A refusal that a runtime tells of, as the exception that it is in library mode.

Owns the way back from the facts that ``wire.refusals`` writes. An error without those facts is a provider's, or the
runtime's own trouble, and none of this module's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from iron_policy import exceptions
from iron_policy.exceptions import (
    BudgetExceeded,
    IronError,
    PolicyDenied,
    RateLimited,
    Untranslatable,
    WireError,
)
from iron_policy.verdicts import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

MARK: Final = b'"iron"'
"""What a body or an event holds that tells of a refusal, among others that do."""
_DENIALS: Final[Mapping[str, type[PolicyDenied]]] = {
    cls.code: cls
    for cls in vars(exceptions).values()
    if isinstance(cls, type) and issubclass(cls, PolicyDenied)
}


def refusal_in(body: bytes) -> IronError | None:
    """Return the refusal that *body* tells of, ``None`` where it tells of none."""
    if MARK not in body:
        return None
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    error = document.get("error") if isinstance(document, dict) else None
    return refusal_of(error) if isinstance(error, dict) else None


def refusal_of(error: Mapping[str, Any]) -> IronError | None:
    """Return the refusal that an error object tells of, ``None`` where it tells of none."""
    facts = error.get("iron")
    if not isinstance(facts, dict):
        return None
    reason = str(facts.get("reason") or error.get("message") or "")
    if facts.get("code") == Untranslatable.code:
        return Untranslatable(reason, str(facts.get("param") or ""))
    if facts.get("code") == WireError.code:
        return WireError(reason)
    cls = _DENIALS.get(str(facts.get("code")))
    if cls is None:
        return None
    call_id = facts.get("call_id")
    details: dict[str, Any] = {
        "findings": tuple(_finding(each) for each in facts.get("findings") or () if isinstance(each, dict)),
        "call_id": call_id if isinstance(call_id, str) else None,
    }
    if issubclass(cls, BudgetExceeded):
        details |= {name: _amount(facts, name) for name in ("spent_usd", "held_usd", "limit_usd")}
        details["scope"] = str(facts.get("scope"))
    if issubclass(cls, RateLimited):
        details["retry_after_seconds"] = _amount(facts, "retry_after_seconds")
    denied = cls(reason, **details)
    if facts.get("of_reply") is True:
        denied.of_reply = True
    return denied


def _finding(told: Mapping[str, Any]) -> Finding:
    return Finding(
        str(told.get("kind")),
        int(_amount(told, "start")),
        int(_amount(told, "end")),
        _amount(told, "score"),
        str(told.get("place") or ""),
    )


def _amount(told: Mapping[str, Any], name: str) -> float:
    value = told.get(name)
    return float(value) if isinstance(value, int | float) else 0.0
