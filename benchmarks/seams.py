"""What governance adds to a call: the bare SDK or model, and the same one governed, side by side.

The provider is a transport that answers at once from memory, so that what is compared is work done in this process.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
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
    def ask(asked: OpenAI) -> Any:
        return asked.chat.completions.create(
            model="gpt-4o-mini", max_tokens=256, messages=[{"role": "user", "content": PROMPT}]
        )

    bare, governed = client(), govern(client(), engine)
    taken = interleaved({"bare": lambda: ask(bare), "governed": lambda: ask(governed)}, rounds=rounds)
    with engine.run():
        fresh = iter(range(10**9))

        def ask_anew(asked: OpenAI) -> Any:
            text = f"{next(fresh)} {PROMPT}"[:1024]
            return asked.chat.completions.create(
                model="gpt-4o-mini", max_tokens=256, messages=[{"role": "user", "content": text}]
            )

        new = interleaved(
            {"bare": lambda: ask_anew(bare), "governed": lambda: ask_anew(governed)}, rounds=rounds
        )
    note = f"bare {taken['bare'].p50 * 1e6:.0f} µs, governed {taken['governed'].p50 * 1e6:.0f} µs"
    added, added_new = ((t["governed"].p50 - t["bare"].p50) * 1e3 for t in (taken, new))
    yield Row(what="govern(OpenAI()): added, p50, 1 KB prompt", value=added, unit="ms", must=0.1, note=note)
    yield Row(
        what="govern(OpenAI()): added, p50, 1 KB prompt never seen before",
        value=added_new,
        unit="ms",
        must=0.1,
    )
    yield Row(
        what="govern(OpenAI()): times the bare call",
        value=taken["governed"].p50 / taken["bare"].p50,
        unit="×",
        must=1.12,
    )


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
