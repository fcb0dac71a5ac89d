"""A LlamaIndex workflow that answers from a shop's orders, as it is, and then with one line that governs it.

It talks to the provider double, on loopback, so it needs no key: python examples/llama_index_workflow.py
"""

import asyncio

from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.schema import NodeWithScore
from llama_index.core.workflow import Event, StartEvent, StopEvent, Workflow, step
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI

from iron_adapters.llama_index import attach
from iron_adapters.testing import ProviderDouble

POLICY = {
    "access": {"models": {"allow": ["gpt-4o-mini*", "text-embedding-*"]}},
    "safety": {"input": {"pii": "tokenize"}},
    "budgets": [{"scope": "global", "limit_usd": 0.05}],
}
ORDERS = [
    "Order 1042 of ana.silva@example.com has shipped and arrives on Thursday.",
    "Order 1043 of rui.costa@example.com waits for payment.",
]
QUESTION = "Where is order 1042 of ana.silva@example.com?"


class Found(Event):
    question: str
    nodes: list[NodeWithScore]


class Support(Workflow):
    """Look orders up, then answer from what was found. It knows nothing of any policy."""

    @step
    async def retrieve(self, event: StartEvent) -> Found:
        index = VectorStoreIndex.from_documents([Document(text=order) for order in ORDERS])
        nodes = await index.as_retriever(similarity_top_k=2).aretrieve(event.question)
        return Found(question=event.question, nodes=nodes)

    @step
    async def answer(self, event: Found) -> StopEvent:
        facts = "\n".join(node.get_content() for node in event.nodes)
        reply = await Settings.llm.acomplete(
            f"Answer from these facts:\n{facts}\n\nQuestion: {event.question}"
        )
        return StopEvent(result=reply.text)


def assistant(asked):
    """Answer as a model would that knows only what it was sent."""
    question = asked.user_text.rpartition("Question: ")[2]
    customer = question.rpartition(" of ")[2].rstrip("?")
    fact = next(line for line in asked.user_text.splitlines() if "1042" in line)
    return f"{fact} I have told {customer}."


async def run(title, double):
    before = len(double.requests)
    answer = await Support(timeout=30).run(question=QUESTION)
    prompt = double.requests.last.json["messages"][-1]["content"]
    print(f"\n{title}:")
    print(f"  you asked               {QUESTION}")
    print(f"  you got                 {answer}")
    print(f"  what the provider read  {prompt.rpartition('Question: ')[2]}")
    print(f"  requests                {len(double.requests) - before}")


async def main():
    with ProviderDouble() as double:
        double.answer_with(assistant)
        Settings.llm = OpenAI(model="gpt-4o-mini", api_base=double.openai_url, api_key="none")
        Settings.embed_model = OpenAIEmbedding(api_base=double.openai_url, api_key="none")

        await run("as it is", double)
        attach(POLICY)  # the one line
        await run("governed", double)


if __name__ == "__main__":
    asyncio.run(main())
