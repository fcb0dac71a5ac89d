"""Tools that were sent before are not walked again, and are judged and rewritten as if they were."""

from __future__ import annotations

import json
from typing import Any

import pytest

from iron_adapters.wire import codec_for
from iron_adapters.wire.tool_schemas import _known

PATHS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}
SCHEMA = {
    "type": "object",
    "description": "What to ask for.",
    "properties": {
        "query": {"type": "string", "description": "Such as a name."},
        "Jane Doe": {"enum": ["one", "two words", 12_345_678_901]},
        "picture": {"type": "string", "default": "data:text/plain;base64,aGVsbG8gd29ybGQ="},
    },
    "required": ["query", "Jane Doe"],
}


def _tool(dialect: str, **more: Any) -> dict[str, Any]:
    named = {"name": "look up", "description": "Looks a person up."}
    if dialect == "messages":
        return {**named, "input_schema": SCHEMA, **more}
    if dialect == "responses":
        return {"type": "function", **named, "parameters": SCHEMA, **more}
    return {"type": "function", "function": {**named, "parameters": SCHEMA}, **more}


def _read(dialect: str, tools: object, said: str = "Who is it?") -> Any:
    """Read a request in which texts stand before, in and behind the tools."""
    messages = [{"role": "user", "content": said}]
    body = {"model": "m", "user": "caller's own", "tools": tools, "max_tokens": 9}
    body["input" if dialect == "responses" else "messages"] = messages
    return codec_for("POST", PATHS[dialect]).read_request(json.dumps(body).encode(), {})


@pytest.fixture(autouse=True)
def nothing_known() -> None:
    _known.clear()


@pytest.mark.parametrize("dialect", PATHS)
def test_tools_sent_again_are_listed_alike(dialect):
    """Also beside other texts: what is judged does not hang on what was sent before."""
    first, again = (_read(dialect, [_tool(dialect)]) for _ in range(2))
    beside = _read(dialect, [_tool(dialect)], "Something else.")

    assert len(_known) == 1
    assert again.request == first.request
    assert [text for text in beside.request.texts if text.role == "schema"] == [
        text for text in first.request.texts if text.role == "schema"
    ]


@pytest.mark.parametrize("dialect", PATHS)
def test_tools_sent_again_are_rewritten_alike(dialect):
    """Every text goes where it came from: descriptions, choices, names of properties, and what follows the tools."""
    first, again = (_read(dialect, [_tool(dialect)]) for _ in range(2))
    for wire in (first, again):
        wire.rewrite([f"{text.text}!" for text in wire.request.texts])

    assert again.body() == first.body()
    assert b"Looks a person up.!" in again.body()
    assert b'"Jane Doe!"' in again.body()
    assert b"Who is it?!" in again.body()


@pytest.mark.parametrize("dialect", PATHS)
def test_a_change_beside_known_tools_leaves_them_as_they_are(dialect):
    """Nothing is put in where nothing has changed."""
    wire = _read(dialect, [_tool(dialect)])
    wire = _read(dialect, [_tool(dialect)])
    wire.rewrite([text.text.replace("Who", "[NAME]") for text in wire.request.texts])

    sent = json.loads(wire.body())
    assert sent["tools"] == [_tool(dialect)]
    assert b"[NAME] is it?" in wire.body()


def test_tools_that_differ_in_one_number_are_not_the_same():
    """What is remembered belongs to the very same JSON."""
    _read("chat", [{"type": "function", "function": {"name": "f", "parameters": {"default": 12_345_678}}}])
    other = _read(
        "chat", [{"type": "function", "function": {"name": "f", "parameters": {"default": 87_654_321}}}]
    )

    assert [text.text for text in other.request.texts if text.role == "schema"] == ["87654321"]


def test_long_integers_in_known_tools_stay_exact():
    """A number of more than 64 bits is altered by no rewriting, the first time or later."""
    tools = [
        {"type": "function", "function": {"name": "f", "parameters": {"const": 2**80, "title": "Some title"}}}
    ]
    for _ in range(2):
        wire = _read("chat", tools)
        wire.rewrite([text.text.replace("Some", "Any") for text in wire.request.texts])

        sent = json.loads(wire.body())["tools"][0]["function"]["parameters"]
        assert sent == {"const": 2**80, "title": "Any title"}


def test_lists_with_credentials_or_media_are_not_remembered():
    """Neither stays in memory, and every picture counts in each request."""
    mcp = {"type": "mcp", "server_url": "https://tools.example", "headers": {"Authorization": "Bearer abc"}}
    image = {"type": "function", "function": {"name": "f"}, "sample": {"type": "image", "source": {}}}

    _read("responses", [mcp])
    bounds = {_read("chat", [image]).request.input_tokens_bound for _ in range(2)}

    assert not _known
    assert len(bounds) == 1


def test_the_memory_is_bounded():
    """Tools come from callers, who may send new ones for ever, or one list that is huge."""
    _read("chat", [{"type": "function", "function": {"name": "f", "description": "long " * 20_000}}])
    assert not _known
    for number in range(200):
        _read("chat", [{"type": "function", "function": {"name": "f", "description": f"The {number}th."}}])

    assert len(_known) <= 64
