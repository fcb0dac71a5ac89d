"""How many characters a regular expression can match at most.

Owns a reading of RE2's syntax that is only as exact as a bound needs: it may say more, never less.
"""

from __future__ import annotations

import re
from typing import Final

UNBOUNDED: Final = 256
"""What is assumed of a pattern that sets itself no bound."""

TOKEN: Final = re.compile(
    r"\\[pP](?:\{[^}]*\}|\w)|\\x\{[0-9A-Fa-f]+\}|\\x[0-9A-Fa-f]{2}|\\.|\[\^?\]?(?:\\.|\[:[^\]]*:\]|[^\]\\])*\]|\((?:\?(?:P?<\w+>|[a-zA-Z-]*:|[a-zA-Z-]+\)))?|.",
    re.DOTALL,
)
COUNT: Final = re.compile(r"\{(\d+)(,?)(\d*)\}")
ZERO_WIDTH: Final = frozenset({"^", "$", r"\b", r"\B", r"\A", r"\z", r"\Z"})


def widest(pattern: str) -> int:
    """Return an upper bound of the characters that *pattern* matches, :data:`UNBOUNDED` where it has none."""
    width, _ = _alternatives(TOKEN.findall(pattern), 0)
    return min(width, UNBOUNDED)


def _alternatives(tokens: list[str], at: int) -> tuple[int, int]:
    """Return the width of the group that starts at *at*, and where it ends."""
    widest_branch = branch = 0
    while at < len(tokens) and tokens[at] != ")":
        if tokens[at] == "|":
            widest_branch, branch = max(widest_branch, branch), 0
            at += 1
            continue
        width, at = _item(tokens, at)
        times, at = _times(tokens, at)
        branch += width * times
    return max(widest_branch, branch), at


def _item(tokens: list[str], at: int) -> tuple[int, int]:
    token = tokens[at]
    if token.startswith("(") and not token.endswith(")"):
        width, closing = _alternatives(tokens, at + 1)
        return width, closing + 1
    return (0 if token in ZERO_WIDTH or token.startswith("(") else 1), at + 1


def _times(tokens: list[str], at: int) -> tuple[int, int]:
    times = 1
    while at < len(tokens):
        if tokens[at] in {"*", "+"}:
            times *= UNBOUNDED
        elif tokens[at] == "{" and (count := COUNT.match("".join(tokens[at : at + 12]))):
            least, comma, most = count.groups()
            times *= UNBOUNDED if comma and not most else int(most or least)
            at += len(count.group()) - 1
        elif tokens[at] != "?":
            break
        at += 1
    return times, at
