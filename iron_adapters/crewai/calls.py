"""One governed call of a CrewAI model, on the wire or off it.

Owns what the sync and async ways of a call share: what is sent, the functions that the model may call itself, the
reply as the crew may see it, and the one end. Knows no policy and makes no call itself.
"""

from __future__ import annotations

import functools
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from iron_adapters.crewai.marking import counted, marked, used_since
from iron_adapters.crewai.messages import Prompt
from iron_adapters.crewai.replies import Reply
from iron_adapters.crewai.requests import limit_name, reaches_wire, request_of
from iron_adapters.crewai.runs import named
from iron_adapters.crewai.tools import admit_arguments, admitted_result
from iron_adapters.installation import ensure_patched
from iron_adapters.json_copies import copied
from iron_adapters.marks import claimed, is_claimed, live_mark, mark
from iron_adapters.wrapped_calls import ended_on_error, reviewed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crewai.llms.base_llm import BaseLLM

    from iron_adapters.resolve import Governor
    from iron_policy.call import Call
    from iron_policy.engine import PolicyEngine
    from iron_policy.messages import ModelRequest
    from iron_policy.scope import Scope


class Asked:
    """What a caller asks to send. Hooks may alter the messages, so they are copies."""

    def __init__(
        self,
        messages: str | list[Any],
        tools: list[dict[str, Any]] | None,
        response_model: type[BaseModel] | None,
        *,
        stream: bool | None,
        agent: Any = None,
        task: Any = None,
    ) -> None:
        self.agent, self.task = agent, task
        self.messages: list[Any] = (
            [{"role": "user", "content": messages}] if isinstance(messages, str) else copied(list(messages))
        )
        self.tools = tools
        self.response_model = response_model
        self.stream = stream


class GovernedCall:
    """A call under way, as it stands for one that is governed elsewhere.

    Attributes:
        llm: the model to call.
        messages: what to send it.
        tools: the tools to offer it.
        functions: the functions that it may call itself.
        reply: what the caller gets, once it has come.
        stream: whether the model is to stream; ``None`` leaves that to its own setting.
        whole: whether the model is asked for its answer whole, be a stream asked for or not.
    """

    whole = False

    def __init__(self, llm: BaseLLM, asked: Asked) -> None:
        self.llm = llm
        self.messages = asked.messages
        self.tools = asked.tools
        self.functions: dict[str, Any] | None = None
        self.reply: Any = None
        self.stream = asked.stream
        self._asked = asked

    @property
    def keywords(self) -> dict[str, Any]:
        """What goes to the model beside the messages."""
        return {
            "tools": self.tools,
            "available_functions": self.functions,
            "from_task": self._asked.task,
            "from_agent": self._asked.agent,
            "response_model": self._asked.response_model,
        }

    def governed_functions(self, functions: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return *functions* as the model may call them."""
        return functions

    def replied(self, reply: Any) -> None:
        """Take the model's reply.

        Raises:
            PolicyDenied: it may not be handed on.
        """
        self.reply = reply


@contextmanager
def governed_call(governor: Governor, llm: BaseLLM, asked: Asked) -> Iterator[GovernedCall]:
    """Admit a call of *llm*, and see that it ends.

    On behalf of the hooks that have marked the call, if they have. A policy of the model's own is carried out too on the
    wire; off it, it only judges.

    Raises:
        PolicyDenied: nothing may be sent.
    """
    own = governor.explicit_engine
    if is_claimed(own):
        yield GovernedCall(llm, asked)
        return
    prompt = Prompt(asked.messages, asked.tools, asked.response_model)
    request = request_of(llm, prompt, stream=bool(asked.stream))
    engine, scope = governor.engine_and_scope()
    above, on_wire = live_mark(), reaches_wire(llm)
    if above is not None and on_wire and own not in {None, above.engine}:
        above = None  # the wire carries both policies out
    if above is not None:
        if own not in {None, above.engine}:
            engine.judge(request, scope=above.scope)
        engine, scope = above.engine, above.scope
    else:
        scope = named(scope, asked.agent, asked.task)
    if not on_wire:
        if above is not None:
            above.note_request()
        call = engine.admit(request, scope=scope)
        with _OffWire(llm, asked, prompt, call).ended() as off_wire:
            yield off_wire
    elif above is not None:
        yield _OnWire(llm, asked, engine, scope)
    else:
        with _wire_marked(llm, request, engine, scope, explicit=own is not None):
            yield _OnWire(llm, asked, engine, scope)


@contextmanager
def governed_count(governor: Governor, llm: BaseLLM, asked: Asked) -> Iterator[GovernedCall]:
    """Govern what *llm* does to count tokens, which may be a call that nobody bills.

    Raises:
        PolicyDenied: nothing may be sent.
    """
    counting = GovernedCall(llm, asked)
    own = governor.explicit_engine
    if is_claimed(own) or live_mark() is not None:
        yield counting
        return
    prompt = Prompt(asked.messages, asked.tools, asked.response_model)
    request, (engine, scope) = request_of(llm, prompt), governor.engine_and_scope()
    if reaches_wire(llm):
        with _wire_marked(llm, request, engine, scope, explicit=own is not None):
            yield counting
        return
    if (texts := engine.judge(request, scope=scope).texts) is not None:
        counting.messages, counting.tools = prompt.rewritten(texts)
    with claimed(engine, scope):
        yield counting


@contextmanager
def _wire_marked(
    llm: BaseLLM, request: ModelRequest, engine: PolicyEngine, scope: Scope, *, explicit: bool
) -> Iterator[None]:
    """Mark the calls made in the block for the wire.

    Raises:
        PolicyDenied: the request is refused.
    """
    engine.judge(request, scope=scope)
    new = marked(llm, engine, scope, explicit=explicit)
    ensure_patched()
    token = mark.set(new)
    try:
        yield
    finally:
        new.over = True
        mark.reset(token)


class _OnWire(GovernedCall):
    """A call that the wire rewrites, cuts and charges."""

    def __init__(self, llm: BaseLLM, asked: Asked, engine: PolicyEngine, scope: Scope) -> None:
        super().__init__(llm, asked)
        self._restores, self._vault = engine.enforces, scope.vault

    def replied(self, reply: Any) -> None:
        """Take the reply. An answer that came as a tool call's arguments shows the caller real values here."""
        if self._restores and isinstance(reply, BaseModel):
            written = reply.model_dump_json()
            restored = self._vault.restore(written, in_json=True)
            reply = reply if restored == written else type(reply).model_validate_json(restored)
        self.reply = reply


class _OffWire(GovernedCall):
    """A call of a model that never reaches the wire: it is rewritten, reviewed and charged here."""

    whole = True

    def __init__(self, llm: BaseLLM, asked: Asked, prompt: Prompt, call: Call) -> None:
        super().__init__(_clamped(llm, call), asked)
        self.stream = False
        self._call = call
        self._before = counted(llm)
        self._outside = copy_context()
        if (texts := call.texts) is not None:
            self.messages, tools = prompt.rewritten(texts)
            self.tools = tools or asked.tools

    @contextmanager
    def ended(self) -> Iterator[_OffWire]:
        """Claim the call within the block, and settle or fail it at the end."""
        with ended_on_error(self._call), claimed(self._call.engine, self._call.scope):
            yield self

    def governed_functions(self, functions: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return *functions*, each held to the policy and run outside the claim: they may call models themselves."""
        if functions is None:
            return None
        return {name: self._governed(name, function) for name, function in functions.items()}

    def replied(self, reply: Any) -> None:
        """Review the reply, and charge it."""
        read = Reply(reply)
        texts = reviewed(self._call, read.response._replace(usage=used_since(self.llm, self._before)))
        self.reply = reply if texts is None else read.rewritten(texts)

    def _governed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        engine, scope = self._call.engine, self._call.scope

        @functools.wraps(function)
        def governed(**arguments: Any) -> Any:
            admit_arguments(engine, scope, name, arguments)
            result = self._outside.copy().run(function, **arguments)
            return admitted_result(self._call, name, result)

        return governed


def _clamped(llm: BaseLLM, call: Call) -> BaseLLM:
    """Return *llm*, or a copy of it that asks for no more than the policy affords, of the model it allows."""
    altered: dict[str, Any] = {}
    if call.max_tokens is not None:
        altered[limit_name(llm)] = call.max_tokens
    if call.model is not None:
        altered["model"] = call.model
    return llm.model_copy(update=altered) if altered else llm
