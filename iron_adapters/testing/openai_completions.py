"""``POST /v1/completions``, the endpoint of before chat: reading requests, whole replies and streams.

Owns the wire shapes of text completions. Decides nothing about what is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.testing.asked import Asked
from iron_adapters.testing.dialects import OPENAI
from iron_adapters.testing.events import DONE, Event, data_event
from iron_adapters.testing.openai_reading import check_stream_options, positive, required, stop_sequences
from iron_adapters.testing.problems import Problem
from iron_adapters.testing.tokens import count_input_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from iron_adapters.testing.answer import Answer
    from iron_adapters.testing.dialects import Dialect
    from iron_policy.messages import Usage

_DEFAULT_MAX_TOKENS = 16


class Completions:
    """The endpoint. Several prompts are answered as one: the last of them."""

    path = "/v1/completions"
    dialect: Dialect = OPENAI

    def read(self, body: Mapping[str, Any], body_bytes: int) -> Asked:
        """Return what *body* asks for; without ``max_tokens`` that is 16 tokens, as in the API."""
        check_stream_options(body)
        prompt = required(body, "prompt")
        last = prompt[-1] if isinstance(prompt, list) else prompt
        return Asked(
            endpoint="completions",
            model=required(body, "model"),
            user_text=last if isinstance(last, str) else "",
            max_tokens=positive(body, "max_tokens") or _DEFAULT_MAX_TOKENS,
            stop_sequences=stop_sequences(body),
            choice_count=positive(body, "n") or 1,
            stream=bool(body.get("stream")),
            include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
            input_tokens=count_input_tokens({"prompt": prompt}, body_bytes),
            body=body,
        )

    def whole(self, answer: Answer) -> dict[str, Any]:
        """Return a ``text_completion``."""
        choices = [
            _choice(index, choice.whole_text, _finish(choice.finish))
            for index, choice in enumerate(answer.choices)
        ]
        usage = {"usage": _usage_json(answer.usage)} if answer.reports_usage else {}
        return {**_head(answer), "choices": choices, **usage}

    def events(self, answer: Answer) -> Iterator[Event]:
        """Yield one chunk per token and choice, an empty one with the finish reason, and the end."""
        with_usage = answer.asked.include_usage and answer.reports_usage
        none_yet: dict[str, Any] = {"usage": None} if with_usage else {}
        for index, choice in enumerate(answer.choices):
            for token in choice.text:
                yield data_event({**_head(answer), "choices": [_choice(index, token, None)], **none_yet}, 1)
            spent = choice.tokens - len(choice.text)
            last = _choice(index, "", _finish(choice.finish))
            yield data_event({**_head(answer), "choices": [last], **none_yet}, spent, len(choice.reasoning))
        if with_usage:
            yield data_event({**_head(answer), "choices": [], "usage": _usage_json(answer.usage)})
        yield DONE

    def error_events(self, status: int, message: str, _position: int) -> Iterator[Event]:
        """Yield a chunk with an ``error``, then the usual end."""
        yield data_event({"error": OPENAI.error(Problem(status, message))})
        yield DONE


def _head(answer: Answer) -> dict[str, Any]:
    return {
        "id": f"cmpl-{answer.stamp.name('completion', 29)}",
        "object": "text_completion",
        "created": answer.stamp.time,
        "model": answer.model,
    }


def _choice(index: int, text: str, finish: str | None) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": finish}


def _finish(finish: str) -> str:
    return "length" if finish == "length" else "stop"


def _usage_json(usage: Usage) -> dict[str, int]:
    total = usage.input_tokens + usage.output_tokens
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": total,
    }
