"""Every error of the engine and of the seams.

::

    IronError
    ├── PolicyError        the document is wrong: raised while loading, never while serving
    ├── PolicyDenied       a refusal, raised at a seam
    │   ├── ContentBlocked     a text holds what may not pass
    │   ├── ModelNotAllowed    the model is not on the list
    │   ├── ToolNotAllowed     a tool is not on the list
    │   ├── ParameterNotAllowed  a parameter is not allowed, or too large
    │   ├── EndpointNotAllowed a provider's endpoint that nobody here can read
    │   ├── BudgetExceeded     the call's upper bound does not fit what is left
    │   ├── RateLimited        too many requests or tokens in a window
    │   ├── CircuitOpen        the provider failed too often just now
    │   ├── LoopDetected       the run calls too often, or the same tool again and again
    │   ├── RunStopped         somebody has stopped the run from outside
    │   ├── UnknownPrice       a budget applies and the model has no price
    │   └── GovernanceFailed   a detector or a store failed, and the policy fails closed
    ├── WireError          a body that cannot be read
    │   └── Untranslatable     a field that the other provider has no equal for
    └── UpstreamError      the provider could not be reached, or answered nonsense

No message holds a prompt, a completion or a key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iron_policy.verdicts import Finding


class IronError(Exception):
    """Whatever this project raises on purpose.

    Attributes:
        status_code: the HTTP status that says the same.
        code: what programs tell it by.
    """

    status_code = 400
    code = "iron_error"


class PolicyError(IronError, ValueError):
    """A policy document is wrong. The message names the line, the key and the remedy."""


class WireError(IronError):
    """A provider's body cannot be read, so nothing was sent or handed on."""

    code = "unreadable"


class Untranslatable(WireError):  # noqa: N818 - what the body is
    """A request says something that the other provider's dialect cannot, so nothing was sent.

    Attributes:
        param: the field, as the providers name it, such as ``messages[2].content[0].type``.
    """

    code = "untranslatable"

    def __init__(self, message: str, param: str = "") -> None:
        super().__init__(message)
        self.param = param


class UpstreamError(IronError):
    """The provider could not be reached, or answered nonsense."""

    status_code = 502
    code = "upstream_failed"


class PolicyDenied(IronError):  # noqa: N818 - a verdict, and a promised name
    """A refusal: nothing was sent, or nothing of the reply was handed on.

    Attributes:
        reason: why, in one sentence, without any content.
        findings: what was found, with kinds and places but no text.
        call_id: the call in the audit record.
        of_reply: whether it speaks of a reply, which the provider bills; else nothing was sent.
    """

    status_code = 403
    code = "policy_denied"
    of_reply = False

    def __init__(
        self, reason: str, *, findings: tuple[Finding, ...] = (), call_id: str | None = None
    ) -> None:
        self.reason = reason
        self.findings = findings
        self.call_id = call_id
        super().__init__(reason)

    def details(self) -> dict[str, Any]:
        """Return what :meth:`__init__` takes besides the reason, so that a seam can raise it in its own type."""
        return {"findings": self.findings, "call_id": self.call_id}


class ContentBlocked(PolicyDenied):
    """A text holds what the policy blocks."""

    code = "content_blocked"


class ModelNotAllowed(PolicyDenied):
    """The policy does not allow this model."""

    code = "model_not_allowed"


class ToolNotAllowed(PolicyDenied):
    """The policy does not allow this tool."""

    code = "tool_not_allowed"


class ParameterNotAllowed(PolicyDenied):
    """The policy does not allow this parameter, or not this much of it."""

    code = "parameter_not_allowed"


class EndpointNotAllowed(PolicyDenied):
    """Nobody here can read what this endpoint is sent, so it is refused unless the policy lets it pass."""

    code = "endpoint_not_allowed"


class BudgetExceeded(PolicyDenied):
    """The most that this call can cost does not fit what is left of a budget.

    Attributes:
        spent_usd: settled so far on that budget, in USD.
        held_usd: reserved by calls under way, in USD.
        limit_usd: the budget, in USD.
        scope: the budget's scope, such as ``run`` or ``team/research``.
    """

    status_code = 402
    code = "budget_exceeded"

    def __init__(
        self,
        reason: str,
        *,
        spent_usd: float = 0.0,
        held_usd: float = 0.0,
        limit_usd: float = 0.0,
        scope: str = "global",
        findings: tuple[Finding, ...] = (),
        call_id: str | None = None,
    ) -> None:
        super().__init__(reason, findings=findings, call_id=call_id)
        self.spent_usd = spent_usd
        self.held_usd = held_usd
        self.limit_usd = limit_usd
        self.scope = scope

    def details(self) -> dict[str, Any]:
        """Return the constructor's keywords, the money among them."""
        money = {"spent_usd": self.spent_usd, "held_usd": self.held_usd, "limit_usd": self.limit_usd}
        return {**super().details(), **money, "scope": self.scope}


class RateLimited(PolicyDenied):
    """Too many requests or tokens in a window.

    Attributes:
        retry_after_seconds: when the window has room again, in seconds.
    """

    status_code = 429
    code = "rate_limited"

    def __init__(
        self,
        reason: str,
        *,
        retry_after_seconds: float = 0.0,
        findings: tuple[Finding, ...] = (),
        call_id: str | None = None,
    ) -> None:
        super().__init__(reason, findings=findings, call_id=call_id)
        self.retry_after_seconds = retry_after_seconds

    def details(self) -> dict[str, Any]:
        """Return the constructor's keywords, the waiting time among them."""
        return {**super().details(), "retry_after_seconds": self.retry_after_seconds}


class CircuitOpen(PolicyDenied):
    """The provider failed too often just now; the call was not tried."""

    status_code = 503
    code = "circuit_open"


class LoopDetected(PolicyDenied):
    """The run has called too often, or the same tool with the same arguments again and again."""

    code = "loop_detected"


class RunStopped(PolicyDenied):
    """The run has been stopped from outside; nothing more of it is sent."""

    code = "run_stopped"


class UnknownPrice(PolicyDenied):
    """A budget applies and nobody knows what this model costs."""

    status_code = 402
    code = "unknown_price"


class GovernanceFailed(PolicyDenied):
    """A detector or a store failed; the policy fails closed, so nothing was sent."""

    status_code = 503
    code = "governance_failed"
