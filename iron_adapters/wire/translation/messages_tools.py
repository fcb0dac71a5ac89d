"""The tools of a request, and which of them the model may or must call.

Owns the caller's own tools; those that Anthropic runs or has trained its models for have no equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.wire.translation.messages_fields import Fields, items

if TYPE_CHECKING:
    from typing import NoReturn

_ANTHROPICS_OWN = (
    "advisor_", "bash_", "browser_", "code_execution_", "computer_", "mcp_toolset", "memory_", "text_editor_",
    "tool_search_tool_", "web_fetch_", "web_search_",
)  # fmt: skip


def chat_tools(request: Fields) -> dict[str, Any]:
    """Take ``tools`` and ``tool_choice`` of *request*; return what says the same in a chat.

    Raises:
        Untranslatable: a tool is none of the caller's own.
    """
    tools = request.take("tools")
    said: dict[str, Any] = {}
    if tools is not None and (
        functions := [_function(Fields(tool, place)) for place, tool in items(tools, "tools")]
    ):
        said["tools"] = functions
    if (choice := request.fields("tool_choice")) is not None:
        chosen = _choice(choice)
        # OpenAI refuses any choice where there are no tools; these two ask for nothing then.
        if "tools" in said or chosen["tool_choice"] not in ("auto", "none"):
            said |= chosen
    return said


def _function(tool: Fields) -> dict[str, Any]:
    kind = tool.take("type")
    if kind is not None and kind != "custom":
        _refuse_kind(tool, kind)
    # How arguments are cut into pieces is for the provider to choose.
    tool.leave_out("cache_control", "eager_input_streaming")
    tool.only(
        "defer_loading", (False,), "the tool is to be searched for; list only tools that the model may see"
    )
    tool.only("allowed_callers", (["direct"],), "only the model calls tools; leave it out")
    tool.only("input_examples", ([],), "write the examples into the description")
    function: dict[str, Any] = {"name": tool.need("name", str)}
    if (description := tool.maybe("description", str)) is not None:
        function["description"] = description
    function["parameters"] = tool.need("input_schema", dict)
    if (strict := tool.maybe("strict", bool)) is not None:
        function["strict"] = strict
    tool.done()
    return {"type": "function", "function": function}


def _refuse_kind(tool: Fields, kind: Any) -> NoReturn:
    own = next((start for start in _ANTHROPICS_OWN if type(kind) is str and kind.startswith(start)), None)
    if own is None:
        tool.refuse("type", "only tools of type 'custom' can; leave it out")
    tool.refuse(
        "type", f"{own.strip('_')!r} is a tool of Anthropic's own; declare a tool with an input_schema"
    )


def _choice(choice: Fields) -> dict[str, Any]:
    kind = choice.choice("type", frozenset({"auto", "any", "tool", "none"}))
    said: dict[str, Any] = {"tool_choice": {"any": "required"}.get(str(kind), kind)}
    if kind is None:
        choice.wrong("type", "is missing")
    if kind == "tool":
        said["tool_choice"] = {"type": "function", "function": {"name": choice.need("name", str)}}
    if choice.maybe("disable_parallel_tool_use", bool):
        said["parallel_tool_calls"] = False
    choice.done()
    return said
