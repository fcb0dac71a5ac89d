"""The twin of langgraph_fan_out.py under a policy, by one changed line: OPENAI_API_KEY=... python examples/langgraph_fan_out_governed.py"""

import operator
from pathlib import Path
from typing import Annotated, TypedDict

from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from iron_adapters.langchain import IronCallbackHandler

POLICY = Path(__file__).with_name("policy.yaml")

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
    graph = build_graph().with_config(callbacks=[IronCallbackHandler(POLICY)])  # the one line
    for letter in graph.invoke({"customers": CUSTOMERS, "letters": []})["letters"]:
        print(letter)


if __name__ == "__main__":
    main()
