"""What calls cost and at most can cost, in integer nano-dollars.

Owns prices, bounds and the arithmetic of money. Knows no budget and no call: see ``iron_policy.budget`` for limits.
"""

from __future__ import annotations

from iron_policy.cost.catalogue import PriceSpan, edition, forget_prices, price_of, price_span
from iron_policy.cost.money import NANO, to_nanodollars, to_usd
from iron_policy.cost.prices import ModelPrice, flat_price

__all__ = [
    "NANO",
    "ModelPrice",
    "PriceSpan",
    "edition",
    "flat_price",
    "forget_prices",
    "price_of",
    "price_span",
    "to_nanodollars",
    "to_usd",
]
