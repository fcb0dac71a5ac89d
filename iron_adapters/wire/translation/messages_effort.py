"""How hard the model is to think, and the form that its answer must have.

Owns the way from Anthropic's ``thinking``, a budget of tokens, to OpenAI's ``reasoning_effort``, a word; and
``output_config``, which has the same words and a schema.

Anthropic's models think without bounds on ``adaptive``, and so do OpenAI's where nothing is said. A budget becomes
``low`` up to 4,096 tokens, ``medium`` up to 16,384 and ``high`` above: the steps of Claude Code's "think" (4,000),
"think hard" (10,000) and "ultrathink" (31,999). Where the caller gives an effort too, that is what is said.
Sources: https://docs.claude.com/en/docs/build-with-claude/extended-thinking;
https://platform.openai.com/docs/guides/reasoning: models since gpt-5.1 know the effort ``none``, none before does.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iron_adapters.wire.translation.messages_fields import Fields

_EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})
_LOW_BUDGET = 4_096
_MEDIUM_BUDGET = 16_384
_CAN_REST = re.compile(r"(?:ft:)?gpt-(?:5\.\d+|[6-9]|1\d)(?!.*-(?:chat|codex|pro))")
_NEVER_RESTS = re.compile(r"(?:ft:)?(?:o\d|codex-|gpt-(?:[5-9]|1\d)(?!.*-chat))")


def chat_effort(request: Fields, model: str) -> tuple[dict[str, Any], bool]:
    """Take ``thinking`` and ``output_config`` of *request*.

    Returns:
        What says the same in a chat, and whether thinking is to be shown.

    Raises:
        Untranslatable: *model* cannot be told to think that little, or that much in another way.
    """
    effort, said = _output(request)
    thinking = request.fields("thinking")
    if thinking is None:
        return _with_effort(request, effort, said), True
    kind = thinking.choice("type", frozenset({"enabled", "adaptive", "disabled"}))
    shows = thinking.choice("display", frozenset({"summarized", "omitted"})) != "omitted"
    if kind is None:
        thinking.wrong("type", "is missing")
    if kind == "enabled":
        by_budget = _effort_for(thinking.need("budget_tokens", int))
        effort = effort or by_budget
    elif kind == "disabled":
        effort = _rest(thinking, effort, model)
    thinking.done()
    return _with_effort(request, effort, said), shows


def _output(request: Fields) -> tuple[str | None, dict[str, Any]]:
    """Return the effort that the caller asks for, and the form of the answer."""
    effort, said = None, _form(request, "output_format")
    if (output := request.fields("output_config")) is not None:
        effort = output.choice("effort", _EFFORTS)
        form = _form(output, "format")
        if form and said:
            output.refuse("format", "it is said twice: leave out output_format")
        said |= form
        output.done()
    return effort, said


def _form(holder: Fields, key: str) -> dict[str, Any]:
    form = holder.fields(key)
    if form is None:
        return {}
    if form.take("type") != "json_schema":
        form.refuse("type", "the form of an answer can be a json_schema only")
    schema = {"name": "answer", "schema": form.need("schema", dict), "strict": True}
    form.done()
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _effort_for(budget_tokens: int) -> str:
    if budget_tokens <= _LOW_BUDGET:
        return "low"
    return "medium" if budget_tokens <= _MEDIUM_BUDGET else "high"


def _rest(thinking: Fields, effort: str | None, model: str) -> str | None:
    """Return the effort that keeps *model* from thinking; ``None`` where it does not think anyway."""
    if _CAN_REST.match(model):
        if effort is not None:
            thinking.refuse("type", "OpenAI's effort is one of thinking: leave out output_config.effort")
        return "none"
    if _NEVER_RESTS.match(model):
        thinking.refuse(
            "type", "this model always thinks; leave out thinking, or ask for little output_config.effort"
        )
    return effort


def _with_effort(request: Fields, effort: str | None, said: dict[str, Any]) -> dict[str, Any]:
    if effort is None:
        return said
    if request.take("reasoning_effort") is not None:
        request.refuse("reasoning_effort", "it is said twice: leave out thinking and output_config.effort")
    return {**said, "reasoning_effort": effort}
