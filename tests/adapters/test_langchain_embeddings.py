"""``IronEmbeddings``: what is embedded is what the policy lets out."""

import copy

import pytest

pytest.importorskip("langchain_openai")

from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import OpenAIEmbeddings

from iron_adapters.langchain import IronEmbeddings
from iron_policy import BudgetExceeded, ContentBlocked, Policy, PolicyEngine
from iron_policy.audit import MemorySink

ADDRESS = "jane.roe@example.com"
NOTE = f"Her address is {ADDRESS}."


def engine(**policy):
    return PolicyEngine(Policy.model_validate(policy), sinks=[MemorySink(100)])


def kinds(engine):
    return [event.type for event in engine.recorder.sinks[0].events]


def openai(double, **more):
    how = {"base_url": double.openai_url, "check_embedding_ctx_length": False, **more}
    return OpenAIEmbeddings(model="text-embedding-3-small", **how)


async def adocuments(embeddings):
    return (await embeddings.aembed_documents([NOTE]))[0]


STYLES = {
    "documents": lambda embeddings: embeddings.embed_documents([NOTE])[0],
    "query": lambda embeddings: embeddings.embed_query(NOTE),
    "documents, async": adocuments,
    "query, async": lambda embeddings: embeddings.aembed_query(NOTE),
}


async def outcome(result):
    return await result if hasattr(result, "__await__") else result


@pytest.mark.parametrize("style", STYLES)
async def test_an_address_is_embedded_as_its_stand_in_and_charged_once(double, style):
    governing = engine(budgets=[{"scope": "run", "limit_usd": 1}])

    vector = await outcome(STYLES[style](IronEmbeddings.wrap(openai(double), governing)))

    assert len(vector) > 10
    assert "<EMAIL_" in double.requests.last.text
    assert ADDRESS not in double.requests.last.text
    assert kinds(governing) == ["call.admitted", "call.settled"]
    assert governing.recorder.sinks[0].events[-1].attributes["iron.cost_nanodollars"] > 0


@pytest.mark.parametrize("style", STYLES)
async def test_what_is_blocked_is_not_embedded(double, style):
    embeddings = IronEmbeddings.wrap(openai(double), {"safety": {"input": {"pii": "block"}}})

    with pytest.raises(ContentBlocked, match="EMAIL"):
        await outcome(STYLES[style](embeddings))

    assert len(double.requests) == 0


def test_a_call_that_is_split_into_many_requests_is_one_charge(double):
    governing = engine(budgets=[{"scope": "run", "limit_usd": 1}])

    IronEmbeddings.wrap(openai(double, chunk_size=2), governing).embed_documents([NOTE] * 5)

    assert len(double.requests) == 3
    assert kinds(governing) == ["call.admitted", "call.settled"]


def test_embeddings_by_name_stop_when_their_budget_is_gone(double):
    policy = {"budgets": [{"scope": "run", "limit_usd": 0.00001}]}
    embeddings = IronEmbeddings(
        model="openai:text-embedding-3-small",
        policy=policy,
        base_url=double.openai_url,
        check_embedding_ctx_length=False,
    )

    with pytest.raises(BudgetExceeded):
        [embeddings.embed_query(NOTE) for _ in range(1000)]

    assert 1 < len(double.requests) < 1000
    assert embeddings.model == "text-embedding-3-small"


def test_what_fails_costs_nothing(double):
    governing = engine(budgets=[{"scope": "run", "limit_usd": 1}])
    double.fail_next(500, times=3)

    with pytest.raises(Exception, match="500"):
        IronEmbeddings.wrap(openai(double, max_retries=0), governing).embed_query(NOTE)

    assert kinds(governing) == ["call.admitted", "call.failed"]
    assert governing.recorder.sinks[0].events[-1].attributes["iron.cost_nanodollars"] == 0


def test_a_vector_store_finds_with_stand_ins_what_it_would_find_without():
    policy = {"spending": {"unknown_price": "allow"}}
    store = InMemoryVectorStore(IronEmbeddings.wrap(DeterministicFakeEmbedding(size=32), policy))
    store.add_texts([NOTE, "Nothing of the kind."])

    assert store.similarity_search(NOTE, k=1)[0].page_content == NOTE


def test_only_embeddings_can_be_wrapped():
    with pytest.raises(TypeError, match="not str"):
        IronEmbeddings.wrap("text-embedding-3-small")


def test_copies_share_a_budget():
    embeddings = IronEmbeddings.wrap(DeterministicFakeEmbedding(size=3), {"safety": {}})

    assert copy.deepcopy(embeddings)._governor is embeddings._governor
