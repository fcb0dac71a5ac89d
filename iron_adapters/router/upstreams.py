"""Where calls go: the providers, and servers that speak like one.

Owns addresses, names and the choice of an upstream by path, model and key. Sends nothing and knows no secret.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from iron_adapters.providers import OFFICIAL_URLS, provider_of_model
from iron_adapters.router.problems import NotServed
from iron_policy.document import Upstream as UpstreamSection
from iron_policy.exceptions import PolicyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from iron_adapters.providers import Dialect

_VERSION = "/v1"
_STEPS: Final = frozenset((".", ".."))
"""What clients take out of an address, with what stands before it, also where it is escaped."""
_LONGEST_NAME: Final = 500
_EVERY_MODEL: Final = ("*",)
_QUERY: Final = re.compile(r"(?:[A-Za-z0-9._~-]+=[A-Za-z0-9._~%:/+,-]*(?:&(?!$)|$))*")
_KEY_NAME: Final = re.compile(r"(?i)key|token|secret|passw|auth|sig|cred|^code$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """One provider, or a server that speaks like one.

    Attributes:
        name: what budgets, breakers and the record call it.
        base_url: up to the endpoint's own name, so with its ``/v1``. ``{model}`` in it stands for the model's name,
            as Azure's deployments need it.
        dialect: whose API it speaks.
        models: patterns of the models that are its own; ``*`` where it takes what nobody else does.
        query: goes with every call, before the caller's own, such as ``api-version=2024-10-21``.
        http2: whether HTTP/2 is spoken to it, where it can.
    """

    name: str
    base_url: str
    dialect: Dialect
    models: tuple[str, ...] = _EVERY_MODEL
    query: str = ""
    http2: bool = False

    @property
    def is_official(self) -> bool:
        """Whether this is the provider itself, whose keys are known by their shape."""
        return self.name in OFFICIAL_URLS

    def url(self, endpoint: str, model: str, query: str) -> str:
        """Return the address of *endpoint*, such as ``/chat/completions``."""
        base = (
            self.base_url.replace("{model}", quote(model, safe="")) if "{" in self.base_url else self.base_url
        )
        if self.query:
            query = _joined(self.query, query)
        return f"{base}{endpoint}?{query}" if query else base + endpoint

    def claims(self, model: str) -> bool:
        """Tell whether *model* is one that this upstream names as its own."""
        return self.models != _EVERY_MODEL and any(
            fnmatch.fnmatchcase(model, pattern) for pattern in self.models
        )


class Upstreams:
    """All upstreams of a router, and which of them a call is for."""

    def __init__(self, upstreams: Iterable[Upstream], home: str | None = None) -> None:
        self._by_name = {upstream.name: upstream for upstream in upstreams}
        self._home = home
        """Whose models the unknown ones are taken for: the provider of the only key, where there is one key."""
        self.choose = lru_cache(maxsize=1024)(self._choose)  # bounded: models' names come from callers
        """Where a call goes that was made in a dialect, for a model, under the path of an upstream that it forces."""

    def __iter__(self) -> Iterator[Upstream]:
        return iter(self._by_name.values())

    def at(self, origin: str, dialect: Dialect) -> Upstream:
        """Return the upstream at the address *origin*, which a caller in another process has made a call for.

        Where several have that address, one that speaks *dialect*.

        Raises:
            NotServed: there is none, and a call for one server must not end at another.
        """
        place = _place(origin)
        found = [upstream for upstream in self if _place(upstream.base_url) == place]
        if not found:
            raise NotServed(
                400,
                "unknown_upstream",
                f"this runtime knows no upstream at {place[1]}:{place[2]}, where the call was made for; name that server "
                "under 'upstreams' in its policy",
            )
        return next((upstream for upstream in found if upstream.dialect == dialect), found[0])

    def named(self, name: str) -> Upstream:
        """Return the upstream *name*."""
        return self._by_name[name]

    def _choose(self, dialect: Dialect, model: str, forced: str | None = None) -> Upstream:
        if model in _STEPS or len(model) > _LONGEST_NAME:
            raise NotServed(
                400, "bad_model", f"a model's name has up to {_LONGEST_NAME} characters, and is not '..'"
            )
        if forced is not None:
            return self._by_name[forced]
        for upstream in self:
            if upstream.claims(model):
                return upstream
        provider = provider_of_model(model)
        if provider is not None:
            return self._by_name[provider]
        own = (each for each in self if not each.is_official and each.dialect == dialect)
        chosen = next(
            (each for each in own if each.models == _EVERY_MODEL), self._by_name[self._home or dialect]
        )
        prefix, slash, _ = model.partition("/")
        if (
            slash
            and prefix in self._by_name
            and chosen.is_official
            and chosen.base_url in OFFICIAL_URLS.values()
        ):
            raise NotServed(
                404,
                "model_not_found",
                f"leave {prefix + slash!r} out of the model's name: the provider is known by the name, or by the path, "
                f"/{prefix}/v1",
            )
        return chosen


def upstreams_of(sections: Mapping[str, str | UpstreamSection]) -> list[Upstream]:
    """Return the upstreams that a policy names, and the two providers themselves where it does not.

    Raises:
        PolicyError: names or addresses cannot be used; each has its line.
    """
    found, faults = {}, []
    for name, section in sections.items():
        try:
            found[name] = _upstream(name, section)
        except PolicyError as error:
            faults.append(str(error))
    if faults:
        raise PolicyError("\n".join(faults))
    for name, url in OFFICIAL_URLS.items():
        found.setdefault(name, Upstream(name=name, base_url=url, dialect=name))
    return list(found.values())


def _place(url: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "", "", None
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
    return parts.scheme, host, port or {"http": 80, "https": 443}.get(parts.scheme)


def _upstream(name: str, section: str | UpstreamSection) -> Upstream:
    if name == _VERSION.removeprefix("/"):
        raise PolicyError(
            f"upstreams: {name!r} cannot be a name, because the router's own paths begin with it; choose another"
        )
    if not name or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
        raise PolicyError(f"upstreams: {name!r} cannot be a name: use letters, digits, '-' and '_'")
    if isinstance(section, str):
        section = UpstreamSection(base_url=section, dialect="anthropic" if name == "anthropic" else "openai")
    if name in OFFICIAL_URLS and section.dialect != name:
        raise PolicyError(f"upstreams.{name}: its dialect is {name!r}; give another server a name of its own")
    address, _, query = section.base_url.partition("?")
    _refuse_keys_in(name, query)
    return Upstream(
        name=name,
        base_url=with_version(name, address, section.dialect),
        dialect=section.dialect,
        models=section.models,
        query=query,
        http2=section.http2,
    )


def _joined(own: str, query: str) -> str:
    """Return *own* and those parts of a caller's *query* whose names do not stand in it."""
    names = {part.partition("=")[0] for part in own.split("&")}
    return "&".join(
        [own, *(part for part in query.split("&") if part and part.partition("=")[0] not in names)]
    )


def _refuse_keys_in(name: str, query: str) -> None:
    """Raise for a query that holds more than a setting: policies are read by many, and addresses stand in logs."""
    if not _QUERY.fullmatch(query):
        raise PolicyError(
            f"upstreams.{name}: what follows '?' in base_url must be NAME=VALUE, and more of that after '&', in ASCII "
            "without spaces or '#'"
        )
    for part in filter(None, query.split("&")):
        if _KEY_NAME.search(parameter := part.partition("=")[0]):
            raise PolicyError(
                f"upstreams.{name}: base_url must hold no key, and {parameter!r} sounds like one; keys go into the environment"
            )


def with_version(name: str, base_url: str, dialect: Dialect) -> str:
    """Return *base_url* as endpoints are appended to it: clients of Anthropic leave the ``/v1`` to the SDK."""
    parts = urlsplit(base_url)
    if parts.query or parts.fragment or parts.username or parts.password:
        raise PolicyError(
            f"upstreams.{name}: base_url holds a query, a fragment or a user that cannot be used; keys go into the environment"
        )
    _refuse_link_local(name, parts.hostname or "")
    base_url = base_url.rstrip("/")
    path = parts.path.rstrip("/")
    if not path or (dialect == "anthropic" and not path.endswith(_VERSION)):
        return base_url + _VERSION
    return base_url


def _refuse_link_local(name: str, host: str) -> None:
    """Raise for addresses at which clouds hand out credentials (169.254.169.254 and its like): no provider is there."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return
    if address.is_link_local or address.is_multicast:
        raise PolicyError(f"upstreams.{name}: {host} is a link-local address, where no provider can be")
