"""Reading ``POST /v1/responses``: inputs of all sorts, tools, the form of the answer, and earlier responses.

Owns what a request of this endpoint means. Says nothing itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_adapters.testing.asked import Asked
from iron_adapters.testing.openai_reading import function_tool, positive, required, text_of, tool_choice
from iron_adapters.testing.problems import Problem
from iron_adapters.testing.tokens import count_input_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iron_adapters.testing.response_store import ResponseStore

_PROMPT = ("instructions", "tools", "text")
_CALLS = frozenset({"function_call", "custom_tool_call"})
_RESULTS = frozenset({"function_call_output", "custom_tool_call_output"})


def read_request(body: Mapping[str, Any], body_bytes: int, store: ResponseStore) -> Asked:
    """Return what *body* asks for, with the items of ``previous_response_id`` before its own.

    Only with those can the input tokens be more than the bytes of the body: they are billed again, as by the API.
    """
    given = required(body, "input")
    own = [{"role": "user", "content": given}] if isinstance(given, str) else list(given)
    earlier = store.items_of(body.get("previous_response_id"))
    items = [*earlier, *own]
    _check_outputs(items)
    tools = tuple(function_tool(tool) for tool in body.get("tools") or () if tool.get("type") == "function")
    mode, name = tool_choice(body.get("tool_choice"), tools)
    form = (body.get("text") or {}).get("format") or {}
    prompt = {key: body[key] for key in _PROMPT if body.get(key)}
    return Asked(
        endpoint="responses",
        model=required(body, "model"),
        user_text=_last_user_text(items),
        tool_results=_closing_results(items),
        called_tools=frozenset(item["name"] for item in items if item.get("type") in _CALLS),
        tools=tools,
        tool_mode=mode,
        tool_name=name,
        parallel_tools=body.get("parallel_tool_calls") is not False,
        schema=form.get("schema") if form.get("type") == "json_schema" else None,
        json_object=form.get("type") == "json_object",
        wants_reasoning=bool((body.get("reasoning") or {}).get("summary")),
        max_tokens=positive(body, "max_output_tokens"),
        stream=bool(body.get("stream")),
        input_tokens=count_input_tokens(prompt | {"input": items}, body_bytes + store.bytes_of(earlier)),
        body={**body, "input": items},
    )


def _last_user_text(items: list[dict[str, Any]]) -> str:
    texts = [text_of(item.get("content")) for item in items if item.get("role") == "user"]
    return texts[-1] if texts else ""


def _closing_results(items: list[dict[str, Any]]) -> tuple[str, ...]:
    results = []
    for item in reversed(items):
        if item.get("type") not in _RESULTS:
            break
        results.append(text_of(item.get("output")))
    return tuple(reversed(results))


def _check_outputs(items: list[dict[str, Any]]) -> None:
    """Raise the API's 400 where calls of tools and their outputs do not match."""
    calls = {item.get("call_id") for item in items if item.get("type") in _CALLS}
    outputs = {item.get("call_id") for item in items if item.get("type") in _RESULTS}
    for missing in sorted(map(str, outputs - calls)):
        raise Problem(
            400, f"No tool call found for function call output with call_id {missing}.", param="input"
        )
    for missing in sorted(map(str, calls - outputs)):
        raise Problem(400, f"No tool output found for function call {missing}.", param="input")
