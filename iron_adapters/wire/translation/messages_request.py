"""A request for a message, said as one for a chat completion.

Owns the parameters: what they are called, which values ask for nothing and may be left out, and which cannot be said.
The conversation is in ``messages_content``, tools in ``messages_tools``, thinking in ``messages_effort``.
Reference: https://docs.claude.com/en/api/messages, https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from iron_adapters.wire.translation.messages_content import chat_messages
from iron_adapters.wire.translation.messages_effort import chat_effort
from iron_adapters.wire.translation.messages_fields import Fields
from iron_adapters.wire.translation.messages_tools import chat_tools

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPENAIS_OWN = re.compile(r"(?:ft:)?(?:gpt-(?!oss)|chatgpt-|o\d|codex-|computer-use-)")
_MOST_STOPS = 4
_LONGEST_USER = 64
"""OpenAI refuses a longer ``user``; Claude Code's ``user_id`` has more than a hundred characters."""

_SHARED = ("temperature", "top_p")
_OPENAIS = (
    "frequency_penalty",
    "logit_bias",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning_effort",
    "seed",
    "verbosity",
)
"""Parameters of OpenAI's alone that a caller may add: none of them changes what a reply is made of."""

_UNSAYABLE: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "betas": (([],), "leave it out"),
    "container": ((), "leave it out"),
    "diagnostics": ((), "leave it out"),
    "fallbacks": (([],), "choose other models in the policy"),
    "inference_geo": ((), "leave it out"),
    "mcp_servers": (([],), "call the tools yourself, and declare them in tools"),
    "speed": (("standard",), "leave it out"),
    "top_k": ((), "leave it out, or use top_p"),
    "user_profile_id": ((), "use metadata.user_id"),
    "workspace_id": ((), "leave it out"),
}
"""Parameters of Anthropic's alone: the values of each that ask for nothing, and what to do about any other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a reply's translation must know of the request.

    Attributes:
        stop_sequences: the texts at which the model was to stop.
        shows_thinking: whether the caller wants to see what the model thinks.
    """

    stop_sequences: tuple[str, ...] = ()
    shows_thinking: bool = True


def chat_request(document: dict[str, Any]) -> tuple[dict[str, Any], Asked]:
    """Return the body of a chat that asks what *document* asks, and what its replies depend on.

    Raises:
        Untranslatable: a field of it cannot be said.
    """
    request = Fields(document, "")
    model = request.need("model", str)
    chat: dict[str, Any] = {"model": model, "messages": chat_messages(request)}
    chat |= _limit(request, model)
    stops = _stops(request)
    if stops:
        chat["stop"] = list(stops)
    for key in _SHARED:
        if (value := request.number(key)) is not None:
            chat[key] = value
    chat |= chat_tools(request)
    effort, shows_thinking = chat_effort(request, model)
    chat |= effort
    chat |= _service(request, model)
    chat |= {key: value for key in _OPENAIS if (value := request.take(key)) is not None}
    chat |= _stream(request)
    for key, (neutral, remedy) in _UNSAYABLE.items():
        request.only(key, neutral, remedy)
    request.leave_out("cache_control")
    request.done()
    return chat, Asked(stop_sequences=stops, shows_thinking=shows_thinking)


def _limit(request: Fields, model: str) -> dict[str, Any]:
    """Return the limit under the name that the model's server knows: OpenAI's newer models refuse ``max_tokens``."""
    limit = request.need("max_tokens", int)
    if limit < 1:
        request.refuse("max_tokens", "there is no warming of a cache without an answer; ask for at least 1")
    return {"max_completion_tokens" if _OPENAIS_OWN.match(model) else "max_tokens": limit}


def _stops(request: Fields) -> tuple[str, ...]:
    stops = request.maybe("stop_sequences", list) or []
    if not all(type(stop) is str for stop in stops):
        request.wrong("stop_sequences", "must be a list of strings")
    if len(stops) > _MOST_STOPS:
        request.refuse("stop_sequences", f"give at most {_MOST_STOPS}")
    return tuple(stops)


def _service(request: Fields, model: str) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if (metadata := request.fields("metadata")) is not None:
        user = metadata.maybe("user_id", str)
        metadata.done()
        if user:
            said["safety_identifier" if _OPENAIS_OWN.match(model) else "user"] = _short(user)
    if request.choice("service_tier", frozenset({"auto", "standard_only"})) == "standard_only":
        said["service_tier"] = "default"
    if (management := request.fields("context_management")) is not None:
        _without_edits(management)
    return said


def _short(user: str) -> str:
    """Return a name that is the same for the same user, and no longer than OpenAI takes."""
    if len(user) <= _LONGEST_USER:
        return user
    return sha256(user.encode(errors="surrogatepass")).hexdigest()


def _without_edits(management: Fields) -> None:
    """Leave out edits that only clear thinking: thinking of earlier turns is not sent anyway."""
    edits = management.maybe("edits", list) or []
    if not all(_clears_thinking(edit) for edit in edits):
        management.refuse(
            "edits", "only clearing of thinking can be left out; shorten the conversation yourself"
        )
    management.done()


def _clears_thinking(edit: Any) -> bool:
    return type(edit) is dict and type(kind := edit.get("type")) is str and kind.startswith("clear_thinking_")


def _stream(request: Fields) -> dict[str, Any]:
    """Ask for the usage of a stream, which Anthropic's streams always tell."""
    if not request.maybe("stream", bool):
        return {}
    return {"stream": True, "stream_options": {"include_usage": True}}
