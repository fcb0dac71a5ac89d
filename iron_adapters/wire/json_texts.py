"""Every text position of one JSON document: listed in order, and written back where it was found.

Owns the walk over parts whose shape nobody fixed (all strings count, but for identifiers and encoded data), JSON
inside strings, and the writing back. Knows no dialect: which key holds a message or a tool is its caller's business.
"""

from __future__ import annotations

from base64 import b64encode
from bisect import bisect_left
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from iron_adapters.wire.json_bodies import dump, keeps_every_string, restore_long_integers
from iron_adapters.wire.known_keys import KNOWN_KEYS
from iron_adapters.wire.silent_values import IDENTIFIERS, SILENT, is_silent, is_word, text_within
from iron_policy.exceptions import WireError
from iron_policy.messages import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from iron_policy.messages import Role

SETTINGS = frozenset({"logprobs"})
"""Keys whose objects are skipped: log probabilities repeat the text beside them, and go where that is altered."""

_NUMBERS = frozenset({
    "seed", "created", "created_at", "completed_at", "expires_at", "updated_at", "max_tokens", "max_completion_tokens",
    "max_output_tokens", "budget_tokens", "total_tokens", "size_bytes", "bytes",
})  # fmt: skip
"""Keys whose long numbers are times and amounts."""

MEDIA_TYPES = frozenset({
    "image", "image_url", "input_image", "computer_screenshot", "image_file", "input_audio", "audio",
    "file", "input_file", "document", "search_result", "container_upload", "item_reference", "input_video", "video_url",
})  # fmt: skip
"""Types of parts that may bring input in another form than text."""

DOCUMENT_TYPES = frozenset(
    {"document", "file", "input_file", "search_result", "web_search_result", "web_fetch_result"}
)

_NESTING = frozenset({dict, list})
_JSON_STARTS = frozenset("{[ \t\r\n")
_NOWHERE = (None, None, False)
_MOST_KNOWN = 1024
_LONGEST_KNOWN = 4096
"""Characters of JSON within a string; what longer ones say is not remembered."""
_known: dict[tuple[str, Role, str, str | None, bool], tuple[Text, ...]] = {}
"""What JSON within strings says, by all that its texts hang on."""
_LONG_NUMBER = 1_000_000
_LONG_DIGITS = 7
"""Numbers of seven digits and more may be identifiers: telephone, account and card numbers."""


class JsonTexts:
    """Collect the texts of one document; write their replacements back into it.

    Args:
        parse_json: whether JSON within strings is walked; otherwise such a string is one raw text, as it is where
            it has been streamed in pieces.

    Attributes:
        texts: every text, in the order in which it stands in the document.
        media: parts that may bring images, sound or files, for whoever bounds their tokens.
    """

    __slots__ = ("_effects", "_parses", "_slots", "_unwalked", "media", "texts")

    def __init__(self, *, parse_json: bool = True) -> None:
        self._parses = parse_json
        self.texts: list[Text] = []
        self.media: list[dict[str, Any]] = []
        self._slots: list[tuple[Any, Any, bool]] = []
        self._effects: list[tuple[int, int, Callable[[], object]]] = []
        self._unwalked: list[tuple[int, int, Callable[[JsonTexts], object]]] = []

    def add(  # noqa: PLR0917 - a Text's fields in their order
        self,
        container: Any,
        key: Any,
        role: Role,
        place: str,
        tool_name: str | None = None,
        in_json: bool = False,
    ) -> None:
        """List the string ``container[key]``."""
        text = container[key]
        if text:
            self.texts.append(Text(text, role, place, tool_name, in_json))
            self._slots.append((container, key, False))

    def add_known(self, texts: Sequence[Text], walk: Callable[[JsonTexts], object]) -> None:
        """List *texts*, which are what *walk* lists; it is carried out only if one of them is to be altered."""
        first = len(self.texts)
        self.texts += texts
        self._slots += [_NOWHERE] * len(texts)
        self._unwalked.append((first, len(self.texts), walk))

    def add_key(
        self, container: dict[str, Any], key: str, role: Role, place: str, tool_name: str | None = None
    ) -> None:
        """List *key* itself. It never stands in a place: places are recorded, and a free key may be a name."""
        if key:
            self.texts.append(Text(key, role, place, tool_name))
            self._slots.append((container, key, True))

    def walk(self, container: Any, key: Any, role: Role, place: str, tool_name: str | None = None) -> None:
        """List every text of ``container[key]``, whatever its shape."""
        value = container[key]
        kind = type(value)
        if kind is str:
            self.add(container, key, role, place, tool_name)
        elif kind is dict:
            self.walk_object(value, role, place, tool_name)
        elif kind is list:
            for index in range(len(value)):
                self.walk(value, index, role, f"{place}[{index}]", tool_name)
        elif kind is int or kind is float:
            self._walk_number(container, key, role, place, tool_name)

    def walk_entry(
        self, part: dict[str, Any], key: str, role: Role, place: str, tool_name: str | None = None
    ) -> None:
        """List the texts of one entry of the object at *place*: its key where it is a free one, and its value."""
        value = part[key]
        kind = type(value)
        if key in KNOWN_KEYS:
            name = key
        else:
            name = "*"
            self.add_name(part, key, role, place, tool_name)
        if kind is str and key in SILENT and self._is_dealt_with(part, key, role, place, tool_name):
            return
        if key in SETTINGS and kind in _NESTING:
            return
        if (kind is int or kind is float) and key in _NUMBERS:
            return
        where = f"{place}.{name}" if place else name
        if kind is list and key in IDENTIFIERS:
            for index, item in enumerate(value):
                if type(item) is not str or not is_silent(part, key, item):
                    self.walk(value, index, role, f"{where}[{index}]", tool_name)
        else:
            self.walk(part, key, role, where, tool_name)

    def walk_rest(
        self,
        part: dict[str, Any],
        known: Container[str],
        role: Role,
        place: str,
        tool_name: str | None = None,
    ) -> None:
        """List every entry of an object but those that somebody else reads."""
        for key in part:
            if key not in known:
                self.walk_entry(part, key, role, place, tool_name)

    def _is_dealt_with(
        self, part: dict[str, Any], key: str, role: Role, place: str, tool_name: str | None
    ) -> bool:
        """Tell whether ``part[key]`` says nothing, or says it in base64, which is listed here."""
        value = part[key]
        if is_silent(part, key, value):
            return True
        found = text_within(part, key, value)
        if found is None:
            return False
        holder, head = [found[0]], found[1]
        first = len(self.texts)
        self.add(holder, 0, role, f"{place}.{key}", tool_name)

        def write_back() -> None:
            part[key] = head + b64encode(holder[0].encode("utf-8", "replace")).decode()

        self.when_changed(first, write_back)
        return True

    def add_name(
        self, container: dict[str, Any], key: str, role: Role, place: str, tool_name: str | None = None
    ) -> None:
        """List a key that code may answer to, unless it is a plain word."""
        if not is_word(key) and not (key.isdigit() and len(key) < _LONG_DIGITS):
            self.add_key(container, key, role, place, tool_name)

    def walk_name(self, container: dict[str, Any], key: str, role: Role, place: str) -> None:
        """List a name that code may answer to, such as a tool's, unless it is a plain word."""
        value = container[key]
        if type(value) is not str or not is_word(value):
            self.walk(container, key, role, f"{place}.{key}")

    def _walk_number(self, container: Any, key: Any, role: Role, place: str, tool_name: str | None) -> None:
        value = container[key]
        if not -_LONG_NUMBER < value < _LONG_NUMBER:
            digits = str(int(value)) if type(value) is float and value.is_integer() else str(value)
            self.texts.append(Text(digits, role, place, tool_name))
            self._slots.append((container, key, False))

    def walk_object(self, part: dict[str, Any], role: Role, place: str, tool_name: str | None = None) -> None:
        """List every text of an object, but for identifiers and encoded data."""
        part_type = part.get("type")
        if type(part_type) is str:
            if part_type in MEDIA_TYPES:
                self.media.append(part)
            if part_type in DOCUMENT_TYPES:
                role = "document"
        first = len(self.texts)
        for key in part:
            self.walk_entry(part, key, role, place, tool_name)
        if part.get("logprobs"):
            self.when_changed(first, partial(part.update, logprobs=[]))

    def walk_json(
        self, container: Any, key: Any, role: Role, place: str, tool_name: str | None = None
    ) -> None:
        """List the texts within the JSON that the string ``container[key]`` holds: keys, strings and long numbers.

        A string that is no JSON, or that has a key twice, is one text. What short ones say is remembered: an agent
        sends the arguments of all its earlier tool calls with every further one.
        """
        raw = container[key]
        if type(raw) is not str:
            self.walk_values(container, key, role, place, tool_name)
            return
        spot = (raw, role, place, tool_name, self._parses)
        known = _known.get(spot)
        if known is not None:
            self.add_known(
                known,
                lambda found: found._walk_nested(container, key, role, place, tool_name),  # noqa: SLF001 - our own kind
            )
            return
        first = len(self.texts)
        self._walk_nested(container, key, role, place, tool_name)
        if len(raw) <= _LONGEST_KNOWN:
            if len(_known) >= _MOST_KNOWN:
                _known.clear()
            _known[spot] = tuple(self.texts[first:])

    def _walk_nested(self, container: Any, key: Any, role: Role, place: str, tool_name: str | None) -> None:
        document = _nested(container[key]) if self._parses else None
        if document is None:
            self.add(container, key, role, place, tool_name, in_json=True)
            return
        first = len(self.texts)
        holder = [document]
        self.walk_values(holder, 0, role, place, tool_name)

        def write_back() -> None:
            container[key] = dump(holder[0]).decode()

        self.when_changed(first, write_back)

    def walk_values(
        self, container: Any, key: Any, role: Role, place: str, tool_name: str | None = None
    ) -> None:
        """List every leaf of a free value such as a tool's arguments: strings, keys, and numbers of seven digits."""
        value = container[key]
        kind = type(value)
        if kind is str:
            self.add(container, key, role, place, tool_name)
        elif kind is int or kind is float:
            self._walk_number(container, key, role, place, tool_name)
        elif kind is list:
            for index in range(len(value)):
                self.walk_values(value, index, role, place, tool_name)
        elif kind is dict:
            for name in value:
                self.add_key(value, name, role, place, tool_name)
                self.walk_values(value, name, role, place, tool_name)

    def when_changed(self, first: int, effect: Callable[[], object]) -> None:
        """Have *effect* carried out once if any text from number *first* to the last one so far is altered."""
        if len(self.texts) > first:
            self._effects.append((first, len(self.texts), effect))

    def rewrite(self, texts: Sequence[str]) -> bool:
        """Put *texts* in place of those listed; tell whether any differs.

        Raises:
            ValueError: there are not as many as were listed.
        """
        changed = [
            number for number, (new, old) in enumerate(zip(texts, self.texts, strict=True)) if new != old.text
        ]
        for first, end, walk in self._unwalked:
            if _any_within(changed, first, end):
                self._locate(first, end, walk)
        renamed: dict[int, tuple[dict[str, Any], dict[str, str]]] = {}
        for number in changed:
            container, key, is_key = self._slots[number]
            if is_key:
                renamed.setdefault(id(container), (container, {}))[1][key] = texts[number]
            else:
                container[key] = texts[number]
        for container, names in renamed.values():
            _rename(container, names)
        for first, end, effect in self._effects:
            if _any_within(changed, first, end):
                effect()
        return bool(changed)

    def _locate(self, first: int, end: int, walk: Callable[[JsonTexts], object]) -> None:
        """Find out where the texts from number *first* to *end* stand."""
        found = JsonTexts(parse_json=self._parses)
        walk(found)
        for low, high, inner in found._unwalked:
            found._locate(low, high, inner)
        self._slots[first:end] = found._slots
        self._effects += [(first + low, first + high, effect) for low, high, effect in found._effects]


def _any_within(numbers: Sequence[int], first: int, end: int) -> bool:
    """Tell whether any of *numbers*, which rise, is at least *first* and below *end*."""
    position = bisect_left(numbers, first)
    return position < len(numbers) and numbers[position] < end


def _nested(raw: str) -> Any:
    """Return the object or list that *raw* holds, ``None`` where it is none or hides a string."""
    if raw[:1] not in _JSON_STARTS:
        return None
    encoded = raw.encode()
    try:
        document = orjson.loads(encoded)
        if type(document) not in _NESTING or not keeps_every_string(encoded, document):
            return None
        restore_long_integers(document, encoded)
    except (orjson.JSONDecodeError, WireError):
        return None
    return document


def _rename(container: dict[str, Any], names: dict[str, str]) -> None:
    """Rename keys in place, keeping their order; two that become one keep apart by a number."""
    items = [(names.get(key, key), value) for key, value in container.items()]
    container.clear()
    for name, value in items:
        unique, count = name, 1
        while unique in container:
            count += 1
            unique = f"{name}_{count}"
        container[unique] = value
