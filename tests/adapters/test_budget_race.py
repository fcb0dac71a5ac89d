"""A cap holds while a thousand threads, then a thousand tasks, spend on it at once, over real sockets."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from iron_adapters import govern
from iron_policy import BudgetExceeded, Policy, PolicyEngine

CALLERS = 1000
ASKED = {"model": "gpt-4o-mini", "max_tokens": 400, "messages": [{"role": "user", "content": "Hello"}]}


class Watch:
    """Looks at one account from a thread of its own for as long as the callers run."""

    def __init__(self, account):
        self.account = account
        self.looks = 0
        self.overdrawn = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self):
        account = self.account
        while not self._over.wait(0.0005):
            # `held` first: a settlement between the two reads can only lower what is seen, never raise it falsely.
            held = account.held_nanodollars
            self.looks += 1
            self.overdrawn += (
                account.spent_nanodollars > account.limit_nanodollars or held > account.limit_nanodollars
            )

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._over.set()
        self._thread.join()


@pytest.fixture
def governing():
    return PolicyEngine(
        Policy.model_validate({"budgets": [{"scope": "global", "limit_usd": "0.05"}]}), sinks=[]
    )


def check(governing, watch, outcomes, double):
    (account,) = governing.accounts()
    assert watch.looks > 0
    assert watch.overdrawn == 0
    assert len(outcomes) == CALLERS
    assert set(outcomes) == {"answered", "refused"}
    assert account.held_nanodollars == 0
    assert account.spent_nanodollars <= account.limit_nanodollars
    assert len(double.requests) == outcomes.count("answered")


def test_a_thousand_threads(double, governing):
    client = govern(openai.OpenAI(base_url=double.openai_url, api_key="test", max_retries=0), governing)
    client.chat.completions.create(
        **ASKED
    )  # loads what SDKs load lazily; some cannot do that in many threads at once
    double.requests.clear()
    start = threading.Barrier(CALLERS)

    def call(_):
        start.wait()
        try:
            client.chat.completions.create(**ASKED)
        except BudgetExceeded:
            return "refused"
        return "answered"

    with client, Watch(governing.accounts()[0]) as watch, ThreadPoolExecutor(CALLERS) as pool:
        outcomes = list(pool.map(call, range(CALLERS)))

    check(governing, watch, outcomes, double)


async def test_a_thousand_tasks(double, governing):
    async with govern(
        openai.AsyncOpenAI(base_url=double.openai_url, api_key="test", max_retries=0), governing
    ) as client:

        async def call():
            try:
                await client.chat.completions.create(**ASKED)
            except BudgetExceeded:
                return "refused"
            return "answered"

        with Watch(governing.accounts()[0]) as watch:
            outcomes = await asyncio.gather(*(call() for _ in range(CALLERS)))

    check(governing, watch, outcomes, double)
