"""Recorded chat completions, said to Anthropic and back: what matters is what it was.

The two directions of translation stand back to back, so that each recorded request goes out as a chat completion
again, and each recorded reply, whole or streamed, comes back as one. Where a field is refused, the test does what the
refusal says, and leaves it out.
"""

from __future__ import annotations

import json
from collections import Counter

import pytest
from claude_replies import joined
from recorded import FOLDER, index, recording, recordings

from iron_adapters.wire.translation import chat_to_messages, messages_to_chat
from iron_policy.exceptions import Untranslatable, WireError

REFUSED_FIELDS = {
    "store": 17,
    "service_tier": 11,
    "n": 4,
    "seed": 3,
    "audio": 3,
    "modalities": 3,
    "logprobs": 2,
    "web_search_options": 2,
    "top_logprobs": 1,
    "prompt_cache_key": 1,
    "prompt_cache_options.ttl": 1,
    "metadata.test_scenario": 1,
}
"""How many of the 70 recordings ask for what Claude has no equal of, and are translated without."""
REFUSED_PARTS = {
    "messages[0].content[1].type": 2,  # sound
    "messages[0].content[1].file.file_data": 2,  # sound and film as files
    "messages[9].role": 1,  # an instruction after the assistant's last words
}
"""How many say what cannot be left out."""


CLAUDE = "claude-opus-4-8"
"""What is asked in place of OpenAI's models, since what can be said depends on the model."""


def is_chat(name):
    return name.startswith("openai-chat_completions")


def without_what_is_refused(one):
    """Return the request less each field that a refusal names, those fields, and the way there."""
    document, left_out = {**json.loads(one.request_body), "model": CLAUDE}, []
    while True:
        try:
            return document, left_out, chat_to_messages(json.dumps(document).encode())
        except Untranslatable as refused:
            left_out.append(refused.param)
            field = refused.param.partition(".")[0]
            if field not in document:
                return document, left_out, None
            del document[field]


def kept(one):
    return is_chat(one.name) and without_what_is_refused(one)[2] is not None


def conversation(document):
    """Return who says what, instructions first, with calls and media; files' names apart, which may stand in text."""
    found = []
    for message in document["messages"]:
        role = {"developer": "system"}.get(message["role"], message["role"])
        found += [(role, said) for said in texts(message.get("content")) if said.strip()]
        found += [("call", *called(call)) for call in message.get("tool_calls") or ()]
    return sorted(found, key=lambda said: said[0] != "system")


def texts(content):
    if content is None or isinstance(content, str):
        return [content or ""]
    return [part.get("text") or json.dumps(medium(part), sort_keys=True) for part in content]


def medium(part):
    given = part[part["type"]]
    return {key: value for key, value in given.items() if key != "filename"}


def file_names(document):
    parts = [
        part
        for message in document["messages"]
        if isinstance(message.get("content"), list)
        for part in message["content"]
    ]
    return {part["file"]["filename"] for part in parts if part["type"] == "file"}


def stops(document):
    given = document.get("stop")
    return [given] if isinstance(given, str) else given


def called(call):
    return call["id"], call["function"]["name"], json.loads(call["function"]["arguments"] or "{}")


def tools(document):
    listed = document.get("tools") or [{"function": function} for function in document.get("functions", ())]
    return [{key: value for key, value in tool["function"].items() if value} for tool in listed]


@pytest.mark.parametrize("one", recordings(kept))
def test_a_recorded_request_comes_back_as_it_went(one):
    document, _, there = without_what_is_refused(one)
    again = json.loads(messages_to_chat(there.body).body)

    assert [said for said in conversation(again) if said[1] not in file_names(document)] == conversation(
        document
    )
    assert stops(again) == stops(document)
    assert all(tool in tools(again) for tool in tools(document))
    assert [again.get(key) for key in ("model", "temperature", "top_p")] == [
        document.get(key) for key in ("model", "temperature", "top_p")
    ]
    assert bool(again.get("stream")) == bool(document.get("stream"))


@pytest.mark.parametrize("one", recordings(lambda one: kept(one) and one.status == 200))
def test_a_recorded_reply_comes_back_as_it_was(one):
    document, left_out, there = without_what_is_refused(one)
    back = messages_to_chat(there.body)
    if "functions" in document or {"n", "audio"} & set(left_out):
        with pytest.raises(WireError):  # the reply that was recorded is to what has been left out
            back.stream().feed(one.sse) if one.sse else back.reply(one.reply_body)
        return
    if one.sse:
        inner, outer = back.stream(), there.stream()
        expected = joined(one.sse)
        found = joined(outer.feed(inner.feed(one.sse) + inner.finish()) + outer.finish())
    else:
        expected, found = json.loads(one.reply_body), json.loads(there.reply(back.reply(one.reply_body)))

    assert essence(found) == essence(expected)


def essence(completion):
    """Return what a caller acts on. What OpenAI tells as a refusal is text to Anthropic, and a call is why it ended."""
    choice = completion["choices"][0]
    said, usage = choice["message"], completion.get("usage") or {}
    refused = said.get("refusal") is not None
    calls = [called(call) for call in said.get("tool_calls") or ()]
    return {
        "said": said.get("content") or said.get("refusal"),
        "calls": calls,
        "finish": "content_filter" if refused else "tool_calls" if calls else choice["finish_reason"],
        "prompt": usage.get("prompt_tokens"),
        "completion": usage.get("completion_tokens"),
        "cached": (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0,
        "reasoning": (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0,
    }


@pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no recordings at {FOLDER}")
def test_what_is_refused_of_the_recordings_is_known():
    chats = [recording(row["file"]) for row in index() if is_chat(row["file"])]
    left_out = {one.name: without_what_is_refused(one)[1] for one in chats}

    refused = Counter(field for fields in left_out.values() for field in fields)
    assert len(chats) == 70
    assert sum(not fields for fields in left_out.values()) == 41
    assert refused == REFUSED_FIELDS | REFUSED_PARTS
