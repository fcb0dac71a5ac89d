"""What a judgement says: the action on a finding, and the finding itself.

Owns the closed sets of actions and their order of severity. Knows neither how findings are made nor what
carries an action out.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Action: TypeAlias = Literal["allow", "flag", "tokenize", "redact", "mask", "hash", "block"]
"""What happens to a finding.

``allow``: nothing, and it is not looked for. ``flag``: recorded, passed on. ``tokenize``: replaced by a stand-in
that replies turn back. ``redact``: replaced by its kind. ``mask``: all but its last characters starred.
``hash``: replaced by a keyed digest. ``block``: the whole text is refused.
"""

REWRITING: frozenset[Action] = frozenset({"tokenize", "redact", "mask", "hash"})
"""Actions that change the text."""


class Finding(NamedTuple):
    """One piece of a text that a detector recognised. It never holds the piece itself."""

    kind: str
    """Such as ``EMAIL`` or ``OPENAI_KEY``."""
    start: int
    """Offset of its first character (code point) in the text."""
    end: int
    """Offset behind its last character."""
    score: float = 1.0
    """How sure the detector is, from 0 to 1; 1 where a check digit or an unmistakable prefix proves it."""
    place: str = ""
    """Where the text stands in the request or reply, such as ``messages[0].content``."""
