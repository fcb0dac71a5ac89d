"""Carry out what a policy says about findings in a whole text.

Owns the replacing; the whole-text twin of :mod:`iron_policy.redact.window`. Finds nothing itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from iron_policy.exceptions import ContentBlocked
from iron_policy.redact.json_places import JsonPlace
from iron_policy.redact.tokens import masked, redacted, unescaped
from iron_policy.verdicts import REWRITING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from iron_policy.redact.vault import Vault
    from iron_policy.verdicts import Action, Finding


class Finder(Protocol):
    """Finds in whole texts: a scanner, or what stands before one."""

    def scan(self, text: str) -> Sequence[Finding]:
        """Return the findings in *text*, in order of place, without overlaps."""


def rewrite(text: str, findings: Sequence[Finding], action_of: Mapping[str, Action], vault: Vault) -> str:
    """Return *text* with every finding replaced whose action rewrites; flagged and allowed ones stay.

    Args:
        text: what was searched.
        findings: in order of place, without overlaps.
        action_of: action per kind; a kind that is missing stays.
        vault: remembers what is tokenized.
    """
    return replaced(text, findings, action_of, vault, between=_as_it_is)


def replaced(
    text: str,
    findings: Sequence[Finding],
    action_of: Mapping[str, Action],
    vault: Vault,
    *,
    between: Callable[[str], str],
    json_place: JsonPlace | None = None,
) -> str:
    """Return *text* with findings replaced and what lies between them passed through *between*.

    *json_place* tells that *text* is a raw piece of JSON, and how far that was read before it; it is read on.
    """
    pieces = []
    position = 0
    for finding in findings:
        action = action_of.get(finding.kind, "flag")
        if action in REWRITING:
            pieces.append(between(text[position : finding.start]))
            value = text[finding.start : finding.end]
            standin = _standin(action, finding.kind, value, vault, in_json=json_place is not None)
            if json_place is not None:
                json_place.read(text[position : finding.start])
                standin = json_place.quoted(standin, value)
                json_place.read(value)
            pieces.append(standin)
            position = finding.end
    if json_place is not None:
        json_place.read(text[position:])
    pieces.append(between(text[position:]))
    return "".join(pieces)


def review_text(
    text: str,
    *,
    scanner: Finder,
    action_of: Mapping[str, Action],
    vault: Vault,
    restore: bool,
    in_json: bool = False,
) -> tuple[str, Sequence[Finding]]:
    """Judge a model's own text, then put real values back behind the tokens in it.

    Restored values are the caller's own, so they are not judged again.

    Args:
        text: what the model wrote.
        scanner: finds.
        action_of: action per kind.
        vault: of the run.
        restore: whether tokens are turned back.
        in_json: True where *text* is a raw piece of JSON.

    Returns:
        The text to hand on, and the findings with offsets into *text*.

    Raises:
        ContentBlocked: a finding's action is ``block``.
    """
    findings = scanner.scan(text)
    if not findings:
        return (vault.restore(text, in_json=in_json) if restore else text), findings
    refuse_blocked(findings, action_of)
    between = restorer(vault, restore=restore, in_json=in_json)
    return replaced(
        text, findings, action_of, vault, between=between, json_place=JsonPlace() if in_json else None
    ), findings


def refuse_blocked(findings: Sequence[Finding], action_of: Mapping[str, Action]) -> None:
    """Raise :class:`ContentBlocked` if *findings* hold one whose action is ``block``."""
    blocked = tuple(finding for finding in findings if action_of.get(finding.kind) == "block")
    if blocked:
        kinds = ", ".join(sorted({finding.kind for finding in blocked}))
        raise ContentBlocked(f"the text holds {kinds}, which the policy blocks", findings=blocked)


def restorer(vault: Vault, *, restore: bool, in_json: bool) -> Callable[[str], str]:
    """Return what is done to the text between findings."""
    if not restore:
        return _as_it_is
    return lambda piece: vault.restore(piece, in_json=in_json)


def _as_it_is(piece: str) -> str:
    return piece


def _standin(action: Action, kind: str, value: str, vault: Vault, *, in_json: bool) -> str:
    if action == "redact":
        return redacted(kind)
    if action == "mask":
        return masked(kind, value)
    meant = unescaped(value) if in_json else value
    return vault.token_for(kind, meant) if action == "tokenize" else vault.hash_for(kind, meant)
