"""``protect_agent``: one run under one policy, around a function, a coroutine, a generator or a block.

Usage::

    @protect_agent(budget_usd=1.0)
    def my_agent(prompt: str) -> str:
        return llm.chat(prompt)

    with protect_agent(policy="policy.yaml") as run:
        my_agent("hello")
    print(run.summary())

Every model call made inside is governed, through whichever seam comes first; without one, on the wire. Tasks,
``asyncio.gather`` and ``asyncio.to_thread`` carry the run along; a thread pool does not: see :func:`carry`.
"""

from __future__ import annotations

import functools
import inspect
from contextlib import ExitStack
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any, ParamSpec, TypedDict, TypeVar, cast, overload

from iron_adapters.agent_settings import BudgetConfig, ReliabilityConfig, SafetyConfig, adjusted
from iron_adapters.installation import ensure_patched
from iron_adapters.resolve import enclosing_engine
from iron_adapters.runtime_address import runtime_address
from iron_adapters.runtime_runs import end_run, show_token, with_the_runtimes
from iron_policy.exceptions import PolicyError
from iron_policy.scope import entered

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from iron_adapters.resolve import PolicyLike
    from iron_policy.engine import PolicyEngine
    from iron_policy.scope import RunSummary, Scope

P = ParamSpec("P")
R = TypeVar("R")

__all__ = ["BudgetConfig", "ReliabilityConfig", "SafetyConfig", "carry", "protect_agent"]


@overload
def protect_agent(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def protect_agent(
    *,
    budget_usd: float | None = None,
    ic_token: str | None = None,
    budget: BudgetConfig | None = None,
    safety: SafetyConfig | None = None,
    reliability: ReliabilityConfig | None = None,
    policy: PolicyLike = None,
    agent: str | None = None,
    user: str | None = None,
    path: str | None = None,
    on_end: Callable[[RunSummary], object] | None = None,
) -> Protection: ...
def protect_agent(
    function: Callable[..., Any] | None = None,
    /,
    *,
    budget_usd: float | None = None,
    ic_token: str | None = None,
    budget: BudgetConfig | None = None,
    safety: SafetyConfig | None = None,
    reliability: ReliabilityConfig | None = None,
    policy: PolicyLike = None,
    agent: str | None = None,
    user: str | None = None,
    path: str | None = None,
    on_end: Callable[[RunSummary], object] | None = None,
) -> Any:
    """Return what runs a function, or a ``with`` block, as one run under a policy.

    Args:
        function: what to protect, where it stands without parentheses: ``@protect_agent``.
        budget_usd: the most that one run may spend, in USD.
        ic_token: names the agent to Iron Cage. It is what a runtime (``IRON_RUNTIME_URL``) is shown, where
            ``IRON_RUNTIME_TOKEN`` is not set; nobody else is sent it, and it is never logged.
        budget: ``BudgetConfig(max_usd=…)``, the long spelling of ``budget_usd``.
        safety: what is looked for, over what the policy says.
        reliability: what happens when a provider fails, over what the policy says.
        policy: a policy, its engine, a mapping, a path, or ``None``: the enclosing run's, ``$IRON_POLICY``, the default.
        agent: the agent's name in budgets and the record; by default the function's name.
        user: on whose behalf it runs.
        path: where it belongs, such as ``team/research``.
        on_end: called with the :class:`~iron_policy.RunSummary` of each run that ends.

    Raises:
        PolicyError: *policy* is no policy, or a setting contradicts another; nothing runs.
    """
    if budget_usd is not None and budget is not None:
        raise PolicyError("protect_agent: budget_usd and budget say the same; give one of them")
    if budget_usd is not None:
        budget = BudgetConfig(max_usd=budget_usd)
    names = _Names(agent=agent, user=user, path=path)
    protection = Protection(adjusted(policy, safety, reliability), budget, names, on_end, ic_token)
    return protection if function is None else protection(function)


class _Names(TypedDict):
    agent: str | None
    user: str | None
    path: str | None


class Protection:
    """A decorator and a context manager: each call, and each block, is a run. Made by :func:`protect_agent`."""

    def __init__(
        self,
        engine: PolicyEngine | None,
        budget: BudgetConfig | None,
        names: _Names,
        on_end: Callable[[RunSummary], object] | None,
        ic_token: str | None,
    ) -> None:
        self._engine = engine
        self._ic_token = ic_token
        self._budget_usd = None if budget is None else budget.max_usd
        self._names = names
        self._on_end = on_end
        self._open: ContextVar[tuple[_Run, ...]] = ContextVar("iron_open_runs", default=())

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return *function* so that each call of it is a run; what it is (async, generator) stays."""
        names = self._names.copy()
        names["agent"] = names["agent"] or getattr(function, "__name__", None)

        def run() -> _Run:
            return _Run(self._engine, self._budget_usd, names, self._on_end, self._ic_token)

        return cast("Callable[P, R]", _wrapped(function, run))

    def __enter__(self) -> Scope:
        """Open a run for the block."""
        run = _Run(self._engine, self._budget_usd, self._names, self._on_end, self._ic_token)
        self._open.set((*self._open.get(), run))
        return run.open()

    def __exit__(self, *error: object) -> None:
        """End it."""
        self._end()

    def _end(self) -> None:
        if not self._open.get():
            raise RuntimeError(
                "protect_agent: this block was entered in another task or thread; leave it where it was entered"
            )
        *outer, run = self._open.get()
        self._open.set(tuple(outer))
        run.close()

    async def __aenter__(self) -> Scope:
        """Open a run for the block."""
        return self.__enter__()

    async def __aexit__(self, *error: object) -> None:
        """End it."""
        self._end()


class _Run:
    """One run, from its start to its end."""

    def __init__(
        self,
        engine: PolicyEngine | None,
        budget_usd: float | None,
        names: _Names,
        on_end: Callable[[RunSummary], object] | None,
        ic_token: str | None,
    ) -> None:
        address = runtime_address()
        ensure_patched()
        self.scope = (engine or enclosing_engine()).scope(budget_usd=budget_usd, **names)
        self.scope.governs_wire = True
        self.scope.explicit_policy = engine is not None
        if address is not None:
            self.scope.completed = with_the_runtimes
            if ic_token:
                show_token(self.scope, ic_token)
        self._on_end = on_end
        self._stack = ExitStack()

    def open(self) -> Scope:
        """Make this the current run."""
        return self._stack.enter_context(entered(self.scope))

    def close(self) -> None:
        """Make it no longer the current one, and tell whoever asked what it came to."""
        self._stack.close()
        self.end()

    def end(self) -> None:
        """Tell whoever asked what the run came to."""
        try:
            if self._on_end is not None:
                self._on_end(self.scope.summary())
        finally:
            if self.scope.completed is not None:
                end_run(self.scope)

    def __enter__(self) -> Scope:
        return self.open()

    def __exit__(self, *error: object) -> None:
        self.close()


def carry(function: Callable[P, R]) -> Callable[P, R]:
    """Return *function* with the context of here, the run included, for threads that Python gives an empty one.

    ::

        with ThreadPoolExecutor() as pool:
            pool.submit(carry(ask), "a question")
    """
    context = copy_context()

    @functools.wraps(function)
    def carried(*args: P.args, **kwargs: P.kwargs) -> R:
        return context.copy().run(function, *args, **kwargs)

    return carried


def _wrapped(function: Callable[..., Any], run: Callable[[], _Run]) -> Any:
    """Return the twin of *function*, which is of the same sort."""
    if inspect.isasyncgenfunction(function):
        twin = _async_generator
    elif inspect.iscoroutinefunction(function):
        twin = _coroutine
    elif inspect.isgeneratorfunction(function):
        twin = _generator
    else:
        twin = _plain
    return functools.wraps(function)(twin(function, run))


def _plain(function: Callable[..., Any], run: Callable[[], _Run]) -> Callable[..., Any]:
    def plain(*args: Any, **kwargs: Any) -> Any:
        with run():
            return function(*args, **kwargs)

    return plain


def _coroutine(function: Callable[..., Any], run: Callable[[], _Run]) -> Callable[..., Any]:
    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        with run():
            return await function(*args, **kwargs)

    return coroutine


def _generator(function: Callable[..., Any], run: Callable[[], _Run]) -> Callable[..., Any]:
    def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        return (yield from _steps(run(), function(*args, **kwargs)))

    return generator


def _async_generator(function: Callable[..., Any], run: Callable[[], _Run]) -> Callable[..., Any]:
    async def generator(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        opened, wrapped = run(), function(*args, **kwargs)
        take, value = wrapped.asend, None
        try:
            while True:
                with entered(opened.scope):
                    try:
                        item = await take(value)
                    except StopAsyncIteration:
                        return
                try:
                    take, value = wrapped.asend, (yield item)
                except GeneratorExit:
                    with entered(opened.scope):
                        await wrapped.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 - what the consumer throws is the generator's to handle
                    take, value = wrapped.athrow, error
        finally:
            opened.end()

    return generator


def _steps(run: _Run, generator: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Drive *generator* so that only its own steps are inside the run, and not what its consumer does between."""
    take, value = generator.send, None
    try:
        while True:
            with entered(run.scope):
                try:
                    item = take(value)
                except StopIteration as stop:
                    return stop.value
            try:
                take, value = generator.send, (yield item)
            except GeneratorExit:
                with entered(run.scope):
                    generator.close()
                raise
            except BaseException as error:  # noqa: BLE001 - what the consumer throws is the generator's to handle
                take, value = generator.throw, error
    finally:
        run.end()
