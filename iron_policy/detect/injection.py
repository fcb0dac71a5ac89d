"""Attempts to talk a model out of its instructions.

Owns phrases of closed vocabularies, so that each is found in linear time and a stream can tell after one more
word that a phrase will not come about. Heuristics: they flag what is plainly written, in six languages; they
are no proof, and what is rephrased passes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from iron_policy.detect.linear import encode, linear
from iron_policy.detect.places import Places
from iron_policy.detect.shapes import is_word, starts_clean
from iron_policy.verdicts import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

_GAP: Final = r"[ \t\r\n]{1,3}"
_GAP_OR_NONE: Final = r"[ \t\r\n]{0,3}"


class Phrase(NamedTuple):
    """A first word, words that may stand between, a last word; each of a closed vocabulary."""

    opening: str
    filling: str
    closing: str
    fillers: int = 6
    least: int = 0
    """How many fillers there must be."""
    bridge: str = ""
    """Words that a closing of several words starts with."""

    @property
    def pattern(self) -> str:
        """The whole phrase, for RE2 and ``re``."""
        filling = f"(?:{_GAP}(?:{self.filling})){{{self.least},{self.fillers}}}"
        return f"(?:{self.opening}){filling}{_GAP}(?:{self.closing})"

    @property
    def partial(self) -> str:
        """A phrase that the end of the text leaves open."""
        bridge = f"(?:{_GAP}(?:{self.bridge})){{0,3}}" if self.bridge else ""
        filling = f"(?:{_GAP}(?:{self.filling})){{0,{self.fillers}}}"
        return f"(?:{self.opening}){filling}{bridge}(?:{_GAP}[!-~]*)?{_GAP_OR_NONE}"


_ALL: Final = "all|any|every|each|the|of|your|my|our|these|those|this|that|its|everything|and"
_EARLIER: Final = (
    "previous|prior|above|earlier|preceding|former|foregoing|existing|original|initial|past|system|safety"
    "|security|content|developer|hidden|internal|given|current"
)
_ORDERS: Final = (
    "instructions?|directions?|directives?|prompts?|rules|guidelines|guardrails|restrictions|constraints"
    "|polic(?:y|ies)"
)
_TALK: Final = "(?:previous|prior|above|earlier|preceding)[ \\t\\r\\n]{1,3}(?:messages?|context|conversation|commands?|training)"
_HIDDEN: Final = "system|initial|hidden|original|secret|internal|developer|confidential|starting"
_LOOSE: Final = "jailbreak|jailbroken|unrestricted|unfiltered|uncensored|dan|stan|dude"

PHRASES: Final = (
    Phrase(
        "ignore|disregard|forget|override|bypass|overlook|neglect|discard|violate",
        f"{_ALL}|{_EARLIER}",
        _ORDERS,
        least=1,
    ),
    Phrase(
        "ignore|disregard|forget|override|overlook|discard",
        _ALL,
        _TALK,
        bridge="previous|prior|above|earlier|preceding",
    ),
    Phrase(
        "reveal|print|show|repeat|output|display|leak|expose|dump|disclose|recite|tell|give|what|what's",
        "is|are|were|was|me|us|to|back|verbatim|exact|exactly|full|entire|whole|complete|all|of|the|your|everything|in|word|for",
        f"(?:{_HIDDEN})(?:{_GAP}(?:{_HIDDEN}))?{_GAP}(?:prompts?|instructions?|rules|guidelines|directives?)|system{_GAP}messages?",
        8,
        bridge=_HIDDEN,
    ),
    Phrase(
        "repeat|print|output",
        "me|back|all|of|the|everything|text|words|verbatim|content|exactly",
        "above",
        least=2,
    ),
    Phrase(
        "you|you're|act|pretend|roleplay|behave|become|enter|enable|activate|switch",
        "are|now|as|to|be|you|an?|the|in|into|my|evil|new|called|named|as",
        f"(?:{_LOOSE})(?:{_GAP}mode)?|(?:developer|god){_GAP}mode|without{_GAP}(?:any{_GAP})?(?:restrictions|rules|filters|limits)",
        bridge="developer|god|without|any",
    ),
    Phrase("do", "anything", "now", 1, 1),
    Phrase(
        "ignorez?|oubliez?|ignoriere|vergiss|ignora|olvida|esque.a|dimentica",
        "toutes?|les?|tes|vos|tous|alle|die|deine|obigen|bisherigen|vorherigen|todas|las|tus|todos|los|as|suas|tutte|tue"
        "|istruzioni|regole|instructions|consignes|instrucciones|instru..es",
        "pr.c.dentes|anteriores|precedenti|anweisungen|instruktionen|vorgaben",
        least=1,
    ),
)
_TEMPLATE: Final = (
    "im_start|im_end|im_sep|system|user|assistant|endoftext|eot_id|start_header_id|end_header_id|begin_of_text"
    "|end_of_turn|channel|message"
)
LITERALS: Final = (
    rf"<\|(?:{_TEMPLATE})\|>",
    r"\[/?INST\]",
    r"<<SYS>>",
    r"<start_of_turn>",
    r"忽略(?:之前|以上|上面|前面|先前)(?:的)?(?:所有)?(?:的)?(?:指令|指示|说明|规则|提示)",
)

_CORES: Final = (
    rf"(?:{_ALL}|{_EARLIER}|{_HIDDEN}|full|whole){_GAP}(?:instruction|direction|directive|prompt|rules|guideline|guardrail|restriction|constraint|polic)",
    rf"(?:previous|prior|above|earlier|preceding|system){_GAP}(?:message|context|conversation|command|training)",
    rf"(?:everything|text|words){_GAP}above",
    rf"(?:you are now|you're now|act as|pretend to be|pretend you are|roleplay as|behave as|become){_GAP}(?:an?{_GAP})?(?:{_LOOSE})",
    rf"(?:developer|god|dan|jailbreak|unrestricted){_GAP}mode",
    rf"do{_GAP}anything{_GAP}now",
    rf"(?:instructions|consignes){_GAP}pr.c.dentes|(?:instrucciones|instru..es){_GAP}anteriores|(?:istruzioni|regole){_GAP}precedenti",
    rf"(?:alle|die|deine|obigen|bisherigen|vorherigen){_GAP}(?:anweisungen|instruktionen|vorgaben)",
)
GATE: Final = "|".join(f"(?i:{core})" for core in (*_CORES, *LITERALS))
"""The telling end of a phrase: two words, since whole phrases would multiply the states of the gate."""

STARTS: Final = r"[A-Za-z][A-Za-z']|<[|<s]|\[[/I]|忽"

_WHOLE: Final = linear("|".join([*(phrase.pattern for phrase in PHRASES), *LITERALS]), case_sensitive=False)
_REACH: Final = 140
PARTIAL: Final = "|".join(
    [f"(?i:{phrase.partial})" for phrase in PHRASES]
    + [r"[<\[][<|/]?[A-Za-z_|]{0,32}>?", "忽(?:略[\u4e00-\u9fff]{0,12})?"]
)
"""RE2 pattern of what could become a phrase, at the end of a text."""


_MARKS: Final = "<[忽"


def look(text: str, start: int, end: int) -> Iterator[Finding]:
    """Yield the phrase that ends around the match ``text[start:end]``, or the chat-template token in it."""
    if text[start] not in _MARKS and len(text[start:end].split(None, 1)) == 1:
        return
    lowest = max(0, start - _REACH)
    window = text[lowest : end + 40]
    data = encode(window)
    places = Places(window, data)
    for match in _WHOLE.finditer(data):
        first, last = match.span()
        begin, stop = lowest + places.character(first), lowest + places.character(last)
        clean = starts_clean(text, begin) or not is_word(text[begin])
        if stop > start and clean and not _goes_on(text, stop):
            yield Finding("INJECTION", begin, stop, 0.6)


def _goes_on(text: str, end: int) -> bool:
    return end < len(text) and is_word(text[end]) and is_word(text[end - 1])
