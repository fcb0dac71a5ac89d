"""Refusals in CrewAI's own terms: an exception that is a ``PolicyDenied`` and a ``HookAborted`` too.

CrewAI lets ``HookAborted`` through everywhere. Any other exception it swallows in a hook, and in a model call has the
agent try again (``crewai/hooks/dispatch.py``, ``crewai/agent/core.py``).
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from crewai.hooks.dispatch import HookAborted

from iron_policy.exceptions import GovernanceFailed, IronError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SOURCE = "iron policy"
_DEEPEST = 20
"""Causes of causes that are looked through."""


def aborted(error: IronError) -> IronError:
    """Return *error* as a ``HookAborted`` too."""
    if isinstance(error, HookAborted):
        return error
    own: Any = _dual(type(error))(str(error))  # type: ignore[arg-type]  # a class is hashable, whatever its instances
    own.__dict__.update({"reason": str(error), "source": _SOURCE, **error.__dict__})
    carried: IronError = own.with_traceback(error.__traceback__)
    return carried


@contextmanager
def fail_closed() -> Iterator[None]:
    """Let whatever goes wrong in a hook stop the call.

    Raises:
        IronError: the refusal, or ``GovernanceFailed`` for any other exception; a ``HookAborted`` in either case.
    """
    try:
        yield
    except HookAborted:
        raise
    except IronError as error:
        raise aborted(error) from None
    except Exception as error:  # noqa: BLE001 - CrewAI would swallow it, and send
        # Without its cause: the message of that may hold a text.
        failure = GovernanceFailed(f"a hook failed with {type(error).__name__}, so nothing was sent")
        raise aborted(failure) from None


@contextmanager
def in_own_terms() -> Iterator[None]:
    """Let a refusal out as a ``HookAborted`` too, whatever an SDK has made of it."""
    try:
        yield
    except Exception as error:  # an SDK wraps a refusal in whatever it raises for a connection that failed
        refusal = refusal_within(error)
        if refusal is None:
            raise
        raise aborted(refusal) from None


def refusal_within(error: BaseException) -> IronError | None:
    """Return the refusal that *error* disguises, ``None`` where it comes from somewhere else."""
    cause: BaseException | None = error
    for _ in range(_DEEPEST):
        if cause is None or isinstance(cause, IronError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None


@cache
def _dual(cls: type[Any]) -> type[Any]:
    return type(
        cls.__name__,
        (cls, HookAborted),
        {"__module__": cls.__module__, "__doc__": cls.__doc__, "__init__": Exception.__init__},
    )
