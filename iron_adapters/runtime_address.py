"""Where the runtime is that calls are sent to instead of being judged here, and what they show it.

Owns the reading of ``IRON_RUNTIME_URL``, ``IRON_RUNTIME_TOKEN`` and ``IC_TOKEN``. Sends nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from iron_policy.exceptions import PolicyError, UpstreamError

VARIABLE: Final = "IRON_RUNTIME_URL"
_PORTS: Final = {"http": 80, "https": 443}
_EXAMPLE: Final = "such as http://localhost:8080, or unset it to be governed in process"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeAddress:
    """A runtime: a router in a process of its own.

    Attributes:
        scheme: ``http`` or ``https``.
        host: its name.
        port: where it listens.
        path: what comes before every path of its own; mostly nothing.
        token: what it asks callers for, where the environment has that.
    """

    scheme: str
    host: str
    port: int
    path: str = ""
    token: str | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"

    def is_at(self, scheme: str, host: str, port: int | None) -> bool:
        """Tell whether this is where a request goes already."""
        return (scheme, host, port or _PORTS.get(scheme)) == (self.scheme, self.host, self.port)

    def unreachable(self, kind: str) -> UpstreamError:
        """Return what to raise where nobody answers; *kind* is the name of the error."""
        return UpstreamError(
            f"{VARIABLE}: no runtime answers at {self.url} ({kind}), so nothing was sent. Start it with "
            f"'iron-runtime --mode=router --port={self.port}', or unset {VARIABLE} to be governed in process"
        )


def runtime_address() -> RuntimeAddress | None:
    """Return where calls are to be sent, ``None`` where they are governed in process.

    Raises:
        PolicyError: ``IRON_RUNTIME_URL`` is no address, or ``IRON_RUNTIME_TOKEN`` no token.
    """
    url = os.environ.get(VARIABLE)
    if not url:
        return None
    token = os.environ.get("IRON_RUNTIME_TOKEN")
    return _address(url, usable(token, "IRON_RUNTIME_TOKEN") if token else None)


def token_of_agent() -> str | None:
    """Return the Iron Cage token of the environment, which a runtime takes where it has no token of its own.

    Raises:
        PolicyError: it is none.
    """
    token = os.environ.get("IC_TOKEN")
    return usable(token, "IC_TOKEN") if token else None


def usable(token: str, name: str) -> str:
    """Return *token* as a header can hold it; it came from *name*.

    Raises:
        PolicyError: it holds what no token does. The message does not hold it.
    """
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise PolicyError(
            f"{name}: holds white space or characters that no token has; set it to the token alone"
        )
    return token


@lru_cache(maxsize=16)
def _address(url: str, token: str | None) -> RuntimeAddress:
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise PolicyError(f"{VARIABLE}: no address; give one {_EXAMPLE}") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise PolicyError(f"{VARIABLE}: {url!r} is no http(s) address; give one {_EXAMPLE}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise PolicyError(
            f"{VARIABLE}: takes neither a user, a query nor a fragment; a token goes into IRON_RUNTIME_TOKEN"
        )
    path = parts.path.rstrip("/").removesuffix("/v1")
    port = port or _PORTS[parts.scheme]
    return RuntimeAddress(scheme=parts.scheme, host=parts.hostname, port=port, path=path, token=token)
