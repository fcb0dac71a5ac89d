"""What a call may cost before it is made, and what it tries when that does not fit.

Owns the ladder from an upper bound to a hold: as asked, then each rung of ``spending.when_short``. Knows no
stores: the ledger holds, prices price.
"""

from __future__ import annotations

import time
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from iron_policy.cost import PriceSpan, edition, flat_price, price_span
from iron_policy.document import AssumedPrice
from iron_policy.exceptions import BudgetExceeded, PolicyDenied, UnknownPrice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from iron_policy.budget import Account, Hold, Ledger
    from iron_policy.cost import ModelPrice
    from iron_policy.cost.catalogue import Terms
    from iron_policy.document import Spending as Settings
    from iron_policy.messages import ModelRequest

LEAST_CLAMP = 16
"""A call is not clamped to fewer output tokens than this: the least that OpenAI's Responses API accepts."""


_STANDARD = frozenset({None, "auto", "default", "standard", "standard_only", "scale"})
"""Tiers at the listed price. OpenAI's ``scale`` and Anthropic's priority capacity are paid for in advance."""

_OPEN = frozenset({None, "auto"})
_TERMS: dict[str | None, Terms] = {
    **dict.fromkeys(_STANDARD, ()),
    **{tier: (("service_tier", tier), ("speed", tier)) for tier in ("priority", "fast", "flex")},
}
"""Tiers whose price is known wherever it differs; nobody knows what any other costs.

The table knows OpenAI's and Google's tiers by the one name, Anthropic's fast mode by the other.
"""


_MEMORY = 4096


class Offer(NamedTuple):
    """What a provider may bill one request at."""

    prices: tuple[ModelPrice | None, ...]
    """Every one, the first as asked for; ``None`` for one that nobody knows."""
    bounding: tuple[ModelPrice, ...]
    """Those of them that the upper bound can come from."""
    start: float
    end: float
    """From when until when all of them hold, in epoch seconds."""
    is_known: bool
    """Whether all of them are known."""

    @classmethod
    def of(cls, spans: Sequence[PriceSpan]) -> Offer:
        """Leave out of the bound what another price covers."""
        prices = tuple(span.price for span in spans)
        bounding: list[ModelPrice] = []
        for price in prices:
            if price is not None and not any(kept.covers(price) for kept in bounding):
                bounding = [kept for kept in bounding if not price.covers(kept)]
                bounding.append(price)
        start, end = max(span.start for span in spans), min(span.end for span in spans)
        return cls(prices, tuple(bounding), start, end, None not in prices)

    def bound(self, request: ModelRequest) -> int:
        """Return the most that *request* can cost, in nano-dollars."""
        output = 0 if request.operation_name == "embeddings" else request.max_tokens
        most = 0
        for price in self.bounding:
            cost = price.bound(request.input_tokens_bound, output, request.choice_count)
            most = max(most, cost)
        return most


class Spending:
    """Price calls and hold what they may cost."""

    def __init__(
        self, settings: Settings, ledger: Ledger, allows_model: Callable[[str], bool] | None = None
    ) -> None:
        self._ledger = ledger
        self._allows_model = allows_model
        self._rungs = tuple(rung for rung in settings.when_short if rung != "deny")
        unknown = settings.unknown_price
        self._assumed = flat_price(unknown.assume_usd_per_mtok) if isinstance(unknown, AssumedPrice) else None
        self._unpriced_allowed = unknown == "allow"
        self._edition = edition()
        self._offers: dict[tuple[str, str, str | None], Offer] = {}

    def price_of(self, model: str, provider_name: str, service_tier: str | None = None) -> ModelPrice | None:
        """Return what *model* costs at a tier, by the table or by the policy's assumption."""
        return self._span(model, provider_name, service_tier, time.time()).price

    def hold(
        self, request: ModelRequest, accounts: Sequence[Account]
    ) -> tuple[ModelRequest, ModelPrice | None, Hold | None] | PolicyDenied:
        """Hold what *request* may cost on all *accounts*; return it as it may then be sent.

        Returns:
            The request (clamped, or with a cheaper model), its price and its hold; or the refusal.
        """
        if not accounts or not request.billed:
            return request, self.price_of(request.model, request.provider_name, request.service_tier), None
        offer = self._offer(request)
        if not offer.is_known and not self._unpriced_allowed:
            return unknown_price(request)
        try:
            return request, offer.prices[0], self._ledger.reserve(accounts, offer.bound(request))
        except BudgetExceeded as short:
            return self._hold_less(request, accounts) or short

    def _hold_less(
        self, request: ModelRequest, accounts: Sequence[Account]
    ) -> tuple[ModelRequest, ModelPrice | None, Hold | None] | None:
        """Hold what the first rung costs that fits, ``None`` where none does."""
        for candidate in self._candidates(request, accounts):
            offer = self._offer(candidate)
            try:
                return candidate, offer.prices[0], self._ledger.reserve(accounts, offer.bound(candidate))
            except BudgetExceeded:
                continue
        return None

    def _offer(self, request: ModelRequest) -> Offer:
        """Return what the provider may bill *request* at, remembered for as long as those prices hold."""
        now = time.time()
        if request.other_models:
            return Offer.of(self._spans(request, now))
        if self._edition != edition():
            self._edition, self._offers = edition(), {}
        offers = self._offers
        key = (request.model, request.provider_name, request.service_tier)
        offer = offers.get(key)
        if offer is None or not offer.start <= now < offer.end:
            if len(offers) >= _MEMORY:  # the names come from callers
                offers.clear()
            offer = offers[key] = Offer.of(self._spans(request, now))
        return offer

    def _spans(self, request: ModelRequest, now: float) -> list[PriceSpan]:
        """Return every price that the provider may bill *request* at, first the one asked for."""
        tiers = _possible_tiers(request)
        return [
            self._span(model, request.provider_name, tier, now)
            for model in (request.model, *request.other_models)
            for tier in tiers
        ]

    def _span(self, model: str, provider_name: str, service_tier: str | None, now: float) -> PriceSpan:
        terms = _TERMS.get(service_tier)
        if terms is None:
            return PriceSpan(-inf, inf, self._assumed)
        span = price_span(model, provider_name, at=now, terms=terms)
        return span if span.price is not None else span._replace(price=self._assumed)

    def fits_at_all(self, accounts: Sequence[Account]) -> BudgetExceeded | None:
        """Return the refusal that any call would meet, where a budget is used up."""
        try:
            self._ledger.reserve(accounts, 1).release()
        except BudgetExceeded as short:
            return short
        return None

    def _candidates(self, request: ModelRequest, accounts: Sequence[Account]) -> Iterator[ModelRequest]:
        """Yield the request as each rung alters what the rung before it left."""
        for rung in self._rungs:
            if rung == "clamp":
                clamped = self._clamped(request, accounts)
                if clamped is not None:
                    yield clamped
            else:
                model = rung.removeprefix("model:")
                if self._may_stand_in(model, request.provider_name):
                    request = request._replace(model=model)
                    yield request

    def _may_stand_in(self, model: str, provider_name: str) -> bool:
        """A substitute is no way round the list of models, and has a price."""
        allowed = self._allows_model is None or self._allows_model(model)
        return allowed and self.price_of(model, provider_name) is not None

    def _clamped(self, request: ModelRequest, accounts: Sequence[Account]) -> ModelRequest | None:
        """Return the request with as many output tokens as the least budget affords, if that is of use."""
        prices = self._offer(request).bounding
        headroom = self._ledger.headroom(accounts)
        if not prices or headroom is None or request.operation_name == "embeddings":
            return None
        afforded = min(
            price.tokens_affordable(request.input_tokens_bound, request.choice_count, headroom)
            for price in prices
        )
        wanted = request.max_tokens
        if afforded < LEAST_CLAMP or (wanted is not None and wanted <= afforded):
            return None
        return request._replace(max_tokens=afforded)


def _possible_tiers(request: ModelRequest) -> tuple[str | None, ...]:
    """Return the tiers that the provider may serve *request* at, first the one asked for.

    Where a caller leaves the tier open, OpenAI takes the one that the project is set to, which nobody sees from here
    and which may be ``priority``. Anthropic's ``auto`` uses capacity that is paid for in advance, and nobody else
    serves a dearer tier unasked. A tier asked for may be given up for the standard one when there is no room in it.
    """
    tier = request.service_tier
    if tier not in _STANDARD:
        return (tier, None)
    return (None, "priority") if tier in _OPEN and request.provider_name == "openai" else (None,)


def unknown_price(request: ModelRequest) -> UnknownPrice:
    """Return the refusal of a call that nobody can price."""
    models = " or ".join(repr(model) for model in (request.model, *request.other_models))
    tier = f" at service tier {request.service_tier!r}" if request.service_tier not in _STANDARD else ""
    return UnknownPrice(
        f"the price of model {models}{tier} is unknown and a budget applies; set spending.unknown_price to "
        "{assume_usd_per_mtok: ...} or to allow"
    )
