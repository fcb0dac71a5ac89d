"""A chat completion, said as a message.

Owns the blocks that an answer is made of, and why it ended; the stream has the same in pieces. Thinking comes first,
then text, then calls. A call's arguments are a JSON object there and a string here: one that cannot be read is an
error, unless the answer was cut off in the middle of it, where Anthropic too hands on what there is of the object.
Reference: https://docs.claude.com/en/api/messages
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from iron_adapters.wire.json_bodies import dump, keeps_every_string, load_reply, restore_long_integers
from iron_adapters.wire.translation.tables import STOP_REASONS, messages_usage
from iron_policy.exceptions import WireError

if TYPE_CHECKING:
    from iron_adapters.wire.translation.messages_request import Asked

THINKING_KEYS = ("reasoning_content", "reasoning")
"""Where servers that show what their models think put it; OpenAI's own chat completions do not."""
NO_SIGNATURE = ""
"""Only Anthropic signs thinking. A block without a signature is one that it would not take back."""
_NO_USAGE = {"input_tokens": 0, "output_tokens": 0}
_ID_CHARACTERS = 24
"""OpenAI takes ids of calls back with up to forty characters."""
_CUT_OFF = frozenset({"max_tokens", "refusal"})


def message_of(body: bytes, asked: Asked) -> bytes:
    """Return a whole reply as a message.

    Raises:
        WireError: it is none that can be read, or has what no message can say.
    """
    document, _ = load_reply(body)
    choice = _only_choice(document)
    answer = choice.get("message")
    if type(answer) is not dict:
        raise WireError("the reply has no message")
    refuse_unsayable(answer)
    calls = _calls(answer.get("tool_calls"))
    refusal = text_of(answer, "refusal")
    reason, stop = stop_of(choice, asked, refused=bool(refusal), calls=bool(calls))
    message = message_start(document)
    content = message["content"]
    if asked.shows_thinking and (thinking := thinking_of(answer)):
        content.append({"type": "thinking", "thinking": thinking, "signature": NO_SIGNATURE})
    content += [{"type": "text", "text": text} for text in (text_of(answer, "content"), refusal) if text]
    for number, call in enumerate(calls):
        content.append(_tool_use(call, number, message["id"], reason))
    usage = messages_usage(document.get("usage")) or _NO_USAGE
    return dump({**message, "stop_reason": reason, "stop_sequence": stop, "usage": usage})


def message_start(document: dict[str, Any]) -> dict[str, Any]:
    """Return a message that says nothing yet, for a reply or for the first chunk of one."""
    name, model = document.get("id"), document.get("model")
    return {
        "id": name if type(name) is str and name else "msg_iron",
        "type": "message",
        "role": "assistant",
        "model": model if type(model) is str else "",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": dict(_NO_USAGE),
    }


def refuse_unsayable(answer: dict[str, Any]) -> None:
    """Raise for what an answer may have and no message can say.

    Raises:
        WireError: it has such.
    """
    for key in ("audio", "function_call"):
        if answer.get(key):
            raise WireError(f"the reply has {key!r}, which no message of Anthropic's can say")


def text_of(answer: dict[str, Any], key: str) -> str:
    """Return a text of an answer, or of a piece of one; ``""`` where it has none.

    Raises:
        WireError: it is no string.
    """
    text = answer.get(key)
    if text is None or type(text) is str:
        return text or ""
    raise WireError(f"the reply has {key!r} that is no string")


def thinking_of(answer: dict[str, Any]) -> str:
    """Return what an answer, or a piece of one, shows of the model's thinking."""
    return next((text for key in THINKING_KEYS if type(text := answer.get(key)) is str and text), "")


def stop_of(choice: dict[str, Any], asked: Asked, *, refused: bool, calls: bool) -> tuple[str, str | None]:
    """Return ``stop_reason`` and ``stop_sequence``.

    OpenAI does not tell a stop sequence from the end of an answer; vLLM names it in ``stop_reason``. And it says
    ``stop`` behind a call that it was told to make.

    Raises:
        WireError: the choice does not say why it ended, or in no word that can be said.
    """
    reason = choice.get("finish_reason")
    said = STOP_REASONS.get(reason) if type(reason) is str else None
    if said is None:
        raise WireError("the reply has no finish_reason that Anthropic's messages can say")
    if refused:
        return "refusal", None
    if said == "end_turn" and calls:
        return "tool_use", None
    matched = choice.get("stop_reason")
    if said == "end_turn" and type(matched) is str and matched in asked.stop_sequences:
        return "stop_sequence", matched
    return said, None


def input_of(arguments: str, stop_reason: str) -> dict[str, Any]:
    """Return the arguments of a call as the object that they are.

    Raises:
        WireError: they are none.
    """
    raw = arguments.encode(errors="surrogatepass")
    try:
        given = orjson.loads(raw) if raw.strip() else {}
    except orjson.JSONDecodeError:
        given = _beginning_of(raw) if stop_reason in _CUT_OFF else None
    if type(given) is not dict:
        raise WireError("the reply has a tool call whose arguments are no JSON object")
    keeps_every_string(
        raw, given, "a tool call's arguments"
    )  # raises where no message can be nested that deeply
    restore_long_integers(given, raw)
    return given


def call_id(call: dict[str, Any], number: int, message_id: str) -> str:
    """Return a call's id; one made of the message's where the server gives none."""
    name = call.get("id")
    return name if type(name) is str and name else f"toolu_{message_id[-_ID_CHARACTERS:]}_{number}"


def _beginning_of(arguments: bytes) -> Any:
    from pydantic_core import from_json  # only here: few answers are cut off in a call

    try:
        return from_json(arguments, allow_partial=True, allow_inf_nan=False)
    except ValueError:
        return None


def _only_choice(document: dict[str, Any]) -> dict[str, Any]:
    choices = document.get("choices")
    if type(choices) is not list or len(choices) != 1 or type(choices[0]) is not dict:
        raise WireError("the reply must have one choice: a message of Anthropic's says one answer")
    choice: dict[str, Any] = choices[0]
    return choice


def _calls(calls: Any) -> list[dict[str, Any]]:
    if calls is None:
        return []
    if type(calls) is not list or not all(type(call) is dict for call in calls):
        raise WireError("the reply has tool_calls that are no list of objects")
    return calls


def _tool_use(call: dict[str, Any], number: int, message_id: str, stop_reason: str) -> dict[str, Any]:
    function = call.get("function")
    name = function.get("name") if type(function) is dict else None
    if type(function) is not dict or type(name) is not str:
        raise WireError("the reply has a tool call that names no function")
    given = input_of(text_of(function, "arguments"), stop_reason)
    return {"type": "tool_use", "id": call_id(call, number, message_id), "name": name, "input": given}
