"""Answers that a request asks for as JSON: what the review puts into their text is escaped for JSON.

Owns how the dialects ask for such an answer, and which texts of a reply are it. Decides nothing: the call reviews.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iron_policy.call import Call
    from iron_policy.messages import Channel, ModelResponse, Text

_FORMATS = frozenset({"json_schema", "json_object"})
_ANSWERS = (".content", ".text")
"""How the place of an answer's text ends, in every dialect."""


def asks_for_json(document: Mapping[str, Any]) -> bool:
    """Tell whether a request's *document* asks for its answer as JSON."""
    if document.get("output_format"):
        return True
    formats = [document.get("response_format")]
    formats += [_within(document, key).get("format") for key in ("text", "output_config")]
    return any(type(found) is dict and found.get("type") in _FORMATS for found in formats)


def _within(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    return value if type(value) is dict else {}


class JsonAnswers:
    """The review of a reply whose answer is JSON.

    Args:
        call: reviews.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self.tool_call = call.tool_call

    def review(self, response: ModelResponse) -> tuple[str, ...] | None:
        """Return the reply's texts as the caller may see them; ``None`` where they stay as they are.

        Raises:
            PolicyDenied: the reply may not be handed on.
        """
        return self._call.review(response._replace(texts=tuple(map(_as_json, response.texts))))

    def push(self, channel: Channel, text: str) -> str:
        """Take a piece of a text; return what may be released now."""
        return self._call.push(_as_json(channel), text)

    def finish(self, channel: Channel) -> str:
        """Return the rest of a text that has ended."""
        return self._call.finish(_as_json(channel))

    def whole(self, text: Text) -> str:
        """Return a whole text as the caller may see it."""
        return self._call.whole(_as_json(text))


def _as_json(where: Any) -> Any:
    """Return a text or a channel, as JSON where it is the answer."""
    is_answer = where.tool_name is None and where.place.endswith(_ANSWERS) and ".summary" not in where.place
    return where._replace(in_json=True) if is_answer else where
