"""Review a text while it streams: a bounded hold-back, so that no value leaves in halves.

Owns what has come, what may go, and nothing else: which end of a text is still open is the scanner's to say. A text
goes out up to the earliest place at which a value can have begun that the policy does not let out; it is decided,
which takes longer, up to where no finding of any kind can begin or change any more.
What comes out, joined, is what :func:`~iron_policy.redact.rewrite.review_text` makes of the whole text, however
it was cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from iron_policy.detect.scanner import LOOKBACK
from iron_policy.redact.json_places import JsonPlace
from iron_policy.redact.rewrite import refuse_blocked, replaced, restorer
from iron_policy.redact.tokens import TOKEN_START
from iron_policy.verdicts import REWRITING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iron_policy.detect import Scanner
    from iron_policy.detect.guard import Guard
    from iron_policy.redact.vault import Vault
    from iron_policy.verdicts import Action, Finding


_SELDOM: Final = 256
"""Ordinary text is decided when so many characters have come since the last time."""
_LONGEST_LOOKED_AT: Final = 1024
"""What is undecided, and of this length or less, is looked at with every piece."""
_LONG_HELD: Final = 64
_PATIENCE: Final = 4
"""What is held for long is looked at again when it has grown by a quarter, so that the cost stays linear."""

_TOUCHING: Final = REWRITING | {"block"}
"""Actions because of which a text must be held back."""


def guard_for(scanner: Scanner, action_of: Mapping[str, Action]) -> Guard:
    """Return *scanner*'s guard of the kinds that *action_of* keeps back; the first time takes milliseconds."""
    return scanner.guard(frozenset([kind for kind, action in action_of.items() if action in _TOUCHING]))


class StreamWindow:
    """The incremental review of one streamed text.

    Where nothing is rewritten or blocked, nothing is held back. Else a value is, by its length, a private key by at
    most 7,000 characters; of ordinary prose, what could be the beginning of a value: ``sk`` where keys are rewritten, a
    word where mail addresses are.

    Args:
        scanner: finds.
        action_of: action per kind.
        vault: of the run.
        restore: whether the vault's tokens are turned back into values.
        in_json: True where the text is a raw piece of JSON, such as a tool call's arguments.

    Attributes:
        findings: decided so far, with offsets into the text as it came.
    """

    def __init__(
        self,
        *,
        scanner: Scanner,
        action_of: Mapping[str, Action],
        vault: Vault,
        restore: bool,
        in_json: bool = False,
    ) -> None:
        self.findings: list[Finding] = []
        self._scanner = scanner
        self._action_of = action_of
        self._vault = vault
        self._json_place = JsonPlace() if in_json else None
        self._between = restorer(vault, restore=restore, in_json=in_json)
        self._restores = restore
        self._guard = guard_for(scanner, action_of)
        self._text = ""
        self._decided = 0
        self._released = 0
        self._dropped = 0
        self._unseen = 0
        self._in_key = False

    def push(self, text: str) -> str:
        """Take the next piece and return what may go on now, possibly nothing.

        Raises:
            ContentBlocked: a finding whose action is ``block`` has become certain.
        """
        self._text += text
        self._unseen += len(text)
        undecided = len(self._text) - self._decided
        if self._unseen <= _SELDOM and undecided <= _LONGEST_LOOKED_AT and not self._in_key:
            free = self._guard.free_to(self._text, self._decided)
            if free is not None:
                return self._release(free)
        if undecided > _LONG_HELD and _PATIENCE * self._unseen < undecided:
            return self._release(len(self._text)) if self._guard.idle else ""
        return self._advance(final=False) + self._release(self._free())

    def finish(self) -> str:
        """Return the rest; the text ends here.

        Raises:
            ContentBlocked: the rest holds a finding whose action is ``block``.
        """
        return self._advance(final=True)

    def _free(self) -> int:
        """Return up to where the text may go out, decided or not."""
        if self._guard.idle:
            return len(self._text)
        free = None if self._in_key else self._guard.free_to(self._text, self._decided)
        return self._decided if free is None else free

    def _release(self, free: int) -> str:
        """Return what may go on up to *free*, which no finding that rewrites will touch."""
        before = self._released
        if self._restores and self._vault:
            opening = self._text.rfind("<", before, free)
            if opening >= 0 and TOKEN_START.fullmatch(self._text, opening, free):
                free = opening
        if free <= before:
            return ""
        self._released = free
        return self._rewritten(before, free, [])

    def _advance(self, *, final: bool) -> str:
        """Decide what can be decided, and return what that lets go."""
        self._unseen = 0
        before = self._released
        found, frontier, self._in_key = self._scanner.advance(
            self._text, self._decided, final=final, in_key=self._in_key
        )
        if found:
            placed = [f._replace(start=f.start + self._dropped, end=f.end + self._dropped) for f in found]
            refuse_blocked(placed, self._action_of)
            self.findings += placed
        self._released = max(before, frontier)
        released = self._rewritten(before, frontier, found) if frontier > before else ""
        self._forget(frontier)
        return released

    def _rewritten(self, start: int, end: int, found: list[Finding]) -> str:
        """Return ``text[start:end]`` as it may go out."""
        piece = self._text[start:end]
        if found or self._json_place is not None:
            return replaced(
                piece,
                [
                    f._replace(start=max(f.start - start, 0), end=f.end - start)
                    for f in found
                    if f.end > start
                ],
                self._action_of,
                self._vault,
                between=self._between,
                json_place=self._json_place,
            )
        # Nearly every piece is without stand-ins.
        return self._between(piece) if "<" in piece else piece

    def _forget(self, frontier: int) -> None:
        """Keep of what has gone out only what later decisions read."""
        surplus = frontier - LOOKBACK
        if surplus > LOOKBACK:
            self._text = self._text[surplus:]
            self._dropped += surplus
            self._released -= surplus
            frontier -= surplus
        self._decided = frontier
