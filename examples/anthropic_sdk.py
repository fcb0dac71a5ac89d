"""The Anthropic SDK under a policy, with a budget: ANTHROPIC_API_KEY=... python examples/anthropic_sdk.py"""

from pathlib import Path

from anthropic import Anthropic

from iron_adapters import govern
from iron_policy import BudgetExceeded, PolicyEngine, load_policy

QUESTION = "Write one friendly line to ana.silva@example.com about her order."


def main():
    engine = PolicyEngine(load_policy(Path(__file__).with_name("policy.yaml")))
    client = govern(Anthropic(), engine)
    messages = [{"role": "user", "content": QUESTION}]

    with engine.run(budget_usd="0.01", user="ana") as run:
        reply = client.messages.create(model="claude-haiku-4-5", max_tokens=100, messages=messages)
        print(reply.content[0].text)
        print("cost:", run.summary().cost_usd, "USD")

    try:
        with engine.run(budget_usd="0.000001"):
            client.messages.create(model="claude-haiku-4-5", max_tokens=100, messages=messages)
    except BudgetExceeded as denied:
        print("refused:", denied.reason)


if __name__ == "__main__":
    main()
