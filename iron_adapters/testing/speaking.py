"""What the double says when nobody scripted it: an echo, a tool call or an instance of a schema.

Owns the choice, in this order: tools that the text tells it to call, tools that must be called, tools that the
text is about, results of tools, structured answers, the echo. Pure; knows no dialect.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import orjson

from iron_adapters.testing.replies import Reply, ToolUse
from iron_adapters.testing.schema_instances import instance_of, quoted_words

if TYPE_CHECKING:
    from iron_adapters.testing.asked import Asked, Tool

_TOLD = re.compile(r"call tool ([\w.-]+)[ \t]*(?=(\{)?)")
_TELLING_LETTERS = 4
"""A word of a tool's name counts as what the tool is about from this many letters on."""


def speak(asked: Asked) -> Reply:
    """Return the default answer to *asked*.

    ``call tool NAME {json}`` in the last user message calls that tool, once per occurrence and in parallel, wherever
    tools are offered. A required tool is called with an instance of its schema. Left to itself, the double calls the
    tool that the message names, or else the one whose name shares a word with it (``get_weather``: "the weather in
    Rome"). Then come structured answers, and last ``You said: …`` or, after results of tools, ``The tools said: …``.
    """
    reasoning = "Considering what was said." if asked.wants_reasoning else ""
    calls = _calls(asked)
    if calls:
        return Reply(tool_calls=calls if asked.parallel_tools else calls[:1], reasoning=reasoning)
    return Reply(_text(asked), reasoning=reasoning)


def _text(asked: Asked) -> str:
    source = " ".join((asked.user_text, *asked.tool_results))
    if asked.schema is not None:
        return orjson.dumps(instance_of(asked.schema, source)).decode()
    if asked.json_object:
        keys = quoted_words(asked.user_text) or ["reply"]
        return orjson.dumps({key: f"some {key}" for key in keys}).decode()
    if asked.tool_results:
        return f"The tools said: {'; '.join(asked.tool_results)}"
    return f"You said: {asked.user_text}"


def _calls(asked: Asked) -> tuple[ToolUse, ...]:
    if not asked.tools or asked.tool_mode == "none":
        return ()
    if asked.tool_name is not None:
        return tuple(_use(tool, asked) for tool in asked.tools if tool.name == asked.tool_name)
    told = () if asked.tool_results else _told(asked)
    if told:
        return told
    if asked.tool_mode == "required":
        return (_use(_most_fitting(asked), asked),)
    meant = () if asked.tool_results else _meant(asked)
    return tuple(_use(tool, asked) for tool in meant)


def _told(asked: Asked) -> tuple[ToolUse, ...]:
    schemas = {tool.name: tool for tool in asked.tools}
    uses = []
    for found in _TOLD.finditer(asked.user_text):
        arguments = _object_at(asked.user_text, found.end()) if found[2] else None
        tool = schemas.get(found[1])
        if arguments is None and tool is not None:
            uses.append(_use(tool, asked))
        else:
            uses.append(ToolUse(found[1], arguments or "{}"))
    return tuple(uses)


def _object_at(text: str, start: int) -> str | None:
    """Return the JSON object that begins at *start*, as it is written, or ``None`` where it is broken."""
    try:
        _, end = json.JSONDecoder().raw_decode(text, start)
    except ValueError:
        return None
    return text[start:end]


def _meant(asked: Asked) -> tuple[Tool, ...]:
    named = tuple(
        tool for tool in asked.tools if re.search(rf"(?<!\w){re.escape(tool.name)}(?!\w)", asked.user_text)
    )
    words = set(re.findall(r"\w+", asked.user_text.lower()))
    return named or next(((tool,) for tool in asked.tools if _telling_words(tool.name) & words), ())


def _telling_words(name: str) -> set[str]:
    words = re.findall(r"[a-z]+|[A-Z]+(?![a-z])|[A-Z][a-z]+", name)
    return {word.lower() for word in words if len(word) >= _TELLING_LETTERS}


def _most_fitting(asked: Asked) -> Tool:
    """Return the tool to call where one must be: one that is meant, else one not called yet, else the first."""
    meant = [tool for tool in _meant(asked) if tool.name not in asked.called_tools]
    fresh = [tool for tool in asked.tools if tool.name not in asked.called_tools]
    return (*meant, *fresh, *asked.tools)[0]


def _use(tool: Tool, asked: Asked) -> ToolUse:
    source = " ".join((asked.user_text, *asked.tool_results))
    return ToolUse(tool.name, instance_of(tool.schema, source) or {})
