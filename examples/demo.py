"""What ``make demo`` runs: the support agent, as it is, with one line that puts it under a policy.

Without a key it talks to the provider double, on loopback. With OPENAI_API_KEY or ANTHROPIC_API_KEY it talks to that
provider, for less than a cent.
"""

import json
import logging
import re
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import demo_screen as screen
import support_agent
from demo_providers import providers
from langchain_core.messages import AIMessageChunk

from iron_adapters.langchain import IronCallbackHandler
from iron_policy import BudgetExceeded, PolicyDenied, PolicyEngine, load_policy
from iron_policy.audit import JsonlSink, verify

POLICY = Path(__file__).with_name("policy.yaml")
MADE_UP_KEY = "sk-proj-" + "Zk3v9QmT7xW2pL8s" * 3
HELLO = (
    "Hello, this is ana.silva@example.com, phone +351 912 345 678. I paid order 1042 with card "
    f"4111 1111 1111 1111, and my plug-in says {MADE_UP_KEY} is the key. Where is my order?"
)
CONFIRM = "Thank you! Please e-mail me a confirmation."

# LangChain logs every exception of a handler, also one that is meant; here the screen shows them.
logging.getLogger("langchain_core.callbacks.manager").setLevel(logging.ERROR)


def main():
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for provider in providers(stack):
            try:
                story(provider, folder / f"{provider.name}.jsonl")
            except provider.errors as error:
                screen.failed(provider.name, error)
            else:
                return


def story(provider, path):
    """Tell it all, with one provider; the record goes to *path*."""
    agent = support_agent.build_agent(provider.model)
    engine = PolicyEngine(load_policy(POLICY), sinks=[JsonlSink(path)])
    governed = agent.with_config(callbacks=[IronCallbackHandler(engine)])  # the one line

    screen.opening(provider.name, "agent.with_config(callbacks=[IronCallbackHandler(policy)])")
    with engine.run(user="ana") as run:
        conversation(governed, provider.sent)
        refusals(engine, governed, provider)
        budget(engine, governed, provider)
    engine.close()
    record(path)
    screen.closing(run.summary())


def conversation(agent, sent):
    """Two turns, streamed: what was said, what left, what came back, what the tools got."""
    messages = []
    for title, said in (("A question", HELLO), ("A second turn", CONFIRM)):
        before = len(sent)
        messages.append({"role": "user", "content": said})
        answer, pieces = streamed(agent, messages)
        messages.append({"role": "assistant", "content": answer})
        rows = [("you said", said), ("what left", last_user_text(sent[before])), ("you got", answer)]
        screen.turn(title, rows, f"{len(sent) - before} requests; the answer came in {pieces} pieces")
    lookups = [("find_order", customer) for customer in support_agent.LOOKUPS]
    screen.tools([*lookups, *(("send_email", mail["to"]) for mail in support_agent.OUTBOX)])


def streamed(agent, messages):
    """Return the answer's text and the number of pieces in which it came."""
    pieces = []
    for chunk, _ in agent.stream({"messages": messages}, stream_mode="messages"):
        if isinstance(chunk, AIMessageChunk) and chunk.text:
            pieces.append(chunk.text)
    return "".join(pieces), len(pieces)


def last_user_text(body):
    content = [message["content"] for message in body["messages"] if message["role"] == "user"][-1]
    return content if isinstance(content, str) else content[0]["text"]


def refusals(engine, governed, provider):
    """What the policy refuses, and that nothing of it left."""
    screen.heading("Refused")
    handler = IronCallbackHandler(engine)
    with_shell = support_agent.build_agent(
        provider.model, [*support_agent.TOOLS, support_agent.shell_run]
    ).with_config(callbacks=[handler])
    dear = support_agent.build_agent(provider.other_model).with_config(callbacks=[handler])
    attempts = [
        ("a tool that runs commands", with_shell, "Hello"),
        ("a model that is not on the list", dear, "Hello"),
        ("a social security number", governed, "My number is 536-22-8145."),
    ]
    if provider.scripted:
        attempts.append(("a tool that the model asks for by itself", governed, "Please clean up the server."))
    for what, agent, said in attempts:
        before = len(provider.sent)
        try:
            agent.invoke({"messages": said})
        except PolicyDenied as denied:
            screen.refusal(what, denied, len(provider.sent) - before)


def budget(engine, agent, provider):
    """Ask until the budget of this part is used up."""
    limit = provider.budget_usd
    screen.heading(f"A budget of ${limit} for a part of the run")
    number = 0
    try:
        with engine.run(budget_usd=limit) as part:
            for number in range(1, 50):
                agent.invoke({"messages": f"Tell me about your terms of delivery, part {number}."})
                asked = provider.sent[-1]
                allowed = asked.get("max_completion_tokens") or asked.get("max_tokens")
                screen.bar(number, part.summary().cost_usd, limit, allowed)
    except BudgetExceeded as denied:
        screen.stopped(number, denied)


def record(path):
    """Show each call's cost from the record, then that the record is intact, and that a change to it shows."""
    events = [json.loads(line) for line in path.read_text().splitlines()]
    screen.calls([event["attributes"] for event in events if event["type"] == "call.settled"])
    intact = verify(path)
    path.write_text(re.sub(r'("iron.cost_nanodollars":)\d+', r"\g<1>1", path.read_text(), count=1))
    screen.audit(intact, verify(path))


if __name__ == "__main__":
    main()
