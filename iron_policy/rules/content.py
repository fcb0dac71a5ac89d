"""What texts hold, and what happens to it: one judgement for every text on its way in or out.

Owns the table of kind and action for each direction, and the memory of texts judged before, so that a
conversation that grows by one turn is scanned for one turn. Knows not where a text came from.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from iron_policy.detect import DEFAULT_KINDS, KINDS, Scanner
from iron_policy.exceptions import ContentBlocked
from iron_policy.redact import guard_for, rewrite
from iron_policy.verdicts import REWRITING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from iron_policy.document import PerKind, Safety
    from iron_policy.messages import Text
    from iron_policy.redact import Vault
    from iron_policy.verdicts import Action, Finding

Direction: TypeAlias = Literal["input", "output"]
_MEMORY_CHARACTERS = 8_000_000
_MEMORY_TEXTS = 8192


class RememberingScanner:
    """A scanner that scans a text once. Its memory is bounded and dropped whole when it is full.

    Attributes:
        fresh: the scanner below, for texts that are seen only once, such as a stream's window.
        clean: texts that are known to hold nothing; never one that does. Only to be looked into.
    """

    def __init__(self, scanner: Scanner) -> None:
        self.fresh = scanner
        self.longest = scanner.longest
        self.clean: set[str] = set()
        self._known: dict[str, tuple[Finding, ...]] = {}
        self._characters = 0
        self._lock = threading.Lock()

    def scan(self, text: str) -> Sequence[Finding]:
        """Return the findings in *text*, sorted."""
        if text in self.clean:
            return ()
        found = self._known.get(text)
        if found is None:
            found = tuple(self.fresh.scan(text))
            self._remember(text, found)
        return found

    def _remember(self, text: str, found: tuple[Finding, ...]) -> None:
        with self._lock:
            self._characters += len(text)
            if self._characters > _MEMORY_CHARACTERS or len(self.clean) + len(self._known) >= _MEMORY_TEXTS:
                self._known, self.clean = {}, set()
                self._characters = len(text)
            if len(text) > _MEMORY_CHARACTERS:
                return
            if found:
                self._known[text] = found
            else:
                self.clean.add(text)


@dataclass(frozen=True, slots=True)
class Actions:
    """What happens to each kind, each way. A kind that is allowed both ways is not looked for."""

    input: dict[str, Action]
    output: dict[str, Action]

    @classmethod
    def of(cls, safety: Safety) -> Actions:
        """Return the table that *safety* describes."""
        return cls(dict(_directed(safety, "input")), dict(_directed(safety, "output")))

    def kinds(self) -> frozenset[str]:
        """Return the built-in kinds to look for."""
        wanted = {k for k, a in self.input.items() if a != "allow"} | {
            k for k, a in self.output.items() if a != "allow"
        }
        return frozenset(wanted) & frozenset(KINDS)


def _directed(safety: Safety, direction: Direction) -> Iterator[tuple[str, Action]]:
    families = getattr(safety, direction)
    for kind, family in KINDS.items():
        action: Action = getattr(families, family) if kind in DEFAULT_KINDS else "allow"
        yield kind, _one(safety.kinds.get(kind), direction, action)
    for custom in safety.custom:
        yield custom.kind, _one(custom.action, direction, "allow")


def _one(per_kind: PerKind | None, direction: Direction, otherwise: Action) -> Action:
    if per_kind is None:
        return otherwise
    if isinstance(per_kind, str):
        return per_kind
    action: Action | None = getattr(per_kind, direction)
    return otherwise if action is None else action


class ContentJudge:
    """Scan texts and carry out what the policy says of their findings."""

    def __init__(self, safety: Safety) -> None:
        self.actions = Actions.of(safety)
        custom = tuple((custom.kind, custom.pattern) for custom in safety.custom)
        self.scanner = RememberingScanner(Scanner(self.actions.kinds(), custom))
        self.flags: dict[str, Action] = dict.fromkeys(self.actions.output, "flag")
        """What monitor mode does to replies."""
        self._redact: dict[str, Action] = dict.fromkeys(self.actions.output, "redact")
        guard_for(
            self.scanner.fresh, self.actions.output
        )  # now, so that the first stream need not wait for it
        self.idle = not self.actions.kinds() and not custom
        """Whether the policy looks for nothing."""

    def judge(self, texts: Sequence[Text]) -> list[Finding]:
        """Return what the policy wants known of *texts* on their way in, with places."""
        if self.idle:
            return []
        # A long conversation is nearly all texts that were judged before: a look at each is all that those cost.
        clean = self.scanner.clean
        suspects = [text for text in texts if text.text not in clean]
        actions, scan = self.actions.input, self.scanner.scan
        return [
            finding._replace(place=text.place)
            for text in suspects
            for finding in scan(text.text)
            if actions[finding.kind] != "allow"
        ]

    def refusal(self, findings: Sequence[Finding], direction: Direction = "input") -> ContentBlocked | None:
        """Return the refusal that *findings* call for, if any does."""
        actions = getattr(self.actions, direction)
        blocked = [finding for finding in findings if actions[finding.kind] == "block"]
        return blocked_content(blocked, direction) if blocked else None

    def needs_rewriting(self, findings: Sequence[Finding]) -> bool:
        """Tell whether any of *findings* changes the request."""
        return any(self.actions.input[finding.kind] in REWRITING for finding in findings)

    def rewritten(self, texts: Sequence[Text], vault: Vault) -> tuple[str, ...]:
        """Return *texts* as they may be sent; tokens go into *vault*."""
        scan, actions = self.scanner.scan, self.actions.input
        return tuple(
            rewrite(text.text, found, actions, vault) if (found := scan(text.text)) else text.text
            for text in texts
        )

    def redacted(self, texts: Sequence[Text], vault: Vault) -> tuple[str, ...]:
        """Return *texts* with every finding redacted, whatever else happens to it: what a record may keep."""
        return tuple(rewrite(text.text, self.scanner.scan(text.text), self._redact, vault) for text in texts)


def blocked_content(findings: Sequence[Finding], direction: Direction) -> ContentBlocked:
    """Return the refusal of a text that holds *findings*, naming kinds and places and nothing else."""
    kinds = ", ".join(dict.fromkeys(finding.kind for finding in findings))
    places = ", ".join(dict.fromkeys(finding.place for finding in findings if finding.place)) or "the text"
    way = "sent" if direction == "input" else "handed on"
    return ContentBlocked(
        f"{places} holds {kinds}, which the policy blocks; nothing was {way}", findings=tuple(findings)
    )
