"""Which names a list of allowed and denied patterns lets through.

Owns the matching of shell-style patterns. Knows not whether a name is a model's or a tool's.
"""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from iron_policy.document import Names

_MEMORY = 4096


def name_filter(names: Names) -> Callable[[str], bool] | None:
    """Return what tells whether a name is allowed, or ``None`` where every name is."""
    if names.allow == ("*",) and not names.deny:
        return None
    allowed, denied = _any_of(names.allow), _any_of(names.deny)
    known: dict[str, bool] = {}

    def allows(name: str) -> bool:
        verdict = known.get(name)
        if verdict is None:
            verdict = bool(allowed.match(name)) and not denied.match(name)
            if len(known) < _MEMORY:
                known[name] = verdict
        return verdict

    return allows


def _any_of(patterns: Sequence[str]) -> re.Pattern[str]:
    """Return one expression for all patterns; none of them matches nothing."""
    return re.compile("|".join(map(fnmatch.translate, patterns)) or r"(?!)")
