"""Reading a request so that nothing of it is lost: every field is taken, left out openly, or refused by its name.

Owns the wording of what cannot be said. Knows no field. A field that is ``null`` counts as absent, as both providers
have it. No message holds a value, nor a key that is no field of a provider's.
"""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from iron_adapters.wire.known_keys import below
from iron_policy.exceptions import Untranslatable

_T = TypeVar("_T")

_KINDS = {str: "a string", bool: "true or false", int: "a whole number", dict: "an object", list: "a list"}


class Fields:
    """The fields of one object, each of which somebody must ask for before ``done``.

    Attributes:
        place: where the object stands, such as ``messages[2].content[0]``; ``""`` for the body itself.
    """

    __slots__ = ("_left", "place")

    def __init__(self, value: Any, place: str) -> None:
        if type(value) is not dict:
            raise Untranslatable(f"{place or 'the body'} must be an object", place)
        self.place = place
        self._left = {key: entry for key, entry in value.items() if entry is not None}

    def take(self, key: str) -> Any:
        """Return a field, whatever it is; ``None`` where it is absent."""
        return self._left.pop(key, None)

    def maybe(self, key: str, kind: type[_T]) -> _T | None:
        """Return a field that is of *kind* or absent."""
        value = self.take(key)
        if value is not None and type(value) is not kind:
            self.wrong(key, f"must be {_KINDS[kind]}")
        return value

    def need(self, key: str, kind: type[_T]) -> _T:
        """Return a field that is of *kind*."""
        value = self.maybe(key, kind)
        if value is None:
            self.wrong(key, f"is missing: it must be {_KINDS[kind]}")
        return value

    def number(self, key: str) -> float | None:
        """Return a number, or ``None`` where it is absent."""
        value: float | None = self.take(key)
        if value is not None and type(value) not in {int, float}:
            self.wrong(key, "must be a number")
        return value

    def choice(self, key: str, choices: frozenset[str]) -> str | None:
        """Return a word out of *choices*, or ``None`` where it is absent."""
        value: str | None = self.take(key)
        if value is not None and (type(value) is not str or value not in choices):
            self.wrong(key, f"must be one of {', '.join(sorted(choices))}")
        return value

    def kind(self) -> str:
        """Return the ``type``; ``""`` where it is absent, or no word."""
        value = self.take("type")
        return value if type(value) is str else ""

    def fields(self, key: str) -> Fields | None:
        """Return the fields of an object in this one, or ``None`` where it is absent."""
        value = self.take(key)
        return None if value is None else Fields(value, below(self.place, key))

    def leave_out(self, *keys: str) -> None:
        """Leave out what has no bearing on the answer."""
        for key in keys:
            self._left.pop(key, None)

    def only(self, key: str, neutral: tuple[Any, ...], remedy: str) -> None:
        """Leave out a field whose value is one of *neutral*, which ask for nothing; refuse any other.

        Raises:
            Untranslatable: it asks for something.
        """
        value = self.take(key)
        if value is not None and value not in neutral:
            self.refuse(key, remedy)

    def refuse(self, key: str, remedy: str) -> NoReturn:
        """Say that a field cannot be said.

        Raises:
            Untranslatable: always.
        """
        place = below(self.place, key)
        raise Untranslatable(f"{place!r} cannot be said in OpenAI's chat completions: {remedy}", place)

    def wrong(self, key: str, what: str) -> NoReturn:
        """Say that a field is not what Anthropic's messages have there.

        Raises:
            Untranslatable: always.
        """
        place = below(self.place, key)
        raise Untranslatable(f"{place!r} {what}", place)

    def done(self) -> None:
        """Refuse what nobody has asked for.

        Raises:
            Untranslatable: a field is left.
        """
        for key in self._left:
            self.refuse(key, "it is no field that has an equal there; leave it out")


def items(value: Any, place: str) -> list[tuple[str, Any]]:
    """Return the items of a list, each with its place.

    Raises:
        Untranslatable: *value* is no list.
    """
    if type(value) is not list:
        raise Untranslatable(f"{place!r} must be a list", place)
    return [(f"{place}[{number}]", item) for number, item in enumerate(value)]
