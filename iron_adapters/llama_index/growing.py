"""Texts that grow from one snapshot of a streamed reply to the next, and the piece that each snapshot adds.

Owns the two ways in which integrations stream: some show all that has been said so far and the piece that is new; some
show a block only when it is complete, and until then tell of it by its pieces alone. Knows no policy: what may be
released, the review says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from iron_policy.messages import Channel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from iron_adapters.wire.streaming import TextReview


@dataclass(slots=True)
class _Text:
    """One text: what the model has said of it, and what of that has been released."""

    channel: Channel
    said: str = ""
    shown: str = ""


class GrowingTexts:
    """The texts of one sort, in their order.

    Args:
        review: what judges and alters them.
        place: where they stand.
        pieces: takes what has become of each piece, for what repeats it elsewhere.
        in_json: whether they are JSON, asked for as such.
        tool_name: the tool whose arguments they are.
    """

    def __init__(
        self,
        review: TextReview,
        place: str,
        pieces: dict[str, str],
        *,
        in_json: bool = False,
        tool_name: str | None = None,
    ) -> None:
        self._review = review
        self._place = place
        self._pieces = pieces
        self._how = {"in_json": in_json, "tool_name": tool_name}
        self._texts: list[_Text] = []

    def feed(self, visible: Sequence[str], delta: str | None) -> tuple[list[str], str]:
        """Take a snapshot; return the visible texts as they may be seen, and what of them is new.

        Raises:
            ContentBlocked: they may not be handed on.
        """
        released = ""
        if all(
            index < len(self._texts) and self._texts[index].said == text for index, text in enumerate(visible)
        ):
            if delta:
                if len(visible) == len(self._texts):
                    released += self._begin()
                released += self._push(self._texts[-1], delta, self._texts[-1].said + delta)
        else:
            for index, text in enumerate(visible):
                if index == len(self._texts):
                    released += self._begin()
                released += self._grow(self._texts[index], text)
        return [text.shown for text in self._texts[: len(visible)]], released

    def finish(self) -> str:
        """Release what was held back of the last text; return it."""
        if not self._texts:
            return ""
        last = self._texts[-1]
        rest = self._review.finish(last.channel)
        last.shown += rest
        return rest

    def shown(self, count: int) -> list[str]:
        """Return the first *count* texts as they may be seen."""
        return [text.shown for text in self._texts[:count]]

    def _begin(self) -> str:
        """Begin a text; return what was held back of the one before it."""
        rest = self.finish()
        channel = Channel(f"{self._place}[{len(self._texts)}]", "assistant", **self._how)  # type: ignore[arg-type]
        self._texts.append(_Text(channel))
        return rest

    def _grow(self, text: _Text, whole: str) -> str:
        if whole.startswith(text.said):
            piece = whole[len(text.said) :]
        else:  # a model that shows each piece alone
            piece, text.shown = whole, ""
        return self._push(text, piece, whole) if piece else ""

    def _push(self, text: _Text, piece: str, whole: str) -> str:
        text.said = whole
        released = self._review.push(text.channel, piece)
        text.shown += released
        self._pieces[piece] = released
        return released
