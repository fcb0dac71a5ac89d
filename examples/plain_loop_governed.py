"""The twin of plain_loop.py under a policy, by one changed line: OPENAI_API_KEY=... python examples/plain_loop_governed.py"""

import json
from pathlib import Path

from openai import OpenAI

from iron_adapters import govern

TASK = "Send an e-mail to ana.silva@example.com: her order 1042 arrives on Thursday. Then tell me whom you wrote to."
SEND_EMAIL = {
    "type": "function",
    "function": {
        "name": "send_email",
        "description": "Send an e-mail to a customer.",
        "parameters": {
            "type": "object",
            "properties": {"to": {"type": "string", "format": "email"}, "body": {"type": "string"}},
            "required": ["to", "body"],
        },
    },
}


def send_email(to, body):
    print(f"(an e-mail to {to}: {body})")
    return f"sent to {to}"


def main():
    client = govern(OpenAI(), Path(__file__).with_name("policy.yaml"))  # the one line
    messages = [{"role": "user", "content": TASK}]
    for _ in range(5):
        reply = client.chat.completions.create(model="gpt-4o-mini", messages=messages, tools=[SEND_EMAIL])
        said = reply.choices[0].message
        messages.append(said)
        if not said.tool_calls:
            print(said.content)
            return
        for call in said.tool_calls:
            result = send_email(**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


if __name__ == "__main__":
    main()
