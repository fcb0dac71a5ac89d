"""Which paths the router serves: the whole list, and nothing else.

Owns the way from a raw path to an endpoint. Paths are compared as the bytes that came, so that no decoding and no
normalising can make one look like another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from iron_adapters.wire.codecs import ENDPOINTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from iron_adapters.providers import Dialect

CHAT: Final = "/chat/completions"
MESSAGES: Final = "/messages"
RESPONSES: Final = "/responses"
MODELS: Final = "/models"


class Place(NamedTuple):
    """What a path stands for."""

    endpoint: str
    """The endpoint's own name, such as ``/chat/completions``."""
    dialect: Dialect
    """Whose API the caller speaks."""
    upstream: str | None = None
    """The upstream that the path's first part names, if it names one."""


class Paths:
    """The paths that are served, for upstreams of these *names*.

    Each endpoint is there with ``/v1`` and without, and under the name of each upstream: ``/v1/messages``,
    ``/messages``, ``/anthropic/v1/messages``.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._calls: dict[bytes, Place] = {}
        self._models: dict[bytes, str | None] = {}
        for name in (None, *names):
            start = f"/{name}" if name else ""
            for version in ("/v1", ""):
                for endpoint, dialect in ENDPOINTS.items():
                    path = f"{start}{version}{endpoint}".encode()
                    self._calls[path] = Place(endpoint, dialect, name)
                self._models[f"{start}{version}{MODELS}".encode()] = name

    def call(self, raw_path: bytes) -> Place | None:
        """Return the model call at *raw_path*, if one is there."""
        return self._calls.get(raw_path)

    def models(self, raw_path: bytes) -> tuple[str | None, str] | None:
        """Return upstream and model id of a path about models: the id is empty for the whole list."""
        listing, name = raw_path, b""
        if raw_path not in self._models:
            listing, slash, name = raw_path.partition(b"/models/")
            if not slash or not name:
                return None
            listing += MODELS.encode()
        if listing not in self._models:
            return None
        return self._models[listing], name.decode("ascii", "replace")


def dialect_of(raw_path: bytes, headers: Mapping[str, str]) -> Dialect:
    """Return in whose words to answer at a path that is not served, or that both providers have."""
    anthropic = (
        "anthropic-version" in headers or b"/messages" in raw_path or raw_path.startswith(b"/anthropic")
    )
    return "anthropic" if anthropic else "openai"
