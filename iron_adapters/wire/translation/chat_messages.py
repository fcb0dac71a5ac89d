"""A chat's messages as Anthropic's: one system prompt, and turns of the user and of the assistant that alternate.

Owns roles and order. System and developer messages, wherever they stand, become blocks of the one system prompt, in
their order, as Anthropic's own endpoint for OpenAI's SDK has it
(https://docs.claude.com/en/api/openai-sdk, "System / Developer message hoisting"). A last message of the assistant is
one to go on with, as Anthropic has it.
"""

from __future__ import annotations

from typing import Any

import orjson

from iron_adapters.wire.json_bodies import keeps_every_string, restore_long_integers
from iron_adapters.wire.translation.chat_fields import check_keys, expect, quoted, refuse, refuse_shape
from iron_adapters.wire.translation.chat_parts import block_of, blocks_of, marked, text_block

_MARKS = ("cache_control",)
_INSTRUCTIONS = ("system", "developer")
_ASSISTANT_KEYS = (
    "role",
    "content",
    "refusal",
    "tool_calls",
    "function_call",
    "thinking_blocks",
    # The thinking blocks say the same, with the signature without which nobody may say it back.
    "reasoning_content",
    # These stand beside a reply's text, and no model reads them again.
    "annotations",
    "citations",
    *_MARKS,
)


class Conversation:
    """The messages read so far.

    Attributes:
        system: the blocks of the system prompt.
        messages: the turns.
        tool_names: the tools called in them, in the order of their first call.
    """

    def __init__(self, messages: Any) -> None:
        self.system: list[dict[str, Any]] = []
        self.messages: list[dict[str, Any]] = []
        self.tool_names: dict[str, None] = {}
        self._functions: list[tuple[str, str]] = []
        for index, message in enumerate(expect(messages, list, "messages", "a list")):
            self._read(expect(message, dict, f"messages[{index}]", "an object"), f"messages[{index}]")
        if not self.messages:
            raise refuse("messages", "nobody but the system says anything; add a message of the user")
        if self.messages[-1]["role"] == "assistant" and messages[-1].get("role") in _INSTRUCTIONS:
            where = f"messages[{len(messages) - 1}].role"
            raise refuse(
                where, "Claude would go on with the assistant's words; end with a message of the user"
            )

    @property
    def has_lost_thinking(self) -> bool:
        """Whether tools' results end it, and the calls came back without the thinking before them."""
        if len(self.messages) < 2 or self.messages[-1]["role"] != "user":  # noqa: PLR2004 - calls and their results
            return False
        is_result = any(block["type"] == "tool_result" for block in self.messages[-1]["content"])
        return is_result and "thinking" not in self.messages[-2]["content"][0]["type"]

    def _read(self, message: dict[str, Any], place: str) -> None:
        role = message.get("role")
        if role in _INSTRUCTIONS:
            check_keys(message, ("role", "content", *_MARKS), place)
            self.system += self._texts_only(_with_mark(message, place), place)
        elif role == "user":
            check_keys(message, ("role", "content", *_MARKS), place)
            self._say("user", _with_mark(message, place))
        elif role == "assistant":
            self._say("assistant", self._read_assistant(message, place))
        elif role == "tool":
            self._say("user", [self._read_result(message, place)])
        elif role == "function":
            self._say("user", [self._read_function_result(message, place)])
        else:
            raise refuse_shape(f"{place}.role", "a role that chat completions have")

    def _say(self, role: str, blocks: list[dict[str, Any]]) -> None:
        """Add *blocks* to the turn of *role*; what several messages in a row say is one turn."""
        if not blocks:
            return
        if self.messages and self.messages[-1]["role"] == role:
            self.messages[-1]["content"] += blocks
        else:
            self.messages.append({"role": role, "content": blocks})

    @staticmethod
    def _texts_only(blocks: list[dict[str, Any]], place: str) -> list[dict[str, Any]]:
        if any(block["type"] != "text" for block in blocks):
            raise refuse(f"{place}.content", "the system prompt takes text only; move the rest to the user")
        return blocks

    # -- the assistant's -----------------------------------------------------------------------------------

    def _read_assistant(self, message: dict[str, Any], place: str) -> list[dict[str, Any]]:
        check_keys(message, _ASSISTANT_KEYS, place)
        blocks = _thinking_of(message, place) + blocks_of(message.get("content"), f"{place}.content")
        if message.get("refusal"):
            blocks.append(text_block(expect(message["refusal"], str, f"{place}.refusal", "a string")))
        calls = message.get("tool_calls")
        if calls is not None:
            expect(calls, list, f"{place}.tool_calls", "a list")
            blocks += [self._call(call, f"{place}.tool_calls[{number}]") for number, call in enumerate(calls)]
        if message.get("function_call") is not None:
            blocks.append(self._function_call(message["function_call"], f"{place}.function_call"))
        return _mark_last(blocks, message, place)

    def _call(self, call: Any, place: str) -> dict[str, Any]:
        expect(call, dict, place, "a tool call")
        if call.get("type", "function") != "function":
            raise refuse(f"{place}.type", f"Claude has no {quoted(call.get('type'))} tools; use functions")
        check_keys(call, ("id", "type", "function", "index", *_MARKS), place)
        call_id = expect(call.get("id"), str, f"{place}.id", "a string")
        return marked(self._use(call.get("function"), call_id, f"{place}.function"), call, place)

    def _function_call(self, call: Any, place: str) -> dict[str, Any]:
        """Return a call without an id with one of ours, which its result is given too."""
        call_id = f"call_function_{len(self._functions)}"
        block = self._use(call, call_id, place)
        self._functions.append((block["name"], call_id))
        return block

    def _use(self, function: Any, call_id: str, place: str) -> dict[str, Any]:
        check_keys(expect(function, dict, place, "an object"), ("name", "arguments"), place)
        name = expect(function.get("name"), str, f"{place}.name", "a string")
        self.tool_names[name] = None
        arguments = _arguments(function.get("arguments"), f"{place}.arguments")
        return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}

    # -- the tools' ----------------------------------------------------------------------------------------

    @staticmethod
    def _read_result(message: dict[str, Any], place: str) -> dict[str, Any]:
        check_keys(message, ("role", "content", "tool_call_id", "name", *_MARKS), place)
        call_id = expect(message.get("tool_call_id"), str, f"{place}.tool_call_id", "a string")
        return _result(call_id, message, place)

    def _read_function_result(self, message: dict[str, Any], place: str) -> dict[str, Any]:
        check_keys(message, ("role", "content", "name"), place)
        name = message.get("name")
        for number in range(len(self._functions) - 1, -1, -1):
            if self._functions[number][0] == name:
                return _result(self._functions[number][1], message, place)
        raise refuse_shape(f"{place}.name", "the name of a function that was called before")


def _with_mark(message: dict[str, Any], place: str) -> list[dict[str, Any]]:
    return _mark_last(blocks_of(message.get("content"), f"{place}.content"), message, place)


def _mark_last(blocks: list[dict[str, Any]], message: dict[str, Any], place: str) -> list[dict[str, Any]]:
    """Put a message's own mark for the cache on its last block: a mark says "up to here"."""
    if blocks and message.get("cache_control") is not None:
        blocks[-1] = marked(blocks[-1], message, place)
    return blocks


def _thinking_of(message: dict[str, Any], place: str) -> list[dict[str, Any]]:
    given = message.get("thinking_blocks")
    if given is None:
        return []
    where = f"{place}.thinking_blocks"
    expect(given, list, where, "a list")
    return [block_of(block, f"{where}[{index}]") for index, block in enumerate(given)]


def _result(call_id: str, message: dict[str, Any], place: str) -> dict[str, Any]:
    content = message.get("content")
    said = content if type(content) is str else blocks_of(content, f"{place}.content")
    return marked({"type": "tool_result", "tool_use_id": call_id, "content": said}, message, place)


def _arguments(text: Any, place: str) -> dict[str, Any]:
    """Return the arguments of a call as the object that Anthropic keeps them as."""
    if text in ("", None):
        return {}
    raw = expect(text, str, place, "a string of JSON").encode(errors="surrogatepass")
    try:
        arguments = orjson.loads(raw)
    except orjson.JSONDecodeError:
        arguments = None
    if type(arguments) is not dict or not keeps_every_string(raw, arguments, "a tool call's arguments"):
        raise refuse(
            place, "Claude takes arguments as one JSON object only; repair them, or leave the call out"
        )
    restore_long_integers(arguments, raw)
    return arguments
