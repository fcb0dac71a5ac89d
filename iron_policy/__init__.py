"""The policy engine: one document, one verdict, one charge. Knows no framework and no HTTP server."""

from iron_policy.detect import Finding, scan
from iron_policy.document import Policy
from iron_policy.engine import PolicyEngine
from iron_policy.exceptions import (
    BudgetExceeded,
    CircuitOpen,
    ContentBlocked,
    EndpointNotAllowed,
    GovernanceFailed,
    IronError,
    LoopDetected,
    ModelNotAllowed,
    ParameterNotAllowed,
    PolicyDenied,
    PolicyError,
    RateLimited,
    RunStopped,
    ToolNotAllowed,
    UnknownPrice,
    Untranslatable,
    UpstreamError,
    WireError,
)
from iron_policy.loading import load_policy, policy_schema
from iron_policy.scope import RunSummary, Scope, current_scope

__all__ = [
    "BudgetExceeded",
    "CircuitOpen",
    "ContentBlocked",
    "EndpointNotAllowed",
    "Finding",
    "GovernanceFailed",
    "IronError",
    "LoopDetected",
    "ModelNotAllowed",
    "ParameterNotAllowed",
    "Policy",
    "PolicyDenied",
    "PolicyEngine",
    "PolicyError",
    "RateLimited",
    "RunStopped",
    "RunSummary",
    "Scope",
    "ToolNotAllowed",
    "UnknownPrice",
    "Untranslatable",
    "UpstreamError",
    "WireError",
    "current_scope",
    "load_policy",
    "policy_schema",
    "scan",
]
