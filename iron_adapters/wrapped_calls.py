"""One call of a framework's model that is governed where it is made: which policy acts on it, and how it ends.

Owns what such calls share, whatever the framework: the choice between the policies that apply, the review of a whole
reply, and the one end of a call. Knows no framework and makes no call itself. Streams are in ``wrapped_streams``.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from iron_adapters.marks import is_charged, is_claimed, live_mark
from iron_adapters.transport import was_sent
from iron_policy.exceptions import PolicyDenied

if TYPE_CHECKING:
    from collections.abc import Iterator

    from iron_adapters.resolve import Governor
    from iron_policy.call import Call
    from iron_policy.engine import PolicyEngine
    from iron_policy.messages import ModelResponse
    from iron_policy.scope import Scope

_AT_FAULT = range(500, 600)
_TOO_MANY = 429


def next_to_act(governor: Governor) -> tuple[PolicyEngine, Scope] | None:
    """Return what is to act on a call that is made here; ``None`` where nothing is, or nothing any more.

    The hooks that have marked the call come first, then the policy of *governor*. Of two, one that was named nowhere
    yields to one that was.
    """
    own, found = governor.explicit_engine, live_mark()
    while found is not None:
        yields = not found.explicit and own not in {None, found.engine}
        if not (found.over or yields or is_claimed(found.engine if found.explicit else None)):
            found.note_request()
            scope = found.engine.implicit_scope if is_charged(found.scope) else found.scope
            return found.engine, scope
        found = found.enclosing
    return None if is_claimed(own) else governor.engine_and_scope()


def reviewed(call: Call, response: ModelResponse) -> tuple[str, ...] | None:
    """Settle *call* by a whole reply; return its texts as the caller may see them, ``None`` where they stay as they are.

    Raises:
        PolicyDenied: the reply may not be handed on. The call is settled all the same: the provider bills it.
    """
    try:
        return call.review(response)
    finally:
        call.settle(response.usage, model=response.model, finish_reasons=response.finish_reasons)


@contextmanager
def ended_on_error(call: Call) -> Iterator[None]:
    """End *call* if the block fails; a call that was settled stays as it is."""
    try:
        yield
    except BaseException as error:  # a call that is cancelled ends too
        fail(call, error)
        raise


@contextmanager
def charged_by_its_texts(call: Call) -> Iterator[None]:
    """Settle *call* after the block, where nothing reports what it used; end it if the block fails."""
    with ended_on_error(call):
        yield
    call.settle(None)


def fail(call: Call, error: BaseException) -> None:
    """End a call whose reply never came, by what its error says of whether the provider has worked on it."""
    status = getattr(error, "status_code", None)
    if type(status) is int:
        is_refusal = isinstance(error, PolicyDenied)  # of another policy on the call
        at_fault = not is_refusal and (status in _AT_FAULT or status == _TOO_MANY)
        call.fail(str(status), sent=False, provider_at_fault=at_fault)
        return
    sent = all(was_sent(cause) for cause in (error, error.__cause__) if cause is not None)
    call.fail(type(error).__name__, sent=sent, provider_at_fault=isinstance(error, Exception))
