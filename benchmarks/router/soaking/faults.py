"""Calls whose provider fails, and what a caller must hear of it: the provider's own error, not one of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from soaking.asks import CHAT, MESSAGES, Ask, Caller, Check, fails_with, says
from soaking.said import said

if TYPE_CHECKING:
    from collections.abc import Callable

    from soaking.connection import Got


def limited(caller: Caller, number: int) -> Ask:
    """429, with the time to wait."""

    def check(ask: Ask, got: Got) -> str | None:
        if "retry-after" not in got.headers:
            return f"status {got.status} without retry-after"
        return fails_with(429, "Rate limit reached")(ask, got)

    return _chat("429", caller, number, "gpt-4.1-nano", check)


def broken(caller: Caller, number: int) -> Ask:
    """500, in the provider's words."""
    return _chat("500", caller, number, "gpt-5-nano", fails_with(500, "The server had an error"))


def overloaded(caller: Caller, number: int) -> Ask:
    """Anthropic's 529, to its own callers and, translated, to OpenAI's."""
    if caller.stream():
        return _messages("529", caller, number, "claude-opus-4-0", fails_with(529, "Overloaded"))
    return _chat("529, translated", caller, number, "claude-opus-4-0", _overloaded_in_translation)


def cut(caller: Caller, number: int) -> Ask:
    """A connection that the provider closes in the middle of a reply."""
    if caller.stream():
        return _chat("cut", caller, number, "gpt-4", _breaks_off)
    return _messages("cut", caller, number, "claude-3-7-sonnet-latest", _breaks_off)


def dropped(caller: Caller, number: int) -> Ask:
    """A connection that the provider closes instead of a reply."""
    return _chat("dropped", caller, number, "gpt-4-turbo", fails_with(502, "provider"))


def error_event(caller: Caller, number: int) -> Ask:
    """An error in the middle of a stream."""
    return _messages("error event", caller, number, "claude-3-5-haiku-latest", _fails_in_stream, stream=True)


def no_usage(caller: Caller, number: int) -> Ask:
    """A right reply that does not say what it costs."""
    note = caller.note(number)
    return _chat("no usage", caller, number, "o4-mini", says(f"You said: {note}"), note=note)


def malformed(caller: Caller, number: int) -> Ask:
    """JSON that ends too early."""
    return _chat("malformed", caller, number, "gpt-5.1", _is_malformed)


def abandoned(caller: Caller, number: int) -> Ask:
    """A stream that stalls, whose caller leaves."""
    make, model = (_chat, "gpt-5.2") if caller.stream() else (_messages, "claude-opus-4-5")
    ask = make("stalled and left", caller, number, model, lambda _ask, _got: "it ended", stream=True)
    ask.leaves = True
    return ask


FAULTS: dict[Callable[[Caller, int], Ask], int] = {
    limited: 3,
    broken: 3,
    overloaded: 3,
    cut: 4,
    dropped: 2,
    error_event: 2,
    no_usage: 2,
    malformed: 2,
    abandoned: 1,
}
"""The mix of faults, by weight."""


def _chat(
    kind: str,
    caller: Caller,
    number: int,
    model: str,
    check: Check,
    *,
    note: str | None = None,
    stream: bool | None = None,
) -> Ask:
    stream = caller.stream() if stream is None else stream
    user = {"role": "user", "content": note or caller.note(number)}
    body: dict[str, Any] = {"model": model, "messages": [user], "max_tokens": 400, "stream": stream}
    return _ask(kind, CHAT, body, number, check, stream=stream)


def _messages(
    kind: str, caller: Caller, number: int, model: str, check: Check, *, stream: bool | None = None
) -> Ask:
    stream = caller.stream() if stream is None else stream
    user = {"role": "user", "content": caller.note(number)}
    body: dict[str, Any] = {"model": model, "max_tokens": 400, "messages": [user], "stream": stream}
    return _ask(kind, MESSAGES, body, number, check, stream=stream)


def _ask(kind: str, path: str, body: dict[str, Any], number: int, check: Check, *, stream: bool) -> Ask:
    kind = f"provider's faults: {kind}"
    return Ask(kind=kind, path=path, body=body, number=number, check=check, stream=stream, leaves=False)


def _overloaded_in_translation(ask: Ask, got: Got) -> str | None:
    if got.status not in {503, 529}:
        return f"status {got.status} for an overloaded provider"
    return fails_with(got.status, "Overloaded")(ask, got)


def _breaks_off(ask: Ask, got: Got) -> str | None:
    return _fails_in_stream(ask, got) if ask.stream else fails_with(502, "provider")(ask, got)


def _fails_in_stream(ask: Ask, got: Got) -> str | None:
    found = said(ask.path, got.body, stream=True)
    if got.status != 200:
        return f"status {got.status} for a stream that breaks later"
    return None if found.error is not None and not found.ended else "a broken stream that looks whole"


def _is_malformed(ask: Ask, got: Got) -> str | None:
    return _fails_in_stream(ask, got) if ask.stream else fails_with(502, "")(ask, got)
