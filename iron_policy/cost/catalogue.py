"""Look a model's price up in genai-prices and compile it to integers, once.

Owns the reading of that table: which entry a model name means, which price holds when, which unit prices which
bucket. Knows no budget. The table is part of the package and is read without network; it renews itself only
where the application starts ``genai_prices.UpdatePrices``, and :func:`forget_prices` then makes us look again.
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from importlib.metadata import version
from math import inf, lcm
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, final

from iron_policy.cost.estimates import Rates, Tier
from iron_policy.cost.model_limits import most_output_tokens
from iron_policy.cost.prices import ModelPrice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import time as time_of_day
    from decimal import Decimal

    from genai_prices.types import ModelInfo, Provider, TieredPrices
    from genai_prices.types import ModelPrice as TablePrice

    Listed: TypeAlias = Decimal | TieredPrices

Terms: TypeAlias = tuple[tuple[str, str], ...]

LONGEST_NAME: Final = 200
"""Characters; a longer model name is no model's, and must not occupy the cache."""

# The price keys of each bucket of `Usage`, the most specific first: tokens without a price of their own are
# billed at the price of the kind that contains them.
_PRICE_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "text_input": ("input_mtok",),
    "audio_input": ("input_audio_mtok", "input_mtok"),
    "cache_read": ("cache_read_mtok", "input_mtok"),
    "cache_creation": ("cache_write_5m_mtok", "cache_write_mtok", "input_mtok"),
    "cache_creation_1h": ("cache_write_1h_mtok", "cache_write_mtok", "input_mtok"),
    "text_output": ("output_mtok",),
    "audio_output": ("output_audio_mtok", "output_mtok"),
    "reasoning_output": ("output_reasoning_mtok", "output_mtok"),
}

_NANO_PER_TOKEN: Final = 1_000
"""One US dollar per million tokens, in nano-dollars per token."""

_NANO_PER_CALL: Final = 1_000_000
"""One US dollar per thousand requests, in nano-dollars per request."""


def price_of(
    model: str,
    provider_name: str | None = None,
    *,
    at: float | None = None,
    terms: Mapping[str, str] | Terms | None = None,
) -> ModelPrice | None:
    """Return what *model* costs, ``None`` where the table does not know it or does not price it by the token.

    Args:
        model: an id, an alias or a dated id, in the provider's own spelling.
        provider_name: who serves it; ``None`` to tell it from the model's name. A provider that the table does not
            know has no prices, even where it serves a model of the same name as another's.
        at: epoch seconds of the request, for prices that change by date or time of day; ``None`` for now.
        terms: what else the price hangs on, such as ``{"service_tier": "priority"}`` or ``{"processing": "batch"}``;
            as sorted pairs where it must be quick.
    """
    if not terms:
        found = _listing(model, provider_name)
    else:
        found = _listing(
            model, provider_name, terms if isinstance(terms, tuple) else tuple(sorted(terms.items()))
        )
    if type(found) is Schedule:
        return found.span_at(time.time() if at is None else at).price
    return found.price


def price_span(model: str, provider_name: str | None, *, at: float, terms: Terms = ()) -> PriceSpan:
    """Return what :func:`price_of` does, and from when until when it holds: for whoever keeps it."""
    found = _listing(model, provider_name, terms)
    return found.span_at(at) if type(found) is Schedule else found


def forget_prices() -> None:
    """Make :func:`price_of` read the table again, after an application has renewed it."""
    global _edition  # noqa: PLW0603 - it counts what happens to this module's cache
    _listing.cache_clear()
    _edition += 1


def edition() -> int:
    """Return a number that :func:`forget_prices` changes: what was kept under another one is to be looked up again."""
    return _edition


_edition = 0


class PriceSpan(NamedTuple):
    """A price and when it holds, in epoch seconds."""

    start: float
    end: float
    """The first moment at which it no longer holds."""
    price: ModelPrice | None


@final
class Schedule:
    """A price that changes by date or time of day."""

    __slots__ = ("_info", "_provider", "_span", "_terms")

    def __init__(self, provider: Provider, info: ModelInfo, terms: Terms) -> None:
        self._provider = provider
        self._info = info
        self._terms = terms
        self._span = PriceSpan(inf, -inf, None)

    def span_at(self, epoch: float) -> PriceSpan:
        """Return the price that holds at *epoch*, in seconds."""
        span = self._span
        if not span.start <= epoch < span.end:
            # One assignment: another thread sees the old span or the new.
            span = self._span = self._found(epoch)
        return span

    def _found(self, epoch: float) -> PriceSpan:
        turns = tuple(_turns(self._info, self._terms, epoch))
        price = _compile(self._provider, self._info, self._terms, epoch)
        start = max((turn for turn in turns if turn <= epoch), default=-inf)
        end = min((turn for turn in turns if turn > epoch), default=inf)
        return PriceSpan(start, end, price)


@lru_cache(maxsize=4096)  # bounded: the names come from callers
def _listing(model: str, provider_name: str | None, terms: Terms = ()) -> PriceSpan | Schedule:
    found = _find(model, provider_name)
    if found is None:
        return PriceSpan(-inf, inf, None)
    provider, info = found
    if next(_turns(info, terms, 0.0), None) is not None:
        return Schedule(provider, info, terms)
    return PriceSpan(-inf, inf, _compile(provider, info, terms, 0.0))


def _find(model: str, provider_name: str | None) -> tuple[Provider, ModelInfo] | None:
    """Return the table's entry for a model name.

    By the same steps as the table's own ``find_provider_model``, whose memory of every name ever asked for is unbounded.
    """
    if len(model) > LONGEST_NAME or not model:
        return None
    # Imported here, because it takes 0.4 s and a policy without budgets never needs it.
    from genai_prices.data_snapshot import find_provider_by_id, get_snapshot

    providers, name = get_snapshot().providers, model.lower()
    if provider_name is not None:
        provider = find_provider_by_id(providers, provider_name)
    else:
        provider = next(
            (p for p in providers if p.model_match is not None and p.model_match.is_match(name)), None
        )
    info = provider and provider.find_model(name, all_providers=providers)
    return (provider, info) if provider and info else None


def _turns(info: ModelInfo, terms: Terms, epoch: float) -> Iterator[float]:
    """Yield the times at which the price can change: every dated one, and the daily ones within a day of *epoch*."""
    from genai_prices.types import StartDateConstraint, TimeOfDateConstraint

    conditions = [] if not isinstance(info.prices, list) else [price.constraint for price in info.prices]
    conditions += [variant.constraint for variant in info.price_variants or ()] if terms else []
    for condition in conditions:
        if isinstance(condition, StartDateConstraint):
            yield _midnight(condition.start_date).timestamp()
        elif isinstance(condition, TimeOfDateConstraint):
            today = datetime.fromtimestamp(epoch, UTC).date()
            for days in (-1, 0, 1):
                yield _moment(today + timedelta(days=days), condition.start_time)
                yield _moment(today + timedelta(days=days), condition.end_time)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _moment(day: date, clock: time_of_day) -> float:
    return datetime.combine(day, clock, tzinfo=clock.tzinfo or UTC).timestamp()


def _compile(provider: Provider, info: ModelInfo, terms: Terms, epoch: float) -> ModelPrice | None:
    """Return the integer price of a table's entry, ``None`` where it bills by something other than tokens."""
    moment = datetime.fromtimestamp(epoch, UTC)
    # As in the table's own `calc_price`: variants hold at the provider that lists the model, not at one that borrows it.
    own = any(info is listed for listed in provider.models)
    prices = info.get_prices(moment, dict(terms) if own else None)
    listed = _listed(prices)
    if listed and not any(key.endswith("_mtok") or key == "requests_kcount" for key in listed):
        # Hours of audio, pages, characters: their tokens would cost nothing, and a budget would never fill.
        return None
    per_call, tiers = _rates(info, listed)
    scale = lcm(per_call.denominator, *(rate.denominator for _, rates in tiers for rate in rates))
    return ModelPrice(
        provider_name=provider.id,
        model=info.id,
        source=_source(),
        price_date=_price_date(info, moment),
        context_window=info.context_window,
        max_output_tokens=most_output_tokens(info.id),
        tiers=tuple(Tier(above, Rates(*(int(rate * scale) for rate in rates))) for above, rates in tiers),
        per_call=int(per_call * scale),
        scale=scale,
    )


def _listed(prices: TablePrice) -> dict[str, Listed]:
    return {key: price for key, price in vars(prices).items() if price is not None}


def _rates(
    info: ModelInfo, listed: Mapping[str, Listed]
) -> tuple[Fraction, list[tuple[int, list[Fraction]]]]:
    """Return the fee per call, and for each tier where it starts and its rates, in nano-dollars."""
    starts = {tier.start for price in listed.values() for tier in getattr(price, "tiers", ())}
    tiers = [(above, _rates_above(info, listed, above)) for above in (-1, *sorted(starts))]
    return _in_tier(listed.get("requests_kcount"), -1) * _NANO_PER_CALL, tiers


def _rates_above(info: ModelInfo, listed: Mapping[str, Listed], above: int) -> list[Fraction]:
    """Return the rates of one tier in the order of :class:`Rates`."""
    token = {
        key: _in_tier(price, above) * _NANO_PER_TOKEN
        for key, price in listed.items()
        if key.endswith("_mtok")
    }
    rates = {
        bucket: next((token[key] for key in keys if key in token), Fraction(0))
        for bucket, keys in _PRICE_KEYS.items()
    }
    if "claude" in info.id.lower() and "cache_write_1h_mtok" not in token:
        # "1-hour cache write tokens are 2 times the base input tokens price", for every Claude model:
        # https://platform.claude.com/docs/en/build-with-claude/prompt-caching#pricing
        rates["cache_creation_1h"] = 2 * rates["text_input"]
    inputs = [rate for bucket, rate in rates.items() if not bucket.endswith("_output")]
    outputs = [rate for bucket, rate in rates.items() if bucket.endswith("_output")]
    inputs += [rate for key, rate in token.items() if not key.startswith("output_")]
    outputs += [rate for key, rate in token.items() if key.startswith("output_")]
    return [*rates.values(), max(inputs), max(outputs)]


def _in_tier(price: Listed | None, above: int) -> Fraction:
    """Return a table's price for calls with more than *above* input tokens, in US dollars per its unit."""
    from genai_prices.types import TieredPrices

    if isinstance(price, TieredPrices):
        reached = [tier.price for tier in price.tiers if tier.start <= above]
        return Fraction(reached[-1] if reached else price.base)
    return Fraction(price or 0)


def _price_date(info: ModelInfo, moment: datetime) -> str | None:
    """Return the ISO date of the last change that the table states for this model."""
    from genai_prices.types import StartDateConstraint

    if not isinstance(info.prices, list):
        return None
    conditions = (price.constraint for price in info.prices)
    dates = [c.start_date for c in conditions if isinstance(c, StartDateConstraint) and c.active(moment)]
    return max(dates).isoformat() if dates else None


def _source() -> str:
    from genai_prices.data_snapshot import get_snapshot

    snapshot = get_snapshot()
    renewed = (
        f", renewed {snapshot.timestamp.isoformat(timespec='seconds')}" if snapshot.from_auto_update else ""
    )
    return f"genai-prices {version('genai-prices')}{renewed}"
