"""The short settings of ``protect_agent``: what they say in the words of a policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from iron_adapters.resolve import engine_for
from iron_policy.document import Policy
from iron_policy.engine import PolicyEngine
from iron_policy.exceptions import PolicyError

if TYPE_CHECKING:
    from iron_adapters.resolve import PolicyLike


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetConfig:
    """What one run may spend."""

    max_usd: float
    """In USD."""

    def __post_init__(self) -> None:
        if not 0 <= self.max_usd < float("inf"):
            raise PolicyError(f"BudgetConfig: max_usd must be an amount of 0 or more, not {self.max_usd!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyConfig:
    """What is looked for in texts."""

    pii_detection: bool = True
    """True leaves personal data to the policy (which tokenizes by default); False does not look for it."""
    secret_detection: bool = True
    """The same for secrets."""
    max_tokens_per_request: int | None = None
    """The most output tokens that a call may ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityConfig:
    """What happens when a provider fails."""

    circuit_breaker_enabled: bool = False
    failure_threshold: int = 5
    """Failures within a minute that open the breaker."""


def adjusted(
    policy: PolicyLike, safety: SafetyConfig | None, reliability: ReliabilityConfig | None
) -> PolicyEngine | None:
    """Return the engine for *policy* with the settings over it; ``None`` to look it up at each run.

    Raises:
        PolicyError: *policy* is no policy.
    """
    if safety is None and reliability is None:
        return None if policy is None else engine_for(policy)
    document: dict[str, Any] = engine_for(policy).policy.model_dump(mode="json")
    if safety is not None:
        _look_for(document, safety)
    if reliability is not None:
        breaker = {"failures": reliability.failure_threshold} if reliability.circuit_breaker_enabled else None
        document["reliability"]["breaker"] = breaker
    return PolicyEngine(Policy.model_validate(document))


def _look_for(document: dict[str, Any], safety: SafetyConfig) -> None:
    for direction in ("input", "output"):
        if not safety.pii_detection:
            document["safety"][direction]["pii"] = "allow"
        if not safety.secret_detection:
            document["safety"][direction]["secrets"] = "allow"
    if safety.max_tokens_per_request is not None:
        document["access"]["parameters"]["max_tokens"] = safety.max_tokens_per_request
