"""What every router is put together from, whoever starts it: ``LlmRouter`` or the command line.

Owns the steps from a policy, keys and addresses to what calls draw on and where they go. Reads nothing of the environment
but ``SSL_CERT_FILE``, which TLS goes by whoever starts the router.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from iron_adapters.router.http1.certificates import refuse_useless_file
from iron_adapters.router.upstreams import Upstreams, upstreams_of
from iron_policy.budget import Account
from iron_policy.cost import to_nanodollars

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from iron_policy.document import Policy
    from iron_policy.document import Upstream as UpstreamSection


def upstreams_for(
    policy: Policy, sections: Mapping[str, str | UpstreamSection], key_names: Collection[str]
) -> Upstreams:
    """Return where calls can go: *sections* over those of *policy*, and the two providers themselves.

    Args:
        policy: may name upstreams.
        sections: further ones, or other addresses.
        key_names: whom the router has keys for. Where that is one provider, models that nobody knows are its own.

    Raises:
        PolicyError: a name or an address cannot be used.
        ValueError: some are called over TLS, and ``SSL_CERT_FILE`` names no certificates.
    """
    only = next(iter(key_names)) if len(key_names) == 1 else None
    home = only if only in {"openai", "anthropic"} else None
    found = upstreams_of({**policy.upstreams, **sections})
    if any(upstream.base_url.startswith("https:") for upstream in found):
        refuse_useless_file()
    return Upstreams(found, home)


def refuse_strange_names(keys: Collection[str], upstreams: Upstreams) -> None:
    """Raise for keys that no upstream would ever be called with.

    Raises:
        ValueError: naming the name, and those that there are.
    """
    names = sorted(upstream.name for upstream in upstreams)
    for name in sorted(set(keys) - set(names)):
        alike = get_close_matches(name, names, n=1)
        hint = f"did you mean {alike[0]!r}?" if alike else f"there are {', '.join(names)}"
        raise ValueError(f"provider_key: {name!r} is the name of no upstream; {hint}")


def router_account(budget_usd: float | str) -> Account:
    """Return the account of a router's own budget.

    Raises:
        ValueError: *budget_usd* is negative or no number.
    """
    return Account(scope="router", limit_nanodollars=to_nanodollars(budget_usd))


def split_keys(
    upstreams: Mapping[str, str | Mapping[str, Any]],
) -> tuple[dict[str, str | UpstreamSection], dict[str, str]]:
    """Return the sections of *upstreams* as a policy has them, and the keys that stand in them.

    Raises:
        PolicyError: a section is none.
    """
    from iron_policy.document import Policy

    sections: dict[str, Any] = {}
    keys: dict[str, str] = {}
    for name, section in upstreams.items():
        if isinstance(section, str):
            sections[name] = section
            continue
        sections[name] = {key: value for key, value in section.items() if key != "api_key"}
        if section.get("api_key"):
            keys[name] = section["api_key"]
    return dict(Policy.model_validate({"upstreams": sections}).upstreams), keys
