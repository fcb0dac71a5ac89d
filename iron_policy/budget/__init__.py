"""Budgets in memory: accounts, holds on them and the ledger that keeps them from being overdrawn.

Owns the law that no account is ever overdrawn. Knows no prices and no calls.
"""

from __future__ import annotations

from iron_policy.budget.accounts import Account, Crossing
from iron_policy.budget.ledger import PROCESS_LEDGER, Hold, Ledger
from iron_policy.budget.windows import Window, next_turn

__all__ = ["PROCESS_LEDGER", "Account", "Crossing", "Hold", "Ledger", "Window", "next_turn"]
