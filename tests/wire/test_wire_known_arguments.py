"""Arguments of earlier tool calls are not parsed again, and are judged and rewritten as if they were."""

from __future__ import annotations

import json
from typing import Any

import pytest

from iron_adapters.wire import codec_for
from iron_adapters.wire.json_texts import _known

ARGUMENTS = [
    '{"to":"Jane Doe","Some One":["a","b c"],"card":4111111111111111}',
    '{"twice":"first","twice":"second"}',
    "no JSON at all",
    "[]",
]


def _read(*arguments: str, before: int = 0) -> Any:
    """Read a conversation with a call for each of *arguments*, after so many messages."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Go on."} for _ in range(before)]
    for number, said in enumerate(arguments):
        call = {"id": f"call_{number}", "type": "function", "function": {"name": "send", "arguments": said}}
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": f"call_{number}", "content": "Done."})
    body = json.dumps({"model": "m", "messages": messages}).encode()
    return codec_for("POST", "/v1/chat/completions").read_request(body, {})


@pytest.fixture(autouse=True)
def nothing_known() -> None:
    _known.clear()


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_arguments_sent_again_are_listed_and_rewritten_alike(arguments):
    """What is judged and sent does not hang on what was sent before."""
    first, again = _read(arguments), _read(arguments)
    assert again.request == first.request

    for wire in (first, again):
        wire.rewrite([f"{text.text}!" for text in wire.request.texts])
    assert again.body() == first.body()


def test_only_the_arguments_that_change_are_written_anew():
    """The others stay the very text that the model had sent."""
    spaced = '{ "to" : "Bob" }'
    for _ in range(2):
        wire = _read(spaced, ARGUMENTS[0])
        wire.rewrite([text.text.replace("Jane Doe", "<NAME>") for text in wire.request.texts])

        calls = [m["tool_calls"][0] for m in json.loads(wire.body())["messages"] if "tool_calls" in m]
        assert calls[0]["function"]["arguments"] == spaced
        assert json.loads(calls[1]["function"]["arguments"])["to"] == "<NAME>"


def test_the_same_arguments_elsewhere_tell_their_own_place():
    """Places are recorded, so they must be right."""
    _read(ARGUMENTS[0])
    later = _read(ARGUMENTS[0], before=3)

    assert {text.place for text in later.request.texts if text.tool_name and text.role == "assistant"} == {
        "messages[3].tool_calls[0].function.arguments"
    }


def test_the_memory_is_bounded():
    """Arguments come from models and callers, who may send new ones for ever, or huge ones."""
    _read(json.dumps({"text": "long " * 1_000}))
    assert not _known
    for number in range(1_100):
        _read(f'{{"number":"the {number}th"}}')

    assert len(_known) <= 1_024
