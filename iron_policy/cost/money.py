"""Money as integers: nano-dollars inside, decimal dollars at the edge.

Owns the conversion and its one rounding. Knows no price, no budget and no currency but the US dollar.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation, localcontext
from typing import Final

NANO: Final = 1_000_000_000
"""Nano-dollars in a dollar."""

MOST_USD: Final = Decimal(1_000_000_000_000)
"""The largest amount accepted; beyond it a typing error is likelier than a budget."""


def to_nanodollars(usd: Decimal | float | str) -> int:
    """Return an amount in US dollars as whole nano-dollars, rounded half up.

    A float counts as the decimal that it prints as: 0.1 is one tenth.

    Raises:
        ValueError: not a number, negative, infinite, or more than a trillion dollars.
    """
    if isinstance(usd, bool):
        raise ValueError(f"{usd!r} is not an amount of money")  # noqa: TRY004 - one error for every bad amount
    try:
        # Through `str`, because the binary value of 0.1 is not the amount that its author wrote.
        amount = usd if isinstance(usd, Decimal) else Decimal(str(usd))
    except InvalidOperation:
        raise ValueError(f"{usd!r} is not an amount of money in US dollars") from None
    if not amount.is_finite() or amount < 0 or amount > MOST_USD:
        raise ValueError(f"an amount of money must lie between 0 and {MOST_USD} US dollars, not {usd!r}")
    with localcontext() as context:
        context.prec = 60
        return int((amount * NANO).to_integral_value(rounding=ROUND_HALF_UP))


def to_usd(nanodollars: int) -> Decimal:
    """Return nano-dollars as US dollars, exactly."""
    with localcontext() as context:
        context.prec = 60
        return Decimal(nanodollars) / NANO
