"""Upper bounds: the most a call can cost before anybody knows what it used.

Owns the arithmetic over price tiers. Knows no model, no table and no budget. Rates and totals are integers in
fractions of a nano-dollar, whose size the caller chooses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Rates(NamedTuple):
    """Prices of one token, by bucket."""

    text_input: int
    audio_input: int
    cache_read: int
    cache_creation: int
    cache_creation_1h: int
    text_output: int
    audio_output: int
    reasoning_output: int
    dearest_input: int
    """Of all input buckets in the table, also those that :class:`~iron_policy.messages.Usage` cannot tell apart."""
    dearest_output: int


class Tier(NamedTuple):
    """Rates of a whole call by its size: the last tier with ``above`` < input tokens prices every token of it.

    This is how the price table reads its tiers, and how OpenAI, Anthropic and Google bill long prompts.
    """

    above: int
    """Input tokens; -1 in the first tier, which prices a call without input, too."""
    rates: Rates


def rates_at(tiers: Sequence[Tier], input_tokens: int) -> Rates:
    """Return the rates that price a call with so many input tokens."""
    rates = tiers[0].rates
    for tier in tiers[1:]:
        if input_tokens <= tier.above:
            break
        rates = tier.rates
    return rates


def bound(tiers: Sequence[Tier], input_tokens: int, output_tokens: int) -> int:
    """Return the most that a call with no more than these tokens can cost.

    Not merely the last tier reached: a table may have a tier that is cheaper than the one before it.
    """
    if len(tiers) == 1:  # most prices
        rates = tiers[0].rates
        return input_tokens * rates.dearest_input + output_tokens * rates.dearest_output
    return max(
        tokens * rates.dearest_input + output_tokens * rates.dearest_output
        for tokens, rates in _reachable(tiers, input_tokens)
    )


def affordable_output(tiers: Sequence[Tier], input_tokens: int, money: int) -> int | None:
    """Return the most output tokens for which :func:`bound` stays within *money*.

    ``None`` where output costs nothing, so that no number of tokens is too many; -1 where the input alone is too dear.
    """
    most: int | None = None
    for tokens, rates in _reachable(tiers, input_tokens):
        left = money - tokens * rates.dearest_input
        if left < 0:
            return -1
        if rates.dearest_output:
            fits = left // rates.dearest_output
            most = fits if most is None else min(most, fits)
    return most


def _reachable(tiers: Sequence[Tier], input_tokens: int) -> Iterator[tuple[int, Rates]]:
    """Yield each tier that a call of at most *input_tokens* can fall into, with the most input it has there."""
    for tier, following in zip(tiers, (*tiers[1:], None), strict=True):
        if tier.above >= input_tokens and tier.above >= 0:
            return
        most = input_tokens if following is None else min(input_tokens, following.above)
        yield most, tier.rates
