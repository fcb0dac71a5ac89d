"""``POST /v1/chat/completions``: reading requests, whole replies and streams.

Owns the wire shapes of chat completions. Decides nothing about what is said.
"""

from __future__ import annotations

from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any

from iron_adapters.testing.asked import Asked, Tool
from iron_adapters.testing.dialects import OPENAI
from iron_adapters.testing.events import DONE, Event, data_event
from iron_adapters.testing.openai_reading import (
    check_stream_options,
    function_tool,
    positive,
    required,
    stop_sequences,
    text_of,
    tool_choice,
)
from iron_adapters.testing.problems import Problem
from iron_adapters.testing.tokens import count_input_tokens, count_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from iron_adapters.testing.answer import Answer
    from iron_adapters.testing.choices import Choice
    from iron_adapters.testing.dialects import Dialect
    from iron_policy.messages import Usage

_PROMPT = ("messages", "tools", "response_format")
_FINISH = {"stop": "stop", "stop_sequence": "stop", "length": "length", "tools": "tool_calls"}


class ChatCompletions:
    """The endpoint."""

    path = "/v1/chat/completions"
    dialect: Dialect = OPENAI

    def read(self, body: Mapping[str, Any], body_bytes: int) -> Asked:
        """Return what *body* asks for."""
        messages = required(body, "messages")
        check_stream_options(body)
        _check_tool_messages(messages)
        tools = tuple(_tool(tool) for tool in body.get("tools") or () if tool.get("type") == "function")
        mode, name = tool_choice(body.get("tool_choice"), tools)
        form = body.get("response_format") or {}
        return Asked(
            endpoint="chat",
            model=required(body, "model"),
            user_text=_last_user_text(messages),
            tool_results=_closing_results(messages),
            called_tools=frozenset(
                call["function"]["name"] for call in _calls(messages) if "function" in call
            ),
            tools=tools,
            tool_mode=mode,
            tool_name=name,
            parallel_tools=body.get("parallel_tool_calls") is not False,
            schema=form["json_schema"].get("schema", {}) if form.get("type") == "json_schema" else None,
            json_object=form.get("type") == "json_object",
            max_tokens=positive(body, "max_completion_tokens", "max_tokens"),
            stop_sequences=stop_sequences(body),
            choice_count=positive(body, "n") or 1,
            stream=bool(body.get("stream")),
            include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
            input_tokens=count_input_tokens({key: body[key] for key in _PROMPT if body.get(key)}, body_bytes),
            body=body,
        )

    def whole(self, answer: Answer) -> dict[str, Any]:
        """Return a ``chat.completion``."""
        choices = [
            {
                "index": index,
                "message": _message(answer, index, choice),
                "logprobs": None,
                "finish_reason": _finish(answer, choice),
            }
            for index, choice in enumerate(answer.choices)
        ]
        usage = {"usage": usage_json(answer.usage)} if answer.reports_usage else {}
        return {**_head(answer, "chat.completion"), "choices": choices, **usage, **_TAIL}

    def events(self, answer: Answer) -> Iterator[Event]:
        """Yield the chunks, the choices taking turns, then the usage where it was asked for, then the end."""
        with_usage = answer.asked.include_usage and answer.reports_usage
        turns = zip_longest(*(_deltas(answer, index, choice) for index, choice in enumerate(answer.choices)))
        steps = (step for step in chain.from_iterable(turns) if step is not None)
        for position, (choice_json, tokens, reasoning) in enumerate(steps):
            chunk = {**_head(answer, "chat.completion.chunk"), **_TAIL, "choices": [choice_json]}
            usage: dict[str, Any] = {"usage": None} if with_usage else {}
            yield data_event(chunk | usage | _obfuscation(answer, position), tokens, reasoning)
        if with_usage:
            chunk = {**_head(answer, "chat.completion.chunk"), **_TAIL, "choices": []}
            yield data_event(chunk | {"usage": usage_json(answer.usage)} | _obfuscation(answer, -1))
        yield DONE

    def error_events(self, status: int, message: str, _position: int) -> Iterator[Event]:
        """Yield a chunk with an ``error`` and no choices, then the usual end, without usage."""
        yield data_event({"error": OPENAI.error(Problem(status, message))})
        yield DONE


def usage_json(usage: Usage) -> dict[str, Any]:
    """Return *usage* in the words of chat completions, where cached tokens are part of the prompt's."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_input_tokens,
            "cache_write_tokens": usage.cache_creation_input_tokens,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_output_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


_TAIL = {"service_tier": "default", "system_fingerprint": "fp_0123456789"}


def _head(answer: Answer, kind: str) -> dict[str, Any]:
    stamp = answer.stamp
    return {
        "id": f"chatcmpl-{stamp.name('chat', 29)}",
        "object": kind,
        "created": stamp.time,
        "model": answer.model,
    }


def _obfuscation(answer: Answer, position: int) -> dict[str, str]:
    """Return the padding that hides how long each token is, unless the client does without it."""
    options = answer.asked.body.get("stream_options") or {}
    if options.get("include_obfuscation") is False:
        return {}
    return {"obfuscation": answer.stamp.name(f"pad{position}", answer.stamp.padding(position, 14))}


def _finish(answer: Answer, choice: Choice) -> str:
    """Return the finish reason; a call of the one tool that the client named ends in ``stop``."""
    named = choice.finish == "tools" and answer.asked.tool_name is not None
    return "stop" if named else _FINISH[choice.finish]


def _call_id(answer: Answer, choice_index: int, index: int) -> str:
    return f"call_{answer.stamp.name(f'call{choice_index}.{index}', 24)}"


def _message(answer: Answer, index: int, choice: Choice) -> dict[str, Any]:
    calls = [
        {
            "id": _call_id(answer, index, number),
            "type": "function",
            "function": {"name": call.name, "arguments": call.json_text},
        }
        for number, call in enumerate(choice.tool_calls)
    ]
    content = choice.whole_text if choice.text or not calls else None
    with_calls = {"tool_calls": calls} if calls else {}
    return {"role": "assistant", "content": content, **with_calls, "refusal": None, "annotations": []}


def _deltas(answer: Answer, index: int, choice: Choice) -> Iterator[tuple[dict[str, Any], int, int]]:
    """Yield each chunk's choice, with the tokens it carries and the reasoning tokens among them."""

    def step(delta: dict[str, Any], tokens: int = 0, reasoning: int = 0) -> tuple[dict[str, Any], int, int]:
        return {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}, tokens, reasoning

    hidden = len(choice.reasoning)
    content = "" if choice.text or not choice.tool_calls else None
    yield step({"role": "assistant", "content": content, "refusal": None}, hidden, hidden)
    for token in choice.text:
        yield step({"content": token}, 1)
    for number, call in enumerate(choice.tool_calls):
        function = {"name": call.name, "arguments": ""}
        first = {
            "index": number,
            "id": _call_id(answer, index, number),
            "type": "function",
            "function": function,
        }
        yield step({"tool_calls": [first]}, count_tokens(call.name))
        for token in call.arguments:
            yield step({"tool_calls": [{"index": number, "function": {"arguments": token}}]}, 1)
    last, _, _ = step({}, 0)
    empty = not (choice.reasoning or choice.text or choice.tool_calls)
    yield last | {"finish_reason": _finish(answer, choice)}, int(empty), 0


def _tool(tool: Mapping[str, Any]) -> Tool:
    return function_tool(tool.get("function") or {})


def _calls(messages: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for message in messages:
        yield from message.get("tool_calls") or ()


def _last_user_text(messages: list[dict[str, Any]]) -> str:
    texts = [text_of(message.get("content")) for message in messages if message.get("role") == "user"]
    return texts[-1] if texts else ""


def _closing_results(messages: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return the tool results that *messages* end with, in their order."""
    results = []
    for message in reversed(messages):
        if message.get("role") != "tool":
            break
        results.append(text_of(message.get("content")))
    return tuple(reversed(results))


def _check_tool_messages(messages: list[dict[str, Any]]) -> None:
    """Raise the API's 400 where results of tools and calls of tools do not match."""
    open_ids: set[str] = set()
    for place, message in enumerate(messages):
        if message.get("role") == "tool":
            if message.get("tool_call_id") not in open_ids:
                reason = (
                    "messages with role 'tool' must be a response to a preceding message with 'tool_calls'."
                )
                raise Problem(400, f"Invalid parameter: {reason}", param=f"messages.[{place}].role")
            open_ids.discard(message["tool_call_id"])
        elif open_ids:
            break
        else:
            open_ids = {call.get("id", "") for call in message.get("tool_calls") or ()}
    if open_ids:
        reason = "An assistant message with 'tool_calls' must be followed by tool messages responding to each"
        missing = ", ".join(sorted(open_ids))
        raise Problem(
            400, f"{reason} 'tool_call_id'. These did not have response messages: {missing}", param="messages"
        )
