"""What a call may cost before it is made, and what it tries when that does not fit.

Owns the ladder from an upper bound to a hold: as asked, then each rung of ``spending.when_short``. Knows no
stores: the ledger holds, prices price.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from iron_policy.cost import flat_price, price_of
from iron_policy.document import AssumedPrice
from iron_policy.exceptions import BudgetExceeded, PolicyDenied, UnknownPrice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from iron_policy.budget import Account, Hold, Ledger
    from iron_policy.cost import ModelPrice
    from iron_policy.document import Spending as Settings
    from iron_policy.messages import ModelRequest

LEAST_CLAMP = 16
"""A call is not clamped to fewer output tokens than this: the least that OpenAI's Responses API accepts."""


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

    def price_of(self, model: str, provider_name: str) -> ModelPrice | None:
        """Return what *model* costs, by the table or by the policy's assumption."""
        return price_of(model, provider_name) or self._assumed

    def hold(
        self, request: ModelRequest, accounts: Sequence[Account]
    ) -> tuple[ModelRequest, ModelPrice | None, Hold | None] | PolicyDenied:
        """Hold what *request* may cost on all *accounts*; return it as it may then be sent.

        Returns:
            The request (clamped, or with a cheaper model), its price and its hold; or the refusal.
        """
        price = self.price_of(request.model, request.provider_name)
        if not accounts or not request.billed:
            return request, price, None
        if price is None and not self._unpriced_allowed:
            return unknown_price(request.model)
        try:
            return request, price, self._ledger.reserve(accounts, _bound(request, price))
        except BudgetExceeded as short:
            return self._hold_less(request, accounts) or short

    def _hold_less(
        self, request: ModelRequest, accounts: Sequence[Account]
    ) -> tuple[ModelRequest, ModelPrice | None, Hold | None] | None:
        """Hold what the first rung costs that fits, ``None`` where none does."""
        for candidate in self._candidates(request, accounts):
            price = self.price_of(candidate.model, candidate.provider_name)
            try:
                return candidate, price, self._ledger.reserve(accounts, _bound(candidate, price))
            except BudgetExceeded:
                continue
        return None

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
        price = self.price_of(request.model, request.provider_name)
        headroom = self._ledger.headroom(accounts)
        if price is None or headroom is None or request.operation_name == "embeddings":
            return None
        afforded = price.tokens_affordable(request.input_tokens_bound, request.choice_count, headroom)
        wanted = request.max_tokens
        if afforded < LEAST_CLAMP or (wanted is not None and wanted <= afforded):
            return None
        return request._replace(max_tokens=afforded)


def _bound(request: ModelRequest, price: ModelPrice | None) -> int:
    """Return the most that *request* can cost, in nano-dollars."""
    if price is None:
        return 0
    output = 0 if request.operation_name == "embeddings" else request.max_tokens
    return price.bound(request.input_tokens_bound, output, request.choice_count)


def unknown_price(model: str) -> UnknownPrice:
    """Return the refusal of a model that nobody can price."""
    return UnknownPrice(
        f"the price of model {model!r} is unknown and a budget applies; set spending.unknown_price to "
        "{assume_usd_per_mtok: ...} or to allow"
    )
