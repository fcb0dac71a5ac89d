"""A streamed reply on its way to the caller: what is common to every dialect.

Owns the loop over events, the channels of text and what the seam wants to know at the end. Knows no dialect; its
subclasses say which event carries which text.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

from iron_adapters.wire.bodies import as_answered
from iron_adapters.wire.json_bodies import dump, load_reply
from iron_adapters.wire.json_texts import JsonTexts
from iron_adapters.wire.sse import Event, EventParser
from iron_policy.exceptions import PolicyDenied, WireError
from iron_policy.messages import Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from iron_policy.messages import Text, ToolCall, Usage


__all__ = ["Channel", "OpenText", "StreamRewriter", "TextReview", "number_at"]


class TextReview(Protocol):
    """What judges and alters the texts of a stream."""

    def push(self, channel: Channel, text: str) -> str:
        """Take a piece of a text; return what may be released now, also of earlier pieces."""

    def finish(self, channel: Channel) -> str:
        """Return the rest of a text that has ended."""

    def whole(self, text: Text) -> str:
        """Return a whole text as the caller may see it."""

    def tool_call(self, call: ToolCall) -> None:
        """Judge a complete tool call."""


class OpenText:
    """A channel that has begun: how to write an event that carries more of it."""

    __slots__ = ("channel", "event")

    def __init__(self, channel: Channel, event: Callable[[str], bytes]) -> None:
        self.channel = channel
        self.event = event


class StreamRewriter(ABC):
    """Turn a provider's stream into the one that the caller may see.

    Attributes:
        usage: what the stream has reported of all it has sent so far; ``None`` where text has followed the report, or
            where there was none.
        input_usage: what it has reported of its input, also where it broke off before it told the rest.
        pending: whether the provider goes on without a listener, and bills what nobody here will see.
        model: the model that answered.
        in_json: whether the request asked for an answer in JSON.
        in_blocks: whether the caller gets the texts one after the other, as a message's blocks: each ends where another
            begins. Otherwise a text may go on behind another, and what is held back of it may come after that.
        output_characters: how many characters of text the model has sent.
        error: whether the provider reported an error within the stream.
        unsent: after a refusal or an event that cannot be read, what had been released of the bytes fed last.
    """

    def __init__(self, review: TextReview, *, hide_usage: bool = False) -> None:
        self.review = review
        self.hide_usage = hide_usage
        self.usage: Usage | None = None
        self.input_usage: Usage | None = None
        self.pending = False
        self.in_json = False
        self.in_blocks = False
        self.model: str | None = None
        self.output_characters = 0
        self.error = False
        self.unsent = b""
        self._parser = EventParser()
        self._reasons: dict[Any, str] = {}
        self._open: dict[Any, OpenText] = {}
        self._reviewed: dict[tuple[str, str | None, bool], str] = {}
        self._over = False

    @property
    def finish_reasons(self) -> tuple[str, ...]:
        """Why the model stopped, one for each choice that has ended."""
        return tuple(self._reasons.values())

    def feed(self, data: bytes) -> bytes:
        """Take bytes from the provider; return those that the caller gets for them.

        Raises:
            PolicyDenied: nothing more may be handed on; ``unsent`` holds what came before the refusal.
            WireError: an event cannot be read; the same holds.
        """
        if self._over:
            return b""
        return self._released(self._events_of(event) for event in self._parser.feed(data))

    def finish(self) -> bytes:
        """Return what was held back, at the end of the stream.

        A last event that the stream broke off is dropped: it cannot be read, so it cannot be judged.

        Raises:
            PolicyDenied: the rest may not be handed on.
        """
        if self._over:
            return b""
        self._over = True
        rest = self._parser.finish()
        return self._released(self._last_events(rest))

    def cut(self) -> bytes:
        """End the stream here, as if the model had come to its output limit.

        Raises:
            PolicyDenied: what was held back may not be handed on.
        """
        if self._over:
            return b""
        self._over = True
        return b"".join(self._end_early())

    # -- for the dialects ----------------------------------------------------------------------------------

    @abstractmethod
    def _rewrite(self, document: dict[str, Any]) -> tuple[bytes, bool] | None:
        """Take an event's document and alter it in place.

        Returns:
            The events to send before it, and whether it was altered; ``None`` where it is to be dropped.
        """

    @abstractmethod
    def _at_end(self) -> bytes:
        """Return what is to be sent before the end of a stream, or where it breaks off without one."""

    @abstractmethod
    def _end_early(self) -> Iterable[bytes]:
        """Return what was held back and a well-formed end."""

    def _push(self, key: Any, text: str, begin: Callable[[], OpenText]) -> str:
        """Take a piece of the text of channel *key*, which *begin* opens; return what may be released."""
        opened = self._open.get(key)
        if opened is None:
            opened = self._open[key] = begin()
        self.output_characters += len(text)
        self.usage = None
        return self.review.push(opened.channel, text)

    def _report(self, usage: Usage | None, *, whole: bool = True) -> None:
        """Take what the stream says it used; of its input only where the output is not *whole* yet."""
        if usage is None:
            return
        self.usage = usage if whole else None
        self.input_usage = usage._replace(output_tokens=0, reasoning_output_tokens=0, output_audio_tokens=0)

    def _close(self, key: Any) -> bytes:
        """End channel *key*; return an event with what it held back, ``b""`` where it held nothing."""
        opened = self._open.pop(key, None)
        if opened is None:
            return b""
        rest = self.review.finish(opened.channel)
        return opened.event(rest) if rest else b""

    def _close_all(self, keys: Iterable[Any] | None = None) -> bytes:
        return b"".join([self._close(key) for key in list(self._open if keys is None else keys)])

    def _whole(self, walk: Callable[[JsonTexts], object]) -> bool:
        """Review all texts that *walk* lists, each as a whole; tell whether any was altered."""
        texts = JsonTexts(parse_json=False)
        walk(texts)
        if not texts.texts:
            return False
        found = map(as_answered, texts.texts) if self.in_json else texts.texts
        return texts.rewrite([self._whole_text(text) for text in found])

    def _whole_text(self, text: Text) -> str:
        """Review a whole text; one that the stream says again was reviewed before."""
        key = (text.text, text.tool_name, text.in_json)
        if key not in self._reviewed:
            self._reviewed[key] = self.review.whole(text)
        return self._reviewed[key]

    # -- the loop ------------------------------------------------------------------------------------------

    def _released(self, pieces: Iterable[bytes]) -> bytes:
        released: list[bytes] = []
        try:
            released.extend(pieces)
        except RecursionError:
            self._break_off(released)
            raise WireError("an event of the stream is nested too deeply") from None
        except (PolicyDenied, WireError):
            self._break_off(released)
            raise
        return b"".join(released)

    def _break_off(self, released: list[bytes]) -> None:
        self._over = True
        self.unsent = b"".join(released)

    def _events_of(self, event: Event) -> bytes:
        data = event.data
        if not data:
            return event.raw
        if data == b"[DONE]":
            return self._at_end() + event.raw
        document, exact = load_reply(data, "an event of the stream")
        outcome = self._rewrite(document)
        if outcome is None:
            return b""
        before, altered = outcome
        sent = event.with_data(dump(document)) if altered or not exact else event.raw
        return before + sent if before else sent

    def _last_events(self, rest: Event | None) -> Iterable[bytes]:
        broken_off = b""
        if rest is not None:
            try:
                broken_off = self._events_of(rest)
            except WireError:
                broken_off = b""
        yield broken_off
        if ending := self._at_end():
            yield b"\n\n" + ending if broken_off else ending


def number_at(document: dict[str, Any], key: str, default: int = 0) -> int:
    """Return the number that tells one of several texts apart.

    Raises:
        WireError: it is no whole number.
    """
    value = document.get(key)
    if value is None:
        return default
    if type(value) is not int:
        raise WireError(f"an event of the stream has {key!r} that is no whole number")
    return value
