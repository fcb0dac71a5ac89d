"""A crew of three, as it is and then under a policy by one changed line: python examples/crewai_crew.py

It needs no key and no network: the provider double answers, and shows what it was sent.
"""

import logging
import os
import tempfile
from pathlib import Path

os.environ.setdefault(
    "CREWAI_DISABLE_TELEMETRY", "true"
)  # an example; IronHooks itself leaves this setting alone
os.environ.setdefault("CREWAI_STORAGE_DIR", tempfile.gettempdir())

from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool

from iron_adapters.crewai import IronHooks
from iron_adapters.testing import ProviderDouble
from iron_policy import PolicyDenied

POLICY = Path(__file__).with_name("policy.yaml")
LETTER = "Customer ana.silva@example.com asks where order 1042 is."
CONFIDENTIAL = "Customer ana.silva@example.com gives her SSN as 536-90-4399."
OUTBOX = []


@tool("send_email")
def send_email(to: str, body: str) -> str:
    """Send an e-mail to a customer."""
    OUTBOX.append(to)
    return f"sent to {to}: {body}"


def build_crew(llm):
    reader = Agent(role="Reader", goal="Understand letters", backstory="Reads every line.", llm=llm)
    writer = Agent(role="Writer", goal="Write answers", backstory="Writes kindly.", llm=llm)
    sender = Agent(
        role="Sender", goal="Send answers", backstory="Knows the post.", llm=llm, tools=[send_email]
    )
    tasks = [
        Task(description="Sum up this letter: {letter}", expected_output="One line.", agent=reader),
        Task(description="Write an answer to: {letter}", expected_output="One line.", agent=writer),
        Task(
            description="Send the answer with send_email. {letter}", expected_output="To whom.", agent=sender
        ),
    ]
    return Crew(name="post office", agents=[reader, writer, sender], tasks=tasks)


def main():
    logging.getLogger("crewai").setLevel(logging.CRITICAL)  # it logs a refusal that is meant to be seen
    with ProviderDouble() as provider:
        llm = LLM(model="openai/gpt-4o-mini", base_url=provider.openai_url, api_key="any")
        crew = build_crew(llm)

        show("as it is", crew.kickoff({"letter": LETTER}), provider)
        with IronHooks(POLICY):  # the one line
            show("under a policy", crew.kickoff({"letter": LETTER}), provider)
            try:
                crew.kickoff({"letter": CONFIDENTIAL})
            except PolicyDenied as denied:
                print(f"refused: {denied} ({len(provider.requests)} requests)")


def show(title, output, provider):
    """Say what left, what the crew said, and whom it wrote to."""
    left = sum("ana.silva@example.com" in request.text for request in provider.requests)
    print(f"{title}: her address left in {left} of {len(provider.requests)} requests")
    print(f"  the crew says: {output.raw[:80]}")
    print(f"  e-mails went to: {', '.join(OUTBOX)}")
    provider.requests.clear()
    OUTBOX.clear()


if __name__ == "__main__":
    main()
