"""What a type checker knows of the LangChain adapters. Checked by pyright, not run."""

from typing import assert_type

from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType] - its saver is left open
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from iron_adapters.langchain import IronCallbackHandler, IronChatModel, IronEmbeddings, IronMiddleware
from iron_policy import Policy, PolicyEngine

model: BaseChatModel = IronChatModel(model="gpt-4o-mini", temperature=0, policy={"mode": "monitor"})
assert_type(model.invoke("hello"), AIMessage)
assert_type(IronChatModel.wrap(model, policy=Policy()), IronChatModel)

handler: BaseCallbackHandler = IronCallbackHandler(
    "policy.yaml", agent="billing", user="ana", path="team/research"
)
model.invoke("hello", config={"callbacks": [handler, IronCallbackHandler(PolicyEngine())]})

create_agent(model, middleware=[IronMiddleware("policy.yaml", agent="billing")])

embeddings: Embeddings = IronEmbeddings(model="openai:text-embedding-3-small")
assert_type(embeddings.embed_query("hello"), list[float])

IronCallbackHandler(42)  # pyright: ignore[reportArgumentType] - no policy: an error here proves that it is checked
