"""Review a text while it streams: a bounded hold-back, so that no value leaves in halves.

Owns what has come, what may go, and nothing else: which end of a text is still open is the scanner's to say.
What comes out, joined, is what :func:`~iron_policy.redact.rewrite.review_text` makes of the whole text, however
it was cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from iron_policy.detect.scanner import LOOKBACK
from iron_policy.redact.json_places import JsonPlace
from iron_policy.redact.rewrite import refuse_blocked, replaced, restorer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iron_policy.detect import Scanner
    from iron_policy.redact.vault import Vault
    from iron_policy.verdicts import Action, Finding


_LONG_HELD: Final = 64
_PATIENCE: Final = 4
"""What is held for long is looked at again when it has grown by a quarter, so that the cost stays linear."""


class StreamWindow:
    """The incremental review of one streamed text.

    Ordinary prose is held back by a word; a value by its length; a private key by at most 7,000 characters.

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
        self._text = ""
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
        held = len(self._text) - self._released
        if held > _LONG_HELD and _PATIENCE * self._unseen < held:
            return ""
        return self._advance(final=False)

    def finish(self) -> str:
        """Return the rest; the text ends here.

        Raises:
            ContentBlocked: the rest holds a finding whose action is ``block``.
        """
        return self._advance(final=True)

    def _advance(self, *, final: bool) -> str:
        self._unseen = 0
        before = self._released
        found, frontier, self._in_key = self._scanner.advance(
            self._text, before, final=final, in_key=self._in_key
        )
        if frontier == before:
            return ""
        if found:
            refuse_blocked(self._placed(found), self._action_of)
            self.findings += self._placed(found)
        released = self._text[before:frontier]
        if found or self._json_place is not None:
            released = replaced(
                released,
                [f._replace(start=f.start - before, end=f.end - before) for f in found],
                self._action_of,
                self._vault,
                between=self._between,
                json_place=self._json_place,
            )
        elif "<" in released:  # else no stand-in, as in nearly every piece
            released = self._between(released)
        self._forget(frontier)
        return released

    def _placed(self, found: list[Finding]) -> list[Finding]:
        return [f._replace(start=f.start + self._dropped, end=f.end + self._dropped) for f in found]

    def _forget(self, frontier: int) -> None:
        """Keep of what has gone out only what later decisions read."""
        surplus = frontier - LOOKBACK
        if surplus > LOOKBACK:
            self._text = self._text[surplus:]
            self._dropped += surplus
            frontier -= surplus
        self._released = frontier
