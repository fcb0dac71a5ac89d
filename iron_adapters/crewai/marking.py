"""The mark of one CrewAI call, and what is done at the hooks for a model that never reaches the wire.

Owns the metering of such a call: by the model's own counters, else by an estimate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from iron_adapters.crewai.refusals import aborted
from iron_adapters.marks import Mark, live_mark
from iron_policy.exceptions import ContentBlocked, GovernanceFailed
from iron_policy.messages import ModelResponse, Text, Usage

if TYPE_CHECKING:
    from iron_policy.call import Call
    from iron_policy.engine import PolicyEngine
    from iron_policy.messages import ModelRequest
    from iron_policy.scope import Scope

_WRAP = "CrewAI's hooks cannot rewrite there; use IronLLM.wrap(llm)"


@dataclass(slots=True, kw_only=True, eq=False, weakref_slot=True)
class CallMark(Mark):
    """The mark of one call.

    A model that is not known to reach the wire is admitted here, until a request within it is governed itself.
    """

    owner: object
    llm: Any
    judged: Call
    request: ModelRequest
    counted: Usage
    admitted: Call | None = None

    __hash__ = object.__hash__

    def note_request(self) -> None:
        """Count a request; what is governed itself is not to be charged here too."""
        self.requests_seen += 1
        if self.admitted is not None:
            self.admitted.fail("delegated", sent=False, provider_at_fault=False)

    def replied(self, text: str | None) -> str | None:
        """Judge and charge a call that never came by the wire; return its reply as the crew may see it.

        Raises:
            PolicyDenied: the reply may not be handed on.
        """
        if self.requests_seen:
            return None
        call = self.admitted or self._unseen()
        texts = () if text is None else (Text(text, "assistant", "reply", in_json=_is_json(text)),)
        try:
            seen = call.review(ModelResponse(texts=texts))
        finally:
            call.settle(used_since(self.llm, self.counted))
        return seen[0] if seen else None

    def forgotten(self) -> None:
        """Charge a call of whose end no hook has told."""
        if self.admitted is not None:
            self.admitted.settle(used_since(self.llm, self.counted))

    def _unseen(self) -> Call:
        if self.judged.rewrites:
            never = GovernanceFailed(
                f"a call that needed rewriting never came by httpx, so it was sent as it was; {_WRAP}"
            )
            self.engine.refuse(self.judged, never)
        return self.engine.admit(self.request, scope=self.scope)


def marked(owner: object, llm: Any, request: ModelRequest, judged: Call) -> CallMark:
    """Return the mark of a call that was *judged*, over the marks of calls within which it may be made."""
    engine: PolicyEngine = judged.engine
    scope: Scope = judged.scope
    return CallMark(
        engine=engine,
        scope=scope,
        enclosing=_below(engine),
        own_terms=aborted,
        owner=owner,
        llm=llm,
        judged=judged,
        request=request,
        counted=counted(llm),
    )


def _is_json(text: str) -> bool:
    """Tell whether *text* is a structured answer, which CrewAI's hooks are shown as JSON."""
    if not text.startswith(("{", "[")):
        return False
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def unreachable() -> ContentBlocked:
    """Return the refusal of a request that nobody can rewrite."""
    return ContentBlocked(f"the request needs rewriting, and this model does not reach the wire: {_WRAP}")


def counted(llm: Any) -> Usage:
    """Return what *llm* says it has used since it was made."""
    summary = getattr(llm, "get_token_usage_summary", None)
    if summary is None:
        return Usage()
    metrics = summary()
    read = min(metrics.cached_prompt_tokens, metrics.prompt_tokens)
    written = min(metrics.cache_creation_tokens, metrics.prompt_tokens - read)
    return Usage(
        uncached_input_tokens=metrics.prompt_tokens - read - written,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=written,
        output_tokens=metrics.completion_tokens,
        reasoning_output_tokens=min(metrics.reasoning_tokens, metrics.completion_tokens),
    )


def used_since(llm: Any, before: Usage) -> Usage | None:
    """Return what *llm* has used since it had used *before*; ``None`` where it does not count."""
    more = Usage(*(max(0, now - then) for now, then in zip(counted(llm), before, strict=True)))
    return more if any(more) else None


def _below(engine: PolicyEngine) -> Mark | None:
    """Return the mark that a new one stands over.

    No hook tells of the end of a call that brings tool calls, or of an async one without an agent: its mark stays.
    Two of one engine are as good as one, so no more are kept.
    """
    found = live_mark()
    if isinstance(found, CallMark):
        found.forgotten()
        below = found.enclosing
        if isinstance(below, CallMark) and not below.over and found.engine is below.engine is engine:
            return below
    return found
