"""What a type checker knows of governed clients, refusals and runs. Checked by pyright, not run."""

from decimal import Decimal
from pathlib import Path
from typing import assert_type

from anthropic import Anthropic, AsyncAnthropic
from openai import AsyncOpenAI, AzureOpenAI, OpenAI
from openai.types.chat import ChatCompletion

from iron_adapters import govern
from iron_policy import BudgetExceeded, Finding, Policy, PolicyDenied, PolicyEngine, Scope, load_policy, scan

assert_type(govern(OpenAI()), OpenAI)
assert_type(govern(AsyncOpenAI(), Policy()), AsyncOpenAI)
assert_type(govern(Anthropic(), {"mode": "monitor"}), Anthropic)
assert_type(govern(AsyncAnthropic(), "policy.yaml"), AsyncAnthropic)
assert_type(govern(AsyncAnthropic(), Path("policy.yaml")), AsyncAnthropic)


class OurOpenAI(OpenAI):
    """A subclass stays one."""


assert_type(govern(OurOpenAI(), PolicyEngine()), OurOpenAI)
assert_type(govern(AzureOpenAI()), AzureOpenAI)

reply = govern(OpenAI()).chat.completions.create(
    model="gpt-4o-mini", messages=[{"role": "user", "content": "hello"}]
)
assert_type(reply, ChatCompletion)

engine = PolicyEngine(load_policy("policy.yaml"))
with engine.run(budget_usd="0.50", agent="billing") as run:
    assert_type(run, Scope)
    assert_type(run.summary().cost_usd, Decimal)

try:
    govern(OpenAI(), engine)
except BudgetExceeded as short:
    assert_type(short.limit_usd, float)
except PolicyDenied as denied:
    assert_type(denied.reason, str)
    assert_type(denied.findings, tuple[Finding, ...])
    assert_type(denied.call_id, str | None)

assert_type(scan("ana@example.com"), list[Finding])

govern(OpenAI(), 42)  # pyright: ignore[reportArgumentType] - no policy: an error here proves that it is checked
