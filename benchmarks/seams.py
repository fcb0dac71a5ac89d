"""What governance adds to a call: the bare SDK or model, and the same one governed, side by side.

The provider is a transport that answers at once from memory, so that what is compared is work done in this process.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
from answering import answering
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from openai import OpenAI
from row import Row
from timing import interleaved

from iron_adapters import govern
from iron_adapters.langchain import IronCallbackHandler, IronChatModel
from iron_policy import Policy, PolicyEngine

if TYPE_CHECKING:
    from collections.abc import Iterator

PROSE = "The quarterly report is due on Friday, and the team has asked for one more look at the figures. "
PROMPT = (PROSE * 11)[:1024]
REPLY = (PROSE * 5)[:450]


def everything_on(directory: str) -> Policy:
    """Return a policy with every section at work."""
    return Policy.model_validate(
        {
            "access": {
                "models": {"allow": ["gpt-*"], "deny": ["*-preview"]},
                "tools": {"deny": ["shell_*"]},
                "parameters": {"max_tokens": 4096, "choice_count": 4, "deny": ["logit_bias"]},
            },
            "safety": {
                "custom": [{"kind": "EMPLOYEE_ID", "pattern": r"E-\d{6}"}],
                "reveal": {"tools": ["send_email"]},
            },
            "budgets": [
                {"scope": "run", "limit_usd": 1_000_000},
                {"scope": "global", "limit_usd": 1_000_000, "window": "month", "alert_at": [0.5, 0.9]},
            ],
            "limits": [{"scope": "global", "requests": 1_000_000, "window": "minute"}],
            "loops": {"model_calls": 10_000_000, "tool_calls": 100, "identical_tool_calls": 5},
            "reliability": {"breaker": {"failures": 5}},
            "audit": {"path": str(Path(directory) / "audit.jsonl")},
        }
    )


def reply(request: httpx2.Request) -> httpx2.Response:
    """Answer at once, as the provider would."""
    del request
    return httpx2.Response(200, content=_BODY, headers={"content-type": "application/json"})


_BODY = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": REPLY, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 220, "completion_tokens": 96, "total_tokens": 316},
    }
).encode()


def client() -> OpenAI:
    """Return an OpenAI client whose provider answers from memory."""
    return OpenAI(api_key="sk-bench", http_client=httpx2.Client(transport=httpx2.MockTransport(reply)))


def model(**more: Any) -> ChatOpenAI:
    """Return a LangChain model whose provider answers from memory."""
    return ChatOpenAI(
        model="gpt-4o-mini",
        api_key="sk-bench",
        max_tokens=256,
        http_client=httpx2.Client(transport=httpx2.MockTransport(reply)),
        **more,
    )


def rows(rounds: int) -> Iterator[Row]:
    """Measure ``govern`` and the two LangChain seams."""
    with tempfile.TemporaryDirectory() as directory:
        engine = PolicyEngine(everything_on(directory))
        yield from _sdk_rows(engine, rounds)
        yield from _langchain_rows(engine, rounds)
        engine.close()


def _sdk_rows(engine: PolicyEngine, rounds: int) -> Iterator[Row]:
    yield from _sdk_pair("provider in memory", client(), govern(client(), engine), rounds)
    with answering(_BODY) as url:
        bare, governed = (OpenAI(api_key="sk-bench", base_url=url) for _ in range(2))
        yield from _sdk_pair("provider behind a loopback socket", bare, govern(governed, engine), rounds)


def _sdk_pair(where: str, bare: OpenAI, governed: OpenAI, rounds: int) -> Iterator[Row]:
    numbers = iter(range(10**9))

    def ask(asked: OpenAI, text: str) -> object:
        return asked.chat.completions.create(
            model="gpt-4o-mini", max_tokens=256, messages=[{"role": "user", "content": text}]
        )

    def ask_anew(asked: OpenAI) -> object:
        return ask(asked, f"{next(numbers)} {PROMPT}"[:1024])

    functions = {
        "bare": lambda: ask(bare, PROMPT),
        "governed": lambda: ask(governed, PROMPT),
        "bare, new prompt": lambda: ask_anew(bare),
        "governed, new prompt": lambda: ask_anew(governed),
    }
    taken = interleaved(functions, rounds=rounds)
    for prompt in ("", ", new prompt"):
        without, with_policy = taken[f"bare{prompt}"].p50, taken[f"governed{prompt}"].p50
        what = f"govern(OpenAI()), {where}, 1 KB prompt{prompt and ' never seen before'}"
        note = f"bare {without * 1e6:.0f} µs, governed {with_policy * 1e6:.0f} µs"
        yield Row(
            what=f"{what}: added, p50", value=(with_policy - without) * 1e3, unit="ms", must=0.1, note=note
        )
        yield Row(what=f"{what}: times the bare call", value=with_policy / without, unit="×", must=1.12)


def _langchain_rows(engine: PolicyEngine, rounds: int) -> Iterator[Row]:
    message = [HumanMessage(PROMPT)]
    bare, with_handler = model(), model(callbacks=[IronCallbackHandler(engine)])
    wrapped = IronChatModel.wrap(model(), engine)
    functions = {
        "bare": lambda: bare.invoke(message),
        "handler": lambda: with_handler.invoke(message),
        "chat model": lambda: wrapped.invoke(message),
    }
    taken = interleaved(functions, rounds=rounds)
    note = f"bare {taken['bare'].p50 * 1e6:.0f} µs"
    yield Row(
        what="IronCallbackHandler: times a bare invoke",
        value=taken["handler"].p50 / taken["bare"].p50,
        unit="×",
        must=1.15,
        note=note,
    )
    yield Row(
        what="IronChatModel: times a bare invoke",
        value=taken["chat model"].p50 / taken["bare"].p50,
        unit="×",
        must=1.25,
        note=note,
    )
