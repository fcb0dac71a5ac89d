"""The policy document: its sections, their defaults and what makes a value wrong.

Owns the shape of a policy and nothing that carries it out. A document is frozen: change it with ``model_copy``.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from iron_policy.detect import KINDS, Scanner
from iron_policy.exceptions import PolicyError
from iron_policy.verdicts import Action  # noqa: TC001 - pydantic reads it at run time

Window: TypeAlias = Literal["minute", "hour", "day", "week", "month"]
_NAMED_SCOPES = ("global", "run", "agent", "user")
_PATH = re.compile(r"[\w.-]+(/[\w.-]+)+")


def _known_scope(scope: str) -> str:
    if scope in _NAMED_SCOPES or _PATH.fullmatch(scope):
        return scope
    raise ValueError(
        f"{scope!r} is no scope: use one of {', '.join(_NAMED_SCOPES)}, or a path such as 'team/research'"
    )


def _rung(rung: str) -> str:
    if rung in ("clamp", "deny") or (rung.startswith("model:") and len(rung) > len("model:")):
        return rung
    raise ValueError(f"{rung!r} is no rung: use 'clamp', 'model:NAME' or 'deny'")


def _address(url: str) -> str:
    try:
        _ = urlsplit(url).port
    except ValueError:  # its own text may hold what stands in the address
        raise ValueError("is no address: its host or its port cannot be read") from None
    return url


def _file(path: str | None) -> str | None:
    if path is not None and not path.strip():
        raise ValueError(
            "is empty: name a file, or leave the key out, and events go to the logger 'iron.audit'"
        )
    return path


ScopeName = Annotated[str, AfterValidator(_known_scope)]
BaseUrl = Annotated[str, Field(pattern=r"^https?://[^\s/?#]+"), AfterValidator(_address)]
Usd = Annotated[Decimal, Field(ge=0, allow_inf_nan=False, le=Decimal(10) ** 9)]
Fraction = Annotated[float, Field(gt=0, le=1)]
PerKind: TypeAlias = "Action | DirectedAction"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False, hide_input_in_errors=True)


class Names(_Section):
    """Shell-style patterns of what is allowed, and of what is denied all the same."""

    allow: tuple[str, ...] = ("*",)
    deny: tuple[str, ...] = ()


class Parameters(_Section):
    """What a caller may ask for besides texts."""

    deny: tuple[str, ...] = ()
    """Parameters that refuse a call, in the provider's words, such as ``logit_bias``."""
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """A call may ask for no more output tokens than this; one that names none, or more, is held to it."""
    choice_count: Annotated[int, Field(ge=1)] | None = None
    """A call may ask for no more choices (``n``) than this."""


class Access(_Section):
    """Which models, tools, parameters and endpoints may be used at all."""

    models: Names = Names()
    tools: Names = Names()
    parameters: Parameters = Parameters()
    endpoints: tuple[str, ...] = ()
    """Paths (patterns) of the provider that pass ungoverned, such as ``/v1/files*``. All unknown others are refused."""


class InputSafety(_Section):
    """What happens to findings on their way to the provider."""

    pii: Action = "tokenize"
    secrets: Action = "redact"
    injection: Action = "flag"


class OutputSafety(_Section):
    """What happens to findings in what the model itself wrote."""

    pii: Action = "flag"
    secrets: Action = "redact"
    injection: Action = "flag"


class DirectedAction(_Section):
    """One action on the way in, one on the way out."""

    input: Action | None = None
    output: Action | None = None


class CustomKind(_Section):
    """A kind of the user's own: a pattern (RE2 syntax, linear time) and what happens to its matches."""

    kind: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{1,39}$")]
    pattern: Annotated[str, Field(min_length=1, max_length=1000)]
    action: PerKind = "redact"

    @field_validator("kind")
    @classmethod
    def _not_built_in(cls, kind: str) -> str:
        if kind in KINDS:
            raise ValueError(
                f"{kind!r} is built in: set its action under safety.kinds, or choose another name"
            )
        return kind

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str, info: ValidationInfo) -> str:
        Scanner(kinds=(), custom=((info.data.get("kind", "?"), pattern),))
        return pattern


class Reveal(_Section):
    """Who sees the real values behind tokens, besides the caller."""

    tools: tuple[str, ...] = ()


class Safety(_Section):
    """What is looked for in texts, and what happens to it."""

    input: InputSafety = InputSafety()
    output: OutputSafety = OutputSafety()
    kinds: dict[str, PerKind] = Field(default_factory=dict)
    custom: tuple[CustomKind, ...] = ()
    reveal: Reveal = Reveal()
    on_error: Literal["deny", "allow"] = "deny"

    @field_validator("kinds")
    @classmethod
    def _known_kinds(cls, kinds: dict[str, PerKind]) -> dict[str, PerKind]:
        for kind in kinds:
            if kind not in KINDS:
                raise ValueError(f"{kind!r} is no kind; the kinds are {', '.join(KINDS)}")
        return kinds


class Budget(_Section):
    """A cap in USD on one scope, for its life or for each calendar window (UTC)."""

    scope: ScopeName
    limit_usd: Usd
    window: Window | None = None
    alert_at: tuple[Fraction, ...] = ()


class AssumedPrice(_Section):
    """What a token of an unpriced model is taken to cost."""

    assume_usd_per_mtok: Annotated[Decimal, Field(gt=0, allow_inf_nan=False, le=Decimal(10) ** 6)]


class Spending(_Section):
    """What a call that does not fit tries before it is refused, and what an unpriced model does."""

    when_short: tuple[Annotated[str, AfterValidator(_rung)], ...] = ("clamp", "deny")
    unknown_price: Literal["deny", "allow"] | AssumedPrice = "deny"


class RateLimit(_Section):
    """At most so many requests or tokens of one scope in any window of this length."""

    scope: ScopeName
    requests: Annotated[int, Field(ge=1)] | None = None
    tokens: Annotated[int, Field(ge=1)] | None = None
    window: Literal["second", "minute", "hour", "day"] = "minute"

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.requests is None) == (self.tokens is None):
            raise ValueError("give either requests or tokens; two limits are two entries")
        return self


class Loops(_Section):
    """How often one run may call, and make one and the same tool call. ``null`` lifts a limit."""

    model_calls: Annotated[int, Field(ge=1)] | None = 50
    tool_calls: Annotated[int, Field(ge=1)] | None = 100
    identical_tool_calls: Annotated[int, Field(ge=1)] | None = 5


class Retry(_Section):
    """How often a failed attempt is made again."""

    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    respect_retry_after: bool = True


class Breaker(_Section):
    """After so many failures in a window a provider is left alone for a while."""

    failures: Annotated[int, Field(ge=1)] = 5
    window_seconds: Annotated[float, Field(gt=0)] = 60
    cool_down_seconds: Annotated[float, Field(gt=0)] = 30


class Reliability(_Section):
    """What happens when a provider fails."""

    timeout_seconds: Annotated[float, Field(gt=0)] | None = None
    retry: Retry | None = None
    breaker: Breaker | None = None
    fallback: dict[str, tuple[str, ...]] = Field(default_factory=dict)


class Upstream(_Section):
    """One provider, or a server that speaks like one."""

    base_url: BaseUrl
    dialect: Literal["openai", "anthropic"] = "openai"
    models: tuple[str, ...] = ("*",)
    http2: bool = False


class Audit(_Section):
    """Where the record goes; without a path, to the logger ``iron.audit``."""

    path: Annotated[str | None, AfterValidator(_file)] = None
    content: Literal["none", "redacted"] = "none"


class Policy(_Section):
    """One policy. Its defaults: enforce, tokenize PII, redact secrets, flag injection, no budget, no content kept."""

    version: Literal[1] = 1
    mode: Literal["enforce", "monitor"] = "enforce"
    access: Access = Access()
    safety: Safety = Safety()
    budgets: tuple[Budget, ...] = ()
    spending: Spending = Spending()
    limits: tuple[RateLimit, ...] = ()
    loops: Loops = Loops()
    reliability: Reliability = Reliability()
    upstreams: dict[str, BaseUrl | Upstream] = Field(default_factory=dict)
    audit: Audit = Audit()
    state: Annotated[str, Field(pattern=r"^(memory|sqlite|redis|rediss|postgresql|https?)://")] = "memory://"

    @classmethod
    def model_validate(cls, obj: Any, **kwargs: Any) -> Policy:
        """Return the policy that *obj* (a mapping) describes.

        Raises:
            PolicyError: with the key and the remedy of every fault.
        """
        try:
            return super().model_validate(obj, **kwargs)
        except ValidationError as error:
            from iron_policy.loading import explain

            raise PolicyError(explain(error)) from None
