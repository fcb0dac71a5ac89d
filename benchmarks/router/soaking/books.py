"""The router's record against the provider's bill, call by call and to the nano-dollar.

Calls are told apart by their model. On ``exact`` models every call is in the comparison, whoever hung up. Where the
provider bills and does not say how much, nobody can be exact: those are accounts of their own, whose difference is
told.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from soaking.provider import UNTOLD, dated

from iron_policy.audit import verify
from iron_policy.cost import price_of, to_nanodollars

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from iron_adapters.testing.billing import BillLine

EXACT = "calls whose cost the provider tells"
_ROLES = {dated(model): f"untold: {fault.kind}, {model}" for model, fault in UNTOLD.items()}
_ENDS = {"call.settled", "call.failed"}


class Charge(NamedTuple):
    """One call on either side."""

    model: str
    input_tokens: int
    output_tokens: int
    nanodollars: int


@dataclass(slots=True)
class Account:
    """One kind of calls: what the router charged, what the provider billed."""

    charged_calls: int = 0
    charged_nanodollars: int = 0
    billed_calls: int = 0
    billed_nanodollars: int = 0


@dataclass(slots=True)
class Books:
    """What a comparison found."""

    accounts: dict[str, Account] = field(default_factory=dict)
    unequal: list[str] = field(default_factory=list)
    """Exact calls that only one side has."""
    bases: dict[str, int] = field(default_factory=dict)
    """Where charges come from, over exact calls."""
    record_nanodollars: int = 0
    """The sum of all charges in the record."""
    summary_nanodollars: int = 0
    """What the command says at its end."""
    spent_nanodollars: int = 0
    """What the budget has spent, as a refusal tells."""
    held_nanodollars: int = -1
    """What the budget holds when all is quiet, as a refusal tells."""
    never_ended: int = 0
    ended_twice: int = 0
    record_faults: list[str] = field(default_factory=list)
    """Where the record's hash chain is broken."""

    @property
    def faults(self) -> list[str]:
        """Say what does not agree."""
        exact, total = self.accounts[EXACT], self.record_nanodollars
        checks = {
            "the record and the bill differ": exact.charged_nanodollars == exact.billed_nanodollars,
            f"{len(self.unequal)} calls stand on one side only": not self.unequal,
            f"the budget has spent {self.spent_nanodollars}, the record {total} nano-dollars": total
            == self.spent_nanodollars,
            f"the summary says {self.summary_nanodollars}, the record {total} nano-dollars": total
            == self.summary_nanodollars,
            f"{self.held_nanodollars} nano-dollars are held with nothing under way": not self.held_nanodollars,
            f"{self.never_ended} calls never ended": not self.never_ended,
            f"{self.ended_twice} calls ended twice": not self.ended_twice,
            "the record's chain is broken": not self.record_faults,
        }
        return [fault for fault, holds in checks.items() if not holds]

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        return asdict(self)


def compare(record: Path, lines: Iterable[BillLine], *, summary_usd: float, told: tuple[str, str]) -> Books:
    """Hold *record* against the bill; *told* is what a refusal says is spent and held, in USD."""
    spent, held = map(to_nanodollars, told)
    books = Books(
        spent_nanodollars=spent,
        held_nanodollars=held,
        summary_nanodollars=to_nanodollars(str(summary_usd)),
        record_faults=[str(fault) for fault in verify(record).faults],
    )
    charged, billed = Counter(_charges(record, books)), Counter(_bill(lines))
    for role in (EXACT, *_ROLES.values()):
        books.accounts.setdefault(role, Account())
    for charge, calls in charged.items():
        account = books.accounts[_role(charge)]
        account.charged_calls += calls
        account.charged_nanodollars += calls * charge.nanodollars
    for charge, calls in billed.items():
        account = books.accounts[_role(charge)]
        account.billed_calls += calls
        account.billed_nanodollars += calls * charge.nanodollars
    one_sided = {"charged, not billed": charged - billed, "billed, not charged": billed - charged}
    for side, charges in one_sided.items():
        books.unequal += [
            f"{side}: {calls} × {charge}" for charge, calls in charges.items() if _role(charge) == EXACT
        ]
    return books


def _role(charge: Charge) -> str:
    return _ROLES.get(charge.model, EXACT)


def _bill(lines: Iterable[BillLine]) -> Iterator[Charge]:
    for line in lines:
        price = price_of(line.model, "anthropic" if line.model.startswith("claude") else "openai")
        usage = line.usage
        assert price is not None, line.model
        if cost := price.cost(usage):
            yield Charge(line.model, usage.input_tokens, usage.output_tokens, cost)


def _charges(record: Path, books: Books) -> Iterator[Charge]:
    """Yield every charge of the record, and count what else it shows."""
    under_way: Counter[str] = Counter()
    bases: Counter[str] = Counter()
    with record.open("rb") as events:
        for event in map(orjson.loads, events):
            if event["type"] == "call.admitted":
                under_way[event["call_id"]] += 1
            elif event["type"] in _ENDS:
                under_way[event["call_id"]] -= 1
                charge = _charge(event["attributes"])
                if charge.nanodollars:
                    books.record_nanodollars += charge.nanodollars
                    bases[event["attributes"]["iron.cost_basis"]] += _role(charge) == EXACT
                    yield charge
    books.never_ended = sum(count > 0 for count in under_way.values())
    books.ended_twice = sum(count < 0 for count in under_way.values())
    books.bases = {basis: count for basis, count in bases.items() if count}


def _charge(attributes: dict[str, Any]) -> Charge:
    model = attributes.get("gen_ai.response.model") or attributes["gen_ai.request.model"]
    return Charge(
        dated(model),
        attributes.get("gen_ai.usage.input_tokens", 0),
        attributes.get("gen_ai.usage.output_tokens", 0),
        attributes["iron.cost_nanodollars"],
    )
