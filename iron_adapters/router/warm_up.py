"""What the first call would wait for: prices, and the patterns of what is looked for; and what no start need wait for.

Owns the list. What is loaded is loaded where it is first needed, too; this only chooses a better moment.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from iron_adapters.router.large_blocks import keep_large_blocks_apart
from iron_policy.cost import price_of
from iron_policy.messages import Text

if TYPE_CHECKING:
    from iron_policy.engine import PolicyEngine

_SAMPLE = "Write to jane.doe@example.com or call +1 415 555 2671; the card is 4111 1111 1111 1111."


def warm_up(engine: PolicyEngine) -> None:
    """Load prices and patterns now, in a process that is a router and nothing else."""
    keep_large_blocks_apart()
    price_of("gpt-4o-mini", "openai")
    price_of("claude-sonnet-4-5", "anthropic")
    engine.content.judge((Text(_SAMPLE, "user", "sample"),))


def warm_up_beside(engine: PolicyEngine) -> None:
    """Load them in a thread of its own, so that nobody waits for it."""
    threading.Thread(target=warm_up, args=(engine,), name="iron-warm-up").start()
