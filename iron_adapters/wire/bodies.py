"""A request and a reply on the wire: what the engine sees of them, and the bytes they become.

Owns the one rule that a body nobody altered stays the very bytes that came. Knows no dialect: codecs list the texts
and say which keys mean what.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.wire.json_bodies import dump, holds_json, restore_long_integers
from iron_policy.exceptions import WireError
from iron_policy.messages import ModelResponse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from iron_adapters.wire.json_texts import JsonTexts
    from iron_policy.messages import ModelRequest, Role, Text, ToolCall, Usage

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_FURTHER_MODELS = ("fallbacks", "models", "fallback_models")
"""Where a request names them: Anthropic's key, OpenRouter's, and the one that some gateways know."""
_FORMATS = (("response_format", ""), ("text", "format"), ("output_config", "format"), ("output_format", ""))
"""Where a request says that its answer is to be JSON: chat, responses, messages, and messages before."""
_JSON_STARTS = frozenset("{[ \t\r\n")
_RETRY_HEADER = "x-stainless-retry-count"


class _Body:
    """A document, its bytes and its texts."""

    __slots__ = ("_changed", "_exact", "_raw", "_texts", "document")

    def __init__(self, raw: bytes, document: dict[str, Any], texts: JsonTexts) -> None:
        self.document = document
        self._raw = raw
        self._texts = texts
        self._changed = False
        self._exact = False

    def rewrite(self, texts: Sequence[str]) -> None:
        """Put *texts*, as many as were listed and in their order, in place of those; at most once."""
        self._about_to_change()
        self._changed |= self._texts.rewrite(texts)

    def body(self) -> bytes:
        """Return the body: the very bytes that came where nothing has changed."""
        return dump(self.document) if self._changed else self._raw

    def _set(self, key: str, value: Any) -> None:
        if self.document.get(key) != value:
            self._about_to_change()
            self.document[key] = value
            self._changed = True

    def _about_to_change(self) -> None:
        if not self._exact:
            self._exact = True
            restore_long_integers(self.document, self._raw)


class WireRequest(_Body):
    """A request that was read, to be judged, altered and sent.

    Attributes:
        request: what the engine judges.
        hide_usage: whether the stream is to lose what :meth:`ask_for_usage` has added to it.
    """

    __slots__ = ("_limit_keys", "hide_usage", "request")

    def __init__(
        self,
        raw: bytes,
        document: dict[str, Any],
        texts: JsonTexts,
        request: ModelRequest,
        limit_keys: Sequence[str] = (),
    ) -> None:
        super().__init__(raw, document, texts)
        self.request = request
        self.hide_usage = False
        self._limit_keys = tuple(limit_keys)

    def set_max_tokens(self, max_tokens: int) -> None:
        """Ask for at most *max_tokens* of output, under each key that the caller used, or the endpoint's own."""
        used = [key for key in self._limit_keys if self.document.get(key) is not None]
        for key in used or self._limit_keys[:1]:
            self._set(key, max_tokens)

    def set_model(self, model: str) -> None:
        """Ask *model* instead."""
        self._set("model", model)

    def ask_for_usage(self) -> None:
        """See that a stream will report its usage. Most dialects always do."""


class UsageOnRequest(WireRequest):
    """A request whose stream reports usage only if asked: OpenAI's chat completions and completions."""

    __slots__ = ()

    def ask_for_usage(self) -> None:
        """Add ``stream_options.include_usage`` to a stream without it, and remember to hide what it brings."""
        if not self.request.stream:
            return
        options = self.document.get("stream_options")
        options = options if type(options) is dict else {}
        if options.get("include_usage") is not True:
            self._set("stream_options", {**options, "include_usage": True})
            self.hide_usage = True


class WireResponse(_Body):
    """A whole reply that was read, to be reviewed, altered and handed on.

    Args:
        exact: whether the very bytes may be handed on where no text changes.

    Attributes:
        response: what the engine reviews.
    """

    __slots__ = ("response",)

    def __init__(
        self,
        raw: bytes,
        document: dict[str, Any],
        texts: JsonTexts,
        *,
        exact: bool = True,
        tool_calls: Sequence[ToolCall] = (),
        finish_reasons: Sequence[str] = (),
        usage: Usage | None = None,
        pending: bool = False,
    ) -> None:
        super().__init__(raw, document, texts)
        if not exact:
            self._about_to_change()
            self._changed = True
        model = document.get("model")
        self.response = ModelResponse(
            model=model if type(model) is str else None,
            texts=tuple([as_answered(text) if text[0][:1] in _JSON_STARTS else text for text in texts.texts]),
            tool_calls=tuple(tool_calls),
            finish_reasons=tuple(finish_reasons),
            usage=usage,
            pending=pending,
        )


def as_answered(text: Text) -> Text:
    """Return a text of a reply; one that is JSON is marked as such, so that it stays JSON where it is altered."""
    said = text.text
    if text.in_json or not holds_json(said):
        return text
    return text._replace(in_json=True)


def wants_json(document: Mapping[str, Any]) -> bool:
    """Tell whether a request asks for an answer in JSON, in whatever dialect."""
    for outer, inner in _FORMATS:
        form = document.get(outer)
        if inner and type(form) is dict:
            form = form.get(inner)
        if type(form) is dict and str(form.get("type")).startswith("json"):
            return True
    return False


def model_of(document: Mapping[str, Any], default: str | None = None) -> str:
    """Return the model that a request asks for.

    Raises:
        WireError: it asks for none.
    """
    model = document.get("model", default)
    if type(model) is not str or not model:
        raise WireError("the body names no 'model'")
    return model


def other_models(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the models that the provider may go on to; a word such as ``default`` stands for some of its choice."""
    named: list[Any] = []
    for key in _FURTHER_MODELS:
        if key in document:
            value = document[key]
            named += value if type(value) is list else [value]
    if not named:
        return ()
    models = [entry.get("model") if type(entry) is dict else entry for entry in named]
    return tuple([model for model in models if type(model) is str])


def count_of(document: Mapping[str, Any], key: str) -> int:
    """Return how many replies ``document[key]`` asks for, at least one.

    Raises:
        WireError: it is no whole number, so that nobody knows how many would be billed.
    """
    value = document.get(key)
    if value is None:
        return 1
    if type(value) is not int:
        raise WireError(f"{key!r} is no whole number")
    return max(value, 1)


def limit_of(document: Mapping[str, Any], keys: Sequence[str]) -> int | None:
    """Return the largest of the output limits given under *keys*; ``None`` where there is none to rely on."""
    limit: int | None = None
    for key in keys:
        value = document.get(key)
        if type(value) is int and value >= 0:
            limit = value if limit is None else max(limit, value)
        elif value is not None:
            return None
    return limit


def retry_count(headers: Mapping[str, str]) -> int:
    """Return how often the caller's SDK says it has tried this call before."""
    given = headers.get(_RETRY_HEADER)
    return int(given) if given and given.isascii() and given.isdigit() and len(given) < 5 else 0  # noqa: PLR2004 - digits


def is_role(value: Any) -> bool:
    """Tell whether *value* is a role that we know."""
    return type(value) is str and value in _ROLES


def plain_role(message: dict[str, Any]) -> Role | None:
    """Return whose a message is that says nothing but one string, as most do; ``None`` for any other message."""
    if len(message) != 2 or type(message.get("content")) is not str:  # noqa: PLR2004 - a role and a content
        return None
    role = message.get("role")
    return _ROLES.get(role) if type(role) is str else None


def role_of(message: Mapping[str, Any], default: Role) -> Role:
    """Return whose a message is; *default* where it says nothing that we know."""
    return _ROLES.get(str(message.get("role")), default)
