"""What ``make demo`` runs: the support agent, as it is, with one line that puts it under a policy.

Without a key it talks to the provider double, on loopback. With OPENAI_API_KEY or ANTHROPIC_API_KEY it talks to that
provider, for less than a cent.
"""

import json
import os
import re
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import demo_screen as screen
import support_agent
from demo_assistant import assistant
from langchain_core.messages import AIMessageChunk

from iron_adapters.langchain import IronCallbackHandler
from iron_adapters.testing import ProviderDouble
from iron_policy import BudgetExceeded, PolicyDenied, PolicyEngine, load_policy
from iron_policy.audit import JsonlSink, verify

POLICY = Path(__file__).with_name("policy.yaml")
MADE_UP_KEY = "sk-proj-" + "Zk3v9QmT7xW2pL8s" * 3
HELLO = (
    "Hello, this is ana.silva@example.com, phone +351 912 345 678. I paid order 1042 with card "
    f"4111 1111 1111 1111, and my plug-in says {MADE_UP_KEY} is the key. Where is my order?"
)
CONFIRM = "Thank you! Please e-mail me a confirmation."
BUDGET_USD = "0.0006"


def main():
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        model, provider = chat_model(stack)
        sent = tapped(model)
        engine = PolicyEngine(load_policy(POLICY), sinks=[JsonlSink(folder / "audit.jsonl")])

        agent = support_agent.build_agent(model)
        governed = agent.with_config(callbacks=[IronCallbackHandler(engine)])  # the one line

        screen.opening(provider, "agent.with_config(callbacks=[IronCallbackHandler(policy)])")
        with engine.run(user="ana") as run:
            conversation(governed, sent)
            refusals(engine, model, governed, sent, provider)
            budget(engine, governed)
            engine.close()
            record(folder / "audit.jsonl")
        screen.closing(run.summary())


def chat_model(stack):
    """Return the chat model and the name of who answers: a real provider where there is a key, else the double."""
    if os.environ.get("OPENAI_API_KEY"):
        from langchain_openai import ChatOpenAI

        return ChatOpenAI(model="gpt-4o-mini", temperature=0), "OpenAI"
    if os.environ.get("ANTHROPIC_API_KEY"):
        from langchain_anthropic import ChatAnthropic

        return ChatAnthropic(model="claude-haiku-4-5", temperature=0, max_tokens=400), "Anthropic"
    from langchain_openai import ChatOpenAI

    double = stack.enter_context(ProviderDouble())
    double.answer_with(assistant)
    return ChatOpenAI(model="gpt-4o-mini", base_url=double.openai_url, api_key="none"), "the provider double"


def tapped(model):
    """Return a list that fills with every body that really leaves: seen below the policy, right above the socket."""
    client = model.root_client if hasattr(model, "root_client") else model._client  # noqa: SLF001
    transport = client._client._transport  # noqa: SLF001
    send, sent = transport.handle_request, []

    def handle_request(request):
        sent.append(json.loads(request.read()))
        return send(request)

    transport.handle_request = handle_request
    return sent


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
    screen.tools(
        [
            *(("find_order", who) for who in support_agent.LOOKUPS),
            *(("send_email", mail["to"]) for mail in support_agent.OUTBOX),
        ]
    )


def streamed(agent, messages):
    """Return the answer's text and the number of pieces in which it came."""
    pieces = []
    for chunk, _ in agent.stream({"messages": messages}, stream_mode="messages"):
        if isinstance(chunk, AIMessageChunk) and chunk.text:
            pieces.append(chunk.text)
    return "".join(pieces), len(pieces)


def last_user_text(body):
    texts = [message["content"] for message in body["messages"] if message["role"] == "user"]
    return texts[-1] if isinstance(texts[-1], str) else texts[-1][0]["text"]


def refusals(engine, model, governed, sent, provider):
    """What the policy refuses, and that nothing of it left."""
    screen.heading("Refused")
    handler = IronCallbackHandler(engine)
    other = model.model_copy(
        update={"model_name" if hasattr(model, "model_name") else "model": "gpt-4-turbo"}
    )
    with_shell = support_agent.build_agent(model, [*support_agent.TOOLS, support_agent.shell_run])
    attempts = [
        ("a tool that runs commands", with_shell.with_config(callbacks=[handler]), "Hello"),
        ("another model", other.with_config(callbacks=[handler]), "Hello"),
        ("a social security number", governed, "My number is 536-22-8145."),
    ]
    if provider == "the provider double":
        attempts.append(("the model asks for a tool by itself", governed, "Please clean up the server."))
    for what, runnable, said in attempts:
        before = len(sent)
        try:
            runnable.invoke({"messages": said} if runnable is not attempts[1][1] else said)
        except PolicyDenied as denied:
            screen.refusal(what, denied, len(sent) - before)


def budget(engine, agent):
    """Ask until the budget of this part is used up."""
    screen.heading(f"A budget of ${BUDGET_USD} for a part of the run")
    try:
        with engine.run(budget_usd=BUDGET_USD) as part:
            for number in range(1, 50):
                agent.invoke({"messages": f"Tell me about your terms of delivery, part {number}."})
                screen.bar(number, part.summary().cost_usd, BUDGET_USD)
    except BudgetExceeded as denied:
        screen.stopped(number, denied)


def record(path):
    """Show each call's cost from the record, then that the record is intact, and that a change to it shows."""
    events = [json.loads(line) for line in path.read_text().splitlines()]
    screen.calls([event["attributes"] for event in events if event["type"] == "call.settled"])
    forged = path.with_name("forged.jsonl")
    forged.write_text(re.sub(r'("iron.cost_nanodollars":)\d+', r"\g<1>1", path.read_text(), count=1))
    screen.audit(verify(path), verify(forged))


if __name__ == "__main__":
    main()
