"""Copies of a governed model within one process: they draw on the same budgets as the model they were made from.

Owns what is remembered of models that were pickled, so that what is read back in this process finds its policy's
engine again. In another process it starts anew from the policy.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iron_adapters.resolve import Governor

_MOST = 4096
"""Pickled models remembered; beyond it the one that was pickled longest ago is forgotten."""
_kept: OrderedDict[str, Governor] = OrderedDict()


def keep(seal: str, governor: Governor) -> None:
    """Remember *governor* under *seal*."""
    _kept[seal] = governor
    _kept.move_to_end(seal)
    if len(_kept) > _MOST:
        _kept.popitem(last=False)


def kept(seal: str) -> Governor | None:
    """Return what this process remembers under *seal*."""
    return _kept.get(seal)
