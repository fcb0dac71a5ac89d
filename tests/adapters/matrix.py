"""The cells of the matrix: where a text can stand in each endpoint's request and reply, and how to ask for it.

One entry a place: a function from a text to a request body that holds it there. Everything else is generated.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from iron_policy.redact import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

VALUE = "alice.smith@example.com"
KEY = b"matrix-key-that-all-cells-share!"
TEXT = f"Please write to {VALUE} today."
ACTIONS = ("flag", "tokenize", "redact", "mask", "hash", "block")


class Cell(NamedTuple):
    """One proof: this place of this endpoint, so called, under this action."""

    endpoint: str
    place: str
    streamed: bool
    asynchronous: bool
    action: str

    def __str__(self) -> str:
        style = ("async " if self.asynchronous else "") + ("stream" if self.streamed else "whole")
        return f"{self.endpoint} | {self.place} | {style} | {self.action}"


def rewritten(text: str, action: str) -> str:
    """Return what becomes of *text* under *action*."""
    vault = Vault(KEY)
    token = vault.token_for("EMAIL", VALUE)
    stands_for = {"flag": VALUE, "tokenize": token, "redact": "[REDACTED_EMAIL]"}
    if action in stands_for:
        return text.replace(VALUE, stands_for[action])
    from iron_policy.detect import scan
    from iron_policy.redact import rewrite

    return rewrite(text, scan(text), {"EMAIL": action}, vault)


def _user(content: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}]


def _tool(name: str = "note", description: str = "Take a note.", **schema: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {"text": {"type": "string", **schema}}}
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": parameters},
    }


def _chat(**more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "messages": _user("Hello"), **more}


def _called(arguments: Any, result: Any = "done") -> list[dict[str, Any]]:
    function = {"name": "note", "arguments": json.dumps(arguments)}
    return [
        *_user("Hello"),
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": result},
    ]


def _responses(**more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "input": "Hello", **more}


def _responses_called(arguments: Any, result: Any = "done") -> list[dict[str, Any]]:
    return [
        *_user("Hello"),
        {"type": "function_call", "call_id": "call_1", "name": "note", "arguments": json.dumps(arguments)},
        {"type": "function_call_output", "call_id": "call_1", "output": result},
    ]


def _messages(**more: Any) -> dict[str, Any]:
    return {"model": "claude-sonnet-4-5", "max_tokens": 500, "messages": _user("Hello"), **more}


def _used(arguments: Any, result: Any = "done") -> list[dict[str, Any]]:
    return [
        *_user("Hello"),
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "toolu_1", "name": "note", "input": arguments}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": result}]},
    ]


def _claude_tool(description: str = "Take a note.", **schema: Any) -> dict[str, Any]:
    properties = {"text": {"type": "string", **schema}}
    return {
        "name": "note",
        "description": description,
        "input_schema": {"type": "object", "properties": properties},
    }


def _schema(text: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"a": {"type": "string", "description": text}},
        "required": ["a"],
        "additionalProperties": False,
    }


def _text_part(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text}]


REQUEST_PLACES: dict[str, dict[str, Callable[[str], dict[str, Any]]]] = {
    "chat.completions": {
        "system message": lambda t: _chat(messages=[{"role": "system", "content": t}, *_user("Hello")]),
        "developer message": lambda t: _chat(messages=[{"role": "developer", "content": t}, *_user("Hello")]),
        "user message": lambda t: _chat(messages=_user(t)),
        "user message, text part": lambda t: _chat(messages=_user(_text_part(t))),
        "earlier user message": lambda t: _chat(
            messages=[*_user(t), {"role": "assistant", "content": "Hi"}, *_user("Go on")]
        ),
        "participant's name": lambda t: _chat(messages=[{"role": "user", "content": "Hello", "name": t}]),
        "assistant message": lambda t: _chat(
            messages=[*_user("Hi"), {"role": "assistant", "content": t}, *_user("Go on")]
        ),
        "assistant message, refusal": lambda t: _chat(
            messages=[*_user("Hi"), {"role": "assistant", "content": None, "refusal": t}, *_user("Go on")]
        ),
        "tool call, argument": lambda t: _chat(messages=_called({"text": t})),
        "tool call, nested argument": lambda t: _chat(messages=_called({"a": [{"b": [t, 1]}]})),
        "tool call, argument's name": lambda t: _chat(messages=_called({t: 1})),
        "tool result": lambda t: _chat(messages=_called({}, t)),
        "tool result, text part": lambda t: _chat(messages=_called({}, _text_part(t))),
        "tool description": lambda t: _chat(tools=[_tool(description=t)]),
        "tool parameter's description": lambda t: _chat(tools=[_tool(description="d", title=t)]),
        "response schema": lambda t: _chat(
            response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": _schema(t)}}
        ),
        "metadata": lambda t: _chat(metadata={"note": t}),
        "user": lambda t: _chat(user=t),
        "predicted output": lambda t: _chat(prediction={"type": "content", "content": t}),
    },
    "responses": {
        "instructions": lambda t: _responses(instructions=t),
        "input": lambda t: _responses(input=t),
        "input message": lambda t: _responses(input=_user(t)),
        "input message, text part": lambda t: _responses(input=_user([{"type": "input_text", "text": t}])),
        "function call, argument": lambda t: _responses(input=_responses_called({"text": t})),
        "function call, nested argument": lambda t: _responses(input=_responses_called({"a": [{"b": t}]})),
        "function result": lambda t: _responses(input=_responses_called({}, t)),
        "function result, text part": lambda t: _responses(
            input=_responses_called({}, [{"type": "input_text", "text": t}])
        ),
        "tool description": lambda t: _responses(
            tools=[
                {
                    "name": "note",
                    "type": "function",
                    "description": t,
                    "parameters": _schema("a"),
                    "strict": True,
                }
            ]
        ),
        "response schema": lambda t: _responses(
            text={"format": {"type": "json_schema", "name": "s", "schema": _schema(t), "strict": True}}
        ),
        "metadata": lambda t: _responses(metadata={"note": t}),
        "user": lambda t: _responses(user=t),
    },
    "completions": {
        "prompt": lambda t: {"model": "gpt-3.5-turbo-instruct", "max_tokens": 200, "prompt": t},
        "prompts": lambda t: {"model": "gpt-3.5-turbo-instruct", "max_tokens": 200, "prompt": ["Hello", t]},
        "suffix": lambda t: {
            "model": "gpt-3.5-turbo-instruct",
            "max_tokens": 200,
            "prompt": "Hello",
            "suffix": t,
        },
    },
    "embeddings": {
        "input": lambda t: {"model": "text-embedding-3-small", "input": t, "encoding_format": "float"},
        "inputs": lambda t: {
            "model": "text-embedding-3-small",
            "input": ["Hello", t],
            "encoding_format": "float",
        },
    },
    "messages": {
        "system": lambda t: _messages(system=t),
        "system block": lambda t: _messages(system=_text_part(t)),
        "user message": lambda t: _messages(messages=_user(t)),
        "user message, text block": lambda t: _messages(messages=_user(_text_part(t))),
        "earlier user message": lambda t: _messages(
            messages=[*_user(t), {"role": "assistant", "content": "Hi"}, *_user("Go on")]
        ),
        "assistant message": lambda t: _messages(
            messages=[*_user("Hi"), {"role": "assistant", "content": t}, *_user("Go on")]
        ),
        "tool use, input": lambda t: _messages(messages=_used({"text": t})),
        "tool use, nested input": lambda t: _messages(messages=_used({"a": [{"b": [t]}]})),
        "tool use, input's name": lambda t: _messages(messages=_used({t: 1})),
        "tool result": lambda t: _messages(messages=_used({}, t)),
        "tool result, text block": lambda t: _messages(messages=_used({}, _text_part(t))),
        "document, text source": lambda t: _messages(
            messages=_user(
                [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": t}}]
            )
        ),
        "document, title": lambda t: _messages(
            messages=_user(
                [
                    {
                        "type": "document",
                        "title": t,
                        "source": {"type": "text", "media_type": "text/plain", "data": "d"},
                    }
                ]
            )
        ),
        "search result": lambda t: _messages(
            messages=_user([{"type": "search_result", "source": "s", "title": "t", "content": _text_part(t)}])
        ),
        "tool description": lambda t: _messages(tools=[_claude_tool(t)]),
        "tool parameter's description": lambda t: _messages(tools=[_claude_tool(title=t)]),
        "metadata, user": lambda t: _messages(metadata={"user_id": t}),
    },
}

REPLY_PLACES = {
    "chat.completions": ("text", "tool call, argument"),
    "responses": ("text", "tool call, argument"),
    "completions": ("text",),
    "messages": ("text", "reasoning", "tool call, argument"),
}

NEVER_STREAMED = ("embeddings",)


def request_cells() -> list[Cell]:
    """Return every cell of the requests."""
    return list(_cells({endpoint: tuple(places) for endpoint, places in REQUEST_PLACES.items()}))


def reply_cells() -> list[Cell]:
    """Return every cell of the replies."""
    return list(_cells(REPLY_PLACES))


def _cells(places: dict[str, tuple[str, ...]]) -> Iterable[Cell]:
    for endpoint, names in places.items():
        for name in names:
            for streamed in (False,) if endpoint in NEVER_STREAMED else (False, True):
                for asynchronous in (False, True):
                    for action in ACTIONS:
                        yield Cell(endpoint, name, streamed, asynchronous, action)


def table() -> str:
    """Return the matrix as Markdown: a row a place, a column an action, a cell the styles that are proved."""
    lines = []
    for title, cells in (("Requests", request_cells()), ("Replies", reply_cells())):
        lines += [
            f"## {title}",
            "",
            f"| endpoint | place | {' | '.join(ACTIONS)} |",
            "|---|---|" + "---|" * len(ACTIONS),
        ]
        rows = dict.fromkeys((cell.endpoint, cell.place) for cell in cells)
        for endpoint, place in rows:
            proved = {
                a: [c for c in cells if (c.endpoint, c.place, c.action) == (endpoint, place, a)]
                for a in ACTIONS
            }
            lines.append(
                f"| {endpoint} | {place} | "
                + " | ".join(str(len(proved[action])) for action in ACTIONS)
                + " |"
            )
        lines.append("")
    return "\n".join(lines)
