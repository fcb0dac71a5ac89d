"""What the control plane hands out, and how it is read.

Owns the values and the reading of their fields. Money is micro-dollars on the wire and nano-dollars here. Nothing in
this module raises: a reply that cannot be read is ``None``, so that no traceback has one in its frames.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from iron_policy.cost.money import to_nanodollars

if TYPE_CHECKING:
    from collections.abc import Mapping

NANO_PER_MICRO: Final = 1_000
_PROVIDER: Final = re.compile(r"[a-z0-9_.-]{1,50}")
_LONGEST_KEY: Final = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderKey:
    """A key to a provider, and where it is to be used. Its representation hides the key."""

    provider: str
    """Such as ``openai`` or ``anthropic``."""
    key: str = field(repr=False)
    base_url: str | None = None
    """Where this provider is served instead of at its own host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A slice of the agent's budget. Whoever has its id can give it back, so that the representation hides it."""

    lease_id: str = field(repr=False)
    provider: str
    granted_nanodollars: int
    """It may be less than what was asked for."""
    remaining_nanodollars: int | None = None
    """What the server has left for this agent, where it says so."""


def provider_key_of(reply: Mapping[str, Any]) -> ProviderKey | None:
    """Return the key in *reply*, ``None`` where there is none that can be used."""
    key, provider, base_url = reply.get("provider_key"), reply.get("provider"), reply.get("base_url")
    if not isinstance(key, str) or not isinstance(provider, str) or not _PROVIDER.fullmatch(provider):
        return None
    # It becomes a header: what is not printable ASCII would be another header, or none.
    if not key or len(key) > _LONGEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
        return None
    if base_url is not None and not (
        isinstance(base_url, str) and base_url.startswith(("https://", "http://"))
    ):
        return None
    return ProviderKey(provider=provider, key=key, base_url=base_url or None)


def lease_of(reply: Mapping[str, Any], provider: str) -> Lease | None:
    """Return the lease in *reply*, ``None`` where it names none or no sum."""
    lease_id, granted = reply.get("lease_id"), nanodollars_of(reply, "budget_granted")
    if not isinstance(lease_id, str) or not lease_id or granted is None:
        return None
    return Lease(
        lease_id=lease_id,
        provider=provider,
        granted_nanodollars=granted,
        remaining_nanodollars=nanodollars_of(reply, "budget_remaining"),
    )


def nanodollars_of(reply: Mapping[str, Any], name: str) -> int | None:
    """Return a sum: whole micro-dollars under *name*, or dollars under *name* with ``_usd``; else ``None``."""
    micros = reply.get(name)
    if isinstance(micros, int) and not isinstance(micros, bool):
        return micros * NANO_PER_MICRO if micros >= 0 else None
    usd = reply.get(f"{name}_usd")
    if not isinstance(usd, int | float | str | Decimal):
        return None
    try:
        return to_nanodollars(usd)
    except ValueError:
        return None
