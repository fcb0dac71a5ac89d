"""A chat completion's request as Anthropic's request for a message.

Owns what is put together, and what must be remembered of it for the reply. The parts stand in modules of their own.
Reference: https://platform.openai.com/docs/api-reference/chat and https://docs.claude.com/en/api/messages
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from iron_adapters.wire.bodies import model_of
from iron_adapters.wire.json_bodies import dump, load_request, restore_long_integers
from iron_adapters.wire.translation import chat_settings, chat_tools
from iron_adapters.wire.translation.chat_fields import PASSED, check_neutral, refuse, refuse_shape
from iron_adapters.wire.translation.chat_format import format_of, with_answer_tool
from iron_adapters.wire.translation.chat_messages import Conversation
from iron_adapters.wire.translation.chat_models import claude_of

_FIELDS = frozenset({"model", "messages", "response_format", *chat_settings.FIELDS, *chat_tools.FIELDS})
_FORCED = frozenset({"any", "tool"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A translated request.

    Attributes:
        body: what Anthropic is sent.
        answer_tool: the tool of ours whose input is the answer's text; ``None`` where there is none.
        functions: whether calls are told in the deprecated way, as ``function_call``.
        usage: whether a stream ends in its usage.
    """

    body: bytes
    answer_tool: str | None
    functions: bool
    usage: bool


def read_request(body: bytes) -> Asked:
    """Translate the body of a chat completion.

    Raises:
        WireError: it cannot be read.
        Untranslatable: it asks for something that Claude's dialect cannot say.
    """
    document = load_request(body)
    restore_long_integers(document, body)
    check_neutral(document, _FIELDS)
    claude = claude_of(model_of(document))
    conversation = Conversation(document.get("messages"))
    tools, choice = _tools(document, conversation)
    form = format_of(document, claude, tools, choice)
    if form.tool is not None:
        tools, choice = with_answer_tool(form.tool, tools, choice)
    said = {
        "model": document["model"],
        **_limit_and_thinking(document, conversation, choice),
        **({"system": conversation.system} if conversation.system else {}),
        "messages": conversation.messages,
        **({"tools": tools} if tools else {}),
        **({"tool_choice": choice} if tools and choice is not None else {}),
        **_rest(document),
    }
    if form.output is not None:
        said["output_config"] = {**said.get("output_config", {}), "format": form.output}
    return Asked(
        body=dump(said),
        answer_tool=form.tool["name"] if form.tool is not None else None,
        functions=bool(document.get("functions")),
        usage=chat_settings.wants_usage(document),
    )


def _tools(
    document: dict[str, Any], conversation: Conversation
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    claude = claude_of(document["model"])
    tools = chat_tools.tools_of(document, claude)
    choice = chat_tools.choice_of(document)
    if choice is not None and choice["type"] in _FORCED:
        if not tools:
            raise refuse_shape("tool_choice", "left out where there are no tools")
        if not claude.forced:
            raise refuse("tool_choice", "this model cannot be made to call a tool; choose 'auto'")
    if not tools and conversation.tool_names:
        return chat_tools.called_before(conversation.tool_names), {"type": "none"}
    return tools, choice


def _limit_and_thinking(
    document: dict[str, Any], conversation: Conversation, choice: dict[str, Any] | None
) -> dict[str, Any]:
    forced = choice is not None and choice["type"] in _FORCED
    resumed = conversation.has_lost_thinking
    claude = claude_of(document["model"])
    return chat_settings.limit_and_thinking(document, claude, forced=forced, resumed=resumed)


def _rest(document: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that do not depend on the model, and Anthropic's own fields."""
    found = chat_settings.sampling_of(document)
    found |= chat_settings.identity_of(document) | chat_settings.service_of(document)
    if document.get("stream"):
        found["stream"] = True
    return found | {key: document[key] for key in PASSED if document.get(key) is not None}
