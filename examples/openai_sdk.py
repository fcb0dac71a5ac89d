"""The OpenAI SDK under a policy: OPENAI_API_KEY=... python examples/openai_sdk.py"""

from pathlib import Path

from openai import OpenAI

from iron_adapters import govern
from iron_policy import PolicyDenied

QUESTION = "Write one friendly line to ana.silva@example.com about her order."


def main():
    client = govern(OpenAI(), Path(__file__).with_name("policy.yaml"))
    messages = [{"role": "user", "content": QUESTION}]

    stream = client.chat.completions.create(model="gpt-4o-mini", messages=messages, stream=True)
    for chunk in stream:
        if chunk.choices:
            print(chunk.choices[0].delta.content or "", end="")
    print()

    try:
        client.chat.completions.create(model="gpt-4-turbo", messages=messages)
    except PolicyDenied as denied:  # an openai.PermissionDeniedError, too
        print("refused:", denied.reason)


if __name__ == "__main__":
    main()
