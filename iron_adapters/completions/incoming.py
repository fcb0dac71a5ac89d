"""A streamed reply, from the provider's bytes to chunks. Does no I/O.

Owns the end of a stream, and an error that the provider sends in its middle.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import orjson

from iron_adapters.completions.errors import error_of_event
from iron_adapters.completions.replies import CompletionChunk
from iron_adapters.wire.sse import EventParser
from iron_policy.exceptions import IronError, WireError

if TYPE_CHECKING:
    from iron_adapters.completions.errors import ProviderError
    from iron_adapters.completions.governed import GovernedStream
    from iron_adapters.completions.linked import LinkedCall
    from iron_adapters.wire.sse import Event
    from iron_adapters.wire.translation.translated import StreamTranslator

_DONE = b"[DONE]"


class Incoming:
    """What has come of a stream and is still to be handed on."""

    def __init__(
        self,
        provider: str,
        stream: GovernedStream,
        translator: StreamTranslator | None,
        link: LinkedCall | None = None,
    ) -> None:
        self.provider = provider
        self._link = link
        self._listening = None if link is None else link.listening()
        self._stream = stream
        self._translator = translator
        self._parser = EventParser()
        self._ready: deque[CompletionChunk | IronError] = deque()
        self.ended = False
        """True when nothing more is to be read from the provider."""

    def next(self) -> CompletionChunk | None:
        """Return the next chunk, ``None`` where more must be read first.

        Raises:
            ProviderError: the provider failed at this place of its stream.
            PolicyDenied: the rest may not be handed on, by the policy or a runtime.
            WireError: the rest cannot be read.
        """
        if not self._ready:
            return None
        found = self._ready.popleft()
        if isinstance(found, CompletionChunk):
            return found
        self.close()
        raise found

    def take(self, data: bytes | None) -> None:
        """Take what was read, ``None`` at the stream's end; settle the call at its end or where it is cut.

        Raises:
            PolicyDenied: the reply may not be handed on. The call is settled. Behind chunks that may be, :meth:`next`
                raises it.
            WireError: the stream cannot be read; the same holds.
        """
        try:
            if data is not None and self._listening is not None:
                data = self._listening.feed(data)
            if data is not None:
                self._read(self._parser.feed(self._translated(self._stream.feed(data))))
            if self._listening is not None and self._listening.over:
                self._refused()
            elif data is None or self._stream.over:
                self._finish()
        except BaseException as error:
            self.close()
            if not self._ready or not isinstance(error, IronError):
                raise
            self._ready.append(error)  # behind what it does not speak of

    def close(self) -> None:
        """Settle the call with what came. More than once is the same as once."""
        self.ended = True
        self._stream.close()
        if self._listening is not None:
            self._listening.close()

    def drop(self) -> None:
        """Settle the call with what came, and hand on nothing more."""
        self._ready.clear()
        self.close()

    def _refused(self) -> None:
        """Let the refusal that the runtime told of come behind what it had let pass."""
        refusal = None if self._listening is None else self._listening.refusal
        if refusal is not None and self._link is not None:
            self._ready.append(self._link.in_own_terms(refusal) or refusal)
        self.close()

    def _finish(self) -> None:
        rest = self._translated(self._stream.finish())
        if self._translator is not None:
            rest += self._translator.finish()
        last = [] if (event := self._parser_rest(rest)) is None else [event]
        self._read(last)
        self.close()

    def _parser_rest(self, rest: bytes) -> Event | None:
        self._read(self._parser.feed(rest))
        return self._parser.finish()

    def _translated(self, data: bytes) -> bytes:
        return data if self._translator is None or not data else self._translator.feed(data)

    def _read(self, events: list[Event]) -> None:
        for event in events:
            if event.data is not None and event.data != _DONE:
                self._ready.append(self._chunk(event.data))

    def _chunk(self, data: bytes) -> CompletionChunk | ProviderError:
        try:
            document = orjson.loads(data)
        except orjson.JSONDecodeError:
            document = None
        if not isinstance(document, dict):
            raise WireError(f"the stream of {self.provider!r} brought something that is no JSON object")
        error = document.get("error")
        if error:
            return error_of_event(self.provider, error if isinstance(error, dict) else {"message": error})
        return CompletionChunk(document)
