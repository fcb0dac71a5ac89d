"""Who answers in the demo: a real provider where there is a key, else (or after it fails) the provider double."""

import json
import os
from dataclasses import dataclass, field
from typing import Any

import anthropic
import openai
from demo_assistant import assistant
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI

from iron_adapters.testing import ProviderDouble


@dataclass
class Provider:
    name: str
    model: Any
    other_model: Any
    budget_usd: str
    errors: tuple = ()
    scripted: bool = False
    sent: list = field(default_factory=list)
    """Every body that really left: seen below the policy, right above the socket."""

    def __post_init__(self):
        for model in (self.model, self.other_model):
            client = model.root_client if isinstance(model, ChatOpenAI) else model._client  # noqa: SLF001
            tap(client._client._transport, self.sent)  # noqa: SLF001


def tap(transport, sent):
    """Keep a copy of each body in *sent*."""
    send = transport.handle_request
    if hasattr(send, "tapped"):
        return

    def handle_request(request):
        sent.append(json.loads(request.read()))
        return send(request)

    handle_request.tapped = True
    transport.handle_request = handle_request


def providers(stack):
    """Yield who is to be tried, in order."""
    if os.environ.get("OPENAI_API_KEY"):
        yield open_ai("OpenAI", errors=(openai.OpenAIError,))
    if os.environ.get("ANTHROPIC_API_KEY"):
        yield Provider(
            name="Anthropic",
            model=ChatAnthropic(model="claude-haiku-4-5", temperature=0),
            other_model=ChatAnthropic(model="claude-opus-4-5"),
            budget_usd="0.0075",
            errors=(anthropic.AnthropicError,),
        )
    double = stack.enter_context(ProviderDouble())
    double.answer_with(assistant)
    yield open_ai("the provider double", scripted=True, base_url=double.openai_url, api_key="none")


def open_ai(name, *, errors=(), scripted=False, **where):
    return Provider(
        name=name,
        model=ChatOpenAI(model="gpt-4o-mini", temperature=0, **where),
        other_model=ChatOpenAI(model="gpt-4-turbo", **where),
        budget_usd="0.00066",
        errors=errors,
        scripted=scripted,
    )
