"""What a model's tokens cost, as integers.

Owns the price of one model at one time: the cost of a usage and the bound of a call. Knows neither where prices
come from (see ``catalogue``) nor what a budget is. Fees that no token carries, such as those for web searches,
are not in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from iron_policy.cost.estimates import Rates, Tier, affordable_output, bound, rates_at
from iron_policy.cost.money import to_nanodollars

if TYPE_CHECKING:
    from decimal import Decimal

    from iron_policy.messages import Usage

UNKNOWN_CONTEXT_WINDOW: Final = 2_000_000
"""Input tokens assumed of a model whose window nobody states; no OpenAI or Anthropic model takes more."""

UNKNOWN_MAX_OUTPUT_TOKENS: Final = 128_000
"""Output tokens assumed of a model of which neither output limit nor window is known."""

UNLIMITED: Final = 2**31 - 1
"""What :meth:`ModelPrice.tokens_affordable` returns where output is free; fits any provider's integer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrice:
    """The price of one model of one provider, at one time."""

    provider_name: str
    """As the price table names it."""
    model: str
    """As the price table names it."""
    source: str
    """Where the price comes from, such as ``genai-prices 0.2.3``."""
    price_date: str | None = None
    """ISO date on which the table last changed this price; ``None`` where it states no date."""
    context_window: int | None = None
    """Tokens."""
    max_output_tokens: int | None = None
    """Per choice; ``None`` where no source states it."""
    tiers: tuple[Tier, ...] = field(repr=False)
    """In ascending order, the first above -1; in ``1 / scale`` nano-dollars per token."""
    per_call: int = field(default=0, repr=False)
    """A fee on each call, in ``1 / scale`` nano-dollars."""
    scale: int = field(default=1, repr=False)
    """Parts of a nano-dollar in which every rate is a whole number."""

    def cost(self, usage: Usage) -> int:
        """Return what *usage* costs in nano-dollars, rounded half up once. A negative count counts as none."""
        uncached, output = usage.uncached_input_tokens, usage.output_tokens
        read, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
        written_1h = usage.cache_creation_1h_input_tokens
        if uncached < 0 or output < 0 or read < 0 or written < 0 or written_1h < 0:
            # A provider's slip must not refund what other tokens cost.
            uncached, output, read = max(uncached, 0), max(output, 0), max(read, 0)
            written, written_1h = max(written, 0), max(written_1h, 0)
        tiers = self.tiers
        rates = tiers[0].rates if len(tiers) == 1 else rates_at(tiers, uncached + read + written + written_1h)
        total = (
            self.per_call
            + uncached * rates.text_input
            + read * rates.cache_read
            + written * rates.cache_creation
            + written_1h * rates.cache_creation_1h
            + output * rates.text_output
        )
        if usage.reasoning_output_tokens or usage.input_audio_tokens or usage.output_audio_tokens:
            total += _audio_and_reasoning(rates, usage, uncached, output)
        return (2 * total + self.scale) // (2 * self.scale)

    def bound(self, input_tokens: int | None, output_tokens: int | None, choice_count: int) -> int:
        """Return the most nano-dollars that a call can cost, whatever buckets its tokens fall into.

        Args:
            input_tokens: at most; ``None`` for the context window.
            output_tokens: at most, per choice; ``None`` for what the model can produce.
            choice_count: how many choices are asked for; their input is billed once.
        """
        if output_tokens is None:
            output_tokens = self.max_output_tokens or self.context_window or UNKNOWN_MAX_OUTPUT_TOKENS
        if input_tokens is None or input_tokens < 0:
            input_tokens = self._input_at_most(input_tokens)
        if choice_count > 1:
            output_tokens *= choice_count
        total = bound(self.tiers, input_tokens, output_tokens)
        return -(-(self.per_call + total) // self.scale)

    def covers(self, other: ModelPrice) -> bool:
        """Tell whether no call has a higher :meth:`bound` at *other*, as far as that shows at a glance."""
        if len(self.tiers) != 1 or len(other.tiers) != 1 or self.scale != other.scale:
            return False
        mine, rates = self.tiers[0].rates, other.tiers[0].rates
        return (
            self.per_call >= other.per_call
            and mine.dearest_input >= rates.dearest_input
            and mine.dearest_output >= rates.dearest_output
            and (self.context_window, self.max_output_tokens)
            == (other.context_window, other.max_output_tokens)
        )

    def tokens_affordable(self, input_tokens: int | None, choice_count: int, nanodollars: int) -> int:
        """Return the largest number of output tokens per choice whose :meth:`bound` fits; 0 or less when none does."""
        money = nanodollars * self.scale - self.per_call
        output = affordable_output(self.tiers, self._input_at_most(input_tokens), money)
        return UNLIMITED if output is None else output // max(choice_count, 1)

    def _input_at_most(self, input_tokens: int | None) -> int:
        if input_tokens is None:
            return self.context_window or UNKNOWN_CONTEXT_WINDOW
        return max(input_tokens, 0)


def _audio_and_reasoning(rates: Rates, usage: Usage, uncached: int, output: int) -> int:
    """Return what the shares of audio and reasoning cost beyond text. A share larger than its bucket is cut to it."""
    audio_input = min(max(usage.input_audio_tokens, 0), uncached)
    audio_output = min(max(usage.output_audio_tokens, 0), output)
    reasoning = min(max(usage.reasoning_output_tokens, 0), output - audio_output)
    return (
        audio_input * (rates.audio_input - rates.text_input)
        + audio_output * (rates.audio_output - rates.text_output)
        + reasoning * (rates.reasoning_output - rates.text_output)
    )


def flat_price(usd_per_mtok: Decimal | float) -> ModelPrice:
    """Return a price of so many US dollars per million tokens of any kind, for a model that nobody else prices.

    Raises:
        ValueError: a negative or impossible amount.
    """
    # Nano-dollars per million tokens are 1 / 1,000,000 nano-dollars per token.
    rate = to_nanodollars(usd_per_mtok)
    rates = Rates(*[rate] * len(Rates._fields))
    return ModelPrice(
        provider_name="policy",
        model="*",
        source="policy: assume_usd_per_mtok",
        tiers=(Tier(above=-1, rates=rates),),
        scale=1_000_000,
    )
