"""Refusals in the caller's own language: an exception that is a ``PolicyDenied`` and the SDK's own error too.

The SDKs pass their own errors on at once, without a retry and without a disguise; anything else that is raised
below them is retried three times and wrapped (openai ``_base_client.py``, anthropic ``_base_client.py``).
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iron_policy.exceptions import IronError

Sdk: TypeAlias = Literal["openai", "anthropic"]
_STATUS_ERRORS = {
    400: "BadRequestError",
    403: "PermissionDeniedError",
    429: "RateLimitError",
    502: "InternalServerError",
    503: "InternalServerError",
}
REFUSAL = "iron_refusal"
"""The extension of a response that carries the refusal which it stands for."""
_AGENTS: dict[str, Sdk] = {"openai": "openai", "azureopenai": "openai", "anthropic": "anthropic"}


def sdk_of(headers: Mapping[str, str]) -> Sdk | None:
    """Return the SDK that sent a request with *headers*, if one did."""
    agent = headers.get("user-agent", "").partition("/")[0].lower().removeprefix("async")
    sdk = _AGENTS.get(agent)
    if sdk is None and "x-stainless-lang" in headers:
        # Frameworks put their own name there (ChatAnthropic, AzureChatOpenAI); what the SDKs add besides stays.
        sdk = "anthropic" if "anthropic-version" in headers else "openai"
    return sdk if sdk in sys.modules else None


def in_sdk_terms(error: IronError, sdk: Sdk | None, request: Any, *, as_status: bool) -> IronError:
    """Return *error* as the SDK's own error too.

    Args:
        error: the refusal.
        sdk: whose; ``None`` gives *error* back as it is.
        request: the HTTP request that was not sent.
        as_status: whether to be the SDK's status error (``PermissionDeniedError`` and the like). Frameworks above an
            SDK translate those into errors of their own, so marked calls get the SDK's base error instead.
    """
    if sdk is None or isinstance(error, _base_of(sdk)):
        return error
    kind: Any = type(error)
    if not as_status:
        return _carry_over(error, _dual(kind, sdk, None)(str(error)))
    cls = _dual(kind, sdk, error.status_code)
    response = refusal_response(error, request)
    dual = cls.__new__(cls, str(error))
    cls.__bases__[1].__init__(dual, str(error), response=response, body=response.json()["error"])  # type: ignore[misc]  # an SDK's own constructor
    return _carry_over(error, dual)


def refusal_response(error: IronError, request: Any) -> Any:
    """Return *error* as a reply to *request* that no SDK retries; it carries the error itself along."""
    status = error.status_code
    code = error.code
    body = {"message": str(error), "type": "iron_policy", "code": code, "param": None}
    return _module_of(request).Response(
        status,
        request=request,
        headers={"x-should-retry": "false"},
        json={"error": body},
        extensions={REFUSAL: error},
    )


def passes_errors_on(sdk: Sdk | None) -> bool:
    """Tell whether *sdk* raises its own errors as they are when they come from below it.

    Before 1.0 anthropic retries and disguises them all (``_base_client.py``, ``except Exception`` around ``send``).
    """
    return sdk != "anthropic" or int(sys.modules[sdk].__version__.partition(".")[0]) > 0


def _carry_over(error: IronError, dual: Any) -> IronError:
    dual.__dict__.update(error.__dict__)
    carried: IronError = dual.with_traceback(error.__traceback__)
    return carried


def _module_of(request: Any) -> Any:
    return sys.modules[type(request).__module__.partition(".")[0]]


def _plainly(dual: IronError) -> tuple[Any, ...]:
    """Pickle a refusal as what it is without any SDK: classes that are made on the way cannot be found again."""
    plain: Any = type(dual).__bases__[0]
    sdk_attributes = ("request", "response", "body", "message", "request_id", "param", "type")
    state = {name: value for name, value in dual.__dict__.items() if name not in sdk_attributes}
    return plain, (str(dual),), state


def _base_of(sdk: Sdk) -> type[Any]:
    module = sys.modules[sdk]
    base: type[Any] = module.OpenAIError if sdk == "openai" else module.AnthropicError
    return base


@cache
def _dual(cls: Any, sdk: Sdk, status: int | None) -> type[Any]:
    module = sys.modules[sdk]
    own = _base_of(sdk) if status is None else getattr(module, _STATUS_ERRORS.get(status, "APIStatusError"))
    return type(
        cls.__name__,
        (cls, own),
        {
            "__module__": cls.__module__,
            "__doc__": cls.__doc__,
            "__init__": Exception.__init__,
            "__reduce__": _plainly,
        },
    )
