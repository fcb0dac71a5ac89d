"""What IronLLM keeps of the model it holds, and what it does for models that never reach the wire."""

import asyncio
import logging

import pytest

pytest.importorskip("crewai", reason="needs the extra iron-adapters[crewai]")

import crews
from crewai.llms.base_llm import call_stop_override
from crews import ADDRESS, ASKED, engine, events
from pydantic import BaseModel, Field

from iron_adapters.crewai import IronHooks, IronLLM
from iron_adapters.marks import is_claimed, live_mark
from iron_adapters.testing import Reply, ToolUse, server_error
from iron_policy import BudgetExceeded, ContentBlocked, PolicyDenied, ToolNotAllowed

pytestmark = crews.WARNINGS
SECRET = "sk-proj-" + "Zk3v9QmT7xW2pL8s" * 3
OFFER = {
    "type": "function",
    "function": {
        "name": "lookup",
        "description": "Look someone up.",
        "parameters": {"type": "object", "properties": {"email": {"type": "string"}}},
    },
}


class Letter(BaseModel):
    to: str
    text: str = ""


class Misdescribed(BaseModel):
    """A letter to jane.roe@example.com."""

    to: str = Field(description="for instance jane.roe@example.com")


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL)
    yield
    assert live_mark() is None
    assert not is_claimed()


def asks(arguments, name="lookup"):
    return [{"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}]


def token_of(llm):
    """Return the token that stands for the address in what *llm* was sent last."""
    text = crews.text_of(llm.sent[-1][0])
    return text[text.index("<EMAIL_") : text.index(">") + 1]


# -- a stand-in ----------------------------------------------------------------------------------------------


def test_a_model_by_name_is_the_one_that_crewai_makes(double):
    llm = IronLLM(
        model="openai/gpt-4o-mini",
        base_url=double.openai_url,
        api_key="any",
        temperature=0.2,
        max_tokens=30,
        policy=engine(),
    )

    assert ADDRESS in llm.call(ASKED)
    sent = double.requests.last.json
    assert (sent["model"], sent["temperature"], sent["max_tokens"]) == ("gpt-4o-mini", 0.2, 30)


@pytest.mark.parametrize("model", [crews.openai_model, crews.anthropic_model])
def test_what_is_asked_of_it_the_model_answers(double, model):
    held = model(double, temperature=0.5, stop=["END"])
    llm = IronLLM.wrap(held, engine())

    for name in ("model", "temperature", "stop", "provider", "is_litellm", "base_url"):
        assert getattr(llm, name) == getattr(held, name)
    for name in (
        "supports_function_calling",
        "supports_stop_words",
        "supports_multimodal",
        "get_context_window_size",
    ):
        assert getattr(llm, name)() == getattr(held, name)()
    assert llm.to_config_dict() == held.to_config_dict()
    assert llm.client_params == held.client_params
    llm.temperature, llm.stop = 0.7, ["STOP"]
    assert (held.temperature, held.stop) == (0.7, ["STOP"])


def test_stop_words_of_one_call_reach_the_model(double):
    llm = IronLLM.wrap(crews.openai_model(double), engine())
    with call_stop_override(llm, ["river"]):
        said = llm.call("Name a river now")

    assert "river" not in said
    assert "river" in llm.call("Name a river now")


def test_usage_is_counted_as_without_it(double):
    held = crews.openai_model(double)
    llm = IronLLM.wrap(held, engine())
    output = crews.crew_of(llm).kickoff()

    assert output.token_usage.total_tokens == held.get_token_usage_summary().total_tokens > 0
    assert llm.get_token_usage_summary() == held.get_token_usage_summary()


def test_events_of_a_stream_show_real_values_and_join_to_the_reply(double):
    said = crews.streamed(IronLLM.wrap(crews.openai_model(double), engine()))

    assert ADDRESS in said
    session = IronLLM.wrap(crews.openai_model(double), engine()).stream_events(ASKED)
    shown = [frame.content for frame in session if frame.content]
    assert session.result == said
    assert any(ADDRESS in str(content) for content in shown)


@pytest.mark.parametrize("model", [crews.openai_model, crews.anthropic_model])
@pytest.mark.parametrize("way", ["call", "acall"])
def test_a_structured_answer_holds_real_values(double, model, way):
    llm = IronLLM.wrap(model(double), engine())
    double.answer_with(structured)
    messages = [{"role": "user", "content": ASKED}]
    answer = (
        llm.call(messages, response_model=Letter)
        if way == "call"
        else asyncio.run(llm.acall(messages, response_model=Letter))
    )
    answer = answer if isinstance(answer, Letter) else Letter.model_validate_json(answer)

    assert answer.to == ADDRESS
    assert ADDRESS not in double.requests.last.text


def structured(asked):
    """Answer as the schema says, with the token that the user's text holds."""
    token = asked.user_text[asked.user_text.index("<EMAIL_") :]
    if asked.tools:
        return Reply(tool_calls=(ToolUse(asked.tools[0].name, {"to": token, "text": "x"}),))
    return f'{{"to": "{token}", "text": "x"}}'


def test_functions_that_the_model_calls_itself_read_what_the_policy_shows(double):
    seen = []
    llm = IronLLM.wrap(crews.openai_model(double), engine(safety={"reveal": {"tools": ["lookup"]}}))
    double.reply(tools=(("lookup", {"email": ADDRESS}),))
    said = llm.call(
        ASKED, tools=[OFFER], available_functions={"lookup": lambda email: seen.append(email) or "found"}
    )

    assert seen == [ADDRESS]
    assert said == "found"


def test_what_it_holds_is_a_model():
    with pytest.raises(TypeError, match="BaseLLM"):
        IronLLM.wrap("gpt-4o-mini")


def test_an_iron_model_within_another_charges_once(double):
    governing = engine()
    for model in (crews.openai_model(double), crews.in_memory()):
        said = IronLLM.wrap(IronLLM.wrap(model, governing), governing).call(ASKED)
        assert ADDRESS in said

    assert len(events(governing)) == 2


def test_a_copy_is_governed_as_well(double):
    llm = IronLLM.wrap(crews.openai_model(double), engine(safety={"input": {"pii": "block"}}))
    crew = crews.crew_of(llm).copy()
    for copied in (llm.model_copy(), crew.agents[0].llm):
        with pytest.raises(ContentBlocked):
            copied.call(ASKED)

    assert double.requests.received == 0


def test_each_agent_of_a_crew_goes_by_its_role(double):
    governing = engine()
    crews.kickoff(IronLLM.wrap(crews.openai_model(double), governing))

    (settled,) = events(governing)
    assert (settled["gen_ai.agent.name"], settled["iron.task"]) == ("Writer", "letter")


def test_a_provider_that_fails_is_charged_nothing_and_its_error_is_its_own(double):
    import openai

    governing = engine(budgets=[{"scope": "global", "limit_usd": 1}])
    double.fail_next(server_error(), times=5)
    with pytest.raises(openai.InternalServerError):
        IronLLM.wrap(crews.openai_model(double, max_retries=0), governing).call("Name a river")

    assert events(governing) == []
    assert all(account.held_nanodollars == 0 for account in governing.accounts())


# -- models off the wire -------------------------------------------------------------------------------------

ways = pytest.mark.parametrize(
    "way", [crews.call, crews.acall, crews.streamed, crews.kickoff, crews.akickoff]
)


@ways
def test_a_model_without_a_network_reads_tokens_and_the_crew_real_values(way):
    held = crews.in_memory()
    said = way(IronLLM.wrap(held, engine()))

    assert ADDRESS in said
    assert ADDRESS not in str(held.sent)
    assert "<EMAIL_" in str(held.sent)


@ways
def test_a_model_without_a_network_is_not_asked_what_is_blocked(way):
    held = crews.in_memory()
    with pytest.raises(ContentBlocked):
        way(IronLLM.wrap(held, engine(safety={"input": {"pii": "block"}})))

    assert held.sent == []


@pytest.mark.parametrize(("counts", "basis"), [(True, "reported"), (False, "estimated")])
def test_a_model_without_a_network_is_charged(counts, basis):
    governing = engine(budgets=[{"scope": "global", "limit_usd": 1}])
    IronLLM.wrap(crews.in_memory(counts=counts), governing).call(ASKED)

    (settled,) = events(governing)
    assert settled["iron.cost_basis"] == basis
    assert settled["iron.cost_nanodollars"] > 0


def test_a_model_without_a_network_is_asked_for_no_more_than_a_budget_affords():
    limits = []

    class Limited(crews.InMemory):
        def call(self, messages, *args, **kwargs):
            limits.append(self.max_tokens)
            return super().call(messages, *args, **kwargs)

    held = Limited(model="gpt-4o-mini", sent=[], max_tokens=16_000)
    IronLLM.wrap(held, engine(budgets=[{"scope": "global", "limit_usd": 0.001}])).call("Name a river")

    assert 0 < limits[0] < 16_000
    assert held.max_tokens == 16_000
    with pytest.raises(BudgetExceeded):
        IronLLM.wrap(held, engine(budgets=[{"scope": "global", "limit_usd": 0.00000001}])).call(
            "Name a river"
        )


def test_tools_are_judged_and_their_descriptions_rewritten_in_copies():
    held = crews.in_memory()
    offer = {**OFFER, "function": {**OFFER["function"], "description": f"Ask {ADDRESS}"}}
    IronLLM.wrap(held, engine()).call("Name a river", tools=[offer])
    with pytest.raises(ToolNotAllowed):
        IronLLM.wrap(held, engine(access={"tools": {"deny": ["lookup"]}})).call("Name a river", tools=[offer])

    (sent,) = held.sent
    assert ADDRESS not in str(sent)
    assert ADDRESS in str(offer)


class ToolUseBlock(BaseModel):
    id: str = "1"
    name: str
    input: dict


class Foreign:
    def __init__(self, name, input):  # noqa: A002 - the provider's word
        self.name, self.input = name, input


@pytest.mark.parametrize("shape", ["dict", "bedrock", "model"])
@pytest.mark.parametrize("revealed", [True, False])
def test_tool_calls_show_real_values_where_the_policy_says_so(shape, revealed):
    held = crews.in_memory()

    def said(_functions):
        token = token_of(held)
        return {
            "dict": asks(f'{{"email": "{token}"}}'),
            "bedrock": [{"toolUseId": "1", "name": "lookup", "input": {"email": token}}],
            "model": [ToolUseBlock(name="lookup", input={"email": token})],
        }[shape]

    held.says = [said]
    policy = {"safety": {"reveal": {"tools": ["lookup"]}}} if revealed else {}
    reply = IronLLM.wrap(held, engine(**policy)).call(ASKED, tools=[OFFER])

    assert (ADDRESS in str(reply)) is revealed
    assert ("<EMAIL_" in str(reply)) is not revealed
    assert type(reply[0]) is (ToolUseBlock if shape == "model" else dict)


def test_a_reply_that_asks_for_a_denied_tool_is_refused():
    held = crews.in_memory(says=[asks("{}", name="shell_run")])
    with pytest.raises(ToolNotAllowed):
        IronLLM.wrap(held, engine(access={"tools": {"deny": ["shell_*"]}})).call("Name a river")


def test_a_reply_of_a_foreign_shape_passes_or_is_refused_never_unjudged():
    call = Foreign("lookup", {"email": "x"})
    governing = engine(safety={"output": {"secrets": "redact"}})
    assert IronLLM.wrap(crews.in_memory(says=[[call]]), governing).call("Name a river") == [call]
    with pytest.raises(ContentBlocked, match="Foreign"):
        IronLLM.wrap(crews.in_memory(says=[[Foreign("lookup", {"key": SECRET})]]), governing).call(
            "Name a river"
        )


def test_a_structured_reply_is_rewritten_as_its_own_type():
    held = crews.in_memory()
    held.says = [lambda _: Letter(to=token_of(held), text=SECRET)]
    answer = IronLLM.wrap(held, engine(safety={"output": {"secrets": "redact"}})).call(
        ASKED, response_model=Letter
    )

    assert isinstance(answer, Letter)
    assert answer.to == ADDRESS
    assert SECRET not in answer.text


def test_a_class_that_describes_itself_with_what_the_policy_rewrites_is_refused():
    held = crews.in_memory()
    with pytest.raises(ContentBlocked, match="Misdescribed"):
        IronLLM.wrap(held, engine()).call("Name a river", response_model=Misdescribed)

    assert held.sent == []


def test_functions_run_outside_the_claim_and_the_model_reads_tokens_for_their_results():
    governing = engine(safety={"reveal": {"tools": ["lookup"]}})
    other, seen, read = IronLLM.wrap(crews.in_memory(), governing), [], []
    held = crews.in_memory()

    def lookup(email):
        seen.append(email)
        return other.call(f"Ask {email}")

    held.says = [lambda functions: read.append(functions["lookup"](email=token_of(held))) or read[0]]
    said = IronLLM.wrap(held, governing).call(ASKED, available_functions={"lookup": lookup})

    assert seen == [ADDRESS]
    assert ADDRESS not in read[0]
    assert ADDRESS in said
    assert len(events(governing)) == 2


def test_an_error_of_the_model_s_own_stays_and_is_charged_as_held():
    def fails(_functions):
        raise ValueError("no")

    governing = engine(budgets=[{"scope": "global", "limit_usd": 1}])
    with pytest.raises(ValueError, match="no"):
        IronLLM.wrap(crews.in_memory(says=[fails]), governing).call("Name a river")

    (failed,) = events(governing, "call.failed")
    assert failed["iron.cost_basis"] == "held"
    assert all(account.held_nanodollars == 0 for account in governing.accounts())


def test_a_detector_that_fails_stops_a_model_without_a_network(monkeypatch):
    governing, held = engine(), crews.in_memory()
    monkeypatch.setattr(governing.content, "judge", lambda texts: 1 / 0)
    with pytest.raises(PolicyDenied):
        IronLLM.wrap(held, governing).call("Name a river")

    assert held.sent == []


def test_hooks_see_a_direct_call_once_with_real_values_and_may_alter_the_reply():
    from crewai.hooks import (
        register_after_llm_call_hook,
        register_before_llm_call_hook,
        unregister_after_llm_call_hook,
        unregister_before_llm_call_hook,
    )

    seen = []

    def before(context):
        seen.append(context.messages[0]["content"])

    def after(context):
        return context.response.upper()

    register_before_llm_call_hook(before)
    register_after_llm_call_hook(after)
    try:
        said = IronLLM.wrap(crews.in_memory(), engine()).call(ASKED)
    finally:
        unregister_before_llm_call_hook(before)
        unregister_after_llm_call_hook(after)

    assert seen == [ASKED]
    assert ADDRESS.upper() in said


def test_tokens_are_counted_of_what_may_be_seen(double):
    asked = []

    class Counting(crews.InMemory):
        def get_input_tokens_count(self, messages, tools=None, response_model=None):
            asked.append(str(messages))
            return 7

    assert IronLLM.wrap(Counting(model="x", sent=[]), engine()).get_input_tokens_count(ASKED) == 7
    assert IronLLM.wrap(crews.anthropic_model(double), engine()).get_input_tokens_count(ASKED) > 0
    assert ADDRESS not in asked[0]
    assert ADDRESS not in double.requests.last.text


def test_under_hooks_it_is_charged_to_their_policy():
    hooks, own = engine(), engine()
    with IronHooks(hooks):
        crews.kickoff(IronLLM.wrap(crews.in_memory(), own))

    assert (len(events(hooks)), len(events(own))) == (1, 0)
