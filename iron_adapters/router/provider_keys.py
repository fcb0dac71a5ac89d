"""Providers' keys as the environment has them: ``OPENAI_API_KEY``, and so on for each upstream's name.

Owns the names of the variables and what is wrong with what they hold. Never says what they hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from iron_adapters.providers import OFFICIAL_URLS, ProviderMismatch, provider_of_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def variable_of(upstream_name: str) -> str:
    """Return the name of the variable with the key for *upstream_name*: ``my-gpu`` has ``MY_GPU_API_KEY``."""
    return upstream_name.upper().replace("-", "_") + "_API_KEY"


def keys_in(environment: Mapping[str, str], upstream_names: Iterable[str]) -> dict[str, str]:
    """Return the keys that *environment* has for upstreams, by name. An empty variable is none.

    Raises:
        ProviderMismatch: a key stands in another provider's variable, or one variable would go to two upstreams.
        ValueError: a variable holds what cannot be a key.
    """
    keys: dict[str, str] = {}
    owners: dict[str, str] = {}
    for name in upstream_names:
        variable = variable_of(name)
        key = environment.get(variable, "").strip()
        if not key:
            continue
        if (other := owners.setdefault(variable, name)) != name:
            raise ProviderMismatch(
                f"{variable}: both {other!r} and {name!r} would get this key; rename one of these upstreams"
            )
        _refuse_odd(variable, name, key)
        keys[name] = key
    return keys


def _refuse_odd(variable: str, name: str, key: str) -> None:
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError(
            f"{variable}: holds white space or characters that no key has; set it to the key alone"
        )
    owner = provider_of_key(key)
    if name in OFFICIAL_URLS and owner != name:
        raise ProviderMismatch(
            f"{variable}: by its form, this is no key of {name!r}"
            + (
                f", but one of {owner!r}: put it into {variable_of(owner)}"
                if owner == "anthropic"
                else f": those begin with sk-ant-; if it is one of {owner!r}, put it into {variable_of(owner)}"
            )
        )
