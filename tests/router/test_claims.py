"""A router of this very process: a call that a seam judges already is judged and charged once."""

from __future__ import annotations

import anthropic
import openai
import pytest

from iron_adapters import completion, govern, install, protect_agent, uninstall
from iron_adapters.own_routers import PROOF_HEADER
from iron_policy import ContentBlocked, ModelNotAllowed, PolicyEngine, RateLimited

EMAIL = "alice@example.com"
ASK = {"model": "gpt-4o-mini", "max_tokens": 50, "messages": [{"role": "user", "content": EMAIL}]}
ONE = {
    "budgets": [{"scope": "global", "limit_usd": 1}],
    "limits": [{"scope": "global", "requests": 1, "window": "minute"}],
    "safety": {"input": {"pii": "tokenize"}},
}


class Record:
    def __init__(self):
        self.events = []

    def write(self, event):
        self.events.append(event.type)

    def close(self):
        pass


@pytest.fixture
def record():
    return Record()


@pytest.fixture
def engine(record):
    from iron_policy import Policy

    return PolicyEngine(Policy.model_validate(ONE), sinks=[record])


@pytest.fixture
def client_of():
    opened = []

    def open_client(router, cls=openai.OpenAI):
        base_url = router.base_url if cls is openai.OpenAI else router.base_url.removesuffix("/v1")
        opened.append(cls(base_url=base_url, api_key=router.api_key, max_retries=0))
        return opened[-1]

    yield open_client
    for client in opened:
        client.close()


def noting(sent):
    """Return a transport that notes the proof that each request bears."""
    import httpx2

    class Noting(httpx2.HTTPTransport):
        def handle_request(self, request):
            sent.append(request.headers[PROOF_HEADER])
            return super().handle_request(request)

    return Noting()


def judged_once(engine, record):
    (account,) = engine.accounts()
    assert record.events == ["call.admitted", "call.settled"]
    return account.spent_nanodollars


def test_a_governed_client_of_our_router_is_judged_and_charged_once(
    routed, engine, record, client_of, double
):
    router = routed(policy=engine, budget=1.0)
    reply = govern(client_of(router), engine).chat.completions.create(**ASK)

    assert reply.choices[0].message.content == f"You said: {EMAIL}"
    assert EMAIL.encode() not in double.requests.last.body
    spent = judged_once(engine, record)
    assert 0 < spent == round(router.total_spent() * 10**9)


def test_the_routers_own_budget_holds_for_such_calls_too(routed, engine, client_of, double):
    from iron_policy import BudgetExceeded

    router = routed(policy=engine, budget=0.000001)
    with pytest.raises(openai.APIStatusError) as refused:
        govern(client_of(router), engine).chat.completions.create(**ASK)

    assert refused.value.status_code == 402
    assert not isinstance(refused.value, BudgetExceeded)  # a router that is called as a router answers as one
    assert len(double.requests) == 0


def test_a_streamed_call_is_judged_once(routed, engine, record, client_of):
    client = govern(client_of(routed(policy=engine)), engine)
    said = "".join(
        choice.delta.content or ""
        for chunk in client.chat.completions.create(**ASK, stream=True)
        for choice in chunk.choices
    )

    assert said == f"You said: {EMAIL}"
    assert judged_once(engine, record) > 0


def test_claude_by_our_router_is_judged_once(routed, engine, record, client_of):
    claude = govern(client_of(routed(policy=engine), anthropic.Anthropic), engine)
    reply = claude.messages.create(**{**ASK, "model": "claude-haiku-4-5"})

    assert reply.content[0].text == f"You said: {EMAIL}"
    assert judged_once(engine, record) > 0


def test_install_and_a_run_and_our_router_charge_once(routed, engine, record, client_of):
    router = routed(policy=engine)
    install(engine)
    try:
        with protect_agent(budget_usd=1) as run:
            client_of(router).chat.completions.create(**ASK)
    finally:
        uninstall()

    assert judged_once(engine, record) == run.account.spent_nanodollars > 0
    assert run.summary().calls == 1


def test_a_router_made_within_a_run_charges_that_run_once(routed, engine, record, client_of):
    with protect_agent(policy=engine, budget_usd=1) as run:
        client_of(routed(policy=engine)).chat.completions.create(**ASK)

    assert judged_once(engine, record) == run.account.spent_nanodollars > 0
    assert run.summary().calls == 1


async def test_async_calls_are_judged_once(routed, engine, record):
    router = routed(policy=engine)
    async with openai.AsyncOpenAI(base_url=router.base_url, api_key=router.api_key) as client:
        await govern(client, engine).chat.completions.create(**ASK)

    assert judged_once(engine, record) > 0


def test_a_completion_by_our_router_is_judged_once(routed, engine, record):
    router = routed(policy=engine)
    completion(
        "openai/gpt-4o-mini",
        ASK["messages"],
        max_tokens=50,
        base_url=router.base_url,
        api_key=router.api_key,
        policy=engine,
    )

    assert judged_once(engine, record) > 0


def test_another_policy_of_the_router_is_kept_too(routed, engine, client_of, double):
    router = routed(policy={"access": {"models": {"deny": ["gpt-4o-mini"]}}})

    with pytest.raises(openai.PermissionDeniedError, match="gpt-4o-mini"):
        govern(client_of(router), engine).chat.completions.create(**ASK)
    assert len(double.requests) == 0


def test_a_seam_refuses_before_the_router_is_asked(routed, client_of, double):
    strict = PolicyEngine(sinks=[])
    router = routed(policy=strict)

    with pytest.raises(ContentBlocked):
        govern(client_of(router), {"safety": {"input": {"pii": "block"}}}).chat.completions.create(**ASK)
    with pytest.raises(ModelNotAllowed):
        govern(client_of(router), {"access": {"models": {"allow": []}}}).chat.completions.create(**ASK)
    assert len(double.requests) == 0


@pytest.mark.parametrize("proof", ["0" * 32, "", "true"])
def test_a_proof_that_nobody_here_gave_is_worth_nothing(proof, routed, engine, record, client_of, double):
    client = client_of(routed(policy=engine))
    client.chat.completions.create(**ASK, extra_headers={PROOF_HEADER: proof})

    assert EMAIL.encode() not in double.requests.last.body
    assert PROOF_HEADER not in double.requests.last.headers
    assert judged_once(engine, record) > 0
    with pytest.raises(openai.RateLimitError):
        client.chat.completions.create(**ASK, extra_headers={PROOF_HEADER: proof})


def test_a_proof_is_good_for_one_call(routed, engine, record, client_of):
    import httpx2

    sent = []
    router = routed(policy=engine)
    client = openai.OpenAI(
        base_url=router.base_url,
        api_key=router.api_key,
        max_retries=0,
        http_client=httpx2.Client(transport=noting(sent)),
    )
    with client:
        govern(client, engine).chat.completions.create(**ASK)
    (proof,) = sent

    with pytest.raises((RateLimited, openai.RateLimitError)):
        client_of(router).chat.completions.create(**ASK, extra_headers={PROOF_HEADER: proof})
    assert record.events[:2] == ["call.admitted", "call.settled"]


def test_a_router_that_has_ended_is_sent_no_proof(routed, engine, client_of, double):
    router = routed(policy=engine)
    port = router.port
    router.stop()

    from iron_adapters.marks import claimed
    from iron_adapters.own_routers import proof_for

    with claimed(engine):
        assert proof_for("127.0.0.1", port) is None
