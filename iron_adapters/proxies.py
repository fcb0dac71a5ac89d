"""The proxy towards providers, as the environment names it: ``HTTPS_PROXY`` or ``ALL_PROXY``, and ``NO_PROXY``.

Owns who goes through it: only calls over TLS, of which a proxy sees the host's name and nothing else. A call over plain
HTTP would show it the key and the texts; those go directly, as do calls to this machine.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyreqwest.client import BaseClientBuilder
    from pyreqwest.proxy import ProxyBuilder

_VARIABLES: Final = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
_EXCEPTIONS: Final = ("NO_PROXY", "no_proxy")
_THIS_MACHINE: Final = "localhost,127.0.0.0/8,::1"
_FORMS: Final = ("http://", "https://")


Builder = TypeVar("Builder", bound="BaseClientBuilder")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy for calls over TLS."""

    url: str = field(repr=False)
    """It may hold a password."""
    not_for: str = _THIS_MACHINE
    """Hosts that are reached directly, as ``NO_PROXY`` writes them."""
    variable: str = _VARIABLES[0]
    """Which one names it."""

    def is_for(self, url: str) -> bool:
        """Tell whether a call to *url* goes through it, as the HTTP client decides that."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        return parts.scheme == "https" and not any(
            _covers(name.strip().lower(), host) for name in self.not_for.split(",")
        )

    def builder(self) -> ProxyBuilder:
        """Return it as the HTTP client takes it."""
        from pyreqwest.proxy import ProxyBuilder

        return ProxyBuilder.https(self.url).no_proxy(self.not_for)


def with_proxy(builder: Builder, proxy: Proxy | None) -> Builder:
    """Return *builder* so that its client goes through *proxy*, and through none that it finds by itself."""
    return builder.no_proxy() if proxy is None else builder.proxy(proxy.builder())


def proxy_in(environment: Mapping[str, str]) -> Proxy | None:
    """Return the proxy that *environment* names.

    Raises:
        ValueError: what it names cannot be used. Going without it might be what nobody may do.
    """
    variable = next((name for name in _VARIABLES if environment.get(name, "").strip()), None)
    if variable is None:
        return None
    url = environment[variable].strip()
    url = url if "://" in url else f"http://{url}"
    exceptions = next((environment[name] for name in _EXCEPTIONS if environment.get(name)), "")
    proxy = Proxy(url, ",".join(part for part in (exceptions, _THIS_MACHINE) if part), variable)
    try:
        proxy.builder()
    except ValueError:
        url = ""
    if not url.lower().startswith(_FORMS):
        raise ValueError(
            f"{variable}: is no address of an HTTP proxy; set it to http://HOST:PORT, or unset it"
        )
    return proxy


def _covers(name: str, host: str) -> bool:
    """Tell whether *name*, as ``NO_PROXY`` has it, stands for *host*: itself, its domain, its network, or all."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return name == "*" or f".{host}".endswith(f".{name.removeprefix('.')}")
    try:
        return address in ipaddress.ip_network(name, strict=False)
    except ValueError:
        return False
