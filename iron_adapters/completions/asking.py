"""A call's parameters as the body of OpenAI's chat endpoint.

Owns what may be said in which way and how Python values become JSON. Knows no parameter but ``model``, ``messages``
and ``stream``: whatever else is given goes to the provider under its own name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

_OURS = ("model", "messages", "stream")


def body_of(
    model: str,
    messages: Iterable[Any],
    *,
    stream: bool,
    parameters: Mapping[str, Any],
    additional_params: str | Mapping[str, Any] | None,
) -> bytes:
    """Return the request's body. A parameter that is ``None`` is left out; one of *additional_params* stays ``null``.

    Raises:
        ValueError: a parameter is given twice, or something is no JSON.
    """
    if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Iterable):
        raise ValueError(  # noqa: TRY004 - as every wrong parameter
            f"messages: a list such as [{{'role': 'user', 'content': '...'}}], not {type(messages).__name__}"
        )
    given = {name: value for name, value in parameters.items() if value is not None}
    document = {"model": model, "messages": list(messages), **given}
    for name, value in _additional(additional_params).items():
        if name in document or name in _OURS:
            raise ValueError(
                f"additional_params: {name!r} is given as an argument of its own; leave one of the two out"
            )
        document[name] = value
    if stream:
        document["stream"] = True
    try:
        return orjson.dumps(document, default=_as_json)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"a parameter of the call is no JSON: {error}") from None


def _additional(given: str | Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return *additional_params* as a mapping.

    Raises:
        ValueError: it is no JSON object.
    """
    if given is None or given == "":
        return {}
    try:
        document = orjson.loads(given) if isinstance(given, str | bytes) else given
    except orjson.JSONDecodeError as error:
        raise ValueError(
            f"additional_params is no JSON (line {error.lineno}, column {error.colno}); give an object "
            """such as '{"top_p": 0.9}'"""
        ) from None
    if not isinstance(document, Mapping):
        raise ValueError(  # noqa: TRY004 - the text is wrong, not its type
            f"""additional_params: a JSON object such as '{{"top_p": 0.9}}', not {type(document).__name__}"""
        )
    return document


def _as_json(value: Any) -> Any:
    """Return what *value* is in JSON: SDKs' messages are pydantic's models, and say only what was set."""
    if isinstance(value, type):
        raise TypeError(f"{value.__name__} is a class; give its JSON Schema")
    if callable(dump := getattr(value, "model_dump", None)):
        return dump(mode="json", exclude_unset=True)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no equal in JSON")
