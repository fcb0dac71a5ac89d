"""Where a call goes, and with which key.

Owns the reading of ``openai/gpt-4o-mini``, the precedence of addresses and keys, and the rule that a provider's key is
sent to no other provider. Reads the environment that it is given, and no other.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from iron_adapters.providers import OFFICIAL_URLS, ProviderMismatch, provider_of, provider_of_key
from iron_policy.document import Policy, Upstream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iron_adapters.providers import Dialect
    from iron_adapters.runtime_address import RuntimeAddress

_PATHS = {"openai": "/chat/completions", "anthropic": "/v1/messages"}
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_KEY = re.compile(r"[\x21-\x7e]+")
_NO_POLICY = Policy()


class Upstreamed(NamedTuple):
    """One provider, or a server that speaks like one."""

    name: str
    dialect: Dialect
    base_url: str | None


class Address(NamedTuple):
    """Where an endpoint is."""

    url: str
    host: str
    port: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where one call goes.

    Attributes:
        name: the upstream, as the caller calls it.
        model: as the provider calls it.
        headers: with the key, under lower-case names.
    """

    name: str
    dialect: Dialect
    model: str
    address: Address = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    @property
    def path(self) -> str:
        """The endpoint, as codecs know it."""
        return "/v1/chat/completions" if self.dialect == "openai" else "/v1/messages"

    def provider_name(self, policy: Policy) -> str:
        """Return what *policy* calls the provider there."""
        return provider_of(policy, self.address.host, self.address.port, self.path) or self.name


def target_of(
    model: str,
    policy: Policy,
    environment: Mapping[str, str],
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    runtime: RuntimeAddress | None = None,
) -> Target:
    """Return where a call for *model* goes.

    Where a *runtime* sends it there, that has the keys, and may know upstreams that nobody here knows.

    Raises:
        ValueError: the prefix names no upstream, a key is missing, or an address is none.
        ProviderMismatch: the key is another provider's.
    """
    prefix, slash, name = model.partition("/")
    if not slash or not name:
        raise ValueError(_unknown(model, policy))
    upstream = _upstream(prefix, name, model, policy, runtime)
    variable = re.sub(r"\W", "_", prefix).upper()
    address = (
        base_url
        or upstream.base_url
        or environment.get(f"{variable}_BASE_URL")
        or OFFICIAL_URLS[upstream.dialect]
    )
    endpoint = _endpoint(address, upstream.dialect, prefix)
    needed = runtime is None and prefix in OFFICIAL_URLS
    found = environment.get(f"{variable}_API_KEY")
    key = _key(api_key, found, prefix, f"{variable}_API_KEY", needed=needed)
    if key:
        _must_belong(key, prefix, endpoint.host)
    headers = _headers(key, upstream.dialect)
    return Target(name=prefix, dialect=upstream.dialect, model=name, address=endpoint, headers=headers)


def _upstream(
    prefix: str, name: str, model: str, policy: Policy, runtime: RuntimeAddress | None
) -> Upstreamed:
    default: Dialect = "anthropic" if prefix == "anthropic" else "openai"
    found = policy.upstreams.get(prefix)
    if found is None:
        if prefix not in OFFICIAL_URLS and runtime is not None and _NAME.fullmatch(prefix):
            return Upstreamed(prefix, default, f"{runtime.url}/{prefix}/v1")
        if prefix not in OFFICIAL_URLS:
            raise ValueError(_unknown(model, policy))
        return Upstreamed(prefix, default, None)
    if not isinstance(found, Upstream):
        return Upstreamed(prefix, default, found)
    if not any(fnmatch.fnmatchcase(name, pattern) for pattern in found.models):
        raise ValueError(
            f"{model!r}: the policy's upstreams.{prefix}.models lets {', '.join(found.models)} go there, and not {name!r}"
        )
    dialect = found.dialect if "dialect" in found.model_fields_set else default
    return Upstreamed(prefix, dialect, found.base_url)


def _unknown(model: str, policy: Policy) -> str:
    known = ", ".join(f"'{name}/...'" for name in dict.fromkeys((*OFFICIAL_URLS, *policy.upstreams)))
    return f"{model!r} names no provider: write {known}, or name its server under 'upstreams' in the policy"


@lru_cache(maxsize=256)
def _endpoint(address: str, dialect: Dialect, prefix: str) -> Address:
    """Return the address that takes the call; a query of *address* stays.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(
            f"{prefix!r}: its base_url is no http(s) address, such as {OFFICIAL_URLS[dialect]!r}"
        )
    path = parts.path.rstrip("/")
    if dialect == "anthropic":
        path = path.removesuffix("/v1")
    url = urlunsplit(parts._replace(path=path + _PATHS[dialect], fragment=""))
    return Address(url, parts.hostname, parts.port)


def _key(given: str | None, found: str | None, prefix: str, variable: str, *, needed: bool) -> str | None:
    """Return the key to send, if there is one.

    Raises:
        ValueError: there is none though one is *needed*, or none that a header can hold.
    """
    key = given or found
    if not key:
        if needed:
            raise ValueError(f"no key for {prefix!r}: give api_key=... or set {variable}")
        return None
    if not _KEY.fullmatch(key):
        where = "api_key" if given else variable
        raise ValueError(f"{where} holds spaces, line ends or other characters that no key has; strip it")
    return key


def _must_belong(key: str, prefix: str, host: str) -> None:
    """Refuse to send one provider's key to the other.

    Raises:
        ProviderMismatch: it is the other's. The message does not hold it.
    """
    receiver = provider_of(_NO_POLICY, host, None) or prefix
    if not key.startswith("sk-") or receiver not in OFFICIAL_URLS:
        return
    owner = provider_of_key(key)
    if owner != receiver:
        raise ProviderMismatch(
            f"the key looks like one of {owner!r}, and the call goes to {receiver!r}, so nothing is sent. If a server of "
            "yours takes such keys, name it under 'upstreams' in the policy"
        )


def _headers(key: str | None, dialect: Dialect) -> dict[str, str]:
    headers = {"content-type": "application/json"}
    if dialect == "anthropic":
        headers["anthropic-version"] = "2023-06-01"
    if key:
        name, value = ("x-api-key", key) if dialect == "anthropic" else ("authorization", f"Bearer {key}")
        headers[name] = value
    return headers
