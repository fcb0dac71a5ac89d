"""The provider double's face: where it listens, what it is told to say, what it received and billed.

Owns the public names. Everything that needs the extra ``iron-adapters[testing]`` is imported when it is used.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Self

from iron_adapters.testing.billing import MOST_LINES
from iron_adapters.testing.faults import Fault, fault_of
from iron_adapters.testing.recorder import ReceivedRequests
from iron_adapters.testing.replies import Arguments, Reply, ToolUse
from iron_adapters.testing.settings import Compression, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from starlette.types import ASGIApp

    from iron_adapters.testing.billing import Bill
    from iron_adapters.testing.script import Line, Speaker
    from iron_adapters.testing.server import LoopbackServer

_MISSING = 'ProviderDouble needs starlette and uvicorn: pip install "iron-adapters[testing]"'


@contextlib.contextmanager
def _naming_the_extra() -> Iterator[None]:
    """Turn a missing Starlette or uvicorn into an ``ImportError`` that says what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in {"starlette", "uvicorn"}:
            raise ImportError(_MISSING) from error
        raise


class ProviderDouble:
    """OpenAI and Anthropic on a loopback socket, for tests without a network, a key or a bill.

    ::

        with ProviderDouble() as double:
            client = openai.OpenAI(base_url=double.openai_url, api_key="any")
            double.reply("Paris")
            ...
            assert double.requests.last.json["model"] == "gpt-4o-mini"

    Unscripted it echoes: ``You said: …``; see :func:`iron_adapters.testing.speaking.speak` for tools and schemas.
    The key ``bad-key`` is refused. The server starts with the first use of a URL, or on entering the context.

    Args:
        port: 0 for any free port.
        models: names that exist besides the usual ones, with the dated name each answers under; for both providers.
        compression: encode bodies and streams so, where the client accepts it.
        keep_alive: false closes each connection after its answer, so that a client that outlives an event loop (LangChain
            caches them) never meets a connection of a loop that is gone.
        keep_requests: how many requests are kept for assertions.
        keep_bill_lines: how many calls the bill keeps one by one; its totals are of all.

    Raises:
        ImportError: the extra ``iron-adapters[testing]`` is not installed.
        OSError: the port cannot be bound (when the server starts).
    """

    def __init__(
        self,
        *,
        port: int = 0,
        models: Mapping[str, str] | None = None,
        compression: Compression | None = None,
        keep_alive: bool = True,
        keep_requests: int = 1000,
        keep_bill_lines: int = MOST_LINES,
    ) -> None:
        with _naming_the_extra():
            from iron_adapters.testing.app import Desk, build_app
        self._port = port
        self._compression: Compression | None = compression
        self._server: LoopbackServer | None = None
        self.settings = Settings(compression=compression, keep_alive=keep_alive)
        self.settings.openai_models = {**self.settings.openai_models, **(models or {})}
        self.settings.anthropic_models = {**self.settings.anthropic_models, **(models or {})}
        self._desk = Desk(
            settings=self.settings,
            requests=ReceivedRequests(keep_requests),
            most_bill_lines=keep_bill_lines,
        )
        self.app: ASGIApp = build_app(self._desk)
        """The ASGI application, for use in process; faults that close a connection raise ``ConnectionResetError``."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> int:
        """Start the server, unless it runs, and return its port."""
        if self._server is None:
            with _naming_the_extra():
                from iron_adapters.testing.server import LoopbackServer
            self.settings.closing = False
            self._server = LoopbackServer(self.app, self._port)
        return self._server.port

    def close(self) -> None:
        """Stop the server, if it runs; whoever still waits is cut off."""
        if self._server is not None:
            self.settings.closing = True
            self._server.stop()
            self._server = None

    @property
    def openai_url(self) -> str:
        """What an OpenAI client takes as ``base_url``."""
        return f"http://127.0.0.1:{self.start()}/v1"

    @property
    def anthropic_url(self) -> str:
        """What an Anthropic client takes as ``base_url``."""
        return f"http://127.0.0.1:{self.start()}"

    @property
    def requests(self) -> ReceivedRequests:
        """What was received so far: ``.last``, ``.received``, ``.clear()``, and by position."""
        return self._desk.requests

    @property
    def bill(self) -> Bill:
        """What was sent so far, in tokens per dated model."""
        return self._desk.bill

    @property
    def unused_lines(self) -> int:
        """How many scripted replies and faults no request has taken yet."""
        return self._desk.script.lines_left

    def reply(
        self,
        text: str = "",
        *,
        tools: tuple[tuple[str, Arguments], ...] = (),
        reasoning: str = "",
        cache_read_tokens: int = 0,
        cache_creation_tokens: int = 0,
    ) -> None:
        """Answer the next unscripted request so. *tools* are calls as ``(name, arguments)``, parallel if several."""
        self._desk.script.add(
            Reply(
                text,
                tool_calls=tuple(ToolUse(*use) for use in tools),
                reasoning=reasoning,
                cache_read_tokens=cache_read_tokens,
                cache_creation_tokens=cache_creation_tokens,
            )
        )

    def script(self, lines: list[Line]) -> None:
        """Answer the next requests with *lines* in order: texts, :class:`Reply`, :class:`Fault`, or callables."""
        self._desk.script.add(*lines)

    def answer_with(self, speaker: Speaker | None) -> None:
        """Let *speaker* answer whenever no line is left; ``None`` brings the echo back."""
        self._desk.script.set_default(speaker)

    def fail_next(self, fault: Fault | int, *, times: int = 1, model: str = "*") -> None:
        """Let the next *times* requests fail: a :class:`Fault` or an HTTP status.

        Faults come before replies and use up none, unless they spoil one in the middle. *model* is a pattern for the
        model as the client names it.
        """
        self._desk.script.add_fault(fault_of(fault), times=times, model=model)

    def pace(self, *, first_token_seconds: float = 0.0, token_seconds: float = 0.0) -> None:
        """Wait before the first token of every answer, and before each further token of a stream."""
        self.settings.first_token_seconds = first_token_seconds
        self.settings.token_seconds = token_seconds

    def rechunk(self, seed: int | None) -> None:
        """Cut every stream at byte positions that *seed* decides; ``None`` sends one event at a time again."""
        self.settings.rechunk_seed = seed

    def compress(self, how: Compression | None) -> None:
        """Encode bodies and streams *how*, where the client accepts it."""
        self.settings.compression = how

    def reset(self) -> None:
        """Forget scripts, faults, requests, bill and stored responses, and turn every knob back."""
        self._desk.script.clear()
        self._desk.requests.clear()
        self._desk.start_new_bill()
        self._desk.store.clear()
        self.pace()
        self.rechunk(None)
        self.compress(self._compression)
