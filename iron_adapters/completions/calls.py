"""One ``completion`` call on either side of its I/O.

Owns what sync and async calls share: from parameters to bytes that may be sent, and from what came to what the caller
gets. Does no I/O.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self, TypeVar

import orjson

from iron_adapters.completions.asking import body_of
from iron_adapters.completions.errors import error_of_reply
from iron_adapters.completions.governed import govern_call, own_scope
from iron_adapters.completions.incoming import Incoming
from iron_adapters.completions.linked import LinkedCall
from iron_adapters.completions.replies import Completion
from iron_adapters.completions.targets import target_of
from iron_adapters.resolve import engine_for
from iron_adapters.runtime_address import runtime_address
from iron_policy.exceptions import UpstreamError, WireError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from iron_adapters.completions.governed import Governed
    from iron_adapters.completions.targets import Target
    from iron_adapters.resolve import PolicyLike
    from iron_adapters.wire.translation.translated import Translated

_OK = range(200, 300)
_REDIRECTS = range(300, 400)


@dataclass(frozen=True, slots=True)
class Options:
    """Arguments of a call that are no part of its body."""

    base_url: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    additional_params: str | Mapping[str, Any] | None = field(default=None, repr=False)
    extra_headers: Mapping[str, str] | None = field(default=None, repr=False)
    timeout: float | None = None
    policy: PolicyLike = None


class RequestBuilder(Protocol):
    """What sync and async requests of pyreqwest are built with."""

    def headers(self, headers: Mapping[str, str]) -> Self: ...  # noqa: D102 - pyreqwest's own
    def body_bytes(self, body: bytes) -> Self: ...  # noqa: D102 - pyreqwest's own
    def timeout(self, timeout: timedelta) -> Self: ...  # noqa: D102 - pyreqwest's own
    def streamed_read_buffer_limit(self, value: int) -> Self: ...  # noqa: D102 - pyreqwest's own


Builder = TypeVar("Builder", bound=RequestBuilder)


class Head(Protocol):
    """The head of a reply."""

    @property
    def status(self) -> int: ...  # noqa: D102 - pyreqwest's own
    def get_header(self, key: str) -> str | None: ...  # noqa: D102 - pyreqwest's own


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedCall:
    """A call that every policy has admitted."""

    target: Target
    governed: Governed
    translated: Translated | None
    timeout: float | None
    link: LinkedCall | None = None
    """Where it goes to a runtime instead of the provider."""

    def fill(self, builder: Builder, *, stream: bool) -> Builder:
        """Put headers, body and timeout into a request."""
        builder = builder.headers(self.target.headers).body_bytes(self.governed.body)
        if stream:
            # Without this limit of nothing, events are kept until there are enough of them.
            builder = builder.streamed_read_buffer_limit(0)
        return builder if self.timeout is None else builder.timeout(timedelta(seconds=self.timeout))

    def completion(self, head: Head, body: bytes) -> Completion:
        """Return a whole reply, and settle the call.

        Raises:
            PolicyDenied: the reply may not be handed on.
            ProviderError: it is an error.
            UpstreamError: it is a redirect.
            WireError: it cannot be read.
        """
        if self.link is not None:
            self.link.answered()
            self.link.ended()
        if head.status not in _OK:
            self._raise_error(head, body)
        seen = self.governed.reply(head.status, body)
        if self.translated is not None:
            seen = self.translated.reply(seen)
        return Completion(_document(seen))

    def not_streamed(self, head: Head, body: bytes) -> UpstreamError:
        """Return what to raise for a reply that is no stream though one was asked for, and settle the call.

        Raises:
            ProviderError: it is an error.
        """
        self.completion(head, body)
        return UpstreamError(f"{self.target.name!r} answered in one piece though a stream was asked for")

    def incoming(self) -> Incoming:
        """Return what reads a streamed reply."""
        translator = None if self.translated is None else self.translated.stream()
        if self.link is not None:
            self.link.answered()
        return Incoming(self.target.name, self.governed.stream(), translator, self.link)

    def broke(self, error: BaseException, *, sent: bool) -> None:
        """End a call whose reply never came."""
        self.governed.broke(error, sent=sent)

    def _raise_error(self, head: Head, body: bytes) -> NoReturn:
        status = head.status
        refusal = None if self.link is None else self.link.refusal(body)
        if refusal is not None:
            self.governed.broke(refusal, sent=False)
            raise refusal
        self.governed.refused_by_provider(status)
        if status in _REDIRECTS:
            raise UpstreamError(
                f"{self.target.name!r} redirects the call ({status}); it is not followed, because that would send key and "
                "texts on. If the address has moved, set base_url to the new one"
            )
        if self.translated is not None:
            status, body = self.translated.error(status, body)
        raise error_of_reply(self.target.name, status, body, head.get_header)


def prepare(
    model: str,
    messages: Iterable[Any],
    *,
    stream: bool,
    parameters: Mapping[str, Any],
    options: Options,
) -> PreparedCall:
    """Find out where the call goes, say it in that provider's dialect, and have it judged.

    Raises:
        ValueError: an argument is wrong; nothing is sent.
        PolicyDenied: the policy refuses it; nothing is sent.
        Untranslatable: the provider has no equal for a parameter; nothing is sent.
        PolicyError: *policy* is no policy.
    """
    engine = None if options.policy is None else engine_for(options.policy)
    runtime = runtime_address()
    acting, scope = own_scope(engine)
    target = target_of(
        model,
        acting.policy,
        os.environ,
        base_url=options.base_url,
        api_key=options.api_key,
        runtime=runtime,
    )
    timeout = _seconds(options.timeout)
    body = body_of(
        target.model,
        messages,
        stream=stream,
        parameters=parameters,
        additional_params=options.additional_params,
    )
    translated = None
    if target.dialect == "anthropic":
        from iron_adapters.wire.translation import chat_to_messages

        translated = chat_to_messages(body)
        body = translated.body
    target = replace(target, headers=_headers(target.headers, translated, options.extra_headers))
    governed = govern_call(engine, target, body)
    link = None if runtime is None else LinkedCall.here(runtime, scope)
    if link is not None:
        target = link.redirected(target)
    target = governed.proved(target)
    return PreparedCall(target=target, governed=governed, translated=translated, timeout=timeout, link=link)


def is_event_stream(head: Head) -> bool:
    """Tell whether a reply is a stream of server-sent events."""
    kind = head.get_header("content-type") or ""
    return head.status in _OK and kind.lower().startswith("text/event-stream")


def _headers(
    own: Mapping[str, str], translated: Translated | None, extra: Mapping[str, str] | None
) -> dict[str, str]:
    headers = dict(own)
    if translated is not None:
        headers |= translated.headers
    for name, value in (extra or {}).items():
        if not isinstance(value, str) or not value.isprintable():
            # The value may be a key, and pyreqwest's own message would show it.
            raise ValueError(f"extra_headers: the value of {name!r} is no text that a header can hold")
        headers[name.lower()] = value
    return headers


def _seconds(timeout: float | None) -> float | None:
    if timeout is not None and not 0 < timeout < float("inf"):
        raise ValueError(f"timeout: a number of seconds above 0, not {timeout!r}")
    return timeout


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise WireError("the provider's reply is no JSON object")
    return document
