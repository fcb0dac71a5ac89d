"""What callers ask, and what is right as an answer: one function a kind of call, each with prompts of its own.

The double echoes, so that a right answer is known before the call is made; an address that its caller wrote must be in
it again, though the provider never saw it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from soaking.connection import Got
from soaking.said import Said, said

from iron_adapters.testing.anthropic_request import count_prompt
from iron_adapters.testing.lookups import Embeddings
from iron_adapters.testing.tokens import split_tokens

Check = Callable[["Ask", Got], "str | None"]
"""Says what is wrong with an answer, ``None`` where nothing is."""

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
_WORDS = (
    *(
        "the",
        "report",
        "is",
        "due",
        "on",
        "Friday",
        "and",
        "team",
        "asked",
        "for",
        "one",
        "more",
        "look",
        "at",
    ),
    *(
        "figures",
        "before",
        "it",
        "goes",
        "out",
        "which",
        "open",
        "points",
        "should",
        "be",
        "settled",
        "first",
    ),
    *("by", "whom", "keep", "short", "plans", "harbour", "bridge", "copper", "lantern", "meadow", "violet"),
)
_STAND_IN = re.compile(r"<EMAIL_\w+>")
_OPENAI_CHAT = ("gpt-4o-mini", "gpt-4o", "gpt-4.1-mini")
_CLAUDES = ("claude-sonnet-4-5", "claude-haiku-4-5")


@dataclass(slots=True, kw_only=True)
class Ask:
    """One call, before it is made."""

    kind: str
    path: str
    body: dict[str, Any]
    number: int
    check: Check
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    """What is sent instead of the body, where that is no JSON."""
    stream: bool = False
    leaves: bool | None = None
    """Whether the caller hangs up; ``None`` where that is left to chance."""


class Caller:
    """Makes calls up; the same seed makes the same calls."""

    def __init__(self, seed: int) -> None:
        self.choose = random.Random(seed)

    def prose(self, words: int) -> str:
        """Return a text that was never there before."""
        return " ".join(self.choose.choices(_WORDS, k=words))

    def note(self, number: int) -> str:
        """Return a short prompt with the address of caller *number* in it."""
        return f"Please write to {address(number)} that {self.prose(self.choose.randint(4, 25))}"

    def stream(self) -> bool:
        """Return whether to stream."""
        return self.choose.random() < 0.5


def address(number: int) -> str:
    """Return the e-mail address of caller *number*."""
    return f"caller{number:08d}@soak-mail.com"


def chat(caller: Caller, number: int) -> Ask:
    """OpenAI's chat, of an OpenAI model."""
    return _chat("chat", caller, number, caller.choose.choice(_OPENAI_CHAT))


def chat_translated(caller: Caller, number: int) -> Ask:
    """OpenAI's chat, of an Anthropic model."""
    return _chat("chat, translated", caller, number, caller.choose.choice(_CLAUDES))


def messages(caller: Caller, number: int) -> Ask:
    """Anthropic's messages, of an Anthropic model."""
    return _messages("messages", caller, number, caller.choose.choice(_CLAUDES))


def messages_translated(caller: Caller, number: int) -> Ask:
    """Anthropic's messages, of an OpenAI model."""
    return _messages("messages, translated", caller, number, caller.choose.choice(_OPENAI_CHAT))


def responses(caller: Caller, number: int) -> Ask:
    """OpenAI's responses."""
    note, stream = caller.note(number), caller.stream()
    body = {"model": "gpt-5-mini", "input": note, "max_output_tokens": 400, "stream": stream}
    body |= {"store": caller.choose.random() < 0.3}
    return _ask("responses", RESPONSES, body, number, says(f"You said: {note}"), stream=stream)


def completions(caller: Caller, number: int) -> Ask:
    """The endpoint of before chat."""
    note, stream = caller.note(number), caller.stream()
    body = {"model": "gpt-3.5-turbo-instruct", "prompt": note, "max_tokens": 200, "stream": stream}
    return _ask("completions", "/v1/completions", body, number, says(f"You said: {note}"), stream=stream)


def embeddings(caller: Caller, number: int) -> Ask:
    """Vectors, which depend on their text alone."""
    texts = [caller.prose(12) for _ in range(caller.choose.randint(1, 4))]
    body = {"model": "text-embedding-3-small", "input": texts, "dimensions": 16}
    expected = Embeddings().find(body, 1 << 20, "text-embedding-3-small", None).body["data"]  # type: ignore[arg-type]

    def check(_ask: Ask, got: Got) -> str | None:
        if got.status != 200:
            return f"status {got.status}"
        return None if orjson.loads(got.body)["data"] == expected else "other vectors than the provider's"

    return _ask("embeddings", "/v1/embeddings", body, number, check)


def count_tokens(caller: Caller, number: int) -> Ask:
    """Anthropic's counting of tokens, which is billed by nobody."""
    asked = {"role": "user", "content": caller.prose(30)}
    body = {"model": "claude-sonnet-4-5", "messages": [asked]}
    expected = count_prompt(body, 1 << 20)

    def check(_ask: Ask, got: Got) -> str | None:
        if got.status != 200:
            return f"status {got.status}"
        return None if orjson.loads(got.body) == {"input_tokens": expected} else "another count"

    return _ask("count_tokens", f"{MESSAGES}/count_tokens", body, number, check)


def tool(caller: Caller, number: int) -> Ask:
    """A call of a tool that may see real values, and of one that may not; in OpenAI's chat or Anthropic's messages."""
    reveals, claude = caller.choose.random() < 0.5, caller.choose.random() < 0.5
    name, stream = "send_email" if reveals else "log_note", caller.stream()
    arguments = {"to": address(number), "text": caller.prose(5)}
    user = {"role": "user", "content": f"call tool {name} {orjson.dumps(arguments).decode()}"}
    schema = {"type": "object", "properties": {key: {"type": "string"} for key in arguments}}
    check = calls_tool(name, arguments, reveals=reveals)
    if claude:
        body = {"model": "claude-sonnet-4-5", "max_tokens": 300, "messages": [user], "stream": stream}
        body["tools"] = [{"name": each, "input_schema": schema} for each in ("send_email", "log_note")]
        return _ask("tools", MESSAGES, body, number, check, stream=stream)
    functions = [{"name": each, "parameters": schema} for each in ("send_email", "log_note")]
    body = {"model": caller.choose.choice(("gpt-4o-mini", "claude-haiku-4-5")), "messages": [user]}
    body |= {"tools": [{"type": "function", "function": each} for each in functions]}
    body |= {"max_tokens": 300, "stream": stream}
    return _ask("tools", CHAT, body, number, check, stream=stream)


def tool_result(caller: Caller, number: int) -> Ask:
    """A conversation that ends with what a tool has returned."""
    result, stream = f"{caller.prose(6)} {address(number)}", caller.stream()
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "look_up", "arguments": '{"who": "Alice"}'},
    }
    conversation = [
        {"role": "user", "content": caller.prose(5)},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": result},
    ]
    model = caller.choose.choice(("gpt-4o-mini", "claude-haiku-4-5"))
    body = {"model": model, "messages": conversation, "max_tokens": 200, "stream": stream}
    return _ask("tool results", CHAT, body, number, says(f"The tools said: {result}"), stream=stream)


def long_prompt(caller: Caller, number: int) -> Ask:
    """A conversation of 100 kB, with addresses in it, and a short question at its end."""
    note, stream = caller.note(number), caller.stream()
    history = [
        {"role": role, "content": f"{caller.prose(4500)} {address(number)}"}
        for role in ("user", "assistant", "user", "assistant")
    ]
    conversation = [*history, {"role": "user", "content": note}]
    body = {"model": "gpt-4o-mini", "messages": conversation, "max_tokens": 400, "stream": stream}
    return _ask("long prompts", CHAT, body, number, says(f"You said: {note}"), stream=stream)


def long_reply(caller: Caller, number: int) -> Ask:
    """A reply of 100 kB in one piece, which goes back compressed; one in two is cut at ``max_tokens``."""
    note = f"{caller.prose(18_000)} {address(number)}"
    body: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": note}]}
    expected, whole = f"You said: {note}", caller.stream()
    if not whole:
        body["max_tokens"] = 900
        expected = "".join(split_tokens(expected)[:900])
    found = _ask("long replies", CHAT, body, number, says(expected))
    found.headers["accept-encoding"] = "gzip"
    return found


def late(caller: Caller, number: int) -> Ask:
    """A provider that stalls or starts late, and then is right."""
    if caller.stream():
        return _chat("late replies", caller, number, "gpt-4.1")
    return _messages("late replies", caller, number, "claude-opus-4-1")


def refused(caller: Caller, number: int) -> Ask:
    """What a caller does wrong: it must hear of it, in so many words."""
    user = {"role": "user", "content": caller.note(number)}
    body = {"model": "gpt-4o-mini", "messages": [user]}
    kind = caller.choose.choice(("a denied model", "no JSON", "no such path", "no such field"))
    asked = _ask(f"caller's faults: {kind}", CHAT, body, number, fails_with(403, "not allowed"), leaves=False)
    if kind == "a denied model":
        body["model"] = "o1"
    elif kind == "no JSON":
        asked.raw, asked.check = b'{"model": "gpt-4o-mini", "messages": [', fails_with(400, "")
    elif kind == "no such path":
        asked.path, asked.check = "/v1/nothing", fails_with(404, "does not serve")
    else:
        del body["messages"]
        asked.check = fails_with(400, "messages")
    return asked


KINDS: dict[Callable[[Caller, int], Ask], int] = {
    chat: 22,
    chat_translated: 10,
    messages: 14,
    messages_translated: 8,
    responses: 12,
    completions: 4,
    embeddings: 6,
    count_tokens: 3,
    tool: 8,
    tool_result: 4,
    long_prompt: 3,
    long_reply: 1,
    late: 1,
    refused: 4,
}
"""The mix, by weight."""


def says(expected: str) -> Check:
    """The reply is whole, and its text is *expected*."""

    def check(ask: Ask, got: Got) -> str | None:
        if got.status != 200:
            return f"status {got.status}: {_message(got.body)}"
        found = said(ask.path, got.body, stream=ask.stream)
        if found.error is not None:
            return f"an error within the stream: {found.error[:200]}"
        if not found.ended:
            return "the reply has no end"
        return None if found.text == expected else _difference(found.text, expected)

    return check


def calls_tool(name: str, arguments: dict[str, str], *, reveals: bool) -> Check:
    """The reply calls *name*; its address is real where the policy *reveals* it, and a stand-in where it does not."""

    def check(ask: Ask, got: Got) -> str | None:
        if got.status != 200:
            return f"status {got.status}: {_message(got.body)}"
        found = said(ask.path, got.body, stream=ask.stream)
        if found.error is not None or not found.ended or len(found.tools) != 1:
            return f"{len(found.tools)} tool calls, ended: {found.ended}"
        called, given = found.tools[0][0], orjson.loads(found.tools[0][1])
        to = given.pop("to", "")
        right = to == arguments["to"] if reveals else _STAND_IN.fullmatch(to) is not None
        return None if (called, given) == (name, {"text": arguments["text"]}) and right else "another call"

    return check


def fails_with(status: int, words: str) -> Check:
    """The reply is an error of *status* that says *words*."""

    def check(_ask: Ask, got: Got) -> str | None:
        if got.status != status:
            return f"status {got.status} for {status}: {_message(got.body)}"
        return None if words in _message(got.body) else f"another message: {_message(got.body)}"

    return check


def foreign(ask: Ask, got: Got, text: str) -> bool:
    """Whether *text*, or the reply as it came, holds another caller's address."""
    own = f"{ask.number:08d}"
    found = re.findall(r"caller(\d{8})@", text) + re.findall(rb"caller(\d{8})@", got.body)
    return any((each if isinstance(each, str) else each.decode()) != own for each in found)


def partial(ask: Ask, got: Got) -> Said:
    """Return what came of a streamed reply that its caller has left."""
    return said(ask.path, got.body, stream=True) if ask.stream and got.status == 200 else Said()


def _chat(kind: str, caller: Caller, number: int, model: str) -> Ask:
    note, stream = caller.note(number), caller.stream()
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": note}]}
    body |= {"max_tokens": 400, "stream": stream}
    if stream and caller.stream():
        body["stream_options"] = {"include_usage": True}
    return _ask(kind, CHAT, body, number, says(f"You said: {note}"), stream=stream)


def _messages(kind: str, caller: Caller, number: int, model: str) -> Ask:
    note, stream = caller.note(number), caller.stream()
    body = {"model": model, "max_tokens": 400, "messages": [{"role": "user", "content": note}]}
    return _ask(kind, MESSAGES, {**body, "stream": stream}, number, says(f"You said: {note}"), stream=stream)


def _ask(
    kind: str,
    path: str,
    body: dict[str, Any],
    number: int,
    check: Check,
    *,
    stream: bool = False,
    leaves: bool | None = None,
) -> Ask:
    return Ask(kind=kind, path=path, body=body, number=number, check=check, stream=stream, leaves=leaves)


def _message(body: bytes) -> str:
    try:
        return str(orjson.loads(body)["error"]["message"])[:200]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return f"{len(body)} bytes that are no error"


def _difference(found: str, expected: str) -> str:
    place = next(
        (n for n, pair in enumerate(zip(found, expected, strict=False)) if pair[0] != pair[1]),
        min(len(found), len(expected)),
    )
    return f"another text from character {place} of {len(expected)} on: {found[max(0, place - 20) : place + 40]!r}"
