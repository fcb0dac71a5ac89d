"""The mark of one CrewAI call, and what is done at the hooks for a model that never reaches the wire.

Owns the metering of such a call: by the model's own counters, else by an estimate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from crewai.llms.base_llm import BaseLLM
from crewai.types.usage_metrics import UsageMetrics

from iron_adapters.crewai.refusals import aborted
from iron_adapters.marks import Mark, live_mark
from iron_adapters.watched_calls import stand_back
from iron_adapters.wrapped_calls import reviewed
from iron_policy.messages import ModelResponse, Text, Usage

if TYPE_CHECKING:
    from iron_policy.call import Call
    from iron_policy.engine import PolicyEngine
    from iron_policy.scope import Scope


@dataclass(slots=True, kw_only=True, eq=False, weakref_slot=True)
class CallMark(Mark):
    """The mark of one call.

    A model that is not known to reach the wire is admitted here, until a request within it is governed itself.
    """

    owner: object
    caller: object
    """The agent's executor, or the model where there is none: it makes one call at a time."""
    llm: Any
    counted: UsageMetrics
    admitted: Call | None = None

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def note_request(self) -> None:
        """Count a request; what is governed itself is not to be charged here too."""
        self.requests_seen += 1
        if self.admitted is not None:
            stand_back(self.admitted)

    def replied(self, text: str | None) -> str | None:
        """Judge and charge a call that was admitted here; return its reply as the crew may see it.

        Raises:
            PolicyDenied: the reply may not be handed on.
        """
        call = self.admitted
        if call is None or self.requests_seen:
            return None
        texts = () if text is None else (Text(text, "assistant", "reply", in_json=_is_json(text)),)
        seen = reviewed(call, ModelResponse(texts=texts, usage=used_since(self.llm, self.counted)))
        return seen[0] if seen else None

    def forgotten(self) -> None:
        """Charge a call of whose end no hook has told."""
        if self.admitted is not None:
            self.admitted.settle(used_since(self.llm, self.counted))


def marked(
    llm: Any,
    engine: PolicyEngine,
    scope: Scope,
    *,
    explicit: bool,
    owner: object = None,
    caller: object = None,
) -> CallMark:
    """Return the mark of a call of *llm*, over the marks of calls within which it may be made.

    *explicit* says that the policy was named where it is attached.
    """
    return CallMark(
        engine=engine,
        scope=scope,
        explicit=explicit,
        enclosing=_below(engine),
        own_terms=aborted,
        owner=owner,
        caller=caller,
        llm=llm,
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


def counted(llm: Any) -> UsageMetrics:
    """Return what *llm* says it has used since it was made."""
    return llm.get_token_usage_summary() if isinstance(llm, BaseLLM) else UsageMetrics()


def used_since(llm: Any, before: UsageMetrics) -> Usage | None:
    """Return what *llm* has used since it had used *before*; ``None`` where it does not count."""
    more = counted(llm).delta_since(before)
    if not more.total_tokens and not more.prompt_tokens:
        return None
    read = min(more.cached_prompt_tokens, more.prompt_tokens)
    written = min(more.cache_creation_tokens, more.prompt_tokens - read)
    return Usage(
        uncached_input_tokens=more.prompt_tokens - read - written,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=written,
        output_tokens=more.completion_tokens,
        reasoning_output_tokens=min(more.reasoning_tokens, more.completion_tokens),
    )


def _below(engine: PolicyEngine) -> Mark | None:
    """Return the mark that a new one stands over.

    No hook tells of the end of a call that brings tool calls, or of an async one without an agent: its mark stays.
    Two of one engine are as good as one, so no more are kept.
    """
    found = live_mark()
    if isinstance(found, CallMark):
        below = found.enclosing
        if isinstance(below, CallMark) and not below.over and found.engine is below.engine is engine:
            return below
    return found
