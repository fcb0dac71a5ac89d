"""Copies of JSON values, to be altered while the caller's own stay as they are."""

from __future__ import annotations

from typing import Any


def copied(value: Any) -> Any:
    """Return *value* with every dict and list within copied, and everything else shared."""
    if type(value) is dict:
        return {key: copied(item) for key, item in value.items()}
    if type(value) is list:
        return [copied(item) for item in value]
    return value
