"""Half characters (lone surrogates), which no body can hold: refused by name, and no error holds the text."""

import logging

import pytest

pytest.importorskip("langchain_openai")

from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from iron_adapters.langchain import IronCallbackHandler, IronChatModel, IronEmbeddings
from iron_policy import IronError

HALF = "my own words \ud83d"


def in_memory(**more):
    return FakeListChatModel(responses=["Fine"], **more)


def chat(double, **more):
    return ChatOpenAI(model="gpt-4o-mini", base_url=double.openai_url, **more)


def embeddings(double):
    return OpenAIEmbeddings(
        model="text-embedding-3-small", base_url=double.openai_url, check_embedding_ctx_length=False
    )


STYLES = {
    "model": lambda double: IronChatModel.wrap(chat(double)).invoke(HALF),
    "stream": lambda double: list(IronChatModel.wrap(chat(double)).stream(HALF)),
    "keyword": lambda double: IronChatModel.wrap(chat(double)).invoke("Hi", stop=[HALF]),
    "foreign input": lambda double: IronChatModel.wrap(chat(double, use_responses_api=True)).invoke(
        HALF, previous_response_id="resp_1"
    ),
    "memory": lambda double: IronChatModel.wrap(in_memory()).invoke(HALF),
    "handler": lambda double: chat(double, callbacks=[IronCallbackHandler()]).invoke(HALF),
    "handler, memory": lambda double: in_memory(callbacks=[IronCallbackHandler()]).invoke(HALF),
    "query": lambda double: IronEmbeddings.wrap(embeddings(double)).embed_query(HALF),
    "documents": lambda double: IronEmbeddings.wrap(DeterministicFakeEmbedding(size=3)).embed_documents(
        [HALF]
    ),
    "count": lambda double: IronChatModel.wrap(chat(double)).get_num_tokens_from_messages(
        [HumanMessage(HALF)]
    ),
}


def around(error):
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("style", STYLES)
def test_a_half_character_is_refused_without_a_word_of_the_text(double, style, caplog):
    caplog.set_level(logging.CRITICAL, "langchain_core.callbacks.manager")

    with pytest.raises(IronError) as refused:
        STYLES[style](double)

    assert len(double.requests) == 0
    for error in around(refused.value):
        assert "my own words" not in f"{error} {error!r} {vars(error)} {getattr(error, 'object', '')}"


def test_a_half_character_in_a_tool_call_does_not_break_the_review():
    call = {"name": "note", "args": {"text": HALF}, "id": "1"}
    model = IronChatModel.wrap(GenericFakeChatModel(messages=iter([AIMessage("", tool_calls=[call])])))

    assert model.invoke("Hi").tool_calls[0]["args"] == {"text": HALF}
