"""What a model call is, without any provider in it: requests, replies, their texts and their usage.

Owns the values that pass between seams and the engine: named tuples, which are cheap to make, and made by keyword. Knows no wire format, no framework and no policy.
Field names are the OpenTelemetry GenAI attributes, less their prefix.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Role: TypeAlias = Literal["system", "user", "assistant", "tool", "document", "schema"]
"""Who says a text. ``schema`` is a tool's description or a parameter's; ``document`` is retrieved or embedded."""

OperationName: TypeAlias = Literal["chat", "text_completion", "embeddings"]
"""Values of ``gen_ai.operation.name`` for calls to a model."""


class Text(NamedTuple):
    """One text of a request or a reply: what it says, who says it, where it stands."""

    text: str
    role: Role
    place: str
    """Where it stands in the body, such as ``messages[2].content[0].text``."""
    tool_name: str | None = None
    """The tool whose argument, result or description this is."""
    in_json: bool = False
    """True for a raw piece of JSON (a streamed tool argument): what is put in must be escaped for JSON."""


class Channel(NamedTuple):
    """One text of a streamed reply, which arrives in pieces. The fields are those of :class:`Text`."""

    place: str
    role: Role = "assistant"
    tool_name: str | None = None
    in_json: bool = False


class ToolCall(NamedTuple):
    """One call of a tool, as a model asked for it or as a framework is about to make it."""

    name: str
    arguments: str
    """JSON text of the arguments."""
    id: str | None = None


class Usage(NamedTuple):
    """Tokens a call used, in disjoint buckets (a reported audio or reasoning share lies within its bucket)."""

    uncached_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    """Written to a cache that lives five minutes, or as long as the provider's default."""
    cache_creation_1h_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_output_tokens: int = 0
    """Share of ``output_tokens`` spent on reasoning."""
    input_audio_tokens: int = 0
    """Share of ``uncached_input_tokens`` that is audio."""
    output_audio_tokens: int = 0
    """Share of ``output_tokens`` that is audio."""
    service_tier: str | None = None
    """The tier that the call was served at, in the provider's words (``priority``, ``flex``, ``fast``)."""

    @property
    def input_tokens(self) -> int:
        """All input tokens, cached or not (``gen_ai.usage.input_tokens``)."""
        return (
            self.uncached_input_tokens
            + self.cache_read_input_tokens
            + self.cache_creation_input_tokens
            + self.cache_creation_1h_input_tokens
        )


class ModelRequest(NamedTuple):
    """One call to a model, before it is sent."""

    provider_name: str
    """``openai``, ``anthropic``, or the name of a configured upstream."""
    model: str
    operation_name: OperationName = "chat"
    texts: tuple[Text, ...] = ()
    """Every text of the request, in the order in which they stand in it."""
    tool_names: tuple[str, ...] = ()
    """The tools that the model is offered."""
    other_models: tuple[str, ...] = ()
    """Models that the provider may ask instead, because the request names them."""
    deployment_name: str | None = None
    """What the URL asks for where it, and not the body, chooses the model (Azure), if the body names another."""
    service_tier: str | None = None
    """The tier that the caller asks for, in the provider's words; it changes the price."""
    parameter_names: tuple[str, ...] = ()
    """Top-level parameters that the caller set, in the provider's words."""
    max_tokens: int | None = None
    """The most output tokens that the caller allows, per choice."""
    choice_count: int = 1
    stream: bool = False
    input_tokens_bound: int | None = 0
    """No tokenizer can count more input tokens than this; ``None`` where the provider adds input of its own
    (stored conversations, server-side tools), so that only the model's context window bounds it."""
    billed: bool = True
    """False for what providers do for nothing, such as counting tokens: judged, and neither held nor charged."""
    retry_count: int = 0
    """How often the caller's SDK has already tried this same call."""
    conversation_id: str | None = None


class ModelResponse(NamedTuple):
    """One whole reply of a model."""

    model: str | None = None
    texts: tuple[Text, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reasons: tuple[str, ...] = ()
    usage: Usage | None = None
    """``None`` where the reply carried none: then the estimate is charged."""
    pending: bool = False
    """True where the provider still works on it in the background, and bills what nobody here will see."""
