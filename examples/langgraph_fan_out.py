"""A graph that writes to every customer at once; no policy anywhere: OPENAI_API_KEY=... python examples/langgraph_fan_out.py

Governed without a change: iron-runtime run --policy examples/policy.yaml -- python examples/langgraph_fan_out.py
"""

import operator
from typing import Annotated, TypedDict

from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

CUSTOMERS = ["ana.silva@example.com", "bo.chen@example.org", "carl.maas@example.net", "dina.roy@example.com"]


class Campaign(TypedDict):
    customers: list[str]
    letters: Annotated[list[str], operator.add]


def fan_out(state):
    return [Send("write", {"customer": customer}) for customer in state["customers"]]


def write(state):
    model = ChatOpenAI(model="gpt-4o-mini", temperature=0)
    return {"letters": [model.invoke(f"Write one friendly line to {state['customer']}.").text]}


def build_graph():
    graph = StateGraph(Campaign)
    graph.add_node("write", write)
    graph.add_conditional_edges(START, fan_out, ["write"])
    graph.add_edge("write", END)
    return graph.compile()


def main():
    graph = build_graph()
    for letter in graph.invoke({"customers": CUSTOMERS, "letters": []})["letters"]:
        print(letter)


if __name__ == "__main__":
    main()
