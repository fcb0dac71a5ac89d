"""One model call between its admission and its settlement.

Owns the review of what comes back, streamed or whole, and sees that the call is settled or failed exactly once.
Knows no wire format: seams list the texts and put the answers back.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from iron_policy.call_ids import new_call_id
from iron_policy.exceptions import ContentBlocked
from iron_policy.messages import Usage
from iron_policy.redact import StreamWindow, review_text
from iron_policy.rules.content import blocked_content

if TYPE_CHECKING:
    from collections.abc import Sequence

    from iron_policy.budget import Hold
    from iron_policy.cost import ModelPrice
    from iron_policy.engine import PolicyEngine
    from iron_policy.messages import Channel, ModelRequest, ModelResponse, Text, ToolCall
    from iron_policy.scope import Scope
    from iron_policy.verdicts import Finding

CostBasis: TypeAlias = Literal["reported", "estimated", "held", "none"]
"""Where a charge comes from: the provider's usage, our count of what came, the upper bound, or nothing to charge."""

_CHARACTERS_PER_TOKEN = 4
"""English prose has about four characters to a token (OpenAI, "What are tokens and how to count them?")."""
_MOST_CHARACTERS_PER_TOKEN = 16
"""What no reply has on average, though single tokens do: a run of spaces or dashes is one. A reply is cut only by what
is certain, because a provider that keeps to ``max_tokens`` must never be."""


class Settlement(NamedTuple):
    """What a call came to."""

    usage: Usage
    cost_nanodollars: int
    basis: CostBasis
    price: ModelPrice | None
    model: str
    finish_reasons: tuple[str, ...]


class Call:
    """An admitted call: what may be sent, and the review of what comes back."""

    def __init__(self, engine: PolicyEngine, request: ModelRequest, scope: Scope) -> None:
        self.id = new_call_id()
        self.engine = engine
        self.scope = scope
        self.asked = request
        self.request = request
        """The request as the policy has altered it."""
        self.findings: list[Finding] = []
        self.price: ModelPrice | None = None
        self.hold: Hold | None = None
        self.rewrites = False
        self.admitted = False
        self.started = time.monotonic()
        self._windows: dict[Channel, StreamWindow] = {}
        self._streamed_characters = 0
        self._deltas = 0
        self._input_tokens: int | None = None
        self._ended = threading.Lock()
        """Taken by whoever ends the call first, and never given back."""

    @property
    def texts(self) -> tuple[str, ...] | None:
        """The texts to send, in the order of the request's; ``None`` where they stay as they are."""
        if not self.rewrites:
            return None
        return self.engine.content.rewritten(self.asked.texts, self.scope.vault)

    @property
    def max_tokens(self) -> int | None:
        """The output tokens to ask for; ``None`` where the caller's word stands."""
        changed = self.engine.enforces and self.request.max_tokens != self.asked.max_tokens
        return self.request.max_tokens if changed else None

    @property
    def model(self) -> str | None:
        """The model to ask instead; ``None`` where the caller's word stands."""
        changed = self.engine.enforces and self.request.model != self.asked.model
        return self.request.model if changed else None

    @property
    def cut_due(self) -> bool:
        """Whether a stream has brought more than was held for it, so that it must end now."""
        if self.hold is None or not self.engine.enforces or self.request.max_tokens is None:
            return False
        least = max(self._deltas, self._streamed_characters // _MOST_CHARACTERS_PER_TOKEN)
        return least > self.request.max_tokens * self.request.choice_count

    def review(self, response: ModelResponse) -> tuple[str, ...] | None:
        """Return the reply's texts as the caller may see them; ``None`` where they stay as they are.

        Raises:
            PolicyDenied: the reply may not be handed on. It is still to be settled: the provider bills it.
        """
        for tool_call in response.tool_calls:
            self.tool_call(tool_call)
        said = [text.text for text in response.texts]
        seen = [self.whole(text) for text in response.texts]
        self._streamed_characters += sum(map(len, said))
        return None if seen == said else tuple(seen)

    def whole(self, text: Text) -> str:
        """Return one whole text of the reply as the caller may see it.

        Raises:
            ContentBlocked: it may not be handed on.
        """
        content, said = self.engine.content, text.text
        try:
            if not content.scanner.scan(said) and "<" not in said:
                return said  # most texts: nothing is found, and no stand-in can be turned back
            seen, findings = review_text(
                said,
                scanner=content.scanner,
                action_of=content.actions.output if self.engine.enforces else content.flags,
                vault=self.scope.vault,
                restore=self._restores(text.tool_name),
                in_json=text.in_json,
            )
        except Exception as error:  # noqa: BLE001 - whatever a detector throws, the policy decides
            self._not_reviewed(text.place, error)
            return said
        if findings:
            self._found([finding._replace(place=text.place) for finding in findings])
        return seen

    def push(self, channel: Channel, text: str) -> str:
        """Take a piece of a streamed text; return what may be released now.

        Raises:
            ContentBlocked: the text may not be handed on.
        """
        self._streamed_characters += len(text)
        self._deltas += bool(text)
        window = self._windows.get(channel)
        if window is None:
            if self.engine.content.idle and not self.scope.vault:
                return text
            window = self._windows[channel] = self._window(channel)
        try:
            return window.push(text)
        except Exception as error:  # noqa: BLE001 - whatever a detector throws, the policy decides
            self._not_reviewed(channel.place, error)
            return text

    def finish(self, channel: Channel) -> str:
        """Return the rest of a streamed text that has ended.

        Raises:
            ContentBlocked: the text may not be handed on.
        """
        window = self._windows.pop(channel, None)
        if window is None:
            return ""
        try:
            return window.finish()
        except Exception as error:  # noqa: BLE001 - whatever a detector throws, the policy decides
            self._not_reviewed(channel.place, error)
            return ""
        finally:
            self._found([finding._replace(place=channel.place) for finding in window.findings])

    def tool_call(self, call: ToolCall) -> None:
        """Judge a tool call that the model asks for.

        Raises:
            ToolNotAllowed, LoopDetected: the reply may not be handed on.
        """
        for denied in self.engine.tool_objections(call, self.scope):
            self.engine.refuse(self, denied)

    def settle(
        self,
        usage: Usage | None,
        *,
        model: str | None = None,
        finish_reasons: Sequence[str] = (),
        input_usage: Usage | None = None,
        pending: bool = False,
    ) -> None:
        """Charge what the call used. Only the first settle or fail of a call counts.

        Args:
            usage: as reported; ``None`` to charge what went and came.
            model: the one that answered, if the reply says.
            finish_reasons: why it stopped.
            input_usage: what is known of the input, where only that was reported.
            pending: whether the provider works on without anybody listening; then the hold is the charge.
        """
        if not self._ended.acquire(blocking=False):
            return
        basis: CostBasis = "reported"
        if usage is None:
            basis, usage = "estimated", self._estimated_usage(input_usage)
        request = self.request
        model = model or request.model
        tier = usage.service_tier or request.service_tier
        price = self.engine.spending.price_of(model, request.provider_name, tier) or self.price
        if self._windows:
            self._close_windows()
        cost = price.cost(usage) if price and request.billed else 0
        if pending and basis == "estimated" and self.hold is not None:
            basis, cost = "held", self.hold.nanodollars
        self.engine.settled(self, Settlement(usage, cost, basis, price, model, tuple(finish_reasons)))

    def __del__(self) -> None:
        if self.admitted and not self._ended.locked():
            self.engine.abandon(self)

    def fail(self, error: str, *, sent: bool, provider_at_fault: bool = True) -> None:
        """End a call that brought no reply. What may have been billed is charged as held.

        Args:
            error: a type or status such as ``429`` or ``ReadTimeout``; never a message, which may hold content.
            sent: whether the provider may have worked on it.
            provider_at_fault: whether its breaker should hear of it.
        """
        if not self._ended.acquire(blocking=False):
            return
        basis: CostBasis = "held" if sent else "none"
        cost = self.hold.nanodollars if sent and self.hold else 0
        self._close_windows()
        self.engine.failed(self, error, cost, basis, provider_at_fault=provider_at_fault)

    def estimated_input_tokens(self) -> int:
        """Return about how many tokens the request's texts have."""
        if self._input_tokens is None:
            characters = sum([len(text.text) for text in self.asked.texts])
            self._input_tokens = -(-characters // _CHARACTERS_PER_TOKEN)
        return self._input_tokens

    def _not_reviewed(self, place: str, error: Exception) -> None:
        """Refuse a text that holds what is blocked, and let the policy decide where a detector failed."""
        if isinstance(error, ContentBlocked):
            findings = [finding._replace(place=place) for finding in error.findings]
            self.engine.refuse(self, blocked_content(findings, "output"))
        else:
            self.engine.unjudged(self, error)

    def _window(self, channel: Channel) -> StreamWindow:
        content = self.engine.content
        return StreamWindow(
            scanner=content.scanner.fresh,
            action_of=content.actions.output if self.engine.enforces else content.flags,
            vault=self.scope.vault,
            restore=self._restores(channel.tool_name),
            in_json=channel.in_json,
        )

    def _restores(self, tool_name: str | None) -> bool:
        return self.engine.enforces and (tool_name is None or self.engine.reveals(tool_name))

    def _found(self, findings: Sequence[Finding]) -> None:
        if not findings:
            return
        self.findings.extend(findings)
        self.scope.record_findings(tuple(finding.kind for finding in findings))

    def _close_windows(self) -> None:
        for channel in list(self._windows):
            window = self._windows.pop(channel)
            self._found([finding._replace(place=channel.place) for finding in window.findings])

    def _streamed_tokens(self) -> int:
        return max(self._deltas, self._streamed_characters // _CHARACTERS_PER_TOKEN)

    def _estimated_usage(self, known: Usage | None) -> Usage:
        """Count what went and came, where the provider reports nothing: it is billed all the same."""
        output = 0 if self.request.operation_name == "embeddings" else self._streamed_tokens()
        if known is not None:
            return known._replace(output_tokens=output)
        return Usage(uncached_input_tokens=self.estimated_input_tokens(), output_tokens=output)
