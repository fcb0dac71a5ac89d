"""What clients hand to an application, as plain values to compare: without what differs between any two calls."""

_VARYING = frozenset((
    "id", "request_id", "_request_id", "tool_call_id", "tool_use_id", "call_id", "item_id", "response_id",
    "previous_response_id", "created", "created_at", "completed_at", "obfuscation", "signature",
))  # fmt: skip


def plain(value):
    """Return *value*, be it of an SDK's own types, without ids, times and paddings."""
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json", warnings=False)
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if key not in _VARYING}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


def outcome(call, *arguments):
    """Return what *call* returns, or what an application learns from the error that it raises."""
    try:
        return plain(call(*arguments))
    except Exception as error:  # noqa: BLE001 - whatever a client raises is what is compared
        return learned_from(error)


async def async_outcome(call, *arguments):
    """Return what awaiting *call* gives, or what an application learns from the error that it raises."""
    try:
        return plain(await call(*arguments))
    except Exception as error:  # noqa: BLE001 - whatever a client raises is what is compared
        return learned_from(error)


def learned_from(error):
    """Return what an application learns from *error*, an SDK's own."""
    told = {
        name: plain(getattr(error, name, None)) for name in ("status_code", "code", "param", "type", "body")
    }
    return {"raised": type(error).__name__, **told}


def gist_of_chat(value):
    """Return what a chat completion says, whole or in chunks: its text, its calls and why it ends."""
    value = plain(value)
    if isinstance(value, list):
        return _gist_of_chunks(value)
    choice = value["choices"][0]
    message = choice["message"]
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    return (
        message["content"] or "",
        [(call["name"], call["arguments"]) for call in calls],
        choice["finish_reason"],
    )


def _gist_of_chunks(chunks):
    text, calls, finish = "", {}, None
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        delta = choice["delta"]
        text += delta.get("content") or ""
        finish = choice["finish_reason"] or finish
        for call in delta.get("tool_calls") or ():
            name, arguments = calls.get(call["index"], ("", ""))
            more = call["function"]
            calls[call["index"]] = (
                name + (more.get("name") or ""),
                arguments + (more.get("arguments") or ""),
            )
    return text, list(calls.values()), finish


def gist_of_message(value):
    """Return what a message says, whole or as events: its blocks and why it ends."""
    value = plain(value)
    if isinstance(value, list):
        return (
            _gist_of_events(value)
            if isinstance(value[0], dict) and "type" in value[0]
            else gist_of_message(value[-1])
        )
    blocks = [block.get("text") or (block["name"], block["input"]) for block in value["content"]]
    return blocks, value["stop_reason"], value["stop_sequence"]


def _gist_of_events(events):
    text = "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta")
    last = next(event["delta"] for event in reversed(events) if event["type"] == "message_delta")
    return [text], last["stop_reason"], last["stop_sequence"]
