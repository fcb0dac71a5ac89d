"""Who may call: the token, the host that was asked for, and the page that asks.

Owns the checks that come before anything is read. A page in a browser can make a user's machine send requests to a
local port (DNS rebinding, simple cross-site posts); it cannot choose Host and Origin.
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn

from iron_policy.exceptions import IronError

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOOPBACK_NAMES = frozenset(("localhost", "127.0.0.1", "[::1]"))
_LONGEST_LOCAL = len("localhost:65535")


class NotForYou(IronError):  # noqa: N818 - what the router says
    """A request that is not served, whatever it asks for."""

    status_code = 403
    code = "forbidden"


class Unauthorized(IronError):  # noqa: N818 - the name of the status
    """A request without the router's token, or without the key that it should bring."""

    status_code = 401
    code = "invalid_api_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """What a request must bring to be let in.

    Attributes:
        token: what callers send as their API key; ``None`` where any will do.
        loopback: whether the router listens on the loopback interface only, where it has no other name.
    """

    token: bytes | None
    loopback: bool = True

    def __repr__(self) -> str:
        return f"Doors(token={'…' if self.token else None}, loopback={self.loopback})"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: the token stays in this process."""
        raise TypeError("Doors holds the router's token and cannot be pickled")

    def check(self, headers: Mapping[str, str]) -> str | None:
        """Let a request in, and return the credential that it offers besides the router's token.

        Raises:
            NotForYou: it comes from a page of another site, or asks for a host that this is not.
            Unauthorized: it does not bring the token.
        """
        self.check_origin(headers)
        offered = credential(headers)
        if self.token is None:
            return offered
        if offered is None or not hmac.compare_digest(offered.encode("utf-8", "surrogatepass"), self.token):
            raise Unauthorized(
                "Invalid API key: give the router's token as the client's API key "
                "(LlmRouter.api_key, IRON_RUNTIME_TOKEN, --token-file or --token)"
            )
        return None

    def check_origin(self, headers: Mapping[str, str]) -> None:
        """Hold a request against the host that it names and the page that it comes from.

        Raises:
            NotForYou: neither is this router's own.
        """
        host = headers.get("host", "")
        if self.loopback and (len(host) > _LONGEST_LOCAL or not _is_local(host)):
            raise NotForYou("this router answers to localhost and 127.0.0.1; the request's Host is another")
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in (f"http://{host.lower()}", f"https://{host.lower()}"):
            raise NotForYou("requests from pages of other sites are not served (Origin)")


def credential(headers: Mapping[str, str]) -> str | None:
    """Return what a caller sends as its API key, under any of the names that clients use."""
    if (bearer := headers.get("authorization")) is not None:
        scheme, _, value = bearer.partition(" ")
        return value.strip() if scheme.lower() == "bearer" else None
    return headers.get("x-api-key") or headers.get("api-key")


def is_loopback(host: str) -> bool:
    """Tell whether a server that listens on *host* can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@lru_cache(maxsize=256)
def _is_local(host: str) -> bool:
    """Tell whether *host*, with its port or without, is a name of this machine for itself."""
    name, colon, port = host.lower().rpartition(":")
    has_port = colon and port.isascii() and port.isdigit()
    return (name if has_port else host.lower()) in _LOOPBACK_NAMES
